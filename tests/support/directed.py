"""Some workers that run nothing and a director over them, whose time is in the test's hands."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any, TypeVar

from stream.clock import ManualClock
from stream.cluster.director import Director
from stream.cluster.protocol import Table, WorkerHandle
from stream.cluster.settings import ClusterSettings
from stream.store.errors import StoreUnavailable
from tests.support.cluster import LocalHandle
from tests.support.workers import PaperWorker, spec

T = TypeVar("T")

SETTINGS = ClusterSettings()
STEPS, TURNS = 4, 10
"""Steps, and after each turns of the event loop in which everything that can go on has gone on."""


class PaperNotes:
    """Notes that outlive a director; `away` while the store cannot be asked."""

    def __init__(self, newest: Mapping[str, int] | None = None) -> None:
        self.away = False
        self.kept: dict[str, str] = {}
        self.seen = newest or {}

    async def drained(self) -> Mapping[str, str]:
        """Return who is drained."""
        self.asked()
        return dict(self.kept)

    async def newest(self) -> Mapping[str, int]:
        """Return the newest generations."""
        self.asked()
        return self.seen

    async def keep(self, drained: Mapping[str, str]) -> None:
        """Write who is drained."""
        self.asked()
        self.kept = dict(drained)

    def asked(self) -> None:
        """Fail while the store is away."""
        if self.away:
            raise StoreUnavailable("store", "is away")


class Cluster:
    """Some workers and a director, whose time is in the test's hands."""

    def __init__(
        self,
        *workers: PaperWorker,
        numbers: itertools.count[int] | None = None,
        notes: PaperNotes | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.notes = notes
        self.numbers = numbers or itertools.count(1024)
        self.workers = {worker.name: worker for worker in workers}
        self.handles = {name: LocalHandle(at, name) for name, at in self.workers.items()}
        self.restarted: list[str] = []
        self.made_of = ""
        self.director = self.begin()

    def begin(self) -> Director:
        """Return a director that knows nothing yet."""
        return Director(
            self.find,
            SETTINGS,
            self.clock,
            lambda: next(self.numbers),
            self.restart,
            self.notes,
            self.made_of,
        )

    async def find(self) -> Mapping[str, WorkerHandle]:
        """Return the workers."""
        return dict(self.handles)

    async def restart(self, name: str) -> None:
        """Have another process come in a worker's place."""
        self.restarted.append(name)
        self.workers[name].restart()

    async def pass_(self, seconds: float = 0.0) -> None:
        """Let time pass in small steps, and everything go on that can."""
        left = seconds
        while True:
            for _ in range(STEPS):
                self.director.step()
                for _ in range(TURNS):
                    await asyncio.sleep(0)
            if left <= 0:
                return
            self.clock.advance(min(left, 0.5))
            left -= 0.5

    async def asked(self, question: Coroutine[Any, Any, T], seconds: float = 0.0) -> T:
        """Return the director's answer, or raise what it raises."""
        task = asyncio.ensure_future(question)
        await self.pass_(seconds)
        assert task.done(), "the director has not answered"
        return task.result()

    async def table(self) -> Table:
        """Return the table as it is."""
        return await self.director.table(0, 0.0)

    async def owners(self) -> dict[str, str]:
        """Return who owns what."""
        return {id: owned.worker for id, owned in (await self.table()).streams.items()}

    async def holders(self) -> dict[str, list[str]]:
        """Return who runs what."""
        streams = (await self.table()).streams
        return {s: [n for n, w in self.workers.items() if s in w.owned] for s in streams}


def run(test: Awaitable[None]) -> None:
    """Run a test on an event loop of its own."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test

    asyncio.run(bounded())


async def filled(*workers: PaperWorker, streams: int = 4) -> Cluster:
    """Return a cluster whose workers have some streams."""
    cluster = Cluster(*workers)
    await cluster.pass_()
    for number in range(streams):
        await cluster.asked(cluster.director.add(spec(f"s{number}")))
    await cluster.pass_(1.0)
    return cluster
