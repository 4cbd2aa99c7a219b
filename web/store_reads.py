"""Reads of the store for requests: in worker threads, a few at a time.

Policy: a few are read at a time, some more wait in the order in which they came, and a further one
is refused (503, with Retry-After), so that whoever asks about the past never takes the threads that
live video needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from stream.monitoring.metrics import Figure
from stream.store.access import StoreAccess
from stream.store.errors import StoreOff
from web.errors import StoreBusy

T = TypeVar("T")


class StoreReads:
    """The places for reads. Belongs to the event loop.

    Args:
        store: what is read; None when nothing is stored.
        at_once: reads at a time.
        waiting: further reads that may wait.

    Attributes:
        taken: reads that run or wait.
        refused: reads that there was no place for.
    """

    def __init__(self, store: StoreAccess | None, at_once: int = 2, waiting: int = 16) -> None:
        self.taken = 0
        self.refused = 0
        self._store = store
        self._places = at_once + waiting
        self._free = asyncio.Semaphore(at_once)
        self._running: set[asyncio.Task[object]] = set()

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Return what a query returns. It runs in a worker thread, to its end.

        Raises:
            StoreOff: nothing is stored.
            StoreBusy: all places are taken.
            StoreUnavailable: the database cannot be read.
        """
        store = self._store
        if store is None:
            raise StoreOff
        if self.taken >= self._places:
            self.refused += 1
            raise StoreBusy(f"all {self._places} places are taken")

        def work() -> T:
            with store.reading() as connection:
                return query(connection)

        self.taken += 1
        task = asyncio.ensure_future(self._run(work))
        self._running.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)  # a client that leaves does not end the thread

    async def _run(self, work: Callable[[], T]) -> T:
        async with self._free:
            return await asyncio.to_thread(work)

    def _done(self, task: asyncio.Task[object]) -> None:
        self.taken -= 1
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever asked, if they are still there


@dataclass(frozen=True, slots=True)
class ReadPlaces:
    """The places of everybody who reads the store.

    Attributes:
        requests: of HTTP requests.
        resuming: of subscribers that go on after events that only the store still has.
    """

    requests: StoreReads
    resuming: StoreReads

    @classmethod
    def of(cls, store: StoreAccess | None) -> ReadPlaces:
        """Return free places; a thousand clients that come back at once wait for their turn."""
        return cls(StoreReads(store), StoreReads(store, at_once=1, waiting=1024))

    def figures(self) -> Iterator[Figure]:
        """Yield how many reads were refused, by why they were made; called at scrape time."""
        yield Figure("store_reads_refused_total", self.requests.refused, ("request",))
        yield Figure("store_reads_refused_total", self.resuming.refused, ("resume",))
