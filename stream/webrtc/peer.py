"""One WebRTC peer that sends a stream; the only place that speaks aiortc.

Theory of operation. aiortc does ICE, DTLS, SRTP, retransmission and the jitter buffer. It would
also decode, through two unbounded queues per track. Instead a `_Tap` takes the place of the first
queue: what aiortc hands to its decoder, a whole compressed picture with its unwrapped RTP time,
goes into the stream's `Feed` and from there the way of every camera's packets. Audio taps count and
let go. So nothing is ever left in a queue of aiortc, whether or not anybody keeps up.

aiortc hands over a picture once the first packet of the next one has come, and only if all before
it was complete; what it had to give up on shows as a keyframe request (PLI), which is watched here,
so that the next picture can be marked as following a loss. It asks for a lost packet only when it
notices another loss, and waits for it until 512 packets have piled up, ten seconds of a small
stream. So a hole is asked for again here, and given up after a second: then the jitter buffer is
emptied and a keyframe is asked for.

Everything private of aiortc and aioice that is touched is touched in `_Inside`, and a unit test
fails when a new version has moved it. The rest is told the time, and nothing here starts a task:
`answer`, `tend` and `close` are awaited by the supervisor.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import aioice.ice
import aioice.stun
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.sdp import candidate_from_sdp
from OpenSSL import SSL

from stream.clock import Clock
from stream.errors import OfferInvalid, OfferRefused, SourceError
from stream.events import LinkQuality, ReasonCode
from stream.ingest.source import Packet, StreamFormat
from stream.webrtc.calls import WebRtcSettings
from stream.webrtc.picture_queue import Feed
from stream.webrtc.sdp import Fragment, Offer, complete_answer, unsupported

SCORES = "scores"
"""Label of the data channel on which a peer is told its own scores."""

RTP_VIDEO = Fraction(1, 90_000)

ASK_S = 0.5
"""How often a keyframe is asked for while one is wanted."""

HOLE_S = 0.3
"""Silence, while packets come, after which a lost one is asked for again."""

GIVE_UP_S = 1.0
"""Silence, while packets come, after which a lost one is given up."""

MEASURE_S = 1.0
"""How often the link is measured and pinged."""

GREEDY_S = 10.0
"""How long a peer may send more than half as much again as it may."""

MAX_SOURCES = 64
"""Senders (SSRC) that one peer may name; aiortc remembers each of them."""

MAX_BACKLOG = 4096
"""Datagrams of one peer that may wait for the event loop."""

MAX_FRAGMENTS = 2048
"""Fragments of unfinished data messages that one peer may leave lying about."""

MAX_CHANNELS = 8

FORMATS = {"VP8": StreamFormat("vp8", 0, 0, None), "H264": StreamFormat("h264", 0, 0, None)}


@dataclass(frozen=True, slots=True)
class PeerCounters:
    """What one peer has sent so far; every figure only grows.

    Attributes:
        pictures: whole compressed pictures received.
        dropped: pictures let go because nobody kept up.
        audio: audio frames received and let go.
        losses: times that a part of the video was lost for good.
        keyframes_asked: keyframe requests sent, aiortc's own among them.
        bytes: bytes received, of everything.
    """

    pictures: int = 0
    dropped: int = 0
    audio: int = 0
    losses: int = 0
    keyframes_asked: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Sample:
    """Figures of the link at one moment, since the call began."""

    at: float
    bytes: int
    expected: int
    received: int
    jitter_s: float


class _Tap(queue.Queue[Any]):
    """Takes what aiortc means for its decoder; only the end of it reaches aiortc's thread."""

    def __init__(self, take: Callable[[str, bytes, int], None], ended: Callable[[], None]) -> None:
        super().__init__()
        self._take = take
        self._ended = ended

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002 - the base class's signature
        """Hand a frame over, or let the decoder thread end."""
        if item is None:
            self._ended()
            super().put(None, block, timeout)
            return
        codec, frame = item
        self._take(codec.name.upper(), frame.data, frame.timestamp)


class _Inside:
    """What is touched inside aiortc 1.16 and aioice 0.13, all of it in one place."""

    QUEUE = "_RTCRtpReceiver__decoder_queue"
    STREAMS = "_RTCRtpReceiver__remote_streams"
    REPAIRS = "_RTCRtpReceiver__rtx_ssrc"
    NACKS = "_RTCRtpReceiver__nack_generator"
    BUFFER = "_RTCRtpReceiver__jitter_buffer"
    REMOTE = "_RTCPeerConnection__remoteIce"

    @classmethod
    def tap(cls, receiver: RTCRtpReceiver, tap: _Tap) -> None:
        """Take the place of a receiver's decoder queue, before its thread is started."""
        getattr(receiver, cls.QUEUE)
        setattr(receiver, cls.QUEUE, tap)

    @staticmethod
    def watch_losses(receiver: RTCRtpReceiver, lost: Callable[[], None]) -> None:
        """Have every keyframe request of aiortc's own told; it makes them after losses only."""
        send = receiver._send_rtcp_pli

        async def told(ssrc: int) -> None:
            lost()
            await send(ssrc)

        vars(receiver)["_send_rtcp_pli"] = told

    @staticmethod
    def send_quietly(receiver: RTCRtpReceiver) -> None:
        """Have data for a peer that has gone lost, rather than fail a task that nobody awaits."""
        transport = receiver.transport
        send = transport._send_data

        async def quiet(data: bytes) -> None:
            with contextlib.suppress(ConnectionError, SSL.Error):
                await send(data)

        vars(transport)["_send_data"] = quiet

    @classmethod
    async def ask_for_keyframe(cls, receiver: RTCRtpReceiver) -> bool:
        """Ask the sender for a keyframe; False while it is not known whom to ask."""
        ssrc = cls._main(receiver)
        if ssrc is None:
            return False
        await RTCRtpReceiver._send_rtcp_pli(receiver, ssrc)
        return True

    @classmethod
    async def ask_for_hole(cls, receiver: RTCRtpReceiver) -> bool:
        """Ask the sender once more for what is missing; False when nothing is."""
        ssrc, nacks = cls._main(receiver), getattr(receiver, cls.NACKS)
        if ssrc is None or not nacks.missing:
            return False
        await receiver._send_rtcp_nack(ssrc, sorted(nacks.missing))
        return True

    @classmethod
    def give_up_hole(cls, receiver: RTCRtpReceiver) -> None:
        """Let go of everything that waits for what is missing, and begin with what comes next.

        What was missing may still come; it is then behind the beginning, and let go.
        """
        nacks, buffer = getattr(receiver, cls.NACKS), getattr(receiver, cls.BUFFER)
        nacks.missing.clear()
        if buffer._origin is not None and nacks.max_seq is not None:
            buffer.remove(buffer.capacity)
            buffer._origin = (nacks.max_seq + 1) % (1 << 16)

    @classmethod
    def sample(cls, receiver: RTCRtpReceiver, at: float, received: int) -> _Sample:
        """Return the figures of a receiver's media stream; retransmissions do not count.

        `getStats` has one entry per receiver, which retransmissions overwrite, so its source is
        read instead.
        """
        ssrc = cls._main(receiver)
        if ssrc is None:
            return _Sample(at, received, 0, 0, 0.0)
        stream = getattr(receiver, cls.STREAMS)[ssrc]
        return _Sample(
            at, received, stream.packets_expected, stream.packets_received, stream.jitter / 90_000
        )

    @classmethod
    def _main(cls, receiver: RTCRtpReceiver) -> int | None:
        """Return the busiest sender that a receiver knows and that sends no repairs."""
        repairs, streams = getattr(receiver, cls.REPAIRS), getattr(receiver, cls.STREAMS)
        main = [ssrc for ssrc in streams if ssrc not in repairs]
        return max(main, key=lambda ssrc: int(streams[ssrc].packets_received), default=None)

    @staticmethod
    def ice(receiver: RTCRtpReceiver) -> aioice.ice.Connection:
        """Return the ICE agent below a receiver."""
        return receiver.transport.transport._connection

    @staticmethod
    def bind(connection: aioice.ice.Connection, hosts: Sequence[str]) -> None:
        """Have an agent gather on these addresses, or on loopback where there is nothing else."""
        gather = connection.get_component_candidates

        async def bound(component: int, addresses: list[str], timeout: int = 5) -> Any:  # noqa: ASYNC109 - the signature that is replaced
            return await gather(component, list(hosts) or addresses or ["127.0.0.1"], timeout)

        vars(connection)["get_component_candidates"] = bound

    @classmethod
    def stop_connecting(cls, connection: RTCPeerConnection) -> None:
        """Let aiortc's task that connects find nothing more to do.

        It would go on with what is closed meanwhile: fail where nobody looks, or start a receiver
        that nobody stops.
        """

        async def nothing(parameters: object) -> None:
            return

        getattr(connection, cls.REMOTE).clear()
        for receiver in connection.getReceivers():
            vars(receiver)["receive"] = nothing
        for sender in connection.getSenders():
            vars(sender)["send"] = nothing

    @staticmethod
    async def ping(connection: aioice.ice.Connection) -> bool:
        """Send a STUN request over the chosen pair; say whether it was answered."""
        pair = connection._nominated.get(1)
        if pair is None or connection.remote_password is None:
            return False
        try:
            await pair.protocol.request(
                connection.build_request(pair, nominate=False),
                pair.remote_addr,
                integrity_key=connection.remote_password.encode(),
                retransmissions=0,
            )
        except (aioice.stun.TransactionError, ConnectionError, OSError):
            return False
        return True

    @classmethod
    def excess(cls, receiver: RTCRtpReceiver, connection: RTCPeerConnection) -> str:
        """Return what a peer has piled up beyond all measure; empty when nothing."""
        if len(receiver.transport._rtp_router.ssrc_table) > MAX_SOURCES:
            return "too many senders in one call"
        if cls.ice(receiver)._queue.qsize() > MAX_BACKLOG:
            return "more packets than this machine can take in"
        sctp = connection.sctp
        if sctp is not None:
            streams = sctp._inbound_streams.values()
            if sum(len(stream.reassembly) for stream in streams) > MAX_FRAGMENTS:
                return "too many unfinished data messages"
        return ""

    @staticmethod
    def bytes_received(receiver: RTCRtpReceiver) -> int:
        """Return what has come in over a receiver's transport, in bytes."""
        report = receiver.transport._get_stats()
        return int(report[receiver.transport._stats_id].bytesReceived)


class ScoresChannel:
    """The data channel on which a peer is told its own scores.

    Args:
        channel: aiortc's.
        max_data: bytes that may wait in it; it says when half of them have gone.
    """

    def __init__(self, channel: RTCDataChannel, max_data: int) -> None:
        self._channel = channel
        channel.bufferedAmountLowThreshold = max_data // 2

    @property
    def buffered(self) -> int:
        """Bytes that wait to be sent."""
        return self._channel.bufferedAmount

    def send(self, text: str) -> None:
        """Send one message; nobody reads any more on a channel that is closed."""
        if self._channel.readyState == "open":
            self._channel.send(text)

    def close(self) -> None:
        """Close it; more than once is fine."""
        if self._channel.readyState == "open":
            self._channel.close()

    def watch(self, drained: Callable[[], None], closed: Callable[[], None]) -> None:
        """Have it told when there is room again, and when the peer has closed it."""
        self._channel.on("bufferedamountlow", drained)
        self._channel.on("close", closed)


class Peer:
    """One caller, from its offer to its end. Belongs to the event loop.

    Args:
        settings: how much it may send, and how long it may be silent.
        clock: stamps pictures and measures round trips.
        feed: where its pictures go.
        scores: given the data channel on which it wants its scores; called at most once.

    Attributes:
        quality: how its packets arrive; None before the first measurement.
    """

    def __init__(
        self,
        settings: WebRtcSettings,
        clock: Clock,
        feed: Feed,
        scores: Callable[[ScoresChannel], None],
    ) -> None:
        self.quality: LinkQuality | None = None
        self.feed = feed
        self._settings = settings
        self._clock = clock
        self._scores = scores
        self._channels = 0
        self._told = False
        self._began = clock.monotonic()
        self._heard: float | None = None
        self._seen: float | None = None
        self._asked = -ASK_S
        self._keyframe_at = self._began
        self._measured = self._began
        self._greedy_since: float | None = None
        self._sample: _Sample | None = None
        self._rtt: float | None = None
        self._patience = GIVE_UP_S
        self._lost = False
        self._hung_up = False
        self._ufrag = ""
        self._pictures = self._audio = self._losses = self._asks = self._bytes = 0
        servers = [
            RTCIceServer(s.url, s.username or None, s.credential.get_secret_value() or None)
            for s in settings.ice_servers
        ]
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._receiver: RTCRtpReceiver | None = None
        self._connection.on("datachannel", self._on_channel)

    # --- signalling -------------------------------------------------------------------------

    async def answer(self, offer: Offer) -> str:
        """Return the answer to an offer, with all our candidates in it.

        Raises:
            OfferInvalid: aiortc cannot make sense of it.
            OfferRefused: there is no codec, or no address, that both sides have.
        """
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer.text, "offer"))
        except OperationError:
            raise OfferRefused(
                f"{unsupported(offer.codecs)}; audio must be Opus or G.711"
            ) from None
        except Exception as error:
            # aiortc parses without mercy: what does not fit ends in whatever Python raises there.
            raise OfferInvalid(f"it cannot be parsed ({type(error).__name__})") from error
        self._tap_receivers()
        if self._receiver is None:
            raise OfferInvalid("it describes no video")
        self._ufrag = offer.ufrag
        gather_on(self._connection, self._settings.bind)
        try:
            await self._connection.setLocalDescription()
        except (InvalidStateError, ValueError) as error:
            raise OfferInvalid(f"it cannot be answered ({type(error).__name__})") from error
        text = self._connection.localDescription.sdp
        if "a=candidate:" not in text:
            raise OfferRefused("this analyzer has no address to receive on; see webrtc.bind")
        return complete_answer(text, offer, self._settings)

    async def trickle(self, fragment: Fragment) -> None:
        """Take further candidates of the peer.

        Raises:
            OfferRefused: the fragment is of another ICE session: it asks for a restart.
        """
        if fragment.ufrag and fragment.ufrag != self._ufrag:
            raise OfferRefused(
                "an ICE restart is asked for, and only trickled candidates are taken"
            )
        for mid, text in fragment.candidates:
            candidate = candidate_from_sdp(text)
            candidate.sdpMid = mid
            await self._connection.addIceCandidate(candidate)

    async def close(self) -> None:
        """Say goodbye and release everything; in any state, more than once."""
        self.feed.end(SourceError(ReasonCode.ENDED, "the call was ended here"))
        await close_quietly(self._connection)

    # --- being looked after -----------------------------------------------------------------

    async def tend(self, now: float) -> SourceError | None:
        """Ask for keyframes, measure the link, and return why the call has to end, if it has."""
        end = self._end(now)
        if end is None and self._receiver is not None and self._heard is not None:
            await self._fill_hole(now)
            await self._ask_for_keyframe(now)
            if now - self._measured >= MEASURE_S:
                await self._measure(now)
        return end

    @property
    def silent_s(self) -> float:
        """Seconds since a picture came."""
        return self._clock.monotonic() - (self._seen or self._began)

    @property
    def counters(self) -> PeerCounters:
        """What the peer has sent so far."""
        return PeerCounters(
            pictures=self._pictures,
            dropped=self.feed.counters.dropped,
            audio=self._audio,
            losses=self._losses,
            keyframes_asked=self._asks,
            bytes=self._bytes,
        )

    def _end(self, now: float) -> SourceError | None:
        """Return why the call is over, the first reason that holds."""
        limits, state = self._settings, self._connection.connectionState
        if self.feed.abandoned:
            return SourceError(ReasonCode.ENDED, "the stream has stopped listening")
        if self._hung_up or state == "closed":
            return SourceError(ReasonCode.ENDED, "the peer has hung up")
        if state == "failed":
            return SourceError(
                ReasonCode.UNREACHABLE, "no way to the peer was found, or it is lost"
            )
        if self._receiver is not None and (
            piled := _Inside.excess(self._receiver, self._connection)
        ):
            return SourceError(ReasonCode.CORRUPT, piled)
        if limits.max_session_s and now - self._began > limits.max_session_s:
            return SourceError(ReasonCode.ENDED, f"the call lasted {limits.max_session_s:g} s")
        return self._silence(now) or self._greed(now)

    def _silence(self, now: float) -> SourceError | None:
        limits = self._settings
        self._listen(now)
        if self._heard is None:
            late = now - self._began > limits.connect_s
            words = f"the peer did not connect within {limits.connect_s:g} s"
            return SourceError(ReasonCode.TIMEOUT, words) if late else None
        if now - self._heard > limits.silence_s:
            words = f"the peer has vanished: silent for {limits.silence_s:g} s"
            return SourceError(ReasonCode.TIMEOUT, words)
        if now - (self._seen or self._began) > limits.video_s:
            return SourceError(ReasonCode.TIMEOUT, f"no video came for {limits.video_s:g} s")
        return None

    def _listen(self, now: float) -> None:
        """Take note of whatever has come in, media or not."""
        if self._receiver is None:
            return
        received = _Inside.bytes_received(self._receiver)
        if received > self._bytes and self._connection.connectionState == "connected":
            self._heard = now
        self._bytes = received

    def _greed(self, now: float) -> SourceError | None:
        if self.quality is None or self.quality.kbps <= 1.5 * self._settings.max_kbps:
            self._greedy_since = None
            return None
        self._greedy_since = self._greedy_since or now
        if now - self._greedy_since <= GREEDY_S:
            return None
        words = f"the peer sends {self.quality.kbps:.0f} of {self._settings.max_kbps} kbit/s"
        return SourceError(ReasonCode.CORRUPT, words)

    async def _fill_hole(self, now: float) -> None:
        """Have what is missing sent again; after a second, go on without it."""
        assert self._receiver is not None
        silence = now - self._seen if self._seen is not None else 0.0
        if silence < HOLE_S:
            self._patience = GIVE_UP_S
        elif await _Inside.ask_for_hole(self._receiver) and silence > self._patience:
            self._patience = silence + GIVE_UP_S
            _Inside.give_up_hole(self._receiver)
            self.feed.restart()
            self._losses += 1

    async def _ask_for_keyframe(self, now: float) -> None:
        due = now - self._keyframe_at >= self._settings.keyframe_s
        if not (due or self.feed.keyframe_wanted) or now - self._asked < ASK_S:
            return
        assert self._receiver is not None
        self._asked = now
        self._asks += await _Inside.ask_for_keyframe(self._receiver)

    async def _measure(self, now: float) -> None:
        """Compare the link's figures with those of a second ago, and time a round trip."""
        assert self._receiver is not None
        self._measured = now
        sample = _Inside.sample(self._receiver, now, self._bytes)
        before, self._sample = self._sample, sample
        if before is not None and now > before.at:
            expected = sample.expected - before.expected
            lost = expected - (sample.received - before.received)
            self.quality = LinkQuality(
                loss=min(max(lost / expected, 0.0), 1.0) if expected > 0 else 0.0,
                jitter_s=sample.jitter_s,
                rtt_s=self._rtt,
                kbps=(sample.bytes - before.bytes) * 8e-3 / (now - before.at),
            )
        sent = self._clock.monotonic()
        if await _Inside.ping(_Inside.ice(self._receiver)):
            self._heard = self._clock.monotonic()
            self._rtt = self._heard - sent

    # --- what comes in ----------------------------------------------------------------------

    def _tap_receivers(self) -> None:
        """Put a tap on every receiver, so that nothing is left in aiortc's queues."""
        for receiver in self._connection.getReceivers():
            if receiver.track is not None and receiver.track.kind == "video":
                self._receiver = receiver
                _Inside.tap(receiver, _Tap(self._take_picture, self._on_end))
                _Inside.watch_losses(receiver, self._on_loss)
                _Inside.send_quietly(receiver)
            else:
                _Inside.tap(receiver, _Tap(self._take_audio, _nothing))

    def _take_picture(self, codec: str, data: bytes, timestamp: int) -> None:
        now = self._clock.monotonic()
        self._seen = self._heard = now
        self._pictures += 1
        keyframe = is_keyframe(codec, data)
        if keyframe:
            self._keyframe_at = now
        lossy = self._lost and not keyframe
        self._lost = False
        self.feed.put(
            Packet(data, timestamp, None, RTP_VIDEO, keyframe, now, FORMATS[codec], lossy)
        )

    def _take_audio(self, codec: str, data: bytes, timestamp: int) -> None:
        self._audio += 1

    def _on_loss(self) -> None:
        self._lost = True
        self._losses += 1
        self._asks += 1
        self.feed.want_keyframe()

    def _on_end(self) -> None:
        self._hung_up = True

    def _on_channel(self, channel: RTCDataChannel) -> None:
        self._channels += 1
        if channel.label == SCORES and not self._told:
            self._told = True
            self._scores(ScoresChannel(channel, self._settings.max_data))
        elif self._channels <= MAX_CHANNELS:
            channel.close()
        else:
            self._hung_up = True


def gather_on(connection: RTCPeerConnection, hosts: Sequence[str] = ()) -> None:
    """Have a connection receive on these addresses; on loopback where this machine has no other.

    Args:
        connection: with a transceiver, before its local description is set.
        hosts: addresses of this machine; none means all but loopback.
    """
    for receiver in connection.getReceivers()[:1]:
        _Inside.bind(_Inside.ice(receiver), hosts)


async def close_quietly(connection: RTCPeerConnection) -> None:
    """Close a connection, also one that is still being made, without an error in the log."""
    _Inside.stop_connecting(connection)
    await connection.close()


def is_keyframe(codec: str, data: bytes) -> bool:
    """Say whether a compressed picture begins anew: a whole VP8 keyframe, or H.264 with an IDR."""
    if codec == "VP8":
        return len(data) >= 10 and not data[0] & 1 and data[3:6] == b"\x9d\x01\x2a"
    start = data.find(b"\0\0\1")
    while 0 <= start < len(data) - 3:
        if data[start + 3] & 0x1F == 5:
            return True
        start = data.find(b"\0\0\1", start + 3)
    return False


def _nothing() -> None:
    """Take no note of the end of audio."""


__all__ = [
    "SCORES",
    "Peer",
    "PeerCounters",
    "ScoresChannel",
    "close_quietly",
    "gather_on",
    "is_keyframe",
]
