"""A subscription: what one subscriber wants, and what it still has to get.

The subscriber reads with `take` and `due`. `join`, `tell`, `offer`, `forget` and `leave` are the
hub's side, and for nobody else; so is `cut_off`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from stream.canary import PREFIX, is_canary
from stream.publish.client_messages import DEFAULT_HZ, ResumePoint, StreamType
from stream.publish.encode import encode_lagged
from stream.publish.past_events import CatchUp, Wanted
from stream.publish.patterns import PatternSet
from stream.publish.published_stream import PublishedStream
from stream.publish.schema import STATE_RANK, CloseCode, LaggedData, State
from stream.publish.send_queues import Message, Reading, StateQueue


@dataclass(frozen=True, slots=True)
class Cut:
    """Why a subscriber has to go: the close code and one sentence of at most 123 bytes."""

    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Messages that a subscriber wants.

    Attributes:
        streams: ids or globs, of which one must match; those of a canary must begin as its id does.
        types: kinds of message.
        max_hz: most messages per second about one face or one stream's status.
        min_state: least state of a score, in the order warming, abstain, ok, suspect.
    """

    streams: tuple[str, ...] = ("*",)
    types: frozenset[StreamType] = frozenset(("score", "event", "status"))
    max_hz: float = DEFAULT_HZ
    min_state: State = "warming"
    _compiled: PatternSet = field(init=False, repr=False, compare=False)
    _canaries: PatternSet = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", PatternSet(self.streams))
        named = (wanted for wanted in self.streams if wanted.startswith(PREFIX))
        object.__setattr__(self, "_canaries", PatternSet(named))

    def matches(self, stream: str) -> bool:
        """Return whether a stream is wanted; a canary is only where somebody asks for canaries."""
        return (self._canaries if is_canary(stream) else self._compiled).matches(stream)


class Publisher(Protocol):
    """The hub, as its subscriptions see it.

    Attributes:
        coalesced: states replaced by a newer one before they were sent.
        lagged: events that subscribers were too slow for.
    """

    coalesced: int
    lagged: int

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        ...

    def epoch(self, stream: str) -> int:
        """Return the epoch of a stream, 0 when it is unknown."""
        ...

    def utc(self) -> datetime:
        """Return the wall clock's time."""
        ...

    def snapshot(self, stream: str) -> Message | None:
        """Return where a stream stands; None when it is gone."""
        ...


class Subscription:
    """Messages that one subscriber still has to get. Made by `Hub.subscribe`; read with `take`.

    Attributes:
        streams: streams that matched when it began.
        resumed: those whose missed events come first.
        gaps: those whose resume point was too old or unknown; they begin with a snapshot.
        cut: set when the subscriber has to go.
    """

    def __init__(
        self,
        publisher: Publisher,
        name: str,
        wanted: Filter,
        wake: Callable[[], None],
        closed_logs: int,
    ) -> None:
        self.name = name
        self.wanted = wanted
        self.streams: tuple[str, ...] = ()
        self.resumed: tuple[str, ...] = ()
        self.gaps: tuple[str, ...] = ()
        self.cut: Cut | None = None
        self._publisher = publisher
        self._wake = wake
        self._closed_logs = closed_logs
        self._rank = STATE_RANK[wanted.min_state]
        self._states = StateQueue(1.0 / wanted.max_hz)
        self._snapshots: dict[str, Message] = {}
        self._readings: dict[str, Reading] = {}
        self._closed: list[tuple[str, Reading]] = []
        self._behind: dict[str, None] = {}
        self._catching = CatchUp()
        self._late_gaps: list[str] = []

    # --- reading ----------------------------------------------------------------------------

    def take(self, now: float) -> str | None:
        """Return the next message to send, or None when there is none now.

        The last events of removed streams go first, then snapshots, then events, then states; but
        about one face, what is older goes first. While stored events are still to come, nothing
        newer of their stream goes, and no state of any. When the subscriber was too slow for what
        must not be lost, `cut` is set and nothing more comes.
        """
        if self.cut is not None:
            return None
        for place, (stream, _) in enumerate(self._closed):
            if stream not in self._catching:
                return self._take_closed(place, now)
        for stream in self._snapshots:
            if stream not in self._catching:
                return self._snapshots.pop(stream).text
        past = self._take_past()
        if past is not None:
            return past
        if self._behind:
            return self._take_behind(now)
        if self._catching:
            return None  # a state would be newer than events that are still to come
        state = self._states.pop(now)
        return state.text if state is not None else None

    def due(self) -> float | None:
        """Return the monotonic time at which a held state may go; None when none is held."""
        return self._states.due()

    def close(self) -> None:
        """Stop wanting anything; safe to call more than once."""
        self._publisher.unsubscribe(self)

    @property
    def wanted_past(self) -> Wanted | None:
        """The page of stored events to read next, for `supply`; None when none is needed."""
        return self._catching.wanted

    def supply(self, stream: str, page: Sequence[tuple[int, str]]) -> None:
        """Take a page of stored events that was wanted; an empty one: there are no more."""
        self._catching.supply(stream, page)
        if stream in self._catching:
            self._catch_up(stream)
        self._wake()

    def give_up(self, stream: str) -> None:
        """Go on with a snapshot, because stored events of a stream cannot be had."""
        if stream not in self._catching:
            return
        self._catching.end(stream)
        self._closed = [entry for entry in self._closed if entry[0] != stream]
        self._late_gaps.append(stream)
        reading = self._readings.get(stream)
        snapshot = self._publisher.snapshot(stream)
        if reading is not None and snapshot is not None:
            reading.next, reading.sent_seq = reading.backlog.end, snapshot.seq
            self._snapshots[stream] = snapshot
        self._wake()

    def take_gaps(self) -> tuple[str, ...]:
        """Return the streams that were given up since this was asked last."""
        gaps, self._late_gaps = tuple(self._late_gaps), []
        return gaps

    @property
    def waiting(self) -> int:
        """States and snapshots that wait; events wait in the streams' backlogs."""
        return len(self._states) + len(self._snapshots)

    def _take_event(self, stream: str, reading: Reading, now: float) -> str | None:
        if reading.evicted:
            return self._lag(stream, reading)
        event = reading.peek()
        older = self._states.pop_before(stream, event.track, event.seq, now)
        if older is not None:
            return older.text
        return reading.advance().text

    def _take_behind(self, now: float) -> str | None:
        stream = next(iter(self._behind))
        reading = self._readings[stream]
        text = self._take_event(stream, reading, now)
        self._behind.pop(stream, None)
        if reading.behind and self.cut is None:
            self._behind[stream] = None  # to the end of the line: streams take turns
        return text

    def _take_closed(self, place: int, now: float) -> str | None:
        stream, reading = self._closed[place]
        text = self._take_event(stream, reading, now)
        if not reading.behind and self.cut is None:
            self._closed.pop(place)
        return text

    def _take_past(self) -> str | None:
        past = self._catching.take()
        if past is None:
            return None
        stream, text = past
        self._catch_up(stream)
        return text

    def _catch_up(self, stream: str) -> None:
        """Go on with what is in memory, if it has all that follows what was sent."""
        readings = [reading for whose, reading in self._closed if whose == stream]
        readings += [self._readings[stream]] if stream in self._readings else []
        try:
            place = self._catching.place_in(stream, readings[0].backlog)
        except LookupError:
            self.give_up(stream)
            return
        if place is None:
            return
        seq = self._catching.sent(stream)
        self._catching.end(stream)
        readings[0].next = place
        for reading in readings:  # the stream may be gone and there anew, and all of it is stored
            reading.skip_to(seq)
        self._closed = [e for e in self._closed if e[0] != stream or e[1].behind]
        if stream in self._snapshots and self._snapshots[stream].seq < seq:
            del self._snapshots[stream]
        if stream in self._readings and self._readings[stream].behind:
            self._behind[stream] = None

    def _lag(self, stream: str, reading: Reading) -> str | None:
        if reading.lost_critical:
            self._too_slow(f"too slow: {reading.evicted} events of {stream} were lost")
            return None
        data = LaggedData(
            subscription=self.name,
            dropped=reading.evicted,
            from_seq=reading.sent_seq + 1,
            to_seq=reading.backlog.evicted_seq,
        )
        self._publisher.lagged += reading.evicted
        reading.skip_evicted()
        return encode_lagged(stream, self._publisher.epoch(stream), data, self._publisher.utc())

    def _too_slow(self, reason: str) -> None:
        self.cut_off(Cut(CloseCode.TOO_SLOW, reason.encode()[:123].decode(errors="ignore")))

    def cut_off(self, cut: Cut) -> None:
        """Have the subscriber go, and tell it nothing more."""
        self.cut = cut
        self._snapshots.clear()
        self._closed.clear()
        self._catching.clear()
        self._behind.clear()
        self._states = StateQueue(1.0)
        self._wake()

    # --- the hub's side ---------------------------------------------------------------------

    def join(
        self,
        stream: PublishedStream,
        resume: ResumePoint | None,
        now: float,
        utc: datetime,
        *,
        stored: bool = False,
    ) -> bool:
        """Start following a stream; return False when it could not resume where it was asked to.

        Args:
            stream: which one.
            resume: where to go on; None begins with a snapshot.
            now: monotonic seconds.
            utc: wall clock.
            stored: what memory has lost after that point can be read from the store.
        """
        place = stream.place_of(resume)
        if resume is not None and place is None and stored:
            self._readings[stream.id] = Reading(stream.backlog, stream.backlog.first, resume.seq)
            self._catching.begin(stream.id, resume.seq)
            self._refill(stream, now)
            return True
        begin = stream.backlog.end if place is None else place
        sent = stream.seq if resume is None or place is None else resume.seq
        self._readings[stream.id] = Reading(stream.backlog, begin, sent)
        if place is None:
            self._snapshots[stream.id] = stream.snapshot(now, utc)
        else:
            self._refill(stream, now)
        if self._readings[stream.id].behind and "event" in self.wanted.types:
            self._behind[stream.id] = None
        return resume is None or place is not None

    def leave(self, stream: str) -> None:
        """Stop following a stream that is gone, but keep the place in its last events."""
        reading = self._readings.pop(stream)
        self._behind.pop(stream, None)
        self._snapshots.pop(stream, None)
        self._states.forget_stream(stream)
        behind = reading.behind or stream in self._catching
        if self.cut is not None or not behind or "event" not in self.wanted.types:
            return
        if len(self._closed) >= self._closed_logs:
            self._too_slow("too slow: the last events of removed streams were lost")
            return
        self._closed.append((stream, reading))
        self._wake()

    def tell(self, stream: str) -> None:
        """Take note that a stream has a further event in its backlog."""
        if self.cut is None and "event" in self.wanted.types and stream not in self._catching:
            self._behind[stream] = None
            self._wake()

    def offer(self, message: Message, now: float) -> None:
        """Keep a score or a status until it is taken or replaced by a newer one."""
        if self.cut is not None or message.kind not in self.wanted.types:
            return
        if message.rank < self._rank:
            return
        if self._states.offer(message, now):
            self._publisher.coalesced += 1
        else:
            self._wake()

    def forget(self, stream: str, track: int) -> None:
        """Expect nothing more about a face; what waits of it goes at once."""
        self._states.forget(stream, track)
        self._wake()

    def _refill(self, stream: PublishedStream, now: float) -> None:
        if stream.status is not None:
            self.offer(stream.status, now)
        for message in stream.scores.values():
            self.offer(message, now)
