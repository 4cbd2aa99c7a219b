"""Workers of a cluster that look at no video: their streams' events are made up, at a real cadence.

    python -m benchmarks.scripted_workers ADDRESS [--workers N] [--hop-s S] [--computed-s S]
        [--store URL]

For measuring what stands behind workers on a machine that could never analyze so many streams. All
but the analysis is real: the worker with its feed, its generations and its numbers, the director,
and Ray's actors, which stay in the cluster after this has ended. Events are stored where `--store`
says.

Every stream has one face with a score every `--hop-s`, a report every second, and now and then a
change of verdict or the end of the face. A score says that its newest packet arrived
`--computed-s` before it was given out, as if it had taken so long to compute.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from platformdirs import user_data_path
from pydantic import SecretStr

from cli.memory import Memory
from stream.analyzer.settings import AnalyzerSettings
from stream.analyzer.status import status_of
from stream.analyzer.streams import Health, StreamSpec, StreamStatus
from stream.clock import Clock, SystemClock
from stream.cluster.director import Director
from stream.cluster.protocol import WorkerCard, WorkerHandle
from stream.cluster.ray_cluster import RayCluster, RayDirectorHandle, Whereabouts
from stream.cluster.settings import ClusterSettings
from stream.cluster.worker import StreamWorker
from stream.engine.settings import EngineSettings
from stream.errors import NotACall, StreamUnknown
from stream.event_log.event_log import EventLog
from stream.event_log.ids import BLOCK_BITS, BlocksInFile, EventIds, block_of
from stream.events import (
    ConnectionState,
    DegradationLevel,
    EpochCause,
    EpochStarted,
    Event,
    ScoringModel,
    StreamAdded,
    StreamChanged,
    StreamRemoved,
    StreamReport,
    TrackEnd,
    TrackEnded,
    TrackStarted,
    Verdict,
    VerdictChanged,
)
from stream.scheduling.degradation import Degradation
from stream.store.settings import StoreSettings
from stream.stream_state import StreamState
from stream.webrtc.calls import CallAnswer, Callers
from tests.support.wire import CARD, score

HOP_S = 0.24
"""Seconds between two scores of a face by the default detector."""

COMPUTED_S = 0.1
VERDICT_EVERY = 25
"""Scores between two changes of a face's verdict."""

FACE_EVERY = 120
"""Scores of a face until it is lost and another one comes."""

MAX_STREAMS = 256
READY_S = 60.0


@dataclass(slots=True, eq=False)
class _Stream:
    """A stream that is played: its settings, what its events amount to, and who plays it."""

    spec: StreamSpec
    epoch: int
    state: StreamState
    task: asyncio.Task[None] | None = None


class ScriptedAnalyzer:
    """Plays streams; has what `StreamWorker` asks of an analyzer.

    Args:
        events: is told what is made up.
        clock: where time comes from.
        hop_s: seconds between two scores of a face.
        computed_s: age of a score when it is given out.

    Attributes:
        events: see above.
        settings: how much it takes on.
        degradation: it leaves nothing out and is never busy, so streams are spread by their number.
    """

    def __init__(self, events: EventLog, clock: Clock, hop_s: float, computed_s: float) -> None:
        self.events = events
        self.settings = AnalyzerSettings(max_streams=MAX_STREAMS)
        self.degradation = Degradation()
        self._clock = clock
        self._hop_s = hop_s
        self._computed_s = computed_s
        self._streams: dict[str, _Stream] = {}
        self._epoch: Callable[[str], int] = lambda stream: 0

    def number_epochs(self, after: Callable[[str], int]) -> None:
        """Have the epochs of a stream that is started follow a number."""
        self._epoch = after

    def health(self) -> Health:
        """Return that all is well."""
        return Health(live=True, ready=True, details={"device": "made up"})

    async def add(self, spec: StreamSpec, *, decided: bool = False) -> StreamStatus:
        """Begin to play a stream; there is always room, whether it is `decided` or not."""
        epoch = self._epoch(spec.id)
        stream = self._streams[spec.id] = _Stream(spec, epoch, StreamState(spec.id))
        models = (ScoringModel(CARD, calibrated=True),)
        self._say(stream, StreamAdded(spec.id, epoch, spec.label, models, tags=spec.tags))
        stream.task = asyncio.create_task(self._play(stream), name=f"play {spec.id}")
        return self.status(spec.id)

    async def remove(self, stream: str, *, moved: bool = False) -> None:
        """Play a stream no longer. Raises StreamUnknown."""
        played = self._known(stream)
        if played.task is not None:
            played.task.cancel()
            await asyncio.gather(played.task, return_exceptions=True)
        self._say(played, StreamRemoved(stream, played.epoch, moved=moved))
        del self._streams[stream]

    async def call(self, stream: str, offer: str) -> CallAnswer:
        """Answer nobody: there is no video. Raises NotACall."""
        raise NotACall(stream)

    def callers(self) -> Callers:
        """Return that nobody calls."""
        return Callers(frozenset(), {})

    async def thresholds(self, stream: str | None = None) -> EngineSettings:
        """Return what everybody is judged by; a director that begins asks for it."""
        return EngineSettings()

    def spec(self, stream: str) -> StreamSpec:
        """Return a stream's settings. Raises StreamUnknown."""
        return self._known(stream).spec

    def status(self, stream: str) -> StreamStatus:
        """Return how a stream stands. Raises StreamUnknown."""
        known = self._known(stream)
        return status_of(known.spec, known.state, (CARD,), DegradationLevel.NONE)

    def statuses(self) -> tuple[StreamStatus, ...]:
        """Return how every stream stands, ordered by id."""
        return tuple(self.status(stream) for stream in sorted(self._streams))

    def _known(self, stream: str) -> _Stream:
        if stream not in self._streams:
            raise StreamUnknown(stream)
        return self._streams[stream]

    def _say(self, stream: _Stream, event: Event) -> None:
        stream.state.apply(event, self._clock.monotonic())
        self.events.append(event)

    async def _play(self, stream: _Stream) -> None:
        """Say what a camera with one face after the other amounts to."""
        id, epoch = stream.spec.id, stream.epoch + 1
        await asyncio.sleep(stream.spec.phase * self._hop_s)
        self._say(stream, StreamChanged(id, epoch, ConnectionState.LIVE))
        self._say(stream, EpochStarted(id, epoch, EpochCause.CONNECTED))
        begun, count, suspect = self._clock.monotonic(), 0, False
        while True:
            track = count // FACE_EVERY + 1
            at = count * self._hop_s
            if count % FACE_EVERY == 0:
                if count:
                    self._say(stream, TrackEnded(id, epoch, track - 1, at, TrackEnd.LOST))
                self._say(stream, TrackStarted(id, epoch, track, at))
                suspect = False
            if count % VERDICT_EVERY == VERDICT_EVERY - 1:
                before, suspect = suspect, not suspect
                change = (_verdict(suspect=before), _verdict(suspect=suspect))
                self._say(stream, VerdictChanged(id, epoch, track, at, *change, 0.5, CARD.name))
            if count % round(1 / self._hop_s) == 0:
                self._say(stream, StreamReport(id, epoch, 25.0, 0.0, 1, (), 0.04))
            self._say(
                stream,
                score(
                    id,
                    track,
                    0.9 if suspect else 0.1,
                    epoch=epoch,
                    start=max(at - 1.28, 0.0),
                    end=at,
                    verdict=_verdict(suspect=suspect),
                    arrived=self._clock.monotonic() - self._computed_s,
                ),
            )
            count += 1
            await asyncio.sleep(max(begun + count * self._hop_s - self._clock.monotonic(), 0.0))


def _verdict(*, suspect: bool) -> Verdict:
    return Verdict.SUSPECT if suspect else Verdict.CLEAR


@dataclass(frozen=True, slots=True)
class ScriptedWorker:
    """A worker in its own process; it writes no log."""

    worker: StreamWorker

    async def lines(self, position: int, wait_s: float) -> tuple[int, tuple[str, ...]]:
        """Return no lines."""
        await asyncio.sleep(wait_s)
        return position, ()


@dataclass(frozen=True, slots=True)
class ScriptedPlan:
    """How a scripted worker is made; crosses to its process.

    Attributes:
        hop_s: seconds between two scores of a face.
        computed_s: age of a score when it is given out.
        store: URL of the store; empty for none.
    """

    hop_s: float = HOP_S
    computed_s: float = COMPUTED_S
    store: str = field(default="", repr=False)

    def __call__(
        self, at: Whereabouts, director: RayDirectorHandle
    ) -> AbstractAsyncContextManager[ScriptedWorker]:
        """Return what runs a worker."""
        return _worker(self, at, director)


@asynccontextmanager
async def _worker(
    plan: ScriptedPlan, at: Whereabouts, director: RayDirectorHandle
) -> AsyncIterator[ScriptedWorker]:
    clock = SystemClock()
    first = block_of(await director.block())
    ids = EventIds(lambda: first)
    events = EventLog(clock, ids)
    stored = StoreSettings(enabled=bool(plan.store), url=SecretStr(plan.store or "sqlite://"))
    memory = await asyncio.to_thread(Memory.open, stored, clock)
    memory.attach(events)
    analyzer = ScriptedAnalyzer(events, clock, plan.hop_s, plan.computed_s)
    card = WorkerCard(
        at.name, at.node, os.getpid(), "scripted", {}, "none", MAX_STREAMS, (CARD,), at.incarnation
    )
    services = {"control": ("specs", "status", "thresholds")}
    writer = memory.writer
    fence = writer.ownership.owns if writer is not None else _nothing
    worker = StreamWorker(card, analyzer, {}, services, ids=ids, block=director.block, fence=fence)
    async with memory:
        yield ScriptedWorker(worker)


def _nothing(stream: str, generation: int) -> None:
    """Tell no store."""


@dataclass(frozen=True, slots=True)
class ScriptedDirectorPlan:
    """How the director is made; crosses to its process.

    Attributes:
        blocks: file of the numbers that were given away.
        settings: when workers are lost.
    """

    blocks: str
    settings: ClusterSettings = field(default_factory=ClusterSettings)

    def __call__(
        self,
        workers: Callable[[], Awaitable[Mapping[str, WorkerHandle]]],
        restart: Callable[[str], Awaitable[None]],
    ) -> AbstractAsyncContextManager[Director]:
        """Return what runs the director."""
        return _director(self, workers, restart)


@asynccontextmanager
async def _director(
    plan: ScriptedDirectorPlan, workers: Any, restart: Any
) -> AsyncIterator[Director]:
    clock = SystemClock()
    take = BlocksInFile(Path(plan.blocks), clock)
    director = Director(workers, plan.settings, clock, lambda: take().start >> BLOCK_BITS, restart)
    running = asyncio.create_task(director.run(), name="director")
    try:
        yield director
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _ready(cluster: RayCluster, workers: int) -> None:
    """Wait until all workers have been found by the director."""
    await cluster.director.ready(READY_S)
    async with asyncio.timeout(READY_S):
        version, alive = -1, 0
        while alive < workers:
            table = await cluster.director.table(version, 0.5)
            version, alive = table.version, sum(view.alive for view in table.workers.values())


def main(
    address: Annotated[str, typer.Argument(help="Of the Ray cluster, host:port.")],
    *,
    workers: Annotated[int, typer.Option(min=1, help="How many.")] = 2,
    hop_s: Annotated[float, typer.Option(min=0.01, help="Between two scores of a face.")] = HOP_S,
    computed_s: Annotated[float, typer.Option(min=0, help="Age of a new score.")] = COMPUTED_S,
    store: Annotated[str, typer.Option(help="URL of the store; none if left out.")] = "",
) -> None:
    """Start a director and scripted workers in a cluster, and leave them there."""
    cluster = RayCluster(address)
    try:
        blocks = user_data_path("styleflow") / "scripted-blocks"
        cluster.start_director(ScriptedDirectorPlan(str(blocks)))
        for number in range(1, workers + 1):
            cluster.start_worker(f"worker-{number}", ScriptedPlan(hop_s, computed_s, store))
        asyncio.run(_ready(cluster, workers))
    finally:
        cluster.close()
    print(f"{workers} workers", flush=True)


if __name__ == "__main__":
    typer.run(main)
