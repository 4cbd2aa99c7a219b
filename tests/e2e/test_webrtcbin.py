"""Calls of GStreamer's webrtcbin, which shares no line with aiortc or a browser."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stream.webrtc.calls import WebRtcSettings
from tests.support.calls import LOCAL, CallRig, call_rig

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

GST_PYTHON = "/usr/bin/python3"  # the one that Debian's python3-gi belongs to
GST_PEER = Path(__file__).parents[1] / "support" / "gst_peer.py"
NEEDED = """
import gi
for name in ("Gst", "GstRtp", "GstSdp", "GstWebRTC"):
    gi.require_version(name, "1.0")
from gi.repository import Gst
Gst.init(None)
for name in "webrtcbin nicesrc dtlsenc srtpenc sctpenc x264enc vp8enc vp9enc opusenc".split():
    assert Gst.ElementFactory.find(name), name
"""

BRISK = WebRtcSettings(bind=LOCAL, connect_s=8.0, silence_s=1.5, keep_s=0.5)


@functools.cache
def found() -> bool:
    """Say whether there is a webrtcbin that can call."""
    if not Path(GST_PYTHON).exists():
        return False
    probe = [GST_PYTHON, "-c", NEEDED]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


class Webrtcbin:
    """A peer in a process of its own.

    Attributes:
        said: every line that it has printed.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read())

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """Return what it has printed of one kind."""
        return [line for line in self.said if line["kind"] == kind]

    def delete(self) -> None:
        """Have it end the call as one should."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"delete\n")

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said.append(json.loads(line))

    async def close(self) -> None:
        """End the process."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self._reading


@contextlib.asynccontextmanager
async def webrtcbin(rig: CallRig, **options: object) -> AsyncIterator[Webrtcbin]:
    """Let a webrtcbin call; its options are those of `gst_peer.py`."""
    if not found():
        pytest.skip(
            "GStreamer's webrtcbin is not installed (gstreamer1.0-nice, gstreamer1.0-plugins-bad,"
            " gir1.2-gst-plugins-bad-1.0, python3-gi)"
        )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        GST_PYTHON, str(GST_PEER), rig.url(), json.dumps(options),
        stdin=pipe, stdout=pipe, limit=1 << 20,
    )  # fmt: skip
    peer = Webrtcbin(process)
    try:
        yield peer
    finally:
        await peer.close()


@pytest.mark.parametrize(
    ("codec", "trickle", "extras"),
    [
        ("H264", False, False),
        ("H264", True, True),
        ("VP8", False, True),
        ("VP8", True, False),
        ("VP9", True, True),
    ],
)
async def test_a_peer_whose_certificate_is_rsa_was_never_reached(
    codec: str, trickle: bool, extras: bool
) -> None:
    """We answered as the DTLS client and knew only suites for ECDSA: there was no shared cipher.

    The extras are audio, and packets that name their section and are numbered over the transport.
    """
    async with (
        call_rig(BRISK) as rig,
        webrtcbin(rig, codec=codec, trickle=trickle, audio=extras, extensions=extras) as peer,
    ):
        await rig.until(lambda: len(rig.scores()) > 3, "scores")
        (answer,) = peer.lines("answered")
        assert "a=setup:passive" in answer["body"]
        assert {line["status"] for line in peer.lines("trickled")} == ({204} if trickle else set())
        (offer,) = peer.lines("offered")
        assert ("a=candidate:" in offer["sdp"]) is not trickle
        assert ("transport-wide-cc" in offer["sdp"], "sdes:mid" in offer["sdp"]) == (extras, extras)
        call = rig.analyzer.sessions.of("me")
        assert call is not None
        if extras:
            await rig.until(lambda: call.peer.counters.audio > 10, "audio that is let go")
        await rig.until(
            lambda: any(line["type"] == "score" for line in peer.lines("heard")), "its own scores"
        )
        await rig.until(lambda: rig.analyzer.status("me").link, "figures of the link")
        peer.delete()
        ended = await rig.state("ended")
        assert (ended["code"], ended["detail"]) == ("ended", "the peer has hung up")
        await rig.until(lambda: peer.lines("deleted"), "answer to its farewell")
        assert peer.lines("deleted") == [{"kind": "deleted", "status": 200}]


async def test_a_server_whose_certificate_is_rsa_is_connected_to() -> None:
    """An offer of `passive` leaves us the client, who has to know suites for RSA."""
    swap = [["setup:actpass", "setup:passive"]]
    async with call_rig(BRISK) as rig, webrtcbin(rig, codec="VP8", offer=swap) as peer:
        await rig.until(rig.scores, "scores")
        assert "a=setup:active" in peer.lines("answered")[0]["body"]


async def test_a_killed_peer_is_noticed() -> None:
    async with call_rig(BRISK) as rig, webrtcbin(rig, codec="VP8") as peer:
        await rig.until(rig.scores, "scores")
        peer.process.kill()
        ended = await rig.state("ended")
        assert ended["code"] == "timeout"
        assert "vanished" in ended["detail"]
        await rig.until(lambda: rig.events("track_ended"), "end of the track")


async def test_a_failed_handshake_was_told_as_no_way_to_the_peer() -> None:
    wrong = "a=fingerprint:sha-256 " + ":".join(["00"] * 32)
    swap = [["a=fingerprint:", f"{wrong}\r\na=x-fingerprint:"]]
    async with call_rig(BRISK) as rig, webrtcbin(rig, codec="VP8", offer=swap):
        ended = await rig.state("ended")
    assert ended["code"] == "tls"
    assert ended["detail"] == (
        "the DTLS handshake with the peer failed: the peer's certificate is not the one that its"
        " offer names; let it send the a=fingerprint of the same connection, unchanged"
    )
