"""A stream's baseline on the page, in Chromium against the real application."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from stream.baseline.shelf import BaselineShelf
from stream.clock import SystemClock
from tests.support.wall import PlayedWall, cameras
from tests.support.web import WebRig, served

pytestmark = pytest.mark.browser


async def test_ten_minutes_were_real_until_the_light_goes_out(page: Page, tmp_path: Path) -> None:
    wall = PlayedWall(WebRig(clock=SystemClock(), baselines_in=tmp_path))
    (camera,) = cameras(1)
    await wall.add(camera, ago=300)
    wall.past(300, 240)
    async with served(wall.rig.app) as port:
        await page.goto(f"http://127.0.0.1:{port}/streams/cam-1")
        panel = page.locator(".baseline")
        real = panel.get_by_role("button", name="These ten minutes were real")
        await expect(real).to_be_disabled()
        await expect(panel).to_contain_text("3 are needed")
        wall.past(240)
        await page.reload()
        await real.click()
        await expect(panel.get_by_role("heading")).to_have_text(
            f"Baseline: Lobby, 5 min, {SystemClock().utc():%Y-%m-%d}"
        )
        assert set(BaselineShelf(tmp_path).all()) == {"cam-1"}
        async with wall.playing():
            await expect(panel).to_contain_text("Faces are compared with it")
            camera.brightness = 20.0
            wall.past(30)
            await expect(panel).to_contain_text("faces are darker than in the baseline: 20 of 255")
        await panel.get_by_role("button", name="Remove the baseline").click()
        await expect(panel.get_by_role("heading")).to_have_text("Baseline")
    assert BaselineShelf(tmp_path).all() == {}
