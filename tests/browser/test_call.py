"""A real browser calls: its camera, its codecs, its bandwidth estimator, its ways of leaving."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from playwright.async_api import Browser, Page, Route

from stream.engine.settings import EngineSettings
from stream.webrtc.calls import WebRtcSettings
from tests.support.browser import CALL
from tests.support.calls import LOCAL, CallRig, call_rig
from tests.support.path import EAGER, toy_pipeline

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

BRISK = WebRtcSettings(bind=LOCAL, silence_s=1.5, keep_s=0.5)

SCORED = "window.scored"


@asynccontextmanager
async def visitor(browser: Browser, rig: CallRig) -> AsyncIterator[Page]:
    """A page of the analyzer in a window of its own; nothing of it stays."""
    page = await browser.new_page()
    try:
        await page.goto(f"http://127.0.0.1:{rig.port}/")
        yield page
    finally:
        await page.context.close()


@pytest.mark.parametrize("codec", ["VP8", "H264", "VP9", "AV1"])
async def test_a_browsers_camera_is_scored_at_its_full_size(filming: Browser, codec: str) -> None:
    """Without a word about its rate, Chromium sends a quarter of the size for ten seconds."""
    async with call_rig(BRISK) as rig, visitor(filming, rig) as page:
        assert await page.evaluate(CALL, ["me", codec]) == ""
        assert await page.evaluate(SCORED)
        heard = await page.evaluate("window.heard")
        assert heard[0]["type"] == "snapshot"
        await rig.until(rig.scores, "scores")
        assert rig.scores()[-1]["data"]["quality"]["face_px"] > 250
        await rig.until(lambda: rig.analyzer.status("me").link, "figures of the link")
        call = rig.analyzer.sessions.of("me")
        assert call is not None
        await rig.until(lambda: call.peer.counters.audio > 10, "audio that is let go")
        assert len(call.peer.pictures) < 30


SIMULCAST = """async ([rids, small, codec]) => {
  const call = (window.call = new RTCPeerConnection());
  const camera = await navigator.mediaDevices.getUserMedia({ video: true });
  const downscales = small === 0 ? [4, 1] : [1, 4];
  const video = call.addTransceiver(camera.getTracks()[0], {
    direction: "sendonly",
    sendEncodings: rids.map((rid, n) => ({ rid, scaleResolutionDownBy: downscales[n] })),
  });
  const known = RTCRtpSender.getCapabilities("video").codecs;
  video.setCodecPreferences(known.filter((c) => c.mimeType === "video/" + codec));
  await call.setLocalDescription();
  const answer = await fetch("/whip/me", {
    method: "POST",
    headers: { "Content-Type": "application/sdp" },
    body: call.localDescription.sdp,
  });
  if (!answer.ok) return (await answer.json()).detail;
  await call.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  return "";
}"""


@pytest.mark.parametrize(
    ("rids", "small", "codec"),
    [
        (["l", "h"], 0, "VP8"),
        (["low", "high"], 0, "H264"),
        (["0", "1"], 0, "VP8"),
        (["h", "l"], 1, "VP8"),
        (["big", "thumb"], 1, "VP8"),
    ],
)
async def test_simulcast_with_the_low_layer_first_is_scored_at_its_full_size(
    filming: Browser, rids: list[str], small: int, codec: str
) -> None:
    """An answer that names no layer accepts the first one, a quarter of the size."""
    async with call_rig(BRISK) as rig, visitor(filming, rig) as page:
        assert await page.evaluate(SIMULCAST, [rids, small, codec]) == ""
        await rig.until(rig.scores, "scores")
        await rig.until(lambda: rig.scores()[-1]["data"]["quality"]["face_px"] > 250, "large face")


async def test_a_layer_that_the_offer_does_not_tell_from_a_larger_one_says_its_size(
    filming: Browser,
) -> None:
    """160x120 was analyzed and nothing said."""
    limits = replace(EAGER, min_face_px=EngineSettings().min_face_px)
    async with (
        call_rig(BRISK, lambda: toy_pipeline(settings=limits)) as rig,
        visitor(filming, rig) as page,
    ):
        assert await page.evaluate(SIMULCAST, [["thumb", "big"], 0, "VP8"]) == ""

        def told() -> bool:
            newest = [m["data"] for m in rig.messages if m["type"] == "status"][-1:]
            return any("small_layer" in status["notices"] for status in newest)

        await rig.until(told, "word of a small layer")
    hints = [m["data"]["hint"] for m in rig.messages if m["type"] == "status"]
    assert any("of its 2 simulcast layers: have it send the larger layer" in h for h in hints)


async def test_a_browser_may_be_the_dtls_server_as_well(filming: Browser) -> None:
    """Its own offers leave it to us, and are answered `passive`."""
    async with call_rig(BRISK) as rig, visitor(filming, rig) as page:

        async def as_server(route: Route) -> None:
            offer = route.request.post_data.replace("setup:actpass", "setup:passive")
            await route.continue_(post_data=offer)

        await page.route("**/whip/me", as_server)
        assert await page.evaluate(CALL, ["me", "VP8"]) == ""
        answer = await page.evaluate("window.call.remoteDescription.sdp")
        assert "a=setup:active" in answer
        assert await page.evaluate(SCORED)


async def test_a_page_that_is_closed_has_vanished(filming: Browser) -> None:
    async with call_rig(BRISK) as rig, visitor(filming, rig) as page:
        await page.evaluate(CALL, ["me", "VP8"])
        assert await page.evaluate(SCORED)
        await page.close()
        assert (await rig.state("ended"))["code"] in ("ended", "timeout")
        await rig.until(lambda: rig.events("track_ended"), "end of the track")


async def test_codecs_that_are_not_decoded_are_named_to_the_page(filming: Browser) -> None:
    async with call_rig(BRISK) as rig, visitor(filming, rig) as page:
        said = await page.evaluate(CALL, ["me", "VP9", "profile-id=2"])
    assert "VP8, H264 (constrained baseline), VP9 (profile 0) or AV1 (profile 0)" in said
    assert said.endswith("offered: VP9")


async def test_a_page_of_another_origin_may_not_call(filming: Browser) -> None:
    async with call_rig(BRISK) as rig, call_rig(BRISK) as other, visitor(filming, other) as page:
        said = await page.evaluate(
            """async (url) => {
              const headers = { "Content-Type": "application/sdp" };
              try { await fetch(url, { method: "POST", headers, body: "v=0" }); return "answered"; }
              catch { return "refused"; }
            }""",
            rig.url(),
        )
        assert said == "refused"
        assert rig.analyzer.statuses() == ()
