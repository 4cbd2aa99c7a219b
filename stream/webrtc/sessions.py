"""Sessions of the peers that are sending streams: how they begin, how many, and how they end.

Belongs to the event loop. It starts nothing: the analyzer awaits `call`, `tend` and `hang_up`, and
gives each called stream's ingest its `access`. A peer that fails in whatever way ends its own
call and nothing else.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from stream.canary import is_canary
from stream.clock import Clock
from stream.errors import (
    CallNotYours,
    CallUnknown,
    OfferRefused,
    PublisherFull,
    SourceError,
    StreamBusy,
    StreamError,
    TooManyPeers,
)
from stream.events import LinkQuality, ReasonCode
from stream.ingest.context import SourceAccess
from stream.publish.hub import Hub
from stream.webrtc.calls import CallAnswer, Callers, Publisher, WebRtcSettings, calling_itself
from stream.webrtc.data_channel import HubFull, ScoreSender
from stream.webrtc.datagrams import DatagramRefusal
from stream.webrtc.peer import Peer, ToldChannel
from stream.webrtc.picture_queue import PeerAccess, PictureQueue
from stream.webrtc.sdp import Offer, parse_fragment
from stream.webrtc.statistics import PeerCounters

log = structlog.get_logger(__name__)

Later = Callable[[float, Callable[[], None]], object]

ANSWER_S = 10.0
"""Seconds that gathering addresses for an answer may take; silent STUN servers take five."""

CLOSE_S = 5.0

TAKE_OVER_S = 2.0
"""A peer that has sent no picture for so long makes room for another one of the same stream."""


@dataclass(slots=True, eq=False)
class Session:
    """One peer that sends one stream.

    Attributes:
        name: unguessable, and needed to change and end the session.
        stream: what the peer sends.
        peer: the other side.
        etag: names its ICE session.
        publisher: the credential on which it was begun.
        answered: the peer has its answer.
        scores: what the peer is told on its data channel.
        prompts: the channel on which its page is told what to show.
    """

    name: str
    stream: str
    peer: Peer
    etag: str
    publisher: Publisher
    answered: bool = False
    ending: bool = False
    scores: ScoreSender | None = None
    prompts: ToldChannel | None = None


@dataclass(frozen=True, slots=True)
class StreamTotals:
    """Totals over all calls of one stream, and how the newest caller's packets arrive.

    Attributes:
        dropped: pictures let go because nobody kept up.
        losses: times that a part of the video was lost for good.
        keyframes_asked: keyframe requests sent.
        refused: datagrams at the calls' ports that were let go, by reason.
        link: the newest known quality; it stays when the call is over.
    """

    dropped: int = 0
    losses: int = 0
    keyframes_asked: int = 0
    refused: Counter[DatagramRefusal] = field(default_factory=Counter)
    link: LinkQuality | None = None

    def plus(self, sent: PeerCounters, link: LinkQuality | None) -> StreamTotals:
        """Return the totals with those of a further call."""
        return StreamTotals(
            dropped=self.dropped + sent.dropped,
            losses=self.losses + sent.losses,
            keyframes_asked=self.keyframes_asked + sent.keyframes_asked,
            refused=self.refused + sent.refused,
            link=link or self.link,
        )


class Sessions:
    """The sessions of one analyzer.

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
        self._sessions: dict[str, Session] = {}
        self._access: dict[str, PeerAccess] = {}
        self._created: dict[str, float] = {}
        self._creators: dict[str, Hashable] = {}  # credentials that created streams
        self._claims: list[tuple[str, Hashable]] = []  # of calls that are being answered
        self._past: dict[str, StreamTotals] = {}  # of calls that are over

    # --- streams ----------------------------------------------------------------------------

    def access(self, stream: str) -> SourceAccess:
        """Return the way by which the peers of a stream reach its ingest."""
        peers, limits = self._peers(stream), self.settings
        return SourceAccess(
            peers.open,
            peers.ready,
            loss=lambda: self.loss(stream),
            max_pixels=limits.max_width * limits.max_height,
        )

    def _peers(self, stream: str) -> PeerAccess:
        return self._access.setdefault(stream, PeerAccess())

    def created(self, stream: str, publisher: Publisher) -> None:
        """Take note that a stream is there only because somebody called it."""
        self._created[stream] = self._clock.monotonic()
        self._creators[stream] = publisher.credential

    async def drop(self, stream: str) -> None:
        """End the call of a stream, if there is one, and let its ingest go."""
        if stream in self._access:
            self._access.pop(stream).close()
        self._created.pop(stream, None)
        self._creators.pop(stream, None)
        for session in [session for session in self._sessions.values() if session.stream == stream]:
            await self._end(session, SourceError(ReasonCode.ENDED, "the stream is removed"))
        self._past.pop(stream, None)

    def idle(self, now: float) -> tuple[str, ...]:
        """Return the streams that calls have created and that nobody has called for a while."""
        for session in self._sessions.values():
            if session.stream in self._created:
                self._created[session.stream] = now
        return tuple(s for s, at in self._created.items() if now - at > self.settings.keep_s)

    def quality(self, stream: str) -> LinkQuality | None:
        """Return how the packets of a stream's caller arrive; for any thread."""
        session = self.of(stream)
        return session.peer.quality if session is not None else None

    def loss(self, stream: str) -> float:
        """Return the share of packets that a stream's caller lately lost; for any thread."""
        quality = self.quality(stream)
        return quality.loss if quality is not None else 0.0

    def has_page(self, stream: str) -> bool:
        """Say whether a stream's caller has a page open that shows prompts."""
        session = self.of(stream)
        return session is not None and session.prompts is not None and not session.ending

    def prompt(self, stream: str, text: str) -> bool:
        """Send a prompt to a stream's caller; one that does not read is sent none."""
        session = self.of(stream)
        if session is None or session.prompts is None or session.ending:
            return False
        if session.prompts.buffered >= self.settings.max_data:
            return False
        session.prompts.send(text)
        return True

    def totals(self, stream: str) -> StreamTotals | None:
        """Return what all callers of a stream have sent so far; None if there was none."""
        past, session = self._past.get(stream), self.of(stream)
        if session is None:
            return past
        return (past or StreamTotals()).plus(session.peer.counters, session.peer.quality)

    def of(self, stream: str) -> Session | None:
        """Return the session of a stream, if a peer is sending it; for any thread."""
        for session in list(self._sessions.values()):
            if session.stream == stream:
                return session
        return None

    def called(self, stream: str) -> bool:
        """Say whether a peer is sending a stream."""
        return self.of(stream) is not None

    def __len__(self) -> int:
        """Return how many calls there are; canaries are none."""
        return sum(not is_canary(session.stream) for session in list(self._sessions.values()))

    # --- sessions ------------------------------------------------------------------------------

    def check_room(self) -> None:
        """Make sure that a further call can be answered.

        Raises:
            OfferRefused: no call is.
            TooManyPeers: the limit is reached.
        """
        if not self.settings.enabled:
            raise OfferRefused("calls are switched off; see webrtc.enabled")
        if len(self) >= self.settings.max_peers:
            raise TooManyPeers(self.settings.max_peers)

    @contextmanager
    def claim(self, stream: str, publisher: Publisher) -> Iterator[None]:
        """Hold a publisher's place for a stream while its call is being answered.

        A stream that a call has created counts for its creator until it is removed.

        Raises:
            PublisherFull: the publisher holds as many others as it may.
        """
        claim, limit = (stream, publisher.credential), publisher.max_streams
        if limit is not None and len(self._held(publisher) - {stream}) >= limit:
            raise PublisherFull(limit)
        self._claims.append(claim)
        try:
            yield
        finally:
            self._claims.remove(claim)

    def callers(self) -> Callers:
        """Return who sends streams now, and who holds which; canaries are nobody's."""
        sent = {s.stream: s.publisher.credential for s in self._sessions.values()}
        held = {**self._creators, **sent}
        return Callers(
            frozenset(id for id in sent if not is_canary(id)),
            {id: whose for id, whose in held.items() if not is_canary(id)},
        )

    def _held(self, publisher: Publisher) -> set[str]:
        """Return the streams that a publisher sends, has created, or is about to send."""
        sent = [(s.stream, s.publisher.credential) for s in self._sessions.values()]
        held = (*sent, *self._creators.items(), *self._claims)
        return {stream for stream, credential in held if credential == publisher.credential}

    async def call(self, stream: str, offer: Offer, publisher: Publisher) -> CallAnswer:
        """Answer a peer. Its place is taken before anything is waited for.

        Raises:
            OfferInvalid: the offer cannot be understood after all.
            OfferRefused: it is understood, but cannot be met.
            StreamBusy: another peer is sending this stream.
            TooManyPeers: the limit is reached.
        """
        await self._make_way(stream)
        if not is_canary(stream):
            self.check_room()
        pictures = PictureQueue(layers=1 if offer.layer is None else offer.layer.of)
        name = secrets.token_urlsafe(24)
        settings = calling_itself(self.settings) if is_canary(stream) else self.settings
        peer = Peer(
            settings,
            self._clock,
            pictures,
            lambda wire: self._tell(name, wire),
            lambda wire: self._prompt_on(name, wire),
        )
        session = Session(name, stream, peer, f'"{secrets.token_hex(8)}"', publisher)
        self._sessions[name] = session
        try:
            async with asyncio.timeout(ANSWER_S):
                sdp = await peer.answer(offer)
        except TimeoutError:
            raise await self._failed(
                session, OfferRefused("no address was found in time")
            ) from None
        except StreamError as error:
            raise await self._failed(session, error) from error
        except BaseException:
            await self._failed(session, OfferRefused("interrupted"))
            raise
        session.answered = True
        self._peers(stream).connect(pictures)
        log.info("call answered", stream=stream, codecs=offer.codecs)
        return CallAnswer(name, session.etag, sdp)

    def etag(self, stream: str, name: str, publisher: Publisher) -> str:
        """Return the entity tag of a session's ICE session. Raises CallUnknown, CallNotYours."""
        return self._known(stream, name, publisher).etag

    async def trickle(self, stream: str, name: str, fragment: str, publisher: Publisher) -> None:
        """Take further candidates of a peer.

        Raises:
            CallUnknown: the stream has no such call.
            CallNotYours: it was begun on another credential.
            OfferInvalid: the fragment cannot be understood.
            OfferRefused: it asks for an ICE restart.
        """
        session = self._known(stream, name, publisher)
        await session.peer.trickle(parse_fragment(fragment))

    async def hang_up(self, stream: str, name: str, publisher: Publisher) -> None:
        """End a call because its peer wishes so. Raises CallUnknown, CallNotYours."""
        session = self._known(stream, name, publisher)
        await self._end(session, SourceError(ReasonCode.ENDED, "the peer has hung up"))

    async def tend(self) -> None:
        """Tend every peer once, and end the calls that are over."""
        await asyncio.gather(*(self._tend(session) for session in list(self._sessions.values())))

    async def close(self) -> None:
        """End every call."""
        why = SourceError(ReasonCode.ENDED, "the analyzer stops")
        await asyncio.gather(
            *(self._end(session, why) for session in list(self._sessions.values()))
        )

    # --- inside -----------------------------------------------------------------------------

    def _known(self, stream: str, name: str, publisher: Publisher) -> Session:
        session = self._sessions.get(name)
        if session is None or not session.answered or session.ending or session.stream != stream:
            raise CallUnknown
        if not publisher.may_change(session.publisher):
            raise CallNotYours
        return session

    async def _make_way(self, stream: str) -> None:
        """End a call that has fallen silent, for example of a page that was loaded again."""
        session = self.of(stream)
        if session is None:
            return
        if not session.answered or session.peer.silent_s < TAKE_OVER_S:
            raise StreamBusy(stream)
        await self._end(session, SourceError(ReasonCode.ENDED, "another peer has taken over"))

    async def _failed(self, session: Session, error: StreamError) -> StreamError:
        await self._end(session, SourceError(ReasonCode.CODEC, str(error)))
        return error

    async def _tend(self, session: Session) -> None:
        if not session.answered or session.ending:
            return
        try:
            why = await session.peer.tend(self._clock.monotonic())
        except Exception as error:
            log.exception("a peer could not be tended", stream=session.stream)
            why = SourceError(ReasonCode.CORRUPT, f"failed inside ({type(error).__name__})")
        if not session.publisher.valid_at(self._clock.utc()):
            why = SourceError(ReasonCode.ENDED, "the token that it was begun with has expired")
        if why is not None:
            await self._end(session, why)

    async def _end(self, session: Session, why: SourceError) -> None:
        """End a call, in any state, in bounded time; its place is free only when it is closed."""
        if session.ending:
            return
        session.ending = True
        session.peer.pictures.end(why)
        if session.scores is not None:
            session.scores.close()
        try:
            async with asyncio.timeout(CLOSE_S):
                await session.peer.close()
        except TimeoutError:
            self.abandoned += 1
            log.warning("a peer's connection does not close", stream=session.stream)
        finally:
            past = self._past.get(session.stream, StreamTotals())
            self._past[session.stream] = past.plus(session.peer.counters, session.peer.quality)
            del self._sessions[session.name]
            self.ends[why.code] += not is_canary(session.stream)
        log.info("call ended", stream=session.stream, code=why.code.value, detail=why.detail)

    def _prompt_on(self, name: str, channel: ToldChannel) -> None:
        """Send a peer's page prompts from now on, until it closes the channel."""
        session = self._sessions.get(name)
        if session is None or session.ending:
            channel.close()
            return

        def closed() -> None:
            session.prompts = None

        session.prompts = channel
        channel.watch(drained=lambda: None, closed=closed)

    def _tell(self, name: str, channel: ToldChannel) -> None:
        """Send a peer its own scores from now on."""
        session = self._sessions.get(name)
        if session is None or session.ending or session.scores is not None:
            channel.close()
            return
        try:
            sender = ScoreSender(
                self._hub, session.stream, channel, self._clock, self._later, self.settings.max_data
            )
        except HubFull:
            channel.close()
            return
        session.scores = sender
        channel.watch(drained=sender.wake, closed=sender.close)
