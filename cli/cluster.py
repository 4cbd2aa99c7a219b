"""Workers and the director of a cluster, made of the settings in processes of their own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from importlib.metadata import version
from itertools import chain
from typing import TYPE_CHECKING, Any

import structlog
from platformdirs import user_data_path
from prometheus_client import disable_created_metrics, generate_latest
from pydantic import SecretStr

from cli import logs
from cli.director_notes import notes_of
from cli.log_sink import LineRing
from cli.memory import Memory
from cli.settings import ModelConfig, Settings
from stream.clock import Clock, SystemClock
from stream.cluster.director import Director
from stream.cluster.protocol import WorkerCard, WorkerHandle
from stream.cluster.ray_cluster import RayDirectorHandle, Whereabouts
from stream.event_log.ids import BLOCK_BITS, EPOCH_FILE, BlocksInFile, block_of
from stream.incident import EvidenceState
from stream.store.access import StoreAccess
from stream.store.errors import StoreUnavailable
from stream.store.owners import highest_generation
from styleflow.errors import StyleFlowError

if TYPE_CHECKING:
    from cli.station import Station
    from stream.cluster.worker import StreamWorker

log = structlog.get_logger(__name__)

STORED_S = 1.0
"""Longest time for which a worker keeps a stream that moves until all of it is stored."""

LINES_S = 0.1
"""Pause between two looks for log lines of this process."""


@dataclass(frozen=True, slots=True)
class RunningWorker:
    """A worker and its log lines, in its own process.

    Attributes:
        worker: runs streams.
        ring: its newest log lines.
    """

    worker: StreamWorker
    ring: LineRing

    async def lines(self, position: int, wait_s: float) -> tuple[int, tuple[str, ...]]:
        """Return log lines from a position on, and where to go on."""
        end, lines = self.ring.read(position)
        while not lines and wait_s > 0:
            wait_s -= LINES_S
            await asyncio.sleep(LINES_S)
            end, lines = self.ring.read(position)
        return end, lines


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """How a worker is made; crosses to its process.

    Attributes:
        settings: of everything; they hold secrets, which no representation shows.
        share: of how many workers this is one, on its machine.
        untrained: give detectors without weights random ones.
        colors: whether log lines are coloured.
    """

    settings: Settings = field(repr=False)
    share: int = 1
    untrained: bool = False
    colors: bool = False

    def __call__(
        self, at: Whereabouts, director: RayDirectorHandle
    ) -> AbstractAsyncContextManager[RunningWorker]:
        """Return what runs a worker."""
        return _worker(self, at, director)

    @property
    def made_of(self) -> str:
        """A digest of what its workers are started with; see `digest`."""
        return digest(self.settings, untrained=self.untrained)


@asynccontextmanager
async def _worker(
    plan: WorkerPlan, at: Whereabouts, director: RayDirectorHandle
) -> AsyncIterator[RunningWorker]:
    """Run a worker until this is left."""
    settings, ring = shared(plan.settings, plan.share), LineRing()
    log = settings.log
    logs.configure(log.level, log.format, elsewhere=ring, worker=at.name, colors=plan.colors)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, for nobody
    # Slow and large, with torch and all models: the director's process has nothing of it.
    from cli.station import exempt_from_collection, station
    from stream.cluster.services import ASKABLE
    from stream.cluster.worker import StreamWorker

    clock = SystemClock()
    beside = BlocksInFile(user_data_path("styleflow") / EPOCH_FILE, clock)
    blocks = chain([block_of(await director.block())], iter(beside, range(0)))
    running = station(
        settings,
        clock,
        untrained=plan.untrained,
        worker=at.name,
        blocks=lambda: next(blocks),
    )
    async with running as parts:
        exempt_from_collection()
        writer = parts.memory.writer
        owned = writer.ownership.owns if writer is not None else _nothing
        yield RunningWorker(
            StreamWorker(
                _card(settings, parts, at, plan.made_of),
                parts.analyzer,
                _services(parts),
                ASKABLE,
                lambda: generate_latest(parts.metrics.registry).decode(),
                settings.cluster.feed_events,
                parts.ids,
                director.block,
                owned,
                partial(_take_over, parts),
                partial(_stored, writer) if writer is not None else None,
            ),
            ring,
        )


async def _stored(writer: StoreAccess) -> None:
    """Wait until what was told so far is in the store, but not for long."""
    try:
        async with asyncio.timeout(STORED_S):
            await asyncio.wrap_future(writer.submit(lambda connection: None))
    except (TimeoutError, StyleFlowError) as error:
        log.warning("a stream is given up before all of it is stored", reason=str(error))


@dataclass(frozen=True, slots=True)
class ControlPlan:
    """How the director is made; crosses to its process.

    Attributes:
        settings: as those of workers.
    """

    settings: Settings = field(repr=False)

    def __call__(
        self,
        workers: Callable[[], Awaitable[Mapping[str, WorkerHandle]]],
        restart: Callable[[str], Awaitable[None]],
    ) -> AbstractAsyncContextManager[Director]:
        """Return what runs the director."""
        return _director(self.settings, workers, restart)


@asynccontextmanager
async def _director(
    settings: Settings,
    workers: Callable[[], Awaitable[Mapping[str, WorkerHandle]]],
    restart: Callable[[str], Awaitable[None]],
) -> AsyncIterator[Director]:
    """Run the director until this is left; numbers rise above all that the store has seen."""
    clock = SystemClock()
    file = user_data_path("styleflow") / EPOCH_FILE
    above = await asyncio.to_thread(_newest, settings, clock, needed=not file.exists())
    blocks = BlocksInFile(file, clock, above)
    director = Director(
        workers,
        settings.cluster,
        clock,
        lambda: blocks().start >> BLOCK_BITS,
        restart,
        notes_of(settings.store),
        digest(settings),
    )
    task = asyncio.create_task(director.run(), name="director")
    try:
        yield director
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _newest(settings: Settings, clock: Clock, *, needed: bool) -> int:
    """Return a number that lies below those of all later events, by what the store has seen.

    Raises:
        StoreUnavailable: it cannot be asked, and nobody else knows: a director on this machine has
            never counted, and one on another may have.
    """
    memory = Memory.open(settings.store, clock)
    if memory.writer is None:
        return 0
    database = memory.writer.database
    try:
        return max(memory.newest, highest_generation(database) << BLOCK_BITS)
    except StoreUnavailable:
        if needed:
            raise
        return memory.newest
    finally:
        database.close()


async def _take_over(parts: Station, stream: str) -> None:
    """Close what a stream's owner of before has left open."""
    for incident in await parts.incidents.take_over(stream):
        if parts.evidence is not None and incident.evidence.state is EvidenceState.PENDING:
            parts.evidence.give_up(incident.id)


def _nothing(stream: str, generation: int) -> None:
    """Tell no store."""


def _services(parts: Station) -> dict[str, object]:
    """Return the parts that may be asked, by name; those that there are."""
    services = {
        "incidents": parts.incidents,
        "evidence": parts.evidence,
        "explained": parts.explained,
        "baselines": parts.baselines,
        "drift": parts.drift,
        "canaries": parts.canaries,
        "challenges": parts.challenges,
        "alerts": parts.alerts,
    }
    return {name: part for name, part in services.items() if part is not None}


def _card(settings: Settings, parts: Station, at: Whereabouts, made_of: str) -> WorkerCard:
    """Return who a worker is."""
    return WorkerCard(
        name=at.name,
        node=at.node,
        pid=os.getpid(),
        version=version("styleflow-live"),
        labels=labels_of(settings, at),
        device=settings.model.device,
        max_streams=settings.analyzer.max_streams,
        models=parts.cards,
        incarnation=at.incarnation,
        made_of=made_of,
    )


def labels_of(settings: Settings, at: Whereabouts) -> dict[str, str]:
    """Return a worker's labels: its machine's, the configured ones, and whether it has a GPU."""
    gpu = {"gpu": "true"} if at.gpus else {}
    return {**gpu, **at.labels, **settings.cluster.labels}


OF_GATEWAYS = {
    "web": True,
    "streams": True,
    "cluster": {"workers", "address"},
}
"""Settings that neither workers nor the director know; gateways of one cluster differ in them."""


def digest(settings: Settings, *, untrained: bool = False) -> str:
    """Return a digest of what workers are made of: settings, secrets included, and the version.

    It tells whether two are alike and is not shown to anybody: secrets might be guessed from it.
    """
    told = settings.model_dump(exclude=OF_GATEWAYS)  # type: ignore[arg-type]
    parts = (version("styleflow-live"), untrained, told)
    text = json.dumps(parts, default=_plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: Any) -> Any:
    """Return a value that JSON does not have as one that it has."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return value.value if isinstance(value, Enum) else str(value)


def on_gpu(settings: Settings) -> bool:
    """Return whether workers want a GPU each."""
    return settings.model.device.startswith("cuda")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def shared(settings: Settings, workers: int) -> Settings:
    """Return the settings of one of several workers that share a machine.

    What would take every core takes its share of them, and the GPU is the one that Ray shows.
    """
    model = settings.model
    share = max(cores() // workers, 1)
    own = ModelConfig(
        checkpoint=model.checkpoint,
        device="cuda" if on_gpu(settings) else model.device,
        runtime=model.runtime,
        workers=model.workers or min(share, 64),
        threads=model.threads or share,
        slots=model.slots,
    )
    return settings.model_copy(update={"model": own})
