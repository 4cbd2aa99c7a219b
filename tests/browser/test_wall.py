"""The wall as an operator works with it: its layout, filters, names, full screen, and roles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from stream.clock import SystemClock
from stream.events import ConnectionState, ReasonCode, Verdict
from tests.support.wall import PlayedStream, PlayedWall, cameras
from tests.support.web import WebRig, served
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90)]

AXE = Path(__file__).parents[2] / "web" / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
SECRET = "correct horse battery staple"


async def fill(wall: PlayedWall, count: int, seconds: float = 5.0) -> None:
    for n, camera in enumerate(cameras(count)):
        camera.tags = ("Berlin" if n % 3 else "Lisbon",)
        await wall.add(camera, ago=seconds)
    wall.past(seconds)


def tiles(page: Page) -> Locator:
    return page.locator(".tile")


def choice(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=re.compile(rf"^{name}\b"))


# --- layout ---------------------------------------------------------------------------------


async def test_fifteen_streams_fill_a_window_of_1600_by_900_as_five_by_three(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 15)
    await page.set_viewport_size({"width": 1600, "height": 900})
    async with wall.playing():
        await page.goto(address)
        await expect(tiles(page)).to_have_count(15)
        boxes = [await tile.bounding_box() for tile in await tiles(page).all()]
        places = [box for box in boxes if box is not None]
        assert len({round(box["x"]) for box in places}) == 5
        assert len({round(box["y"]) for box in places}) == 3
        assert max(box["y"] + box["height"] for box in places) <= 900
        assert min(box["width"] for box in places) > 280


async def test_long_names_and_errors_are_not_cut(
    page: Page, wall: PlayedWall, address: str
) -> None:
    name = "Loading bay 3, north-east corner above the roller door, second camera"
    detail = "the camera answered 454 Session Not Found to SETUP, after it had answered DESCRIBE"
    await fill(wall, 14)
    await wall.add(PlayedStream("bay", name))
    wall.connection("bay", ConnectionState.BACKING_OFF, ReasonCode.TIMEOUT, detail)
    await page.set_viewport_size({"width": 1600, "height": 900})
    async with wall.playing():
        await page.goto(address)
        tile = tiles(page).filter(has_text="Loading bay")
        await expect(tile.locator(".why")).to_have_text(detail)
        for part in (".name", ".why", ".state"):
            cut = await tile.locator(part).evaluate(
                "it => it.scrollHeight > it.clientHeight + 1 || it.scrollWidth > it.clientWidth + 1"
            )
            assert not cut, part
        facts = await tile.locator(".facts").bounding_box()
        whole = await tile.bounding_box()
        assert facts is not None
        assert whole is not None
        assert facts["y"] >= whole["y"]
        assert facts["y"] + facts["height"] <= whole["y"] + whole["height"] + 1


async def test_a_click_anywhere_on_a_tile_opens_its_stream(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 15)
    async with wall.playing():
        await page.goto(address)
        first = tiles(page).filter(has_text="Lobby").first
        await first.click(position={"x": 20, "y": 20})
        await expect(page).to_have_url(re.compile("/streams/cam-1$"))


async def test_a_stream_that_is_long_dead_stands_after_the_living(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 3)
    await page.clock.install()
    async with wall.playing():
        await page.goto(address)
        wall.connection("cam-2", ConnectionState.FAILED, ReasonCode.AUTH, "it wants a password")
        await expect(tiles(page).first.locator(".name")).to_have_text("Gate")
        await expect(tiles(page).first.locator(".age")).to_have_class("age old")
        await page.clock.fast_forward("11:00")
        await expect(tiles(page).last.locator(".name")).to_have_text("Gate")


async def test_full_screen_hides_the_header_and_escape_leaves(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 4)
    async with wall.playing():
        await page.goto(address)
        await expect(tiles(page)).to_have_count(4)
        await page.keyboard.press("f")
        await expect(page.locator("header.top")).to_be_hidden()
        await expect(page.get_by_role("button", name="Full screen", exact=True)).to_have_attribute(
            "aria-pressed", "true"
        )
        await page.keyboard.press("Escape")
        await expect(page.locator("header.top")).to_be_visible()


# --- filters --------------------------------------------------------------------------------


async def test_the_wall_is_narrowed_by_tag_and_state_and_the_address_keeps_it(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 6)
    wall.streams["cam-6"].verdict, wall.streams["cam-6"].level = Verdict.SUSPECT, 0.9
    async with wall.playing():
        await page.goto(address)
        await expect(tiles(page)).to_have_count(6)
        await choice(page, "Lisbon").click()
        await expect(tiles(page)).to_have_count(2)
        await expect(page.locator(".hidden")).to_have_text("4 not shown, 1 of them suspect")
        await expect(page).to_have_url(re.compile(r"/\?tag=Lisbon$"))
        await page.reload()
        await expect(tiles(page)).to_have_count(2)
        await expect(choice(page, "Lisbon")).to_have_attribute("aria-pressed", "true")
        await page.keyboard.press("1")
        await expect(page.locator(".wall")).to_have_text("No stream is so now")
        await choice(page, "Lisbon").click()
        await expect(tiles(page).locator(".name")).to_have_text(["Helpdesk"])
        await page.keyboard.press("0")
        await expect(tiles(page)).to_have_count(6)
        await page.keyboard.press("g")
        both = [re.compile("Berlin"), re.compile("Lisbon")]
        await expect(page.locator(".group")).to_have_text(both)
        await expect(page).to_have_url(re.compile(r"/\?group=tag$"))


# --- names ----------------------------------------------------------------------------------


async def test_a_stream_is_renamed_where_its_name_stands(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await fill(wall, 2)
    async with wall.playing():
        await page.goto(f"{address}/streams/cam-2")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Gate")
        await expect(page.locator(".stream-name .id")).to_have_text("cam-2")
        await page.get_by_role("button", name="Change the name", exact=True).click()
        field = page.get_by_role("textbox", name="Change the name", exact=True)
        await expect(field).to_be_focused()
        await expect(field).to_have_value("Gate")
        await field.fill("nothing of it")
        await field.press("Escape")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Gate")
        await page.get_by_role("heading", level=1).click()
        await field.fill("North gate, by the river")
        await field.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("North gate, by the river")
        assert wall.rig.control.specs["cam-2"].name == "North gate, by the river"
        await page.get_by_role("button", name="Change the tags", exact=True).click()
        await page.get_by_role("textbox", name="Change the tags", exact=True).fill("Porto, doors")
        await page.keyboard.press("Enter")
        await expect(page.locator("a.own-tag")).to_have_text(["Porto", "doors"])
        await page.locator("a.own-tag").first.click()
        await expect(tiles(page).locator(".name")).to_have_text(["North gate, by the river"])


async def test_escape_disarms_a_removal(page: Page, wall: PlayedWall, address: str) -> None:
    await fill(wall, 1)
    async with wall.playing():
        await page.goto(f"{address}/streams/cam-1")
        await page.get_by_role("button", name="Remove", exact=True).click()
        await expect(page.get_by_role("button", name="Really remove?", exact=True)).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="Remove", exact=True)).to_be_visible()
        assert "cam-1" in wall.rig.control.specs


# --- roles ----------------------------------------------------------------------------------


def guarded(role: Role) -> PlayedWall:
    tokens = (Token(TokenDigest(SECRET), role),)
    return PlayedWall(WebRig(clock=SystemClock(), settings=WebSettings(tokens=tokens)))


async def test_a_viewer_is_offered_nothing_that_would_be_refused(page: Page) -> None:
    wall = guarded(Role.VIEWER)
    await fill(wall, 2)
    async with wall.playing(), served(wall.rig.app) as port:
        await page.goto(f"http://127.0.0.1:{port}")
        await page.get_by_role("textbox", name="Token", exact=True).fill(SECRET)
        await page.get_by_role("button", name="Connect", exact=True).click()
        await expect(tiles(page)).to_have_count(2)
        for name in ("Add a camera", "Analyze my camera", "Analyze a tab"):
            await expect(page.get_by_role("button", name=name)).to_have_count(0)
        await tiles(page).first.click()
        await expect(page.locator(".thresholds input").first).to_have_attribute("readonly", "")
        for name in ("Remove", "Change the name", "tags", "Apply", "As configured", "Snooze"):
            await expect(page.get_by_role("button", name=name)).to_have_count(0)


async def test_a_token_that_is_refused_is_not_a_lost_connection(page: Page) -> None:
    wall = guarded(Role.OPERATOR)
    async with served(wall.rig.app) as port:
        await page.goto(f"http://127.0.0.1:{port}")
        await expect(page.locator(".link")).to_have_text("Token needed")
        await page.get_by_role("textbox", name="Token", exact=True).fill("something else")
        await page.get_by_role("button", name="Connect", exact=True).click()
        await expect(page.locator(".link")).to_have_text("Token refused")
        await expect(
            page.get_by_role("heading", name="This token was refused", exact=True)
        ).to_be_visible()
        await expect(page.locator(".outage")).to_have_count(0)


# --- everybody ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/?group=tag", "/streams/cam-1"])
async def test_wcag_aa(browser: Browser, wall: PlayedWall, address: str, path: str) -> None:
    await fill(wall, 6)
    page = await browser.new_page(bypass_csp=True, reduced_motion="reduce")
    async with wall.playing():
        await page.goto(address + path)
        await expect(page.locator(".picture canvas").first).to_be_visible()
        await page.add_script_tag(path=str(AXE))
        found = await page.evaluate("axe.run().then(r => r.violations.map(v => [v.impact, v.id]))")
    await page.close()
    assert [one for one in found if one[0] != "minor"] == []
