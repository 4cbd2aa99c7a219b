"""A bounded queue between the event log and a sink that may be slow.

The log's thread puts events in and never waits; the sink's own thread or task takes them out with
`deliver`. What the queue cannot hold gives way by a named policy, is counted, and the sink is told
which numbers are missing, at the place where they are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from stream.event_log.event_log import EventSink, StampedEvent
from stream.scheduling.mailbox import Overflow


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of events that a sink was too slow for.

    Attributes:
        count: how many.
        first_id: number of the first one.
        last_id: number of the last one.
    """

    count: int
    first_id: int
    last_id: int

    @classmethod
    def at(cls, stamped: StampedEvent) -> Gap:
        """Return the gap that one event leaves."""
        return cls(1, stamped.id, stamped.id)

    def joined(self, later: Gap | None) -> Gap:
        """Return this gap together with one that follows it directly."""
        if later is None:
            return self
        return Gap(self.count + later.count, self.first_id, later.last_id)


class GapAwareSink(EventSink, Protocol):
    """A sink that may miss events and is told so."""

    def miss(self, gap: Gap) -> None:
        """Take note that events are missing between the last one and the next one."""
        ...


@dataclass(slots=True)
class _Entry:
    stamped: StampedEvent
    gap: Gap | None = None  # directly before it


class QueuedSink:
    """Stands in the event log for a slow sink.

    Args:
        sink: gets the events on whatever thread calls `deliver`.
        capacity: events that may wait, at least 1.
        overflow: what gives way when as many wait: the oldest of them, or the new one.
        wake: called after every event that was taken in, on the log's thread.

    Attributes:
        dropped: events that gave way; only grows.
    """

    def __init__(
        self,
        sink: GapAwareSink,
        capacity: int,
        overflow: Overflow = Overflow.DROP_OLDEST,
        wake: Callable[[], None] | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"a queue holds at least one event, not {capacity}")
        self.dropped = 0
        self._sink = sink
        self._capacity = capacity
        self._overflow = overflow
        self._wake = wake
        self._lock = threading.Lock()
        self._entries: deque[_Entry] = deque()
        self._trailing: Gap | None = None  # behind the last entry

    def __len__(self) -> int:
        return len(self._entries)

    def accept(self, stamped: StampedEvent) -> None:
        """Take an event from the log; never waits."""
        with self._lock:
            if len(self._entries) < self._capacity:
                self._append(stamped)
            elif self._overflow is Overflow.DROP_OLDEST:
                self._drop_oldest()
                self._append(stamped)
            else:
                self.dropped += 1
                new = Gap.at(stamped)
                self._trailing = self._trailing.joined(new) if self._trailing else new
        if self._wake is not None:
            self._wake()

    def deliver(self) -> bool:
        """Hand the next event, or the gap before it, to the sink; return False if there is none."""
        with self._lock:
            gap, self._trailing, entry = self._next()
        if gap is not None:
            self._sink.miss(gap)
        if entry is not None:
            self._sink.accept(entry.stamped)
        return gap is not None or entry is not None

    def _next(self) -> tuple[Gap | None, Gap | None, _Entry | None]:
        if not self._entries:
            return self._trailing, None, None
        entry = self._entries.popleft()
        return entry.gap, self._trailing, entry

    def _append(self, stamped: StampedEvent) -> None:
        self._entries.append(_Entry(stamped, self._trailing))
        self._trailing = None

    def _drop_oldest(self) -> None:
        self.dropped += 1
        oldest = self._entries.popleft()
        gap = Gap.at(oldest.stamped)
        if oldest.gap is not None:
            gap = oldest.gap.joined(gap)
        if self._entries:
            self._entries[0].gap = gap.joined(self._entries[0].gap)
        else:
            self._trailing = gap.joined(self._trailing)
