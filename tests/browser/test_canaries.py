"""The page says when the detector was last checked, and what to do when it fails: Chromium."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from stream.clock import SystemClock
from tests.support.canaries import pair
from tests.support.wall import PlayedWall, cameras
from tests.support.web import WebRig, served

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90)]


async def test_the_line_the_clips_and_the_bar_of_a_detector_that_fails(page: Page) -> None:
    rig = WebRig(clock=SystemClock(), canaries=True)
    assert rig.canaries is not None
    wall = PlayedWall(rig)
    await wall.add(cameras(1)[0])
    for _ in range(6):
        rig.canaries.conclude(pair())
    async with wall.playing(), served(rig.app) as port:
        await page.goto(f"http://127.0.0.1:{port}/")
        line = page.get_by_text("Detector checked less than a minute ago", exact=True)
        await expect(line).to_be_visible(timeout=20_000)
        assert "rating −0.60" in (await line.get_attribute("title") or "")
        bar = page.get_by_role("region", name="Detector")
        clips = page.get_by_role("region", name="Canaries")
        await expect(bar).to_have_count(0)
        await expect(clips).to_have_count(0)
        await page.get_by_role("button", name="Show canaries").click()
        await expect(clips.get_by_role("listitem")).to_have_count(2)
        await expect(page.locator(".tile")).to_have_count(1)
        for _ in range(2):
            rig.canaries.conclude(pair(fps=12.5))
        await expect(bar.get_by_role("alert")).to_contain_text("no longer judges known clips")
        await expect(bar).to_contain_text("check the load")
        await bar.get_by_role("button", name="Learn anew").click()
        await expect(bar).to_have_count(0)
        await expect(page.get_by_text("learning what to expect (0 of 5)")).to_be_visible()
        await page.get_by_role("button", name="Hide canaries").click()
        await expect(clips).to_have_count(0)
