"""Incidents on the page, in Chromium against the real application: found, judged, written about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, expect

from stream.clock import SystemClock
from stream.events import Verdict
from styleflow.overlay import PointsAt
from tests.support.wall import PlayedWall, cameras
from tests.support.web import WebRig, served
from tests.support.wire import CARD
from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

pytestmark = pytest.mark.browser

SECRET = "viewers-know-this-one"
AXE = Path(__file__).parents[2] / "web/dashboard/node_modules/axe-core/axe.min.js"


async def suspect(wall: PlayedWall) -> None:
    """Have one of three streams turn suspect."""
    for camera in cameras(3):
        await wall.add(camera, ago=10)
    wall.past(10, 5)
    wall.streams["cam-2"].level, wall.streams["cam-2"].verdict = 0.93, Verdict.SUSPECT
    wall.past(5)


async def test_nothing_yet_says_what_will_come(page: Page, address: str) -> None:
    await page.goto(f"{address}/incidents")
    await expect(
        page.get_by_role("heading", name="Nothing has happened yet", exact=True)
    ).to_be_visible()
    await expect(page.get_by_role("button", name="Add a camera", exact=True).last).to_be_visible()


async def test_an_incident_appears_by_itself_and_in_the_badge_and_title(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await page.goto(f"{address}/incidents")
    await expect(
        page.get_by_role("heading", name="Nothing has happened yet", exact=True)
    ).to_be_visible()
    async with wall.playing():
        await suspect(wall)
        row = page.locator(".row")
        await expect(row).to_have_count(1)
        await expect(row.locator("h2")).to_have_text("Gate")
        await expect(row.locator(".how-sure")).to_contain_text(re.compile(r"0\.\d\d"))
        await expect(page.locator(".views .badge")).to_have_text("1")
        await expect(page).to_have_title("(1) suspect · Incidents · StyleFlow Live")


async def test_keys_move_acknowledge_and_label(page: Page, wall: PlayedWall, address: str) -> None:
    await suspect(wall)
    async with wall.playing():
        await page.goto(f"{address}/incidents")
        row = page.locator(".row")
        await expect(row).to_have_count(1)
        await page.keyboard.press("j")
        await expect(row.locator(".row-link")).to_be_focused()
        await page.keyboard.press("a")
        await expect(row.locator(".standing")).to_contain_text("Acknowledged")
        await page.keyboard.press("2")
        await expect(row.locator(".standing")).to_contain_text("False alarm")
        await expect(page.locator(".views .badge")).to_have_count(0)
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile("/incidents/.+"))
        await expect(page.get_by_role("heading", level=1)).to_have_text("Gate")


async def test_a_note_is_there_after_reloading(page: Page, wall: PlayedWall, address: str) -> None:
    await suspect(wall)
    async with wall.playing():
        await page.goto(f"{address}/incidents")
        await page.get_by_role("link", name="Gate", exact=True).click()
        await page.get_by_label("Add a note", exact=True).fill("A mask, seen on the spot.")
        await page.get_by_role("button", name="Add", exact=True).click()
        notes = page.get_by_role("region", name="Notes", exact=True)
        await expect(notes.get_by_text("A mask, seen on the spot.")).to_be_visible()
        await expect(page.locator(".timeline canvas")).to_be_visible()


async def test_a_viewer_sees_incidents_and_is_offered_no_change(page: Page) -> None:
    tokens = (Token(TokenDigest(SECRET), Role.VIEWER),)
    wall = PlayedWall(WebRig(WebSettings(tokens=tokens), clock=SystemClock()))
    await suspect(wall)
    async with wall.playing(), served(wall.rig.app) as port:
        await page.goto(f"http://127.0.0.1:{port}/incidents")
        await page.get_by_role("textbox", name="Token", exact=True).fill(SECRET)
        await page.get_by_role("button", name="Connect", exact=True).click()
        await expect(page.locator(".row")).to_have_count(1)
        await expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
        await page.get_by_role("link", name="Gate", exact=True).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Gate")
        await expect(page.locator(".judge, .snooze, .ledger form")).to_have_count(0)


@pytest.mark.skipif(not AXE.exists(), reason="needs `npm ci` in web/dashboard")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("one", [False, True])
async def test_wcag_aa(
    context: BrowserContext, wall: PlayedWall, address: str, scheme: str, one: bool
) -> None:
    await suspect(wall)
    page = await context.new_page()
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    async with wall.playing():
        await page.goto(f"{address}/incidents")
        await expect(page.locator(".row")).to_have_count(1)
        if one:
            await page.get_by_role("link", name="Gate", exact=True).click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Gate")
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate(
            "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
        )
    assert [
        (rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found["violations"]
    ] == []


async def test_what_happened_stays_on_the_tile_until_somebody_has_acknowledged_it(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await suspect(wall)
    wall.streams["cam-2"].level, wall.streams["cam-2"].verdict = 0.1, Verdict.CLEAR
    async with wall.playing():
        await page.goto(address)
        tile = page.get_by_role("article", name="Gate", exact=True)
        mark = tile.locator(".unacknowledged")
        await expect(mark).to_contain_text(re.compile(r"suspect (since )?\d\d:\d\d, peak 0\.\d\d"))
        await expect(page.locator(".unacknowledged")).to_have_count(1)
        await expect(tile).not_to_have_class(re.compile("is-suspect"))
        await page.reload()
        await mark.get_by_role("link").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Gate")
        await page.get_by_role("button", name="Acknowledge", exact=True).click()
        await page.get_by_role("link", name="Streams", exact=True).click()
        await expect(tile).to_be_visible()
        await expect(mark).to_have_count(0)


@pytest.mark.skipif(not AXE.exists(), reason="needs `npm ci` in web/dashboard")
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_on_a_wall_with_marks(
    context: BrowserContext, wall: PlayedWall, address: str, scheme: str
) -> None:
    await suspect(wall)
    page = await context.new_page()
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    async with wall.playing():
        await page.goto(address)
        await expect(page.locator(".unacknowledged")).to_be_visible()
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate("axe.run(document.querySelector('.wall'))")
    assert [
        (rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found["violations"]
    ] == []


async def explained(wall: PlayedWall, *, able: bool) -> None:
    """Have a stream turn suspect while its incident's frame is looked for."""
    if able:
        wall.rig.control.pointing[CARD.name] = PointsAt.TRACES
    await suspect(wall)
    for _ in range(3):
        await wall.rig.explained.step()
        wall.beat()


async def test_what_the_detector_points_at_is_shown_by_keyboard_and_axe_finds_nothing(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await explained(wall, able=True)
    async with wall.playing():
        await page.goto(f"{address}/incidents")
        await page.get_by_role("link", name="Gate", exact=True).click()
        pointing = page.get_by_role("button", name="What the detector points at", exact=True)
        await pointing.press("Enter")
        await expect(pointing).to_have_attribute("aria-pressed", "true")
        await expect(
            page.get_by_role("img", name="with what styleflow-live points at")
        ).to_be_visible()
        await expect(page.locator(".pointed .regions .edge")).to_have_count(2)
        await expect(page.locator(".pointed-words")).to_contain_text("2 regions in the frame shown")
        if AXE.exists():
            await page.evaluate(AXE.read_text(encoding="utf-8"))
            found = await page.evaluate("axe.run(document.querySelector('.moment'))")
            assert [rule["id"] for rule in found["violations"]] == []
        await pointing.press("Enter")
        await expect(page.locator(".pointed")).to_have_count(0)


async def test_a_detector_that_points_at_nothing_says_why(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await explained(wall, able=False)
    async with wall.playing():
        await page.goto(f"{address}/incidents")
        await page.get_by_role("link", name="Gate", exact=True).click()
        await expect(page.locator(".moment")).to_contain_text(
            "What the detector points at is not shown: this detector cannot explain its scores"
        )
        await expect(page.get_by_role("button", name="What the detector points at")).to_have_count(
            0
        )
