"""One WebRTC peer that sends a stream, from its offer to its end.

Theory of operation. aiortc does ICE, DTLS, SRTP, retransmission and the jitter buffer. It would
also decode, through two unbounded queues per track. Instead a `FrameTap` takes the place of the
first queue: what aiortc hands to its decoder, a whole compressed picture with its unwrapped RTP
time, goes into the peer's `PictureQueue` and from there the way of every camera's packets. Audio
taps count and let go. So nothing is ever left in a queue of aiortc, whether or not anybody keeps
up.

aiortc hands over a picture once the first packet of the next one has come, and only if all before
it was complete; what it had to give up on shows as a keyframe request (PLI), which is watched here,
so that the next picture can be marked as following a loss. It asks for a lost packet only when it
notices another loss, and waits for it until 512 packets have piled up, ten seconds of a small
stream. So a hole is asked for again here, and given up after a second: then the jitter buffer is
emptied and a keyframe is asked for.

VP9 and AV1 are not aiortc's own: it hands on their payloads, and `depacketize` makes pictures of
them.

Everything private of aiortc and aioice is touched in `aiortc_compat.py`. The rest is told the time,
and nothing here starts a task: `answer`, `tend` and `close` are awaited by the analyzer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.sdp import candidate_from_sdp

from stream.clock import Clock
from stream.errors import OfferInvalid, OfferRefused, SourceError
from stream.events import LinkQuality, ReasonCode
from stream.ingest.source import Packet, StreamFormat
from stream.webrtc.aiortc_compat import (
    CallCertificate,
    DatagramFilter,
    FrameTap,
    MediaReceiver,
    close_quietly,
    gather_on,
    receive_more_codecs,
    tap,
)
from stream.webrtc.calls import WebRtcSettings
from stream.webrtc.depacketize import picture
from stream.webrtc.handshake import failure, unfinished
from stream.webrtc.keyframes import KeyframeRequests, is_keyframe
from stream.webrtc.picture_queue import PictureQueue
from stream.webrtc.sdp import Fragment, Offer, complete_answer, unsupported
from stream.webrtc.statistics import LinkMeter, PeerCounters

SCORES = "scores"
"""Label of the data channel on which a peer is told its own scores."""

PROMPTS = "prompts"
"""Label of the data channel on which a peer's page is told what to show its person."""

RTP_VIDEO = Fraction(1, 90_000)

HOLE_S = 0.3
"""Silence, while packets come, after which a lost one is asked for again."""

GIVE_UP_S = 1.0
"""Silence, while packets come, after which a lost one is given up."""

MEASURE_S = 1.0
"""How often the link is measured and pinged."""

MAX_CHANNELS = 8

DECODERS = {"VP8": "vp8", "H264": "h264", "VP9": "vp9", "AV1": "libdav1d"}
FORMATS = {codec: StreamFormat(name, 0, 0, None) for codec, name in DECODERS.items()}


class ToldChannel:
    """A data channel on which a peer is told something: its own scores, or what to show.

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
        pictures: where its pictures go.
        scores: given the data channel on which it wants its scores; called at most once.
        prompts: given the one on which its page wants prompts, likewise.

    Attributes:
        pictures: where its pictures go.
        connection: aiortc's.
        receiver: of its video; None before its offer is answered.
    """

    def __init__(
        self,
        settings: WebRtcSettings,
        clock: Clock,
        pictures: PictureQueue,
        scores: Callable[[ToldChannel], None],
        prompts: Callable[[ToldChannel], None] = ToldChannel.close,
    ) -> None:
        self.pictures = pictures
        self._settings = settings
        self._clock = clock
        self._scores = scores
        self._channels = 0
        self._told = False
        self._prompts = prompts
        self._prompted = False
        self._began = clock.monotonic()
        self._heard: float | None = None
        self._seen: float | None = None
        self._keyframes = KeyframeRequests(settings.keyframe_s, self._began)
        self._link = LinkMeter(settings.max_kbps)
        self._measured = self._began
        self._rtt: float | None = None
        self._patience = GIVE_UP_S
        self._lost = False
        self._hung_up = False
        self._was_silent = False
        self._ufrag = ""
        self._taken = self._audio = self._losses = self._asks = self._bytes = 0
        servers = [
            RTCIceServer(s.url, s.username or None, s.credential.get_secret_value() or None)
            for s in settings.ice_servers
        ]
        receive_more_codecs()
        self.connection = RTCPeerConnection(
            RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self.receiver: MediaReceiver | None = None
        self._handshake = CallCertificate.of(self.connection).handshake
        self._datagrams: DatagramFilter | None = None
        self.connection.on("datachannel", self._on_channel)

    # --- signalling -------------------------------------------------------------------------

    async def answer(self, offer: Offer) -> str:
        """Return the answer to an offer, with all our candidates in it.

        Raises:
            OfferInvalid: aiortc cannot make sense of it.
            OfferRefused: there is no codec, or no address, that both sides have.
        """
        try:
            await self.connection.setRemoteDescription(RTCSessionDescription(offer.text, "offer"))
        except OperationError:
            raise OfferRefused(
                f"{unsupported(offer.codecs)}; audio must be Opus or G.711"
            ) from None
        except Exception as error:
            # aiortc parses without mercy: what does not fit ends in whatever Python raises there.
            raise OfferInvalid(f"it cannot be parsed ({type(error).__name__})") from error
        self._tap_receivers()
        if self.receiver is None:
            raise OfferInvalid("it describes no video")
        self._ufrag = offer.ufrag
        self._datagrams = gather_on(self.connection, self._settings.bind)
        try:
            await self.connection.setLocalDescription()
        except (InvalidStateError, ValueError) as error:
            raise OfferInvalid(f"it cannot be answered ({type(error).__name__})") from error
        text = self.connection.localDescription.sdp
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
            await self.connection.addIceCandidate(candidate)

    async def close(self) -> None:
        """End the connection and release everything; in any state, more than once."""
        self.pictures.end(SourceError(ReasonCode.ENDED, "the call was ended here"))
        await close_quietly(self.connection)

    # --- tending ---------------------------------------------------------------------------

    async def tend(self, now: float) -> SourceError | None:
        """Ask for keyframes, measure the link, and return why the call has to end, if it has."""
        end = self._end(now)
        if end is None and self.receiver is not None and self._heard is not None:
            await self._fill_hole(now)
            await self._ask_for_keyframe(now)
            if now - self._measured >= MEASURE_S:
                await self._measure(now)
        return end

    @property
    def quality(self) -> LinkQuality | None:
        """How its packets arrive; None before the first measurement."""
        return self._link.quality

    @property
    def silent_s(self) -> float:
        """Seconds since a picture came."""
        return self._clock.monotonic() - (self._seen or self._began)

    @property
    def counters(self) -> PeerCounters:
        """What the peer has sent so far."""
        return PeerCounters(
            pictures=self._taken,
            dropped=self.pictures.counters.dropped,
            audio=self._audio,
            losses=self._losses,
            keyframes_asked=self._asks,
            bytes=self._bytes,
            refused=self._datagrams.refused.copy() if self._datagrams is not None else Counter(),
        )

    def _end(self, now: float) -> SourceError | None:
        """Return why the call is over, the first reason that holds."""
        limits, state = self._settings, self.connection.connectionState
        if self.pictures.abandoned:
            return SourceError(ReasonCode.ENDED, "the stream has stopped listening")
        if self._hung_up:
            return SourceError(ReasonCode.ENDED, "the peer has hung up")
        if state == "closed":
            return SourceError(ReasonCode.ENDED, "the connection is closed")
        if state == "failed":
            return self._failure()
        if self.receiver is not None and (excess := self.receiver.excess(self.connection)):
            return SourceError(ReasonCode.CORRUPT, excess)
        if limits.max_session_s and now - self._began > limits.max_session_s:
            return SourceError(ReasonCode.ENDED, f"the call lasted {limits.max_session_s:g} s")
        return self._silence(now) or self._greed(now)

    def _lateness(self) -> SourceError:
        """Return why a peer that is not connected is given up."""
        patience = self._settings.connect_s
        if self._dtls == "connecting":
            return unfinished(patience)
        words = f"the peer did not connect within {patience:g} s"
        return SourceError(ReasonCode.TIMEOUT, words)

    @property
    def _dtls(self) -> str:
        """State of the DTLS transport, which begins once a way to the peer is found."""
        return "new" if self.receiver is None else self.receiver.receiver.transport.state

    def _failure(self) -> SourceError:
        if self._dtls == "failed":
            return failure(self._handshake)
        return SourceError(ReasonCode.UNREACHABLE, "no way to the peer was found, or it is lost")

    def _silence(self, now: float) -> SourceError | None:
        """Return why a peer is given up that was silent the last time, too.

        After a pause of this process everybody seems silent: what they sent meanwhile waits in
        their sockets, and is read before the next time.
        """
        why = self._overdue(now)
        sure, self._was_silent = self._was_silent, why is not None
        return why if sure else None

    def _overdue(self, now: float) -> SourceError | None:
        limits = self._settings
        self._listen(now)
        if self._heard is None:
            return self._lateness() if now - self._began > limits.connect_s else None
        if now - self._heard > limits.silence_s:
            words = f"the peer has vanished: silent for {limits.silence_s:g} s"
            return SourceError(ReasonCode.TIMEOUT, words)
        if now - (self._seen or self._began) > limits.video_s:
            return SourceError(ReasonCode.TIMEOUT, f"no video came for {limits.video_s:g} s")
        return None

    def _listen(self, now: float) -> None:
        """Take note of whatever the peer has sent, media or not; strangers do not count."""
        if self._datagrams is None or self.connection.connectionState != "connected":
            return
        received = self._datagrams.authenticated
        if self._heard is None or received > self._bytes:
            self._heard = now
        self._bytes = received

    def _greed(self, now: float) -> SourceError | None:
        if not self._link.is_greedy(now) or self.quality is None:
            return None
        words = f"the peer sends {self.quality.kbps:.0f} of {self._settings.max_kbps} kbit/s"
        return SourceError(ReasonCode.CORRUPT, words)

    async def _fill_hole(self, now: float) -> None:
        """Have what is missing sent again; after a second, go on without it."""
        assert self.receiver is not None
        silence = now - self._seen if self._seen is not None else 0.0
        if silence < HOLE_S:
            self._patience = GIVE_UP_S
        elif await self.receiver.ask_for_hole() and silence > self._patience:
            self._patience = silence + GIVE_UP_S
            self.receiver.give_up_hole()
            self.pictures.restart()
            self._losses += 1

    async def _ask_for_keyframe(self, now: float) -> None:
        assert self.receiver is not None
        if self._keyframes.due(now, wanted=self.pictures.keyframe_wanted):
            self._asks += await self.receiver.ask_for_keyframe()

    async def _measure(self, now: float) -> None:
        """Compare the link's figures with those of a second ago, and time a round trip."""
        assert self.receiver is not None
        self._measured = now
        self._link.update(self.receiver.sample(now, self._bytes), self._rtt)
        sent = self._clock.monotonic()
        if await self.receiver.ping():
            self._heard = self._clock.monotonic()
            self._rtt = self._heard - sent

    # --- what comes in ----------------------------------------------------------------------

    def _tap_receivers(self) -> None:
        """Put a tap on every receiver, so that nothing is left in aiortc's queues."""
        for receiver in self.connection.getReceivers():
            if receiver.track is not None and receiver.track.kind == "video":
                tap(receiver, FrameTap(self._take_picture, self._on_end))
                self.receiver = MediaReceiver(receiver)
                self.receiver.watch_losses(self._on_loss)
                self.receiver.keep_bounds()
                self.receiver.send_quietly()
            else:
                tap(receiver, FrameTap(self._take_audio, _nothing))

    def _take_picture(self, codec: str, data: bytes, timestamp: int) -> None:
        now = self._clock.monotonic()
        self._seen = self._heard = now
        try:
            data = picture(codec, data)
        except ValueError:  # a part of it is missing, and what follows refers to it
            self._losses += 1
            self.pictures.restart()
            return
        self._taken += 1
        keyframe = is_keyframe(codec, data)
        if keyframe:
            self._keyframes.arrived(now)
        lossy = self._lost and not keyframe
        self._lost = False
        self.pictures.put(
            Packet(data, timestamp, None, RTP_VIDEO, keyframe, now, FORMATS[codec], lossy)
        )

    def _take_audio(self, codec: str, data: bytes, timestamp: int) -> None:
        self._audio += 1

    def _on_loss(self) -> None:
        self._lost = True
        self._losses += 1
        self._asks += 1
        self.pictures.want_keyframe()

    def _on_end(self) -> None:
        self._hung_up = True

    def _on_channel(self, channel: RTCDataChannel) -> None:
        self._channels += 1
        if channel.label == SCORES and not self._told:
            self._told = True
            self._scores(ToldChannel(channel, self._settings.max_data))
        elif channel.label == PROMPTS and not self._prompted:
            self._prompted = True
            self._prompts(ToldChannel(channel, self._settings.max_data))
        elif self._channels <= MAX_CHANNELS:
            channel.close()
        else:
            self._hung_up = True


def _nothing() -> None:
    """Take no note of the end of audio."""
