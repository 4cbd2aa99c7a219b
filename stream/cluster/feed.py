"""Feed of a worker: its newest events, in a ring that any number of readers read at their pace.

A reader names the position where it goes on. What it has not read when the ring is full gives way:
it is told how much that was, and begins anew with a recap. Belongs to the event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice

from stream.cluster.protocol import Batch, Told
from stream.cluster.recap import Recap
from stream.event_log.event_log import StampedEvent
from stream.events import StreamRemoved

MAX_BATCH = 2048
"""Events in one answer; a reader that is behind asks again at once."""


class Feed:
    """Events with positions; a sink of the event log.

    Args:
        incarnation: of this process.
        size: events that are kept.
        generation: returns that of a stream's ownership; 0 of one that is not owned.

    Attributes:
        end: position after the newest event.
        lost: events that readers fell behind by, all together.
        recap: what new readers are told first.
    """

    def __init__(self, incarnation: str, size: int, generation: Callable[[str], int]) -> None:
        self.end = 0
        self.lost = 0
        self.recap = Recap()
        self._incarnation = incarnation
        self._generation = generation
        self._ring: deque[Told] = deque(maxlen=size)
        self._news = asyncio.Event()

    def accept(self, stamped: StampedEvent) -> None:
        """Take the next event; that a stream has moved is nothing to tell."""
        self.recap.accept(stamped)
        if isinstance(stamped.event, StreamRemoved) and stamped.event.moved:
            return
        self._ring.append(Told(self._generation(stamped.event.stream), stamped))
        self.end += 1
        self._news.set()

    async def read(self, position: int | None, incarnation: str, wait_s: float) -> Batch:
        """Return events from a position on; see `WorkerHandle.feed`."""
        if position is None or incarnation != self._incarnation or position > self.end:
            return self._anew(0)
        if position == self.end:
            await self._wait(wait_s)
        begin = self.end - len(self._ring)
        if position < begin:
            return self._anew(begin - position)
        told = tuple(islice(self._ring, position - begin, position - begin + MAX_BATCH))
        return Batch(self._incarnation, position + len(told), told)

    async def _wait(self, wait_s: float) -> None:
        """Wait for a further event, but not for long.

        Whoever clears the mark has read everything; others that wait have been woken before.
        """
        self._news.clear()
        try:
            async with asyncio.timeout(wait_s):
                await self._news.wait()
        except TimeoutError:
            pass

    def _anew(self, lost: int) -> Batch:
        """Return what a reader is told that knows nothing, or not what was last."""
        self.lost += lost
        recap = self.recap
        told = tuple(
            Told(self._generation(stream), stamped)
            for stream in recap.streams
            for stamped in recap.of(stream)
        )
        return Batch(self._incarnation, self.end, told, fresh=True, lost=lost)
