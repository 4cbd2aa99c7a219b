"""Fan-out: every event once in, as many times out as there are subscribers that want it.

Belongs to the event loop's thread and never waits: whoever reads a subscription is woken through
the callable given to `subscribe`, then takes messages until there are none. A subscriber that
never reads costs what `lanes` says and hurts nobody else. Messages are numbered per stream and
made into text once. A number is never used twice, not even after a restart: a stream starts
counting at the wall clock's milliseconds at which it was announced.

Order. Within one stream a subscriber never sees a number above an event that it has still to get,
so the highest number it has seen is always a valid place to resume from. About one face, numbers
only rise. Between streams there is no order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial

from stream.clock import Clock
from stream.errors import HubFull, StreamUnknown
from stream.events import (
    EpochStarted,
    Event,
    Score,
    StreamChanged,
    StreamReport,
    TrackEnded,
    VerdictChanged,
)
from stream.publish.client_messages import DEFAULT_HZ, ResumePoint, StreamType
from stream.publish.encode import (
    Context,
    StreamInfo,
    View,
    encode,
    encode_added,
    encode_lagged,
    encode_removed,
    encode_snapshot,
    state_of,
)
from stream.publish.history import History, HistorySettings
from stream.publish.schema import STATE_RANK, CloseCode, LaggedData, State
from stream.publish.send_queues import EventLog, Message, Reading, StateQueue

__all__ = ["Cut", "Filter", "Hub", "HubFull", "HubSettings", "StreamInfo", "Subscription"]


@dataclass(frozen=True, slots=True)
class HubSettings:
    """How much the hub keeps.

    Attributes:
        log_events: events per stream that a subscriber may be behind or resume from.
        max_clients: connections at a time; a further one is told to try again later.
        max_tracks: faces per stream whose newest scores are kept; the oldest gives way.
        closed_logs: removed streams whose last events one subscriber may still have to read.
        history: how much of every stream's past is kept for those who come late.
    """

    log_events: int = 1024
    max_clients: int = 256
    max_tracks: int = 64
    closed_logs: int = 64
    history: HistorySettings = field(default_factory=HistorySettings)


@dataclass(frozen=True, slots=True)
class Cut:
    """Why a subscriber has to go: the close code and one sentence of at most 123 bytes."""

    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class Filter:
    """What a subscriber wants.

    Attributes:
        streams: ids or globs, of which one must match.
        types: kinds of message.
        max_hz: most messages per second about one face or one stream's status.
        min_state: least state of a score, in the order warming, abstain, ok, suspect.
    """

    streams: tuple[str, ...] = ("*",)
    types: frozenset[StreamType] = frozenset(("score", "event", "status"))
    max_hz: float = DEFAULT_HZ
    min_state: State = "warming"

    def matches(self, stream: str) -> bool:
        """Return whether a stream is wanted."""
        return any(fnmatchcase(stream, pattern) for pattern in self.streams)


class _Stream:
    """What the hub keeps of one stream."""

    def __init__(self, stream: str, info: StreamInfo, floor: int, settings: HubSettings) -> None:
        self.id = stream
        self.info = info
        self.epoch = 0
        self.seq = floor
        self.floor = floor
        self.log = EventLog(settings.log_events, floor)
        self.history = History(settings.history)
        self.change: StreamChanged | None = None
        self.report = StreamReport(stream, 0, 0.0, 0.0, 0, (), None)
        self.scores: dict[tuple[int, str], tuple[Score, Message]] = {}
        self.status: Message | None = None
        self.subscriptions: dict[Subscription, None] = {}
        self._snapshot: Message | None = None

    def context(self, now: float, utc: datetime) -> Context:
        """Take the next number and return what encoding needs."""
        self.seq += 1
        self._snapshot = None
        return Context(self.info, self.seq, now, utc, self.change)

    def snapshot(self, now: float, utc: datetime) -> Message:
        """Return where the stream stands; made once for all who ask before it changes."""
        if self._snapshot is None:
            report = replace(self.report, epoch=self.epoch)
            view = View(report, tuple(score for score, _ in self.scores.values()))
            context = Context(self.info, self.seq, now, utc, self.change)
            text = partial(encode_snapshot, self.id, view, context)
            self._snapshot = Message(self.id, self.seq, "snapshot", text)
        return self._snapshot


class Subscription:
    """What one subscriber still has to get. Made by `Hub.subscribe`; read with `take`.

    Attributes:
        streams: streams that matched when it began.
        resumed: those whose missed events come first.
        gaps: those whose resume point was too old or unknown; they begin with a snapshot.
        cut: set when the subscriber has to go.
    """

    def __init__(
        self, hub: Hub, name: str, wanted: Filter, wake: Callable[[], None], closed_logs: int
    ) -> None:
        self.name = name
        self.wanted = wanted
        self.streams: tuple[str, ...] = ()
        self.resumed: tuple[str, ...] = ()
        self.gaps: tuple[str, ...] = ()
        self.cut: Cut | None = None
        self._hub = hub
        self._wake = wake
        self._closed_logs = closed_logs
        self._rank = STATE_RANK[wanted.min_state]
        self._states = StateQueue(1.0 / wanted.max_hz)
        self._snapshots: dict[str, Message] = {}
        self._readings: dict[str, Reading] = {}
        self._closed: list[tuple[str, Reading]] = []
        self._behind: dict[str, None] = {}

    # --- reading ----------------------------------------------------------------------------

    def take(self, now: float) -> str | None:
        """Return the next message to send, or None when there is none now.

        The last events of removed streams go first, then snapshots, then events, then states; but
        about one face, what is older goes first. When the subscriber was too slow for what must
        not be lost, `cut` is set and nothing more comes.
        """
        if self.cut is not None:
            return None
        if self._closed:
            return self._take_closed(now)
        if self._snapshots:
            return self._snapshots.pop(next(iter(self._snapshots))).text
        if self._behind:
            return self._take_behind(now)
        state = self._states.pop(now)
        return state.text if state is not None else None

    def due(self) -> float | None:
        """Return the monotonic time at which a held state may go; None when none is held."""
        return self._states.due()

    def close(self) -> None:
        """Stop wanting anything; safe to call more than once."""
        self._hub.unsubscribe(self)

    @property
    def waiting(self) -> int:
        """States and snapshots that wait; events wait in the streams' logs."""
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

    def _take_closed(self, now: float) -> str | None:
        stream, reading = self._closed[0]
        text = self._take_event(stream, reading, now)
        if not reading.behind and self.cut is None:
            self._closed.pop(0)
        return text

    def _lag(self, stream: str, reading: Reading) -> str | None:
        if reading.lost_critical:
            self._cut_off(f"too slow: {reading.evicted} events of {stream} were lost")
            return None
        data = LaggedData(
            subscription=self.name,
            dropped=reading.evicted,
            from_seq=reading.sent_seq + 1,
            to_seq=reading.log.evicted_seq,
        )
        self._hub.lagged += reading.evicted
        reading.skip_evicted()
        return encode_lagged(stream, self._hub.epoch(stream), data, self._hub.utc())

    def _cut_off(self, reason: str) -> None:
        self.cut = Cut(CloseCode.TOO_SLOW, reason.encode()[:123].decode(errors="ignore"))
        self._snapshots.clear()
        self._closed.clear()
        self._behind.clear()
        self._states = StateQueue(1.0)
        self._wake()

    # --- writing: called by the hub ---------------------------------------------------------

    def _join(self, stream: _Stream, resume: ResumePoint | None, now: float, utc: datetime) -> bool:
        """Start following a stream; return False when it could not resume where it was asked to."""
        place = _resume(stream, resume)
        begin = stream.log.end if place is None else place
        sent = stream.seq if resume is None or place is None else resume.seq
        self._readings[stream.id] = Reading(stream.log, begin, sent)
        if place is None:
            self._snapshots[stream.id] = stream.snapshot(now, utc)
        else:
            self._refill(stream, now)
        if self._readings[stream.id].behind and "event" in self.wanted.types:
            self._behind[stream.id] = None
        return resume is None or place is not None

    def _refill(self, stream: _Stream, now: float) -> None:
        if stream.status is not None:
            self._offer(stream.status, now)
        for _, message in stream.scores.values():
            self._offer(message, now)

    def _leave(self, stream: _Stream) -> None:
        """Stop following a stream that is gone, but keep the place in its last events."""
        reading = self._readings.pop(stream.id)
        self._behind.pop(stream.id, None)
        self._snapshots.pop(stream.id, None)
        self._states.forget_stream(stream.id)
        if self.cut is not None or not reading.behind or "event" not in self.wanted.types:
            return
        if len(self._closed) >= self._closed_logs:
            self._cut_off("too slow: the last events of removed streams were lost")
            return
        self._closed.append((stream.id, reading))
        self._wake()

    def _tell(self, stream: str) -> None:
        if self.cut is None and "event" in self.wanted.types:
            self._behind[stream] = None
            self._wake()

    def _offer(self, message: Message, now: float) -> None:
        if self.cut is not None or message.kind not in self.wanted.types:
            return
        if message.rank < self._rank:
            return
        if self._states.offer(message, now):
            self._hub.coalesced += 1
        else:
            self._wake()

    def _forget(self, stream: str, track: int) -> None:
        self._states.forget(stream, track)
        self._wake()


class Hub:
    """Everything that subscribers are told, and who wants it.

    Args:
        clock: stamps what happens outside `publish`.
        settings: how much is kept.

    Attributes:
        clients: connections now.
        coalesced: states replaced by a newer one before they were sent.
        lagged: events that clients were too slow for.
        stale: scores of an epoch that had ended; not sent.
        published: messages by type, counted once for all subscribers.
        disconnects: connections gone, by close code.
        stopped: set once everybody is asked to go.
    """

    def __init__(self, clock: Clock, settings: HubSettings | None = None) -> None:
        self.settings = settings or HubSettings()
        self.clients = 0
        self.coalesced = 0
        self.lagged = 0
        self.stale = 0
        self.published: Counter[str] = Counter()
        self.disconnects: Counter[int] = Counter()
        self.stopped: Cut | None = None
        self._clock = clock
        self._streams: dict[str, _Stream] = {}
        self._subscriptions: dict[Subscription, None] = {}
        self._last_seq = 0
        self._leaving: dict[Callable[[], None], None] = {}

    # --- producers --------------------------------------------------------------------------

    def announce(self, stream: str, info: StreamInfo) -> None:
        """Make a stream known, or replace what is known of it."""
        now, utc = self._clock.monotonic(), self._clock.utc()
        known = self._streams.get(stream)
        if known is not None:
            known.info = info
        else:
            floor = max(int(utc.timestamp() * 1000), self._last_seq + 1)
            known = _Stream(stream, info, floor, self.settings)
            self._streams[stream] = known
            for subscription in self._subscriptions:
                if subscription.wanted.matches(stream):
                    self._follow(subscription, known, None, now, utc)
        context = known.context(now, utc)
        text = partial(encode_added, stream, known.epoch, context)
        self._log(known, Message(stream, context.seq, "event", text))

    def publish(self, event: Event, now: float, utc: datetime) -> None:
        """Tell subscribers about an event of an announced stream.

        Args:
            event: what happened.
            now: monotonic seconds.
            utc: the wall clock's time.

        Raises:
            StreamUnknown: the stream was never announced, or is retired.
        """
        stream = self._streams.get(event.stream)
        if stream is None:
            raise StreamUnknown(event.stream)
        if isinstance(event, Score) and event.epoch < stream.epoch:
            self.stale += 1
            return
        stream.epoch = max(stream.epoch, event.epoch)
        match event:
            case Score():
                self._publish_score(stream, event, now, utc)
            case StreamReport():
                stream.report = event
                stream.history.note_report(event, utc.timestamp())
                self._publish_status(stream, now, utc)
            case StreamChanged():
                stream.change = event
                self._publish_event(stream, event, now, utc)
                self._publish_status(stream, now, utc)
            case EpochStarted():
                self._publish_event(stream, event, now, utc)
                for track in {
                    t for (t, _), (s, _) in stream.scores.items() if s.epoch < event.epoch
                }:
                    self._forget(stream, track)
            case TrackEnded(track=track):
                self._publish_event(stream, event, now, utc)
                self._forget(stream, track)
            case _:
                self._publish_event(stream, event, now, utc)

    def retire(self, stream: str) -> None:
        """Forget a stream; its subscribers are told. Unknown streams are fine."""
        known = self._streams.get(stream)
        if known is None:
            return
        context = known.context(self._clock.monotonic(), self._clock.utc())
        text = partial(encode_removed, stream, known.epoch, context)
        self._log(known, Message(stream, context.seq, "event", text, critical=True))
        del self._streams[stream]
        self._last_seq = max(self._last_seq, known.seq)
        for subscription in known.subscriptions:
            subscription._leave(known)

    def stop(self, code: CloseCode = CloseCode.GOING_AWAY, reason: str = "shutting down") -> None:
        """Ask every client to go; later ones are refused."""
        self.stopped = Cut(code, reason)
        for wake in list(self._leaving):
            wake()

    # --- clients ----------------------------------------------------------------------------

    def enter(self, wake: Callable[[], None]) -> None:
        """Take a place for one connection.

        Args:
            wake: called when the hub stops.

        Raises:
            HubFull: there is none.
        """
        if self.clients >= self.settings.max_clients:
            raise HubFull(self.settings.max_clients)
        self.clients += 1
        self._leaving[wake] = None

    def leave(self, wake: Callable[[], None], code: int) -> None:
        """Give the place back and count why."""
        self.clients -= 1
        self.disconnects[code] += 1
        self._leaving.pop(wake, None)

    def subscribe(
        self,
        wanted: Filter,
        wake: Callable[[], None],
        *,
        name: str = "",
        resume: Mapping[str, ResumePoint] | None = None,
    ) -> Subscription:
        """Start a subscription.

        Args:
            wanted: what the subscriber wants.
            wake: called whenever there may be something to take, on the hub's thread.
            name: what the subscriber calls it.
            resume: where to go on, by stream; streams that are not named begin with a snapshot.
        """
        now, utc = self._clock.monotonic(), self._clock.utc()
        points = dict(resume or {})
        subscription = Subscription(self, name, wanted, wake, self.settings.closed_logs)
        self._subscriptions[subscription] = None
        matching = [s for s in self._streams.values() if wanted.matches(s.id)]
        gaps = [
            stream.id
            for stream in matching
            if not self._follow(subscription, stream, points.get(stream.id), now, utc)
        ]
        subscription.streams = tuple(stream.id for stream in matching)
        subscription.gaps = tuple(gaps)
        subscription.resumed = tuple(
            s.id for s in matching if s.id in points and s.id not in subscription.gaps
        )
        wake()
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; one that has ended is fine."""
        self._subscriptions.pop(subscription, None)
        for stream in self._streams.values():
            stream.subscriptions.pop(subscription, None)

    def knows(self, stream: str) -> bool:
        """Return whether a stream is announced."""
        return stream in self._streams

    def info(self, stream: str) -> StreamInfo:
        """Return what was announced about a stream. Raises StreamUnknown."""
        known = self._streams.get(stream)
        if known is None:
            raise StreamUnknown(stream)
        return known.info

    def history(self, stream: str) -> History:
        """Return the last minutes of a stream. Raises StreamUnknown."""
        known = self._streams.get(stream)
        if known is None:
            raise StreamUnknown(stream)
        return known.history

    def events(self, stream: str, count: int) -> tuple[str, ...]:
        """Return the newest event messages of a stream, oldest first. Raises StreamUnknown."""
        known = self._streams.get(stream)
        if known is None:
            raise StreamUnknown(stream)
        return tuple(message.text for message in known.log.newest(count))

    def epoch(self, stream: str) -> int:
        """Return the epoch of a stream, 0 when it is unknown."""
        known = self._streams.get(stream)
        return known.epoch if known is not None else 0

    def utc(self) -> datetime:
        """Return the wall clock's time."""
        return self._clock.utc()

    # --- inside -----------------------------------------------------------------------------

    def _follow(
        self,
        subscription: Subscription,
        stream: _Stream,
        resume: ResumePoint | None,
        now: float,
        utc: datetime,
    ) -> bool:
        stream.subscriptions[subscription] = None
        return subscription._join(stream, resume, now, utc)

    def _publish_score(self, stream: _Stream, score: Score, now: float, utc: datetime) -> None:
        stream.history.note_score(score, utc.timestamp() - max(now - score.arrived, 0.0))
        context = stream.context(now, utc)
        rank = STATE_RANK[state_of(score)]
        text = partial(encode, score, context)
        message = Message(
            stream.id,
            context.seq,
            "score",
            text,
            track=score.track,
            detector=score.detector,
            rank=rank,
        )
        stream.scores[score.track, score.detector] = (score, message)
        if len(stream.scores) > self.settings.max_tracks:
            tracks = dict.fromkeys(track for track, _ in stream.scores)
            if len(tracks) > self.settings.max_tracks:
                self._forget(stream, next(iter(tracks)))
        self._offer(stream, message, now)

    def _publish_status(self, stream: _Stream, now: float, utc: datetime) -> None:
        stream.report = replace(stream.report, epoch=stream.epoch)
        context = stream.context(now, utc)
        text = partial(encode, stream.report, context)
        stream.status = Message(stream.id, context.seq, "status", text)
        self._offer(stream, stream.status, now)

    def _publish_event(self, stream: _Stream, event: Event, now: float, utc: datetime) -> None:
        context = stream.context(now, utc)
        message = Message(
            stream.id,
            context.seq,
            "event",
            partial(encode, event, context),
            track=getattr(event, "track", None),
            critical=isinstance(event, VerdictChanged | TrackEnded),
        )
        self._log(stream, message)

    def _offer(self, stream: _Stream, message: Message, now: float) -> None:
        self.published[message.kind] += 1
        for subscription in stream.subscriptions:
            subscription._offer(message, now)

    def _log(self, stream: _Stream, message: Message) -> None:
        self.published["event"] += 1
        stream.log.append(message)
        for subscription in stream.subscriptions:
            subscription._tell(stream.id)

    def _forget(self, stream: _Stream, track: int) -> None:
        own = [key for key in stream.scores if key[0] == track]
        if not own:
            return
        for key in own:
            del stream.scores[key]
        for subscription in stream.subscriptions:
            subscription._forget(stream.id, track)


def _resume(stream: _Stream, point: ResumePoint | None) -> int | None:
    """Return the ordinal to go on from, or None when the point is missing, too old or foreign."""
    if point is None or not stream.floor <= point.seq <= stream.seq or point.epoch > stream.epoch:
        return None
    return stream.log.after(point.seq)
