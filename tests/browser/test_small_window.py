"""The small window beside the page, in Chromium: always on top, as a pop-up, and blocked."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import BrowserContext, Page, expect

from stream.events import ConnectionState, ReasonCode, Verdict
from tests.support.wall import PlayedWall, cameras

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90)]

WITHOUT_FLOATING = "delete window.documentPictureInPicture"
BLOCKED = "window.open = () => null"


async def three(wall: PlayedWall) -> None:
    """Add three streams, of which none needs eyes yet."""
    for camera in cameras(3):
        await wall.add(camera, ago=5)
    wall.past(5)


async def opened(page: Page) -> Page:
    """Press the button and return the small window."""
    async with page.context.expect_page() as awaited:
        await page.get_by_role("button", name="Small window", exact=True).click()
    return await awaited.value


async def test_the_wall_s_small_window_floats_and_shows_what_needs_eyes(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await three(wall)
    async with wall.playing():
        await page.goto(address)
        assert await page.evaluate("'documentPictureInPicture' in window")
        small = await opened(page)
        assert await page.evaluate("documentPictureInPicture.window !== null")
        await expect(small.get_by_role("heading")).to_have_text("None of 3 streams suspect")
        await expect(small.get_by_text("Nothing needs eyes now")).to_be_visible()
        wall.streams["cam-2"].level, wall.streams["cam-2"].verdict = 0.93, Verdict.SUSPECT
        wall.connection("cam-3", ConnectionState.BACKING_OFF, ReasonCode.TIMEOUT, "silent")
        await expect(small.get_by_role("heading")).to_have_text("1 of 3 streams suspect")
        card = small.locator(".glance-card").first
        await expect(card).to_contain_text("Gate")
        await expect(card.locator(".state")).to_have_text("Suspect")
        await expect(card.locator(".score")).to_have_text(re.compile(r"0\.\d\d"))
        await expect(card.get_by_role("img", name="Gate", exact=True)).to_be_visible()
        await expect(small.locator(".glance-card").nth(1)).to_contain_text("Connection lost")
        colour = "getComputedStyle(document.querySelector('.glance-card.is-suspect .score')).color"
        assert await small.evaluate(colour) == "rgb(180, 35, 24)", "it has the page's style sheets"
        wall.streams["cam-2"].verdict = Verdict.CLEAR
        await expect(small.get_by_role("heading")).to_have_text("None of 3 streams suspect")


async def test_a_stream_s_small_window_shows_every_face_by_itself(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await three(wall)
    wall.streams["cam-1"].faces = 2
    async with wall.playing():
        await page.goto(f"{address}/streams/cam-1")
        small = await opened(page)
        cards = small.locator(".glance-card")
        await expect(cards).to_have_count(2)
        await expect(cards.nth(1).locator(".who")).to_have_text("Face 2")
        await expect(cards.nth(1).locator(".state")).to_have_text("Clear")
        portrait = cards.nth(1).get_by_role("img", name="Face 2", exact=True)
        await expect(portrait).to_be_visible()
        pixels = """(at) => {
          const { data } = at.getContext("2d").getImageData(0, 0, at.width, at.height);
          return [at.width === at.height, new Set(data).size > 20];
        }"""
        assert await portrait.evaluate(pixels) == [True, True], "a face, cut out square"


async def test_pressing_a_name_shows_the_stream_on_the_page(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await three(wall)
    wall.streams["cam-2"].verdict = Verdict.SUSPECT
    async with wall.playing():
        await page.goto(address)
        small = await opened(page)
        await small.get_by_role("button", name="Gate", exact=True).click()
        await expect(page).to_have_url(f"{address}/streams/cam-2")
        await expect(
            page.get_by_role("button", name="Close small window", exact=True)
        ).to_be_visible()


async def test_without_floating_windows_it_is_a_pop_up_that_closes_with_the_page(
    context: BrowserContext, page: Page, wall: PlayedWall, address: str
) -> None:
    await three(wall)
    await page.add_init_script(WITHOUT_FLOATING)
    async with wall.playing():
        await page.goto(address)
        small = await opened(page)
        wall.streams["cam-2"].level, wall.streams["cam-2"].verdict = 0.93, Verdict.SUSPECT
        await expect(small.locator(".glance-card .state")).to_have_text("Suspect")
        assert await small.title() == "What needs eyes · StyleFlow Live"
        async with small.expect_event("close"):
            await page.goto("about:blank")
        assert context.pages == [page]


async def test_it_goes_on_while_the_page_is_hidden(
    page: Page, wall: PlayedWall, address: str
) -> None:
    """A page in the background gets no animation frames, and its timers run slow."""
    await three(wall)
    await page.add_init_script(
        "Object.defineProperty(document, 'hidden', { get: () => window.away === true })"
    )
    async with wall.playing():
        await page.goto(address)
        small = await opened(page)
        await page.evaluate(
            "() => { window.away = true; requestAnimationFrame = setTimeout = () => 0; }"
        )
        wall.streams["cam-2"].level, wall.streams["cam-2"].verdict = 0.93, Verdict.SUSPECT
        card = small.locator(".glance-card")
        await expect(card.locator(".state")).to_have_text("Suspect")
        await expect(card.get_by_role("img", name="Gate", exact=True)).to_be_visible()


async def test_a_blocked_pop_up_says_what_to_allow(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await three(wall)
    await page.add_init_script(f"{WITHOUT_FLOATING}; {BLOCKED}")
    async with wall.playing():
        await page.goto(address)
        await page.get_by_role("button", name="Small window", exact=True).click()
        said = page.get_by_role("alert").filter(has_text="Allow pop-ups for this page")
        await expect(said).to_be_visible()


async def test_the_small_window_closes_and_opens_by_the_same_button(
    page: Page, wall: PlayedWall, address: str
) -> None:
    await three(wall)
    async with wall.playing():
        await page.goto(address)
        small = await opened(page)
        async with small.expect_event("close"):
            await page.get_by_role("button", name="Close small window", exact=True).click()
        await opened(page)
        await expect(
            page.get_by_role("button", name="Close small window", exact=True)
        ).to_be_visible()
