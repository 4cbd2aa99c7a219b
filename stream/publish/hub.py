"""Fan-out: every event once in, as many times out as there are subscribers that want it.

A sink of the event log. Belongs to the event loop's thread and never waits: whoever reads a
subscription is woken through the callable given to `subscribe`, then takes messages until there
are none. A subscriber that never reads costs what `send_queues` says and hurts nobody else.
Messages carry the number of the event that they tell of, and are made into text once.

Order. Within one stream a subscriber never sees a number above an event that it has still to get,
so the highest number it has seen is always a valid place to resume from. About one face, numbers
only rise. Between streams there is no order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from stream.clock import Clock
from stream.errors import HubFull, StreamUnknown
from stream.event_log.event_log import StampedEvent
from stream.events import IncidentChanged, Score, StreamAdded, StreamRemoved, StreamReport
from stream.publish.client_messages import ResumePoint
from stream.publish.encode import StreamInfo
from stream.publish.published_stream import PublishedStream
from stream.publish.schema import CloseCode
from stream.publish.send_queues import Message
from stream.publish.subscription import Cut, Filter, Subscription

__all__ = ["Cut", "Filter", "Hub", "HubFull", "HubSettings", "StreamInfo", "Subscription"]

COUNTED_CODES: frozenset[int] = frozenset(
    {1000, 1001, 1002, 1003, 1005, 1006, 1007, 1009, 1011, 1012, *map(int, CloseCode)}
)
"""Close codes that are counted by themselves; a client may send any of 4000, counted as 1005."""


@dataclass(frozen=True, slots=True)
class HubSettings:
    """How much the hub keeps.

    Attributes:
        log_events: events per stream that a subscriber may be behind or resume from.
        max_clients: connections at a time; a further one is told to try again later.
        max_tracks: faces per stream whose newest scores are kept; the oldest gives way.
        closed_logs: removed streams whose last events one subscriber may still have to read.
    """

    log_events: int = 1024
    max_clients: int = 256
    max_tracks: int = 64
    closed_logs: int = 64


@dataclass(slots=True, eq=False)
class _Followed:
    """A stream and who follows it."""

    stream: PublishedStream
    subscriptions: dict[Subscription, None]


class Hub:
    """Everything that subscribers are told, and who wants it.

    Args:
        clock: stamps what happens outside events.
        settings: how much is kept.

    Attributes:
        clients: connections now.
        coalesced: states replaced by a newer one before they were sent.
        lagged: events that clients were too slow for.
        stale: scores of an epoch that had ended; not sent.
        missing: events that were lost on the way to this hub.
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
        self.missing = 0
        self.published: Counter[str] = Counter()
        self.disconnects: Counter[int] = Counter()
        self.stopped: Cut | None = None
        self._clock = clock
        self._streams: dict[str, _Followed] = {}
        self._subscriptions: dict[Subscription, None] = {}
        self._leaving: dict[Callable[[], None], None] = {}

    # --- events -----------------------------------------------------------------------------

    def accept(self, stamped: StampedEvent) -> None:
        """Tell subscribers about an event.

        Raises:
            StreamUnknown: the stream was never added, or is removed.
        """
        event = stamped.event
        if isinstance(event, StreamAdded) and event.stream not in self._streams:
            self._add(stamped)
        followed = self._streams.get(event.stream)
        if followed is None:
            if isinstance(event, IncidentChanged):
                return  # an old incident of a stream that is gone: nobody can follow it
            raise StreamUnknown(event.stream)
        stream = followed.stream
        if stream.state.is_late(event):
            self.stale += 1
            return
        gone = stream.apply(stamped)
        match event:
            case Score():
                self._offer(followed, stream.score_message(event, stamped), stamped.now)
            case StreamReport():
                self._offer(followed, stream.status_message(stamped), stamped.now)
            case _:
                stream.event_message(stamped)
                self._tell(followed)
        for track in gone:
            for subscription in followed.subscriptions:
                subscription.forget(stream.id, track)
        if isinstance(event, StreamRemoved):
            del self._streams[stream.id]
            for subscription in followed.subscriptions:
                subscription.leave(stream.id)

    def _add(self, stamped: StampedEvent) -> None:
        limits = self.settings
        stream = PublishedStream(stamped, limits.log_events, limits.max_tracks)
        followed = self._streams[stream.id] = _Followed(stream, {})
        for subscription in self._subscriptions:
            if subscription.wanted.matches(stream.id):
                self._follow(subscription, followed, None, stamped.now, stamped.utc)

    def settle(self, stream: str, missing: int) -> None:
        """Take note that events of a stream before its newest one are to be had from the store.

        Args:
            stream: which one; one that is not there is fine.
            missing: how many of those were never told here. If there are some, who follows the
                stream is asked to connect again, and resumes behind what it got.
        """
        followed = self._streams.get(stream)
        if followed is None:
            return
        followed.stream.settle()
        if missing:
            self.missing += missing
            reason = f"events of {stream} were lost on the way here: resume"
            for subscription in followed.subscriptions:
                subscription.cut_off(Cut(CloseCode.RESTARTING, reason[:123]))

    def stop(self, code: CloseCode = CloseCode.GOING_AWAY, reason: str = "shutting down") -> None:
        """Ask every client to go; later ones are refused."""
        self.stopped = Cut(code, reason)
        for wake in list(self._leaving):
            wake()

    # --- clients ----------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether all places for connections are taken."""
        return self.clients >= self.settings.max_clients

    def enter(self, wake: Callable[[], None]) -> None:
        """Take a place for one connection.

        Args:
            wake: called when the hub stops.

        Raises:
            HubFull: there is none.
        """
        if self.full:
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
        stored: Collection[str] = (),
    ) -> Subscription:
        """Start a subscription.

        Args:
            wanted: what the subscriber wants.
            wake: called whenever there may be something to take, on the hub's thread.
            name: what the subscriber calls it.
            resume: where to go on, by stream; streams that are not named begin with a snapshot.
            stored: streams of which the subscriber reads from the store what memory has lost; see
                `beyond_memory`.
        """
        now, utc = self._clock.monotonic(), self._clock.utc()
        points = dict(resume or {})
        subscription = Subscription(self, name, wanted, wake, self.settings.closed_logs)
        self._subscriptions[subscription] = None
        matching = {id: known for id, known in self._streams.items() if wanted.matches(id)}
        subscription.streams = tuple(matching)
        subscription.gaps = tuple(
            id
            for id, followed in matching.items()
            if not self._follow(
                subscription, followed, points.get(id), now, utc, stored=id in stored
            )
        )
        subscription.resumed = tuple(
            id for id in matching if id in points and id not in subscription.gaps
        )
        wake()
        return subscription

    def beyond_memory(self, wanted: Filter, resume: Mapping[str, ResumePoint]) -> dict[str, int]:
        """Return the numbers to go on from that memory has lost, by stream.

        A number that is still to come is of another server, and not among them.
        """
        if "event" not in wanted.types:
            return {}
        return {
            id: point.seq
            for id, point in resume.items()
            if (followed := self._streams.get(id)) is not None
            if wanted.matches(id) and point.seq < followed.stream.seq
            if followed.stream.place_of(point) is None
        }

    def snapshot(self, stream: str) -> Message | None:
        """Return where a stream stands; None when it is gone."""
        known = self._streams.get(stream)
        if known is None:
            return None
        return known.stream.snapshot(self._clock.monotonic(), self._clock.utc())

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; one that has ended is fine."""
        self._subscriptions.pop(subscription, None)
        for followed in self._streams.values():
            followed.subscriptions.pop(subscription, None)

    def knows(self, stream: str) -> bool:
        """Return whether a stream is there."""
        return stream in self._streams

    def info(self, stream: str) -> StreamInfo:
        """Return what was announced about a stream. Raises StreamUnknown."""
        return self._known(stream).info

    def events(self, stream: str, count: int) -> tuple[str, ...]:
        """Return the newest event messages of a stream, oldest first. Raises StreamUnknown."""
        return tuple(message.text for message in self._known(stream).backlog.newest(count))

    def epoch(self, stream: str) -> int:
        """Return the epoch of a stream, 0 when it is unknown."""
        known = self._streams.get(stream)
        return known.stream.state.epoch if known is not None else 0

    def utc(self) -> datetime:
        """Return the wall clock's time."""
        return self._clock.utc()

    # --- inside -----------------------------------------------------------------------------

    def _known(self, stream: str) -> PublishedStream:
        known = self._streams.get(stream)
        if known is None:
            raise StreamUnknown(stream)
        return known.stream

    def _follow(
        self,
        subscription: Subscription,
        followed: _Followed,
        resume: ResumePoint | None,
        now: float,
        utc: datetime,
        *,
        stored: bool = False,
    ) -> bool:
        followed.subscriptions[subscription] = None
        return subscription.join(followed.stream, resume, now, utc, stored=stored)

    def _offer(self, followed: _Followed, message: Message, now: float) -> None:
        self.published[message.kind] += 1
        for subscription in followed.subscriptions:
            subscription.offer(message, now)

    def _tell(self, followed: _Followed) -> None:
        self.published["event"] += 1
        for subscription in followed.subscriptions:
            subscription.tell(followed.stream.id)
