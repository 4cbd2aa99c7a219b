"""Who is calling which stream: sessions, places, and how a call ends.

Belongs to the event loop. It starts nothing: the supervisor awaits `call`, `tend` and `hang_up`,
and gives each called stream's ingest its `line`. A peer that fails in whatever way ends its own
call and nothing else.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from stream.clock import Clock
from stream.errors import (
    CallUnknown,
    OfferRefused,
    SourceError,
    StreamBusy,
    StreamError,
    TooManyPeers,
)
from stream.events import LinkQuality, ReasonCode
from stream.publish.hub import Hub
from stream.webrtc.calls import CallAnswer, WebRtcSettings
from stream.webrtc.data_channel import ChannelFeed, HubFull
from stream.webrtc.peer import Peer, PeerCounters, ScoresChannel
from stream.webrtc.picture_queue import Feed, Line
from stream.webrtc.sdp import Offer, parse_fragment

log = structlog.get_logger(__name__)

Later = Callable[[float, Callable[[], None]], object]

ANSWER_S = 10.0
"""How long gathering addresses for an answer may take; STUN servers that are silent take five."""

CLOSE_S = 5.0

TAKE_OVER_S = 2.0
"""A peer that has sent no picture for so long makes room for another one of the same stream."""


@dataclass(slots=True, eq=False)
class Call:
    """One session.

    Attributes:
        session: its unguessable name.
        stream: what the peer sends.
        peer: the other side.
        etag: names its ICE session.
        answered: the peer has its answer.
        scores: what the peer is told on its data channel.
    """

    session: str
    stream: str
    peer: Peer
    etag: str
    answered: bool = False
    ending: bool = False
    scores: ChannelFeed | None = None


@dataclass(frozen=True, slots=True)
class StreamTotals:
    """Totals over all calls of one stream, and how the newest caller's packets arrive.

    Attributes:
        dropped: pictures let go because nobody kept up.
        losses: times that a part of the video was lost for good.
        keyframes_asked: keyframe requests sent.
        link: the newest known quality; it stays when the call is over.
    """

    dropped: int = 0
    losses: int = 0
    keyframes_asked: int = 0
    link: LinkQuality | None = None

    def plus(self, sent: PeerCounters, link: LinkQuality | None) -> StreamTotals:
        """Return the totals with those of a further call."""
        return StreamTotals(
            dropped=self.dropped + sent.dropped,
            losses=self.losses + sent.losses,
            keyframes_asked=self.keyframes_asked + sent.keyframes_asked,
            link=link or self.link,
        )


class Switchboard:
    """The calls of one analyzer.

    Args:
        settings: whom to answer, and how much a peer may send.
        hub: tells peers their scores.
        clock: where time comes from.
        later: calls a function on the event loop after some seconds.

    Attributes:
        ends: calls that are over, by reason.
        abandoned: calls whose connection did not close in time.
    """

    def __init__(self, settings: WebRtcSettings, hub: Hub, clock: Clock, later: Later) -> None:
        self.settings = settings
        self.ends: Counter[ReasonCode] = Counter()
        self.abandoned = 0
        self._hub = hub
        self._clock = clock
        self._later = later
        self._calls: dict[str, Call] = {}
        self._lines: dict[str, Line] = {}
        self._created: dict[str, float] = {}
        self._past: dict[str, StreamTotals] = {}  # of calls that are over

    # --- streams ----------------------------------------------------------------------------

    def line(self, stream: str) -> Line:
        """Return where the peers of a stream come in."""
        return self._lines.setdefault(stream, Line())

    def created(self, stream: str) -> None:
        """Take note that a stream is there only because somebody called it."""
        self._created[stream] = self._clock.monotonic()

    async def drop(self, stream: str) -> None:
        """End the call of a stream, if there is one, and let its ingest go."""
        if stream in self._lines:
            self._lines.pop(stream).close()
        self._created.pop(stream, None)
        for call in [call for call in self._calls.values() if call.stream == stream]:
            await self._end(call, SourceError(ReasonCode.ENDED, "the stream is removed"))
        self._past.pop(stream, None)

    def idle(self, now: float) -> tuple[str, ...]:
        """Return the streams that calls have created and that nobody has called for a while."""
        for call in self._calls.values():
            if call.stream in self._created:
                self._created[call.stream] = now
        return tuple(s for s, at in self._created.items() if now - at > self.settings.keep_s)

    def quality(self, stream: str) -> LinkQuality | None:
        """Return how the packets of a stream's caller arrive; for any thread."""
        call = self._of(stream)
        return call.peer.quality if call is not None else None

    def loss(self, stream: str) -> float:
        """Return the share of packets that a stream's caller lately lost; for any thread."""
        quality = self.quality(stream)
        return quality.loss if quality is not None else 0.0

    def totals(self, stream: str) -> StreamTotals | None:
        """Return what all callers of a stream have sent so far; None if there was none."""
        past, call = self._past.get(stream), self._of(stream)
        if call is None:
            return past
        return (past or StreamTotals()).plus(call.peer.counters, call.peer.quality)

    def called(self, stream: str) -> bool:
        """Say whether somebody is calling a stream."""
        return self._of(stream) is not None

    def __len__(self) -> int:
        return len(self._calls)

    # --- calls ------------------------------------------------------------------------------

    def check_room(self) -> None:
        """Make sure that a further call can be answered.

        Raises:
            OfferRefused: no call is.
            TooManyPeers: the limit is reached.
        """
        if not self.settings.enabled:
            raise OfferRefused("calls are switched off; see webrtc.enabled")
        if len(self._calls) >= self.settings.max_peers:
            raise TooManyPeers(self.settings.max_peers)

    async def call(self, stream: str, offer: Offer) -> CallAnswer:
        """Answer a peer. Its place is taken before anything is waited for.

        Raises:
            OfferInvalid: the offer cannot be understood after all.
            OfferRefused: it is understood, but cannot be met.
            StreamBusy: another peer is sending this stream.
            TooManyPeers: the limit is reached.
        """
        await self._make_way(stream)
        self.check_room()
        feed = Feed()
        session = secrets.token_urlsafe(24)
        peer = Peer(self.settings, self._clock, feed, lambda channel: self._tell(session, channel))
        call = Call(session, stream, peer, etag=f'"{secrets.token_hex(8)}"')
        self._calls[session] = call
        try:
            async with asyncio.timeout(ANSWER_S):
                sdp = await peer.answer(offer)
        except TimeoutError:
            raise await self._failed(call, OfferRefused("no address was found in time")) from None
        except StreamError as error:
            raise await self._failed(call, error) from error
        except BaseException:
            await self._failed(call, OfferRefused("interrupted"))
            raise
        call.answered = True
        self.line(stream).connect(feed)
        log.info("call answered", stream=stream, codecs=offer.codecs)
        return CallAnswer(session, call.etag, sdp)

    def etag(self, session: str) -> str:
        """Return the entity tag of a call's ICE session. Raises CallUnknown."""
        return self._known(session).etag

    async def trickle(self, session: str, fragment: str) -> None:
        """Take further candidates of a peer.

        Raises:
            CallUnknown: there is no such call.
            OfferInvalid: the fragment cannot be understood.
            OfferRefused: it asks for an ICE restart.
        """
        call = self._known(session)
        await call.peer.trickle(parse_fragment(fragment))

    async def hang_up(self, session: str) -> None:
        """End a call because its peer wishes so. Raises CallUnknown."""
        call = self._known(session)
        await self._end(call, SourceError(ReasonCode.ENDED, "the peer has hung up"))

    async def tend(self) -> None:
        """Look after every peer once, and end the calls that are over."""
        await asyncio.gather(*(self._tend(call) for call in list(self._calls.values())))

    async def close(self) -> None:
        """End every call."""
        why = SourceError(ReasonCode.ENDED, "the analyzer stops")
        await asyncio.gather(*(self._end(call, why) for call in list(self._calls.values())))

    # --- inside -----------------------------------------------------------------------------

    def _of(self, stream: str) -> Call | None:
        for call in list(self._calls.values()):
            if call.stream == stream:
                return call
        return None

    def _known(self, session: str) -> Call:
        call = self._calls.get(session)
        if call is None or not call.answered or call.ending:
            raise CallUnknown
        return call

    async def _make_way(self, stream: str) -> None:
        """End a call that has fallen silent, for example of a page that was loaded again."""
        call = self._of(stream)
        if call is None:
            return
        if not call.answered or call.peer.silent_s < TAKE_OVER_S:
            raise StreamBusy(stream)
        await self._end(call, SourceError(ReasonCode.ENDED, "another peer has taken over"))

    async def _failed(self, call: Call, error: StreamError) -> StreamError:
        await self._end(call, SourceError(ReasonCode.CODEC, str(error)))
        return error

    async def _tend(self, call: Call) -> None:
        if not call.answered or call.ending:
            return
        try:
            why = await call.peer.tend(self._clock.monotonic())
        except Exception as error:
            log.exception("a peer could not be looked after", stream=call.stream)
            why = SourceError(ReasonCode.CORRUPT, f"failed inside ({type(error).__name__})")
        if why is not None:
            await self._end(call, why)

    async def _end(self, call: Call, why: SourceError) -> None:
        """End a call, in any state, in bounded time; its place is free only when it is closed."""
        if call.ending:
            return
        call.ending = True
        call.peer.feed.end(why)
        if call.scores is not None:
            call.scores.close()
        try:
            async with asyncio.timeout(CLOSE_S):
                await call.peer.close()
        except TimeoutError:
            self.abandoned += 1
            log.warning("a peer's connection does not close", stream=call.stream)
        finally:
            past = self._past.get(call.stream, StreamTotals())
            self._past[call.stream] = past.plus(call.peer.counters, call.peer.quality)
            del self._calls[call.session]
            self.ends[why.code] += 1
        log.info("call ended", stream=call.stream, code=why.code.value, detail=why.detail)

    def _tell(self, session: str, channel: ScoresChannel) -> None:
        """Send a peer its own scores from now on."""
        call = self._calls.get(session)
        if call is None or call.ending or call.scores is not None:
            channel.close()
            return
        try:
            feed = ChannelFeed(
                self._hub, call.stream, channel, self._clock, self._later, self.settings.max_data
            )
        except HubFull:
            channel.close()
            return
        call.scores = feed
        channel.watch(drained=feed.wake, closed=feed.close)
