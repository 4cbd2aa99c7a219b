"""The whole way: a person presses the button, and their own face is scored on the page."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from stream.webrtc.calls import WebRtcSettings
from tests.support.calls import LOCAL, call_rig
from web.routes.pages import NOT_BUILT, is_built

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not is_built(), reason=NOT_BUILT),
]

BRISK = WebRtcSettings(bind=LOCAL, silence_s=1.5, keep_s=30.0)


async def test_pressing_the_button_shows_my_own_score(filming: Browser) -> None:
    async with call_rig(BRISK) as rig, await filming.new_context() as context:
        page = await context.new_page()
        await page.goto(f"http://127.0.0.1:{rig.port}/")
        await page.get_by_role("button", name="Analyze my camera", exact=True).click()
        await expect(page).to_have_url(re.compile("/streams/my-camera-"))
        named = re.compile(r"^my camera, \w+ \d\d:\d\d$")  # as a human would call it
        await expect(page.get_by_role("heading", level=1)).to_have_text(named, timeout=20_000)
        await expect(page.locator(".face .score")).to_have_text(
            re.compile(r"0\.\d\d"), timeout=20_000
        )
        await expect(page.locator(".overlay text")).to_have_text(re.compile(r"#1\s+0\.\d\d"))
        await expect(page.locator(".tag")).to_have_text(["Untrained"])
        await page.get_by_role("button", name="Stop", exact=True).click()
        stream = page.url.rpartition("/")[2]
        await rig.until(lambda: rig.analyzer.status(stream).state.value == "ended", "the goodbye")
        await expect(page.locator(".stream-head .state")).to_have_text("Hung up")
