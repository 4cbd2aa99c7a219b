"""A real Firefox calls and shows the page: another stack, other codecs, other ways of leaving."""

from __future__ import annotations

import pytest

from stream.clock import SystemClock
from stream.webrtc.calls import WebRtcSettings
from tests.support.browser import CALL
from tests.support.calls import CallRig, call_rig
from tests.support.firefox import Firefox, firefox
from tests.support.wall import PlayedWall, cameras
from tests.support.web import WebRig, served
from web.routes.pages import NOT_BUILT, is_built

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

# Firefox pairs loopback addresses with loopback addresses alone, and offers none of its own where
# the machine has others, so the calls come to those.
BRISK = WebRtcSettings(silence_s=2.5, keep_s=0.5)

KNOWN = "RTCRtpSender.getCapabilities('video').codecs.map((codec) => codec.mimeType)"


@pytest.mark.parametrize("codecs", [("VP8", "VP9", "AV1"), ("H264",)], ids=" ".join)
async def test_firefox_is_scored_in_every_codec_and_its_end_noticed(codecs: tuple[str]) -> None:
    async with call_rig(BRISK) as rig, firefox() as browser:
        await browser.goto(f"http://127.0.0.1:{rig.port}/")
        for codec in codecs:
            known = f"video/{codec}" in await browser.evaluate(KNOWN)
            if codec == "H264" and not known:
                pytest.skip(
                    f"Firefox {browser.version} has no OpenH264, a plugin that it downloads"
                )
            assert known, f"Firefox {browser.version} sends no {codec}"
            await call_once(rig, browser, codec)


async def call_once(rig: CallRig, browser: Firefox, codec: str) -> None:
    """Call a stream of the codec's name, until it is scored, and hang up."""
    assert await browser.call(CALL, [codec, codec]) == ""
    await rig.until(lambda: len(rig.scores(codec)) > 3, f"scores of {codec}")
    assert await browser.evaluate("window.scored")
    assert (await browser.evaluate("window.heard[0]"))["type"] == "snapshot"
    await rig.until(lambda: rig.analyzer.status(codec).link, "figures of the link")
    call = rig.analyzer.sessions.of(codec)
    assert call is not None
    await rig.until(lambda: call.peer.counters.audio > 10, "audio that is let go")
    await browser.evaluate("window.call.close()")
    ended = await rig.state("ended", codec)
    assert (ended["code"], ended["detail"]) == ("ended", "the peer has hung up")


async def test_a_closed_tab_is_noticed() -> None:
    async with call_rig(BRISK) as rig, firefox() as browser:
        await browser.goto(f"http://127.0.0.1:{rig.port}/")
        assert await browser.call(CALL, ["me", "VP8"]) == ""
        await rig.until(rig.scores, "scores")
        await browser.close_tab()
        assert (await rig.state("ended"))["code"] in ("ended", "timeout")
        await rig.until(lambda: rig.events("track_ended"), "end of the track")


SEEN = """async (selector, count) => {
  for (let n = 0; n < 200 && document.querySelectorAll(selector).length < count; n++)
    await new Promise((later) => setTimeout(later, 100));
  return [...document.querySelectorAll(selector)].map((it) => it.textContent.trim());
}"""


async def test_the_page_shows_every_stream_and_firefox_complains_of_nothing() -> None:
    if not is_built():
        pytest.skip(NOT_BUILT)
    wall = PlayedWall(WebRig(clock=SystemClock()))
    async with served(wall.rig.app) as port, firefox() as browser:
        address = f"http://127.0.0.1:{port}"
        for camera in cameras(3):
            await wall.add(camera, ago=5.0)
        wall.past(5.0)
        async with wall.playing():
            await browser.goto(address)
            names = await browser.call(SEEN, ".tile .name", 3)
            assert sorted(names) == sorted(camera.name for camera in cameras(3))
            scores = await browser.call(SEEN, ".tile .score", 3)
            assert len(scores) == 3
            await browser.goto(f"{address}/incidents")
            assert await browser.call(SEEN, "h1", 1)
        assert [text for level, text in browser.said if level == "error"] == []
