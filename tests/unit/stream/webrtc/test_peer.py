"""One peer, without a network: its pictures, its requests, and when a call has to end."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter, methodcaller
from types import SimpleNamespace
from typing import Any

import pytest

from stream.clock import ManualClock
from stream.errors import OfferRefused, SourceError
from stream.events import ReasonCode
from stream.webrtc.aiortc_compat import (
    DECODER_QUEUE,
    MAX_SOURCES,
    FrameTap,
    MediaReceiver,
    ice_agent,
)
from stream.webrtc.calls import WebRtcSettings
from stream.webrtc.depacketize import framed
from stream.webrtc.peer import Peer, ToldChannel
from stream.webrtc.picture_queue import PictureQueue
from stream.webrtc.sdp import check_offer, parse_fragment
from stream.webrtc.statistics import LinkSample
from tests.support.offers import CHROMIUM, only, with_audio

LOCAL = WebRtcSettings(bind=("127.0.0.1",))
VP8_KEY = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01"
VP8_DELTA = b"\x11\x02\x00" + bytes(20)


@dataclass
class Rig:
    """A peer whose clock and channels the test holds."""

    settings: WebRtcSettings = LOCAL
    clock: ManualClock = field(default_factory=lambda: ManualClock(100.0))
    pictures: PictureQueue = field(default_factory=PictureQueue)
    channels: list[ToldChannel] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.peer = Peer(self.settings, self.clock, self.pictures, self.channels.append)

    async def answered(self, text: str = CHROMIUM) -> Peer:
        await self.peer.answer(check_offer(text))
        return self.peer

    @property
    def receiver(self) -> Any:
        assert self.peer.receiver is not None
        return self.peer.receiver.receiver

    def picture(self, data: bytes, timestamp: int, codec: str = "VP8") -> None:
        """Let aiortc hand over a picture."""
        tap = getattr(self.receiver, DECODER_QUEUE)
        tap.put((SimpleNamespace(name=codec), SimpleNamespace(data=data, timestamp=timestamp)))

    async def lose(self) -> None:
        """Let aiortc give up on a part of the video."""
        await methodcaller("_send_rtcp_pli", 1)(self.receiver)

    async def end_after(self, seconds: float) -> SourceError | None:
        return await self.peer.tend(self.clock.advance(seconds))

    async def silence_of(self, seconds: float) -> SourceError | None:
        """Look after the peer when so much time has passed, and once more: silence is no pause."""
        assert await self.end_after(seconds) is None
        return await self.end_after(0.25)


@pytest.fixture
async def rig() -> Any:
    made = Rig()
    yield made
    await made.peer.close()


async def test_audio_and_video_are_both_tapped(rig: Rig) -> None:
    """A receiver without a tap would fill aiortc's queue for as long as the call lasts."""
    peer = await rig.answered(with_audio())
    receivers = peer.connection.getReceivers()
    assert len(receivers) == 2
    assert all(isinstance(getattr(r, DECODER_QUEUE), FrameTap) for r in receivers)
    audio = next(r for r in receivers if r is not rig.receiver)
    for n in range(500):
        frame = SimpleNamespace(data=b"opus", timestamp=n)
        getattr(audio, DECODER_QUEUE).put((SimpleNamespace(name="opus"), frame))
    assert getattr(audio, DECODER_QUEUE).qsize() == 0
    assert peer.counters.audio == 500


def numbers(sdp: str) -> set[str]:
    """Return the payload types of the video of a description."""
    return set(next(x for x in sdp.splitlines() if x.startswith("m=video")).split(" ")[3:])


@pytest.mark.parametrize("codec", ["VP8", "H264", "VP9", "AV1"])
async def test_each_codec_is_answered_with_its_repairs(rig: Rig, codec: str) -> None:
    offer = only(codec, "rtx")
    answer = await rig.peer.answer(check_offer(offer))
    assert numbers(answer) < numbers(offer)
    maps = [x.split(" ")[1] for x in answer.splitlines() if x.startswith("a=rtpmap:")]
    assert set(maps) == {f"{codec}/90000", "rtx/90000"}
    assert "a=rtpmap:100 " not in answer
    assert ("max-fs=" in answer) is codec.startswith("VP")


# --- pictures ----------------------------------------------------------------------------------


async def test_a_picture_becomes_a_packet_with_its_rtp_time(rig: Rig) -> None:
    await rig.answered()
    rig.picture(VP8_KEY, 3600)
    packet = rig.pictures.take(0.0)
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
    packets = [rig.pictures.take(0.0) for _ in range(4)]
    assert [p.lossy for p in packets if p] == [False, True, False, False]


async def test_a_picture_of_vp9_is_put_together_and_half_a_one_is_a_loss(rig: Rig) -> None:
    await rig.answered()
    begin, end, inter = b"\x08\x82key", b"\x04frame", b"\x0c\x86inter"
    rig.picture(framed(begin) + framed(end), 0, "VP9")
    rig.picture(framed(begin), 3600, "VP9")
    assert rig.pictures.keyframe_wanted
    rig.picture(framed(inter), 7200, "VP9")
    rig.picture(framed(begin) + framed(end), 10800, "VP9")
    rig.picture(framed(inter), 14400, "VP9")
    packets = [rig.pictures.take(0.0) for _ in range(3)]
    assert [(p.pts, p.data) for p in packets if p] == [
        (0, b"\x82keyframe"),
        (10800, b"\x82keyframe"),
        (14400, b"\x86inter"),
    ]
    assert [p.keyframe for p in packets if p] == [True, True, False]
    assert (rig.peer.counters.pictures, rig.peer.counters.losses) == (4, 1)
    assert not rig.pictures.keyframe_wanted


# --- how a call ends ---------------------------------------------------------------------------


async def test_a_peer_that_never_connects_is_given_up(rig: Rig) -> None:
    await rig.answered()
    assert await rig.silence_of(14.5) is None
    end = await rig.silence_of(0.3)
    assert end is not None
    assert end.code is ReasonCode.TIMEOUT
    assert "did not connect" in end.detail


async def test_a_peer_that_falls_silent_has_vanished(rig: Rig) -> None:
    await rig.answered()
    rig.picture(VP8_KEY, 0)
    assert await rig.silence_of(4.5) is None
    end = await rig.silence_of(0.3)
    assert end is not None
    assert end.code is ReasonCode.TIMEOUT
    assert "vanished" in end.detail


async def test_calls_ended_as_vanished_after_a_pause_of_our_own(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that had stopped for longer than `silence_s` ended every call when it went on."""
    answer_pings(monkeypatch, answer=False)
    await rig.answered()
    for second in range(3):
        rig.picture(VP8_KEY, second * 90_000)
        assert await rig.end_after(60.0) is None  # what was sent meanwhile waits in the socket
        rig.picture(VP8_KEY, second * 90_000 + 1)
        assert await rig.end_after(0.25) is None


async def test_a_peer_that_is_there_but_sends_no_video_is_hung_up_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_pings(monkeypatch, answer=True)
    await rig.answered()
    rig.picture(VP8_KEY, 0)
    for _ in range(15):
        assert await rig.end_after(1.0) is None
    end = await rig.silence_of(0.5)
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


async def test_a_peer_that_sends_far_too_much_is_hung_up_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    bytes_per_s = 1.6 * LOCAL.max_kbps * 125

    def sample(receiver: MediaReceiver, at: float, received: int) -> LinkSample:
        return LinkSample(at, round(at * bytes_per_s), 0, 0, 0.0)

    monkeypatch.setattr(MediaReceiver, "sample", sample)
    await rig.answered()
    end, seconds = None, 0
    while end is None and seconds < 20:
        rig.picture(VP8_KEY, seconds * 90_000)
        end, seconds = await rig.end_after(1.0), seconds + 1
    assert end is not None
    assert end.code is ReasonCode.CORRUPT
    assert "sends 6400 of 4000 kbit/s" in end.detail
    assert seconds == 14  # two to measure, ten of patience


async def test_a_peer_that_names_ever_more_senders_is_hung_up_on(rig: Rig) -> None:
    """aiortc remembers each of them for as long as the call lasts."""
    await rig.answered()
    rig.picture(VP8_KEY, 0)
    table = attrgetter("_rtp_router.ssrc_table")(rig.receiver.transport)
    table.update(dict.fromkeys(range(MAX_SOURCES + 1), rig.receiver))
    end = await rig.end_after(0.1)
    assert end is not None
    assert end.code is ReasonCode.CORRUPT


async def test_a_stream_that_stops_listening_ends_the_call(rig: Rig) -> None:
    await rig.answered()
    rig.pictures.abandon()
    end = await rig.end_after(0.1)
    assert end is not None
    assert end.code is ReasonCode.ENDED


async def test_a_goodbye_ends_the_call(rig: Rig) -> None:
    """RTCP BYE and DTLS shutdown both end aiortc's decoder thread; that is what is seen here."""
    await rig.answered()
    rig.picture(VP8_KEY, 0)
    getattr(rig.receiver, DECODER_QUEUE).put(None)
    end = await rig.end_after(0.1)
    assert end is not None
    assert "hung up" in end.detail


async def test_closing_ends_the_feed_in_any_state_and_twice(rig: Rig) -> None:
    await rig.peer.close()
    await rig.peer.close()
    with pytest.raises(SourceError):
        rig.pictures.take(0.0)


# --- keyframes ---------------------------------------------------------------------------------


def answer_pings(monkeypatch: pytest.MonkeyPatch, *, answer: bool) -> None:
    """Let a peer answer STUN requests, or let nothing come back."""

    async def ping(receiver: MediaReceiver) -> bool:
        return answer

    monkeypatch.setattr(MediaReceiver, "ping", ping)


class Asked:
    """Counts keyframe requests instead of sending them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0

        async def ask(receiver: MediaReceiver) -> bool:
            self.times += 1
            return True

        monkeypatch.setattr(MediaReceiver, "ask_for_keyframe", ask)
        answer_pings(monkeypatch, answer=False)


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
    assert [c.host for c in ice_agent(rig.receiver).remote_candidates] == ["127.0.0.1"]


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
        rig.peer.connection.emit("datachannel", wire)
    assert len(rig.channels) == 1
    assert [wire.closed for wire in wires] == [True, False, True]


async def test_a_peer_that_opens_channels_without_end_is_hung_up_on(rig: Rig) -> None:
    await rig.answered()
    for _ in range(9):
        rig.peer.connection.emit("datachannel", Wire("chat"))
    assert await rig.end_after(0.1) is not None
