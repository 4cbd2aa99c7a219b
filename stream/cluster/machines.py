"""Machines and their workers, as the web shows and drains them.

`OneProcess` answers where a single process does everything; `Cluster` is a view of what the
director last told, and of the workers' own figures.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from stream.analyzer.streams import Health, StreamStatus
from stream.cluster.figures import cluster_figures
from stream.cluster.protocol import Table, WorkerCard, WorkerView, is_called
from stream.errors import OnlyWorker, StreamError, WorkerUnknown
from stream.events import DegradationLevel
from stream.monitoring.metrics import Figure
from styleflow.cards import ModelCard

log = structlog.get_logger(__name__)

WITHIN_S = 1.0
"""How long a scrape waits for a worker's metrics."""

NOTHING_TOLD = Table(-1, {}, {})

THIS_PROCESS = "this process"
"""Name of the only worker where there is no cluster."""


class Machines(Protocol):
    """The workers behind the web: what they do, and which are to do nothing more."""

    @property
    def several(self) -> bool:
        """Whether streams are given to workers, rather than run in this process."""
        ...

    def table(self) -> Table:
        """Return what is known of workers and streams now."""
        ...

    def worker_of(self, stream: str) -> str:
        """Return the name of a stream's worker; empty if it has none, or there is no cluster."""
        ...

    def outdated(self, worker: WorkerView) -> bool:
        """Say whether a worker was started with other settings, or of another version."""
        ...

    def drain(self, worker: str, *, draining: bool, force: bool = False) -> Awaitable[None]:
        """Move a worker's streams away and give it no more, or take that back.

        Calls are waited for, unless configured streams are to be moved by force.

        Raises WorkerUnknown, or OnlyWorker where there is no other.
        """
        ...

    def metrics(self) -> Awaitable[Mapping[str, str]]:
        """Return by worker its metrics in Prometheus's text format, of those that answer in time.

        The metrics of this process are not among them.
        """
        ...

    def miss(self, worker: str, why: str) -> None:
        """Count that a worker's metrics are missing."""
        ...


class Lone(Protocol):
    """The analyzer of a single process, as far as it is asked how it is doing."""

    def statuses(self) -> tuple[StreamStatus, ...]:
        """Return how every stream stands, ordered by id."""
        ...

    def health(self) -> Health:
        """Return whether the process is live and ready."""
        ...


class Drainer(Protocol):
    """The director, as far as it drains workers."""

    def drain(self, worker: str, *, draining: bool, force: bool = False) -> Awaitable[None]:
        """Move a worker's streams away and give it no more, or take that back."""
        ...


class Measured(Protocol):
    """A worker, as far as it says its figures."""

    def metrics(self) -> Awaitable[str]:
        """Return its figures in Prometheus's text format."""
        ...


@dataclass(frozen=True, slots=True)
class Load:
    """How much a single process has to do.

    Attributes:
        busy: share of time that its device thread computed lately, 0..1.
        degradation: level of what it leaves out, 0 none.
    """

    busy: float = 0.0
    degradation: int = 0


class OneProcess:
    """A process that does everything itself, shown as the only worker.

    Args:
        control: its analyzer.
        models: tells which models score its streams.
        version: of this program.
        device: what it computes on.
        max_streams: how many it takes at most; 0 when that is not known.
        load: tells how much it has to do.
    """

    several = False

    def __init__(
        self,
        control: Lone,
        models: Callable[[], Sequence[ModelCard]],
        version: str,
        device: str = "cpu",
        max_streams: int = 0,
        load: Callable[[], Load] = Load,
    ) -> None:
        self._control = control
        self._models = models
        self._version = version
        self._device = device
        self._max_streams = max_streams
        self._load = load

    def table(self) -> Table:
        """Return a table of one worker. Streams have no owner: there is nobody else."""
        health, load = self._control.health(), self._load()
        streams = tuple(status.id for status in self._control.statuses())
        card = WorkerCard(
            name=THIS_PROCESS,
            node=platform.node(),
            pid=os.getpid(),
            version=self._version,
            labels={},
            device=self._device,
            max_streams=self._max_streams,
            models=tuple(self._models()),
            incarnation=str(os.getpid()),
        )
        view = WorkerView(
            card=card,
            busy=load.busy,
            degradation=load.degradation,
            full=load.degradation >= DegradationLevel.REFUSE_STREAMS
            or 0 < self._max_streams <= len(streams),
            draining=False,
            alive=health.live,
            quiet_s=0.0,
            streams=streams,
            details=health.details,
        )
        return Table(0, {THIS_PROCESS: view}, {})

    def worker_of(self, stream: str) -> str:
        """Return nothing: there is no choice."""
        return ""

    def outdated(self, worker: WorkerView) -> bool:
        """Return no: it is this process."""
        return False

    async def drain(self, worker: str, *, draining: bool, force: bool = False) -> None:
        """Refuse: the streams have nowhere to go."""
        if worker != THIS_PROCESS:
            raise WorkerUnknown(worker)
        if draining:
            raise OnlyWorker

    async def metrics(self) -> Mapping[str, str]:
        """Return nothing: the process's own metrics say it all."""
        return {}

    def miss(self, worker: str, why: str) -> None:
        """Count nothing: nobody is asked."""


class Cluster:
    """Workers that a director gives streams to, as a gateway knows them.

    Args:
        table: returns what the director last told; None before it has told anything.
        director: drains workers.
        handle: returns the worker of a name.
        within_s: how long a worker's metrics are waited for.
        made_of: digest of what workers are started with by this gateway, as in `WorkerCard`; empty
            when that is not known.
        named: what these workers are called, with a number after it; empty means all.

    Attributes:
        missed: by worker, how often its metrics did not come in time.
    """

    several = True

    def __init__(
        self,
        table: Callable[[], Table | None],
        director: Drainer,
        handle: Callable[[str], Measured],
        within_s: float = WITHIN_S,
        made_of: str = "",
        named: str = "",
    ) -> None:
        self._told = table
        self._made_of = made_of
        self._named = named
        self.missed: Counter[str] = Counter()
        self._director = director
        self._handle = handle
        self._within_s = within_s

    def table(self) -> Table:
        """Return what the director last told; nothing before that."""
        return self._told() or NOTHING_TOLD

    def worker_of(self, stream: str) -> str:
        """Return the name of the stream's owner, as the director told last."""
        owned = self.table().streams.get(stream)
        return "" if owned is None else owned.worker

    def outdated(self, worker: WorkerView) -> bool:
        """Say whether a worker of this gateway's name was started with other settings than it."""
        mine = bool(self._made_of) and is_called(worker.card.name, self._named)
        return mine and worker.card.made_of != self._made_of

    async def drain(self, worker: str, *, draining: bool, force: bool = False) -> None:
        """Have the director drain a worker, or take that back."""
        await self._director.drain(worker, draining=draining, force=force)

    async def metrics(self) -> Mapping[str, str]:
        """Return by worker its metrics; all are asked at the same time, and none for long."""
        names = sorted(name for name, worker in self.table().workers.items() if worker.alive)
        texts = await asyncio.gather(*map(self._text, names))
        return {name: text for name, text in zip(names, texts, strict=True) if text is not None}

    async def _text(self, worker: str) -> str | None:
        try:
            async with asyncio.timeout(self._within_s):
                return await self._handle(worker).metrics()
        except TimeoutError:
            self.miss(worker, f"no answer within {self._within_s:g} s")
        except StreamError as error:
            self.miss(worker, str(error))
        return None

    def miss(self, worker: str, why: str) -> None:
        """Count that a worker's metrics are missing, and say so in the log."""
        self.missed[worker] += 1
        log.warning("a worker's metrics are missing", worker=worker, why=why)

    def figures(self) -> Iterable[Figure]:
        """Return how many workers there are, and what was done with them; of the moment."""
        return cluster_figures(self.table(), self.missed)
