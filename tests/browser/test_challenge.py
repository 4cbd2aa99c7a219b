"""Challenges in Chromium: what the operator sees, and colours on the page of who calls from it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx
import pytest
from playwright.async_api import BrowserContext, Page, expect

from stream.challenge.settings import ChallengeSettings
from stream.webrtc.calls import WebRtcSettings
from tests.support.browser import chromium
from tests.support.calls import LOCAL, CallRig, call_rig
from tests.support.challenges import still
from tests.support.wall import PlayedWall, cameras
from web.routes.pages import NOT_BUILT, is_built

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60)]

BRISK = ChallengeSettings(
    watch_s=1.5, wait_s=0, step_s=1.5, read_s=0, actions=1, cooldown_s=0, flash_s=2.4
)

CAMERA = """() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
  const paint = canvas.getContext("2d");
  const earlier = ["#00ffff", "#ff0000", "#0000ff", "#ffff00", "#00ff00", "#ff00ff"];
  let begun = null;
  const draw = () => {
    const shown = document.querySelector(".caller-colours")?.dataset.colour ?? null;
    begun = shown === null ? null : (begun ?? performance.now());
    const slot = begun === null ? 0 : Math.floor((performance.now() - begun) / 400);
    const colour = window.follows || shown === null ? shown : earlier[slot % earlier.length];
    paint.globalCompositeOperation = "source-over";
    paint.globalAlpha = 1;
    for (let n = 0; n < 192; n += 1) {
      const level = 118 + ((n * 53) % 47);
      paint.fillStyle = `rgb(${level + 30}, ${level}, ${level - 18})`;
      paint.fillRect((n % 16) * 20, Math.floor(n / 16) * 20, 20, 20);
    }
    if (colour === null) return;
    paint.globalCompositeOperation = "screen";
    paint.globalAlpha = 0.15;
    paint.fillStyle = colour;
    paint.fillRect(0, 0, 320, 240);
  };
  draw();
  setInterval(draw, 40);
  navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(25);
}"""
"""A camera whose light follows the page's colours, or plays those of an earlier call."""


async def flashed(context: BrowserContext, rig: CallRig, *, follows: bool) -> tuple[str, str]:
    """Call from our own page, be asked to look at colours; return the outcome and the delay."""
    page = await context.new_page()
    await page.add_init_script(f"window.follows = {str(follows).lower()}; ({CAMERA})();")
    await page.goto(f"http://127.0.0.1:{rig.port}/")
    await page.get_by_role("button", name="Analyze my camera").click()
    await expect(page.locator(".own")).to_contain_text("is being analyzed")
    stream = page.url.rpartition("/")[2]
    await rig.until(lambda: rig.scores(stream), "scores")
    url = f"http://127.0.0.1:{rig.port}/api/v1/streams/{stream}/challenges"
    async with httpx.AsyncClient(timeout=20) as http:
        asked = await http.post(url, json={"task": "flash"})
    assert asked.status_code == 201, asked.text
    assert asked.json()["shown"] == "caller"
    await expect(page.locator(".caller-prompt")).to_contain_text("will show colours")
    await expect(page.locator(".caller-colours")).to_be_visible()

    def done() -> list[dict[str, object]]:
        told = [event["challenge"] for event in rig.events("challenge_changed", stream)]
        return [challenge for challenge in told if challenge["phase"] == "done"]

    await rig.until(done, "result")
    await expect(page.locator(".caller-prompt")).to_have_count(0)
    (challenge,) = done()
    return challenge["outcome"], challenge["steps"][0]["sentence"]  # type: ignore[index]


async def test_light_that_follows_the_page_s_colours_is_told_from_a_recording() -> None:
    if not is_built():
        pytest.skip(NOT_BUILT)
    async with (
        call_rig(WebRtcSettings(bind=LOCAL), asking=BRISK) as rig,
        chromium() as browser,
    ):
        contexts = [await browser.new_context() for _ in range(2)]
        live, recorded = await asyncio.gather(
            flashed(contexts[0], rig, follows=True), flashed(contexts[1], rig, follows=False)
        )
    assert live[0] == "followed", live
    assert recorded[0] == "not_followed", recorded


async def test_the_operator_reads_the_prompt_and_sees_the_result(
    page: Page, wall: PlayedWall, address: str
) -> None:
    (camera,) = cameras(1)
    await wall.add(camera)
    wall.past(10)
    rig = wall.rig
    rig.challenges.settings = BRISK

    async def sit() -> None:
        while True:
            rig.watch.offer(camera.id, still(rig.clock.monotonic()))
            rig.challenges.tick()
            await asyncio.sleep(0.08)

    sitting = asyncio.create_task(sit())
    try:
        async with wall.playing():
            await page.goto(f"{address}/streams/{camera.id}")
            panel = page.get_by_role("region", name="Challenge")
            await panel.get_by_label("What to ask for").select_option("look_up")
            await panel.get_by_role("button", name="Ask for a challenge").click()
            await expect(panel).to_contain_text("Watching the face at rest")
            await expect(panel.get_by_role("status")).to_contain_text("Look up at the ceiling")
            await expect(panel).to_contain_text("Not followed", timeout=15_000)
            await expect(panel).to_contain_text("does not change it")
            await expect(page.locator(".key.asked")).to_be_visible()
            await expect(panel.get_by_role("button")).to_be_enabled()
    finally:
        sitting.cancel()
        with suppress(asyncio.CancelledError):
            await sitting
