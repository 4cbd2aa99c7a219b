"""One peer, without a network: what is touched inside aiortc, and when a call has to end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc import RTCPeerConnection, RTCRtpReceiver

from stream.clock import ManualClock
from stream.errors import OfferRefused, SourceError
from stream.events import LinkQuality, ReasonCode
from stream.webrtc.calls import WebRtcSettings
from stream.webrtc.peer import MAX_SOURCES, Peer, ScoresChannel, _Inside, _Tap, is_keyframe
from stream.webrtc.picture_queue import Feed
from stream.webrtc.sdp import check_offer, parse_fragment
from tests.support.offers import CHROMIUM, only, with_audio

LOCAL = WebRtcSettings(bind=("127.0.0.1",))
VP8_KEY = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01"
VP8_DELTA = b"\x11\x02\x00" + bytes(20)


@dataclass
class Rig:
    """A peer whose clock and channels the test holds."""

    settings: WebRtcSettings = LOCAL
    clock: ManualClock = field(default_factory=lambda: ManualClock(100.0))
    feed: Feed = field(default_factory=Feed)
    channels: list[ScoresChannel] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.peer = Peer(self.settings, self.clock, self.feed, self.channels.append)

    async def answered(self, text: str = CHROMIUM) -> Peer:
        await self.peer.answer(check_offer(text))
        return self.peer

    @property
    def receiver(self) -> Any:
        return self.peer._receiver

    def picture(self, data: bytes, timestamp: int) -> None:
        """Let aiortc hand over a picture."""
        tap = getattr(self.receiver, _Inside.QUEUE)
        tap.put((SimpleNamespace(name="VP8"), SimpleNamespace(data=data, timestamp=timestamp)))

    async def lose(self) -> None:
        """Let aiortc give up on a part of the video."""
        await self.receiver._send_rtcp_pli(1)

    async def end_after(self, seconds: float) -> SourceError | None:
        return await self.peer.tend(self.clock.advance(seconds))


@pytest.fixture
async def rig() -> Any:
    made = Rig()
    yield made
    await made.peer.close()


# --- inside aiortc -----------------------------------------------------------------------------


async def test_what_is_touched_inside_aiortc_is_still_there() -> None:
    """Read this when it fails after an update: the module says what each of them is for."""
    connection = RTCPeerConnection()
    transceiver = connection.addTransceiver("video")
    receiver, ice = transceiver.receiver, _Inside.ice(transceiver.receiver)
    for name in (_Inside.QUEUE, _Inside.STREAMS, _Inside.REPAIRS, _Inside.NACKS):
        assert hasattr(receiver, name)
    assert getattr(connection, _Inside.REMOTE) == {}
    assert getattr(receiver, _Inside.BUFFER)._origin is None
    assert getattr(receiver, _Inside.NACKS).missing == set()
    assert asyncio.iscoroutinefunction(RTCRtpReceiver._send_rtcp_pli)
    assert asyncio.iscoroutinefunction(RTCRtpReceiver._send_rtcp_nack)
    assert asyncio.iscoroutinefunction(ice.get_component_candidates)
    assert ice._nominated == {}
    assert ice._queue.qsize() == 0
    assert receiver.transport._rtp_router.ssrc_table == {}
    assert _Inside.bytes_received(receiver) == 0
    connection.createDataChannel("x")
    assert connection.sctp is not None
    assert connection.sctp._inbound_streams == {}
    await connection.close()


async def test_audio_and_video_are_both_tapped(rig: Rig) -> None:
    """A receiver without a tap would fill aiortc's queue for as long as the call lasts."""
    peer = await rig.answered(with_audio())
    receivers = peer._connection.getReceivers()
    assert len(receivers) == 2
    assert all(isinstance(getattr(r, _Inside.QUEUE), _Tap) for r in receivers)
    audio = next(r for r in receivers if r is not rig.receiver)
    for n in range(500):
        frame = SimpleNamespace(data=b"opus", timestamp=n)
        getattr(audio, _Inside.QUEUE).put((SimpleNamespace(name="opus"), frame))
    assert getattr(audio, _Inside.QUEUE).qsize() == 0
    assert peer.counters.audio == 500


# --- pictures ----------------------------------------------------------------------------------


async def test_a_picture_becomes_a_packet_with_its_rtp_time(rig: Rig) -> None:
    await rig.answered()
    rig.picture(VP8_KEY, 3600)
    packet = rig.feed.take(0.0)
    assert packet is not None
    assert (packet.pts, packet.time_base.denominator) == (3600, 90_000)
    assert packet.format.codec == "vp8"
    assert packet.keyframe
    assert not packet.lossy
    assert packet.arrived == rig.clock.monotonic()


async def test_what_follows_a_loss_says_so_until_a_keyframe(rig: Rig) -> None:
    await rig.answered()
    rig.picture(VP8_KEY, 0)
    await rig.lose()
    assert rig.peer.counters.losses == 1
    rig.picture(VP8_DELTA, 3600)
    rig.picture(VP8_DELTA, 7200)
    await rig.lose()
    rig.picture(VP8_KEY, 10800)
    packets = [rig.feed.take(0.0) for _ in range(4)]
    assert [p.lossy for p in packets if p] == [False, True, False, False]


@pytest.mark.parametrize(
    ("codec", "data", "keyframe"),
    [
        ("VP8", VP8_KEY, True),
        ("VP8", VP8_DELTA, False),
        ("VP8", b"", False),
        ("VP8", VP8_KEY[:6], False),
        ("VP8", b"\x10\x02\x00" + bytes(20), False),  # a keyframe's bit without its start code
        ("H264", b"\0\0\0\1\x67abc\0\0\0\1\x68a\0\0\0\1\x65abc", True),
        ("H264", b"\0\0\1\x65abc", True),
        ("H264", b"\0\0\0\1\x41abc", False),
        ("H264", b"\0\0\0\1\x67abc\0\0\0\1\x68a", False),
        ("H264", b"\0\0\1", False),
        ("H264", b"", False),
    ],
)
def test_keyframes_are_recognised(codec: str, data: bytes, *, keyframe: bool) -> None:
    assert is_keyframe(codec, data) is keyframe


# --- how a call ends ---------------------------------------------------------------------------


async def test_a_peer_that_never_connects_is_given_up(rig: Rig) -> None:
    await rig.answered()
    assert await rig.end_after(14.9) is None
    end = await rig.end_after(0.2)
    assert end is not None
    assert end.code is ReasonCode.TIMEOUT
    assert "did not connect" in end.detail


async def test_a_peer_that_falls_silent_has_vanished(rig: Rig) -> None:
    await rig.answered()
    rig.picture(VP8_KEY, 0)
    assert await rig.end_after(4.9) is None
    end = await rig.end_after(0.2)
    assert end is not None
    assert end.code is ReasonCode.TIMEOUT
    assert "vanished" in end.detail


async def test_a_peer_that_is_there_but_sends_no_video_is_hung_up_on(rig: Rig) -> None:
    peer = await rig.answered()
    rig.picture(VP8_KEY, 0)
    for _ in range(15):
        assert await rig.end_after(1.0) is None
        peer._heard = rig.clock.monotonic()  # it answers STUN checks, or sends audio
    end = await rig.end_after(0.5)
    assert end is not None
    assert "no video" in end.detail


async def test_a_call_may_last_only_so_long() -> None:
    rig = Rig(WebRtcSettings(bind=("127.0.0.1",), max_session_s=60))
    await rig.answered()
    for second in range(60):
        rig.picture(VP8_KEY, second * 90_000)
        assert await rig.end_after(1.0) is None
    end = await rig.end_after(0.1)
    assert end is not None
    assert end.code is ReasonCode.ENDED
    await rig.peer.close()


async def test_a_peer_that_sends_far_too_much_is_hung_up_on(rig: Rig) -> None:
    peer = await rig.answered()
    end = None
    for second in range(12):
        assert end is None
        rig.picture(VP8_KEY, second * 90_000)
        peer.quality = LinkQuality(0.0, 0.0, None, kbps=1.6 * LOCAL.max_kbps)
        peer._measured = rig.clock.monotonic() + 1.0
        end = await rig.end_after(1.0)
    assert end is not None
    assert "kbit/s" in end.detail


async def test_a_short_burst_is_forgiven(rig: Rig) -> None:
    peer = await rig.answered()
    for second in range(40):
        rig.picture(VP8_KEY, second * 90_000)
        factor = 0.5 if second % 10 == 9 else 2.0
        peer.quality = LinkQuality(0.0, 0.0, None, kbps=factor * LOCAL.max_kbps)
        peer._measured = rig.clock.monotonic() + 1.0
        assert await rig.end_after(1.0) is None


async def test_a_peer_that_names_ever_more_senders_is_hung_up_on(rig: Rig) -> None:
    """aiortc remembers each of them for as long as the call lasts."""
    await rig.answered()
    rig.picture(VP8_KEY, 0)
    rig.receiver.transport._rtp_router.ssrc_table.update(
        dict.fromkeys(range(MAX_SOURCES + 1), rig.receiver)
    )
    end = await rig.end_after(0.1)
    assert end is not None
    assert end.code is ReasonCode.CORRUPT


async def test_a_stream_that_stops_listening_ends_the_call(rig: Rig) -> None:
    await rig.answered()
    rig.feed.abandon()
    end = await rig.end_after(0.1)
    assert end is not None
    assert end.code is ReasonCode.ENDED


async def test_a_goodbye_ends_the_call(rig: Rig) -> None:
    """RTCP BYE and DTLS shutdown both end aiortc's decoder thread; that is what is seen here."""
    await rig.answered()
    rig.picture(VP8_KEY, 0)
    getattr(rig.receiver, _Inside.QUEUE).put(None)
    end = await rig.end_after(0.1)
    assert end is not None
    assert "hung up" in end.detail


async def test_closing_ends_the_feed_in_any_state_and_twice(rig: Rig) -> None:
    await rig.peer.close()
    await rig.peer.close()
    with pytest.raises(SourceError):
        rig.feed.take(0.0)


# --- keyframes ---------------------------------------------------------------------------------


class Asked:
    """Counts keyframe requests instead of sending them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0

        async def ask(receiver: RTCRtpReceiver) -> bool:
            self.times += 1
            return True

        async def no_ping(connection: object) -> bool:
            return False

        monkeypatch.setattr(_Inside, "ask_for_keyframe", ask)
        monkeypatch.setattr(_Inside, "ping", no_ping)


async def test_a_keyframe_is_asked_for_again_until_it_comes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(monkeypatch)
    await rig.answered()
    rig.picture(VP8_DELTA, 0)
    for _ in range(8):
        await rig.end_after(0.25)
    assert asked.times == 4
    rig.picture(VP8_KEY, 3600)
    for _ in range(8):
        await rig.end_after(0.25)
    assert asked.times == 4


async def test_a_keyframe_is_asked_for_now_and_then_anyway(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Peers send none by themselves, and what is kept of a call must begin somewhere."""
    asked = Asked(monkeypatch)
    await rig.answered()
    rig.picture(VP8_KEY, 0)
    for n in range(1, 22):
        await rig.end_after(1.0)
        rig.picture(VP8_DELTA, n * 90_000)
    assert asked.times >= 1


# --- signalling --------------------------------------------------------------------------------


async def test_profiles_that_cannot_be_decoded_are_refused_by_name(rig: Rig) -> None:
    high = only("H264").replace("profile-level-id=42", "profile-level-id=64")
    with pytest.raises(OfferRefused, match="constrained baseline"):
        await rig.answered(high.replace("profile-level-id=4d", "profile-level-id=64"))


async def test_an_ice_restart_is_refused_and_the_call_goes_on(rig: Rig) -> None:
    peer = await rig.answered()
    with pytest.raises(OfferRefused, match="restart"):
        await peer.trickle(parse_fragment("a=ice-ufrag:another\na=ice-pwd:" + "p" * 24))
    assert await rig.end_after(0.1) is None


async def test_trickled_candidates_reach_the_ice_agent(rig: Rig) -> None:
    peer = await rig.answered()
    line = "a=candidate:1 1 udp 2113937151 127.0.0.1 39190 typ host"
    await peer.trickle(parse_fragment(f"a=ice-ufrag:m/zd\nm=video 9 X 0\na=mid:0\n{line}"))
    assert [c.host for c in _Inside.ice(rig.receiver).remote_candidates] == ["127.0.0.1"]


async def test_only_the_addresses_that_are_set_are_offered(rig: Rig) -> None:
    answer = await rig.peer.answer(check_offer(CHROMIUM))
    hosts = {line.split()[4] for line in answer.splitlines() if line.startswith("a=candidate:")}
    assert hosts == {"127.0.0.1"}


class Wire:
    """aiortc's data channel as far as a peer touches it."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.closed = False
        self.readyState = "open"
        self.bufferedAmountLowThreshold = 0

    def close(self) -> None:
        self.closed = True


async def test_one_channel_gets_scores_and_others_are_closed(rig: Rig) -> None:
    await rig.answered()
    wires = [Wire("chat"), Wire("scores"), Wire("scores")]
    for wire in wires:
        rig.peer._on_channel(wire)  # type: ignore[arg-type]
    assert len(rig.channels) == 1
    assert [wire.closed for wire in wires] == [True, False, True]


async def test_a_peer_that_opens_channels_without_end_is_hung_up_on(rig: Rig) -> None:
    await rig.answered()
    for _ in range(9):
        rig.peer._on_channel(Wire("chat"))  # type: ignore[arg-type]
    assert await rig.end_after(0.1) is not None
