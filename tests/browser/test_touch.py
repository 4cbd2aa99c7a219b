"""The timeline under fingers, in Chromium: touches as a screen would send them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, CDPSession, Page, expect

from stream.clock import SystemClock
from stream.events import Verdict
from tests.support.alerts import store
from tests.support.wall import PlayedWall, cameras
from tests.support.web import WebRig, served

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
STEPS = 8
RESTED_MS = 300
"""A timer that the page fires after its own, by which the address follows resting fingers."""


class Screen:
    """A touch screen above a page's timeline; places are shares of its width."""

    def __init__(self, page: Page, session: CDPSession) -> None:
        self._page = page
        self._session = session

    async def move(self, *ways: tuple[float, float]) -> None:
        """Put down a finger per way, move each along its own, and lift them."""
        plot = self._page.locator(".timeline .u-over")
        await plot.scroll_into_view_if_needed()
        box = await plot.bounding_box()
        assert box is not None
        y = box["y"] + box["height"] / 2
        for step in range(STEPS + 1):
            at = [box["x"] + box["width"] * (a + (b - a) * step / STEPS) for a, b in ways]
            await self._send("touchMove" if step else "touchStart", at, y)
        await self._send("touchEnd", (), y)

    async def _send(self, kind: str, xs: Sequence[float], y: float) -> None:
        points = [{"x": x, "y": y, "id": n} for n, x in enumerate(xs)]
        await self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


async def moved(page: Page, screen: Screen, *ways: tuple[float, float]) -> tuple[float, float]:
    """Move fingers; return what the address says is shown after the last step, in seconds.

    Fingers that a busy machine moves slowly rest in between, which the address says as well.
    """
    await screen.move(*ways)
    settled = "(ms) => new Promise((told) => setTimeout(() => told(location.href), ms))"
    query = parse_qs(urlsplit(await page.evaluate(settled, RESTED_MS)).query)
    begin, end = (datetime.fromisoformat(query[key][0]).timestamp() for key in ("from", "to"))
    return begin, end


async def test_two_fingers_zoom_the_timeline_and_one_moves_it(
    browser: Browser, tmp_path: Path
) -> None:
    wall = PlayedWall(WebRig(clock=SystemClock(), store=store(tmp_path / "store.sqlite")))
    await wall.add(cameras(1)[0], ago=300)
    wall.past(300, 60)
    wall.streams["cam-1"].level, wall.streams["cam-1"].verdict = 0.9, Verdict.SUSPECT
    wall.past(60)
    context = await browser.new_context(
        viewport=PHONE, has_touch=True, is_mobile=True, reduced_motion="reduce", locale="en-GB"
    )
    page = await context.new_page()
    screen = Screen(page, await context.new_cdp_session(page))
    async with wall.playing(), served(wall.rig.app) as port:
        await page.goto(f"http://127.0.0.1:{port}/streams/cam-1")
        await expect(page.locator(".timeline canvas")).to_be_visible()

        near = await moved(page, screen, (0.45, 0.2), (0.55, 0.8))  # apart: from 0.1 to 0.6
        assert near[1] - near[0] == pytest.approx(300 / 6, rel=0.2)

        earlier = await moved(page, screen, (0.3, 0.8))  # to the right: half of it further back
        assert earlier[0] - near[0] == pytest.approx(-0.5 * (near[1] - near[0]), rel=0.2)
        assert earlier[1] - earlier[0] == pytest.approx(near[1] - near[0], abs=2)

        wide = await moved(page, screen, (0.2, 0.45), (0.8, 0.55))  # together
        assert wide[1] - wide[0] > 4 * (earlier[1] - earlier[0])

        for _ in range(12):
            await screen.move((0.1, 0.45), (0.9, 0.55))
        longest = page.get_by_role("button", name=re.compile("90 days$"))
        await expect(longest).to_have_attribute("aria-pressed", "true")
        scale = await page.evaluate("visualViewport.scale")
        assert scale == 1, "the page itself is not zoomed"
    await context.close()
