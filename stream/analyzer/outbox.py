"""Events on their way from threads to the event loop: bounded, and the oldest give way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stream.clock import Clock
from stream.events import Event
from stream.scheduling.mailbox import Mailbox, Overflow


@dataclass(frozen=True, slots=True, eq=False)
class _Handed:
    """An event, and when it was handed over."""

    event: Event
    at: float


class Outbox:
    """A bounded queue that any thread fills and that the event loop empties.

    Args:
        capacity: events that may wait.
        clock: where time comes from.
        take: takes each event, on the event loop.
        observe: told for how many seconds each event has waited.
    """

    def __init__(
        self,
        capacity: int,
        clock: Clock,
        take: Callable[[Event], None],
        observe: Callable[[float], None],
    ) -> None:
        self._clock = clock
        self._take = take
        self._observe = observe
        self._mailbox: Mailbox[_Handed] = Mailbox(capacity, Overflow.DROP_OLDEST, wake=self._ring)
        self._ringing = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let events go to an event loop from now on."""
        self._loop = loop

    def put(self, events: Iterable[Event]) -> None:
        """Hand events over; for any thread."""
        now = self._clock.monotonic()
        for event in events:
            self._mailbox.put(_Handed(event, now))

    def drain(self) -> None:
        """Take what waits, at most as much as fits; on the event loop."""
        self._ringing.clear()
        for _ in range(self._mailbox.capacity):
            handed = self._mailbox.take()
            if handed is None:
                return
            self._observe(self._clock.monotonic() - handed.at)
            self._take(handed.event)

    @property
    def dropped(self) -> int:
        """Events that gave way."""
        return self._mailbox.dropped

    def _ring(self) -> None:
        """Wake the event loop, once for any number of waiting events."""
        if self._ringing.is_set() or self._loop is None:
            return
        self._ringing.set()
        try:
            self._loop.call_soon_threadsafe(self.drain)
        except RuntimeError:
            self._ringing.clear()  # the loop has closed: nobody is left to tell
