"""Rolling upgrade: workers are replaced one after the other, while the others have their streams.

Theory of operation. Each worker that was started with other settings or of another version is
drained; once it runs nothing, its process is ended and another one started in its place with the
present settings; when that answers, the drain is taken back, and it is given its share of the
streams. What is done and what is left is seen from the cluster alone: who is up to date says so in
its card, and a drain of an upgrade is marked as such in the director's notes. A round that was
interrupted, however hard, is therefore gone on with by beginning another one: it finishes the
worker that was left drained, or even without a process, and passes over those that are done.

Nothing here knows of Ray: `Crew` ends and starts processes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from stream.clock import Clock
from stream.cluster.errors import UpgradeStuck
from stream.cluster.protocol import Table, WorkerView, is_called
from stream.errors import WorkerGone

WHY = "upgrade"
"""By whom workers are drained here, in the director's notes."""

LOOK_S = 0.5
"""Pause between two looks at how far something is."""

TABLE_S = 2.0
"""Longest wait for a newer table."""


class Steering(Protocol):
    """The director, as far as an upgrade asks it."""

    def table(self, version: int, wait_s: float) -> Awaitable[Table]:
        """Return the table once it is newer."""
        ...

    def drain(
        self, worker: str, *, draining: bool, why: str = "", force: bool = False
    ) -> Awaitable[None]:
        """Move a worker's streams away, or take that back."""
        ...

    def fill(self, worker: str) -> Awaitable[int]:
        """Give a worker its share of the others' streams."""
        ...


class Crew(Protocol):
    """Whoever ends and starts processes."""

    def replace_director(self) -> Awaitable[None]:
        """End the director's process and start another one with the present settings."""
        ...

    def replace(self, worker: str) -> Awaitable[None]:
        """End a worker's process, if there is one, and start another one in its place.

        It has loaded its models when this returns. Raises WorkerGone, or what starting it raised.
        """
        ...


class Phase(StrEnum):
    """How far a worker is."""

    DRAINING = "draining"
    RESTARTING = "restarting"
    FILLING = "filling"
    DONE = "done"
    PASSED_OVER = "passed over"


@dataclass(frozen=True, slots=True)
class Step:
    """What is being done, or was.

    Attributes:
        worker: with it; empty for the director.
        phase: how far it is.
        streams: what it still runs while it is drained, or was given when it is filled.
        called: how many of them are waited for because a peer may be calling.
        number: which worker of the round it is, from 1.
        of: how many there are.
    """

    worker: str
    phase: Phase
    streams: int = 0
    called: int = 0
    number: int = 0
    of: int = 0


@dataclass(slots=True)
class Report:
    """What an upgrade did.

    Attributes:
        replaced: workers that were, in order.
        passed_over: workers that were up to date.
        moves: streams that were moved, from workers and back to them.
        director: whether it was replaced, too.
    """

    replaced: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    moves: int = 0
    director: bool = False


@dataclass(frozen=True, slots=True)
class UpgradeSettings:
    """How a round is made.

    Attributes:
        made_of: digest of what workers are started with now.
        director: digest of what the director is started with now.
        name: what the workers are called that are meant, with a number after it; all if empty.
        force: move configured streams that are being called, too.
        everybody: replace workers that are up to date as well.
        drain_s: how long a worker may take to be empty; calls end by themselves.
        ready_s: how long its successor may take to answer, and to take its streams.
    """

    made_of: str
    director: str
    name: str = ""
    force: bool = False
    everybody: bool = False
    drain_s: float = 900.0
    ready_s: float = 180.0


class Upgrade:
    """One round.

    Args:
        director: drains and fills workers.
        crew: replaces processes.
        settings: how.
        clock: where time comes from.
        told: is told every step.
    """

    def __init__(
        self,
        director: Steering,
        crew: Crew,
        settings: UpgradeSettings,
        clock: Clock,
        told: Callable[[Step], None] = lambda step: None,
    ) -> None:
        self._director = director
        self._crew = crew
        self._settings = settings
        self._clock = clock
        self._told = told
        self._report = Report()
        self._number = self._of = 0
        self._before: set[str] = set()

    async def run(self) -> Report:
        """Replace whoever is not up to date, one after the other.

        Raises:
            UpgradeStuck: a worker is not empty, its successor does not answer, or nobody else is
                there to take its streams. Workers before it are done, and it takes streams as
                before if it is the old one still.
        """
        await self._replace_director()
        table = await self._table()
        self._before = {name for name, why in table.drained.items() if why != WHY}
        found = sorted({*table.workers, *_unfinished(table)})
        names = [worker for worker in found if is_called(worker, self._settings.name)]
        due = [name for name in names if self._is_due(table, name)]
        self._report.passed_over += [name for name in names if name not in due]
        for name in self._report.passed_over:
            self._told(Step(name, Phase.PASSED_OVER))
        self._of = len(due)
        for self._number, name in enumerate(due, 1):
            await self._upgrade(name)
        return self._report

    async def _replace_director(self) -> None:
        """Have a director that knows what is asked of it; workers go on meanwhile."""
        settings = self._settings
        table = await self._table()
        if table.made_of == settings.director and not settings.everybody:
            return
        self._told(Step("", Phase.RESTARTING))
        await self._crew.replace_director()
        number, until = table.director, self._clock.monotonic() + settings.ready_s
        while (await self._table()).director == number:
            await self._pause(until, "", "the director does not come back")
        self._report.director = True
        self._told(Step("", Phase.DONE))

    def _is_due(self, table: Table, name: str) -> bool:
        worker = table.workers.get(name)
        return (
            worker is None or not worker.alive or name in _unfinished(table) or self._is_old(worker)
        )

    def _is_old(self, worker: WorkerView) -> bool:
        return self._settings.everybody or worker.card.made_of != self._settings.made_of

    async def _upgrade(self, name: str) -> None:
        """Replace one worker; whoever drained it before finds it drained."""
        moved, before = 0, (await self._table()).workers.get(name)
        if before is None or not before.alive or self._is_old(before):
            moved = await self._empty(name)
            self._say(name, Phase.RESTARTING)
            await self._crew.replace(name)
            await self._answers(name, before)
        if name not in self._before:
            await self._director.drain(name, draining=False)
            given = await self._fill(name)
            self._report.moves += moved + given
        self._report.replaced.append(name)
        self._say(name, Phase.DONE)

    async def _empty(self, name: str) -> int:
        """Drain a worker, and wait until it runs nothing; return how many streams that moved."""
        table = await self._table()
        worker = table.workers.get(name)
        if worker is None or not worker.alive:
            return 0
        streams = len(worker.streams)
        if streams and not _others(table, name):
            raise UpgradeStuck(name, "no other worker is there to take its streams")
        try:
            await self._director.drain(name, draining=True, why=WHY, force=self._settings.force)
            until = self._clock.monotonic() + self._settings.drain_s
            while left := await self._left(name):
                await self._pause(until, name, f"it still runs {', '.join(left[:5])}")
        except BaseException:
            if name not in self._before:  # it goes on as it was
                await self._director.drain(name, draining=False)
            raise
        return streams

    async def _left(self, name: str) -> tuple[str, ...]:
        """Return what a worker still runs, and say so."""
        table = await self._table()
        worker = table.workers.get(name)
        if worker is None or not worker.alive:
            return ()
        known = [table.streams[stream] for stream in worker.streams if stream in table.streams]
        called = sum(at.worker == name and at.spec.source.url.is_call for at in known)
        self._say(name, Phase.DRAINING, len(worker.streams), called)
        return worker.streams

    async def _answers(self, name: str, before: WorkerView | None) -> None:
        """Wait until a worker's successor is known to the director."""
        old = before.card.incarnation if before is not None else ""
        until = self._clock.monotonic() + self._settings.ready_s
        while True:
            worker = (await self._table()).workers.get(name)
            if worker is not None and worker.alive and worker.card.incarnation != old:
                return
            await self._pause(until, name, "the process in its place does not answer")

    async def _fill(self, name: str) -> int:
        """Give a worker its share, and wait until others have let go and it runs them."""
        given = await self._director.fill(name)
        until = self._clock.monotonic() + self._settings.ready_s
        self._say(name, Phase.FILLING, given)
        while given and not _settled(await self._table(), name):
            await self._pause(until, name, "it does not take the streams that it is given")
        return given

    # --- small ones ---------------------------------------------------------------------------

    async def _table(self) -> Table:
        """Return the table; a director that is being started again is waited for."""
        until = self._clock.monotonic() + self._settings.ready_s
        while True:
            try:
                return await self._director.table(0, TABLE_S)
            except WorkerGone:
                await self._pause(until, "", "the director does not answer")

    async def _pause(self, until: float, name: str, why: str) -> None:
        """Wait a moment. Raises UpgradeStuck when it has taken too long."""
        if self._clock.monotonic() >= until:
            raise UpgradeStuck(name or "director", why)
        await self._clock.sleep(LOOK_S)

    def _say(self, worker: str, phase: Phase, streams: int = 0, called: int = 0) -> None:
        self._told(Step(worker, phase, streams, called, self._number, self._of))


def _unfinished(table: Table) -> Sequence[str]:
    """Return the workers that an upgrade has drained and not taken back."""
    return [name for name, why in table.drained.items() if why == WHY]


def _others(table: Table, name: str) -> bool:
    """Say whether another worker takes streams."""
    return any(
        worker.alive and not worker.draining
        for worker in table.workers.values()
        if worker.card.name != name
    )


def _settled(table: Table, name: str) -> bool:
    """Say whether a worker runs what it owns, and nobody else holds on to that."""
    owned = {stream for stream, at in table.streams.items() if at.worker == name}
    return not any(
        owned & set(worker.streams) for worker in table.workers.values() if worker.card.name != name
    )
