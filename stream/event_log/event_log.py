"""The event log: stamps each event once and hands it to every sink, in one order.

Belongs to one thread, the event loop's, and never waits. A sink that has something slow to do
stands behind a `QueuedSink`. A sink that raises is logged and counted; the others get the event
all the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import structlog

from stream.canary import is_canary
from stream.clock import Clock
from stream.event_log.ids import EventIds
from stream.events import Event

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StampedEvent:
    """An event with its number and its times.

    Attributes:
        id: rises with every event, across all streams and restarts; below 2**53.
        now: monotonic seconds at which it was logged.
        utc: the wall clock's time at which it was logged.
        event: what happened.
    """

    id: int
    now: float
    utc: datetime
    event: Event


class EventSink(Protocol):
    """A consumer of all events."""

    def accept(self, stamped: StampedEvent) -> None:
        """Take the next event; called on the log's thread, so it must be quick."""
        ...


class EventLog:
    """Every event once in, once out to each sink.

    Args:
        clock: where the stamps' times come from.
        ids: where their numbers come from; numbers of this process alone when left out.

    Attributes:
        failures: events that a sink raised at.
    """

    def __init__(self, clock: Clock, ids: EventIds | None = None) -> None:
        self.failures = 0
        self._clock = clock
        self._ids = ids or EventIds()
        self._sinks: tuple[tuple[EventSink, bool], ...] = ()
        self._waiting: deque[StampedEvent] = deque()
        self._delivering = False

    def attach(self, sink: EventSink, *, canaries: bool = False) -> None:
        """Hand a sink every event from now on, after the sinks that are attached already.

        Args:
            sink: takes them.
            canaries: hand it those of canaries, too, which are in nobody's counts otherwise.
        """
        self._sinks += ((sink, canaries),)

    def append(self, event: Event) -> StampedEvent:
        """Stamp an event and hand it to every sink.

        A sink may append events itself: they are handed out after the one that it was given, so
        all sinks see the same order.
        """
        stamped = StampedEvent(self._ids.next(), self._clock.monotonic(), self._clock.utc(), event)
        self._put(stamped)
        return stamped

    def relay(self, stamped: StampedEvent) -> StampedEvent:
        """Hand every sink an event of another log, under the number and the UTC that it has there.

        Only its monotonic time is this log's, because other processes have other clocks.
        """
        stamped = replace(stamped, now=self._clock.monotonic())
        self._put(stamped)
        return stamped

    def _put(self, stamped: StampedEvent) -> None:
        self._waiting.append(stamped)
        if not self._delivering:
            self._deliver()

    def _deliver(self) -> None:
        self._delivering = True
        try:
            while self._waiting:
                stamped = self._waiting.popleft()
                apart = is_canary(stamped.event.stream)
                for sink, canaries in self._sinks:
                    if canaries or not apart:
                        self._hand(sink, stamped)
        finally:
            self._delivering = False

    def _hand(self, sink: EventSink, stamped: StampedEvent) -> None:
        try:
            sink.accept(stamped)
        except Exception:
            self.failures += 1
            log.exception(
                "a sink failed on an event",
                sink=type(sink).__name__,
                id=stamped.id,
                kind=type(stamped.event).__name__,
            )
