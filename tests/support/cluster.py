"""Several workers, a director and gateways in one process; every value crosses as a pickle.

A `LocalHandle` stands between whoever calls and whoever answers, as Ray does, and can be told what
a machine or a network would do: pause the worker, cut it off, kill it.
"""

from __future__ import annotations

import asyncio
import itertools
import pickle
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from stream.analyzer.analyzer import Analyzer
from stream.analyzer.settings import AnalyzerSettings
from stream.analyzer.streams import StreamSpec, StreamStatus
from stream.clock import Clock, SystemClock
from stream.cluster.protocol import (
    EPOCHS_PER_GENERATION,
    Owned,
    Table,
    WorkerCard,
    WorkerHandle,
    WorkerView,
)
from stream.cluster.services import ASKABLE
from stream.cluster.worker import StreamWorker
from stream.cluster.worker_calls import WorkerCalls
from stream.engine.settings import EngineSettings
from stream.errors import (
    Overloaded,
    StreamExists,
    StreamUnknown,
    TooManyStreams,
    WorkerGone,
    WorkerUnknown,
)
from stream.event_log.event_log import EventLog
from stream.event_log.ids import EventIds
from stream.events import Event
from stream.monitoring.metrics import Metrics
from stream.publish.hub import Hub
from stream.webrtc.calls import ANYBODY, Publisher
from styleflow.cards import TrainingStatus
from tests.support.path import toy_pipeline
from tests.support.threads import SteppedThreads

T = TypeVar("T")

RING = 4096


def crossed(value: T) -> T:
    """Return a value as it arrives in another process."""
    return pickle.loads(pickle.dumps(value))  # type: ignore[no-any-return]


Parts = Callable[[Analyzer, Clock], Mapping[str, Any]]
"""Makes what a worker has beside its analyzer, by name."""


def no_parts(analyzer: Analyzer, clock: Clock) -> Mapping[str, Any]:
    """Return nothing beside the analyzer."""
    return {}


class LocalWorker:
    """A worker over an analyzer whose threads run only when the test says so.

    Attributes:
        name: of the worker.
        analyzer: the analyzer.
        threads: runs its ingests, see `SteppedThreads`.
        worker: answers.
        parts: what is beside the analyzer, by its name.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        block: Callable[[], Awaitable[int]],
        max_streams: int = 16,
        parts: Parts = no_parts,
    ) -> None:
        self.name = name
        self.threads = SteppedThreads()
        ids = EventIds()
        self.analyzer = Analyzer(
            toy_pipeline(status=TrainingStatus.TRAINED),
            Hub(clock),
            Metrics(CollectorRegistry()),
            clock,
            AnalyzerSettings(max_streams=max_streams, stop_s=0.001),
            seed=1,
            events=EventLog(clock, ids),
            start_thread=self.threads,
        )
        self.parts = parts(self.analyzer, clock)
        models = self.analyzer.models
        card = WorkerCard(name, "here", 1, "0", {}, "cpu", max_streams, models, f"{name}-1")
        self.worker = StreamWorker(
            card, self.analyzer, self.parts, ASKABLE, feed_events=RING, ids=ids, block=block
        )

    def say(self, *events: Event) -> None:
        """Log events of its streams; their epochs count from the first of the ownership."""
        for event in events:
            epoch = self.analyzer.status(event.stream).epoch
            first = epoch - epoch % EPOCHS_PER_GENERATION
            self.analyzer.events.append(replace(event, epoch=first + event.epoch))

    def play(self, stream: str) -> None:
        """Read a stream's source to its end."""
        self.threads.named(f"ingest-{stream}").run()
        self.analyzer.drain()


@dataclass(eq=False)
class LocalHandle(WorkerCalls):
    """A worker as others reach it: everything crosses as a pickle, and may be hindered.

    Attributes:
        worker: who answers.
        cut: calls fail as if the machine were not reachable.
        dead: calls fail, and always will.
        calls: how often it was called, by method.
    """

    worker: WorkerHandle
    name: str
    cut: bool = False
    dead: bool = False
    calls: dict[str, int] = field(default_factory=dict)
    _running: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._running.set()

    def pause(self) -> None:
        """Let calls wait, as a stopped process does; what the worker does goes on."""
        self._running.clear()

    def resume(self) -> None:
        """Let calls go on."""
        self._running.set()

    async def call(self, method: str, limit_s: float, *args: Any, **named: Any) -> Any:
        """Call a method of the worker, without a limit: what waits in a test waits on purpose."""
        self.calls[method] = self.calls.get(method, 0) + 1
        args, named = crossed((args, named))
        await self._reached()
        try:
            answer = await getattr(self.worker, method)(*args, **named)
        except Exception as error:
            raise crossed(error) from None
        await self._reached()
        return crossed(answer)

    async def _reached(self) -> None:
        await self._running.wait()
        if self.cut or self.dead:
            await asyncio.sleep(0)
            raise WorkerGone(self.name)


class ScriptedDirector:
    """A director that does what the test says: it notices nothing by itself.

    Streams go to the worker with the fewest; generations rise across all streams.
    """

    def __init__(self, handles: dict[str, LocalHandle], max_streams: int = 1000) -> None:
        self.handles = handles
        self.max_streams = max_streams
        self.version = 0
        self.owned: dict[str, Owned] = {}
        self.alive: dict[str, bool] = dict.fromkeys(handles, True)
        self.draining: set[str] = set()
        self.full: set[str] = set()
        self.number = 1
        self.thresholds: EngineSettings | None = None
        self._generations = itertools.count(5000)
        self._changed = asyncio.Event()

    async def table(self, version: int, wait_s: float) -> Table:
        """Return the table once it is newer."""
        if self.version <= version:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
        await self._adopt()
        workers = {name: await self._view(name) for name in self.handles}
        counts = {"moves": 0}
        number = self.number
        return crossed(
            Table(self.version, workers, dict(self.owned), counts, self.thresholds, number)
        )

    async def _view(self, name: str) -> WorkerView:
        worker = self.handles[name].worker
        card, beat = await worker.card(), await worker.beat()
        streams = tuple(sorted(s for s, o in self.owned.items() if o.worker == name))
        return WorkerView(
            card,
            beat.busy,
            beat.degradation,
            beat.refuses,
            name in self.draining,
            self.alive[name],
            0.0,
            streams,
            beat.health.details,
        )

    async def changed(self) -> None:
        """Tell everybody that the table is another one."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def add(self, spec: StreamSpec) -> StreamStatus:
        """Give a stream to the worker with the fewest."""
        if spec.id in self.owned:
            raise StreamExists(spec.id)
        if len(self.owned) >= self.max_streams:
            raise TooManyStreams(self.max_streams)
        return await self.place(crossed(spec), self.least())

    def least(self) -> str:
        """Return the worker that takes the next stream."""
        counts = {name: 0 for name, alive in self.alive.items() if alive}
        counts = {n: c for n, c in counts.items() if n not in self.full}
        if not counts:
            raise Overloaded(30.0)
        for owned in self.owned.values():
            if owned.worker in counts:
                counts[owned.worker] += 1
        return min(counts, key=lambda name: (counts[name], name))

    async def place(self, spec: StreamSpec, worker: str) -> StreamStatus:
        """Give a stream to a worker, with the next generation."""
        generation = next(self._generations)
        status = await self.handles[worker].own(spec, generation)
        known = self.owned.get(spec.id)
        kept = known.thresholds if known is not None else None
        self.owned[spec.id] = Owned(spec, generation, worker, "", kept)
        if kept is not None:
            await self.handles[worker].ask("control", "retune", kept, spec.id)
        await self.changed()
        return status

    async def move(self, stream: str, worker: str) -> None:
        """Move a stream, without a word to an owner that is not alive."""
        owned = self.owned[stream]
        if self.alive[owned.worker]:
            await self.handles[owned.worker].disown(stream, owned.generation, moved=True)
        await self.place(owned.spec, worker)

    async def bury(self, worker: str) -> None:
        """Take a worker for dead and move its streams."""
        self.alive[worker] = False
        for stream in [s for s, o in self.owned.items() if o.worker == worker]:
            await self.move(stream, self.least())
        await self.changed()

    async def change(self, spec: StreamSpec) -> StreamStatus:
        """Have the owner change a stream."""
        owned = self._known(spec.id)
        handle = self.handles[owned.worker]
        status: StreamStatus = await handle.ask("control", "change", spec)
        self.owned[spec.id] = replace(owned, spec=crossed(spec))
        await self.changed()
        return status

    async def remove(self, stream: str) -> None:
        """Have the owner stop a stream, if it can be reached."""
        owned = self._known(stream)
        del self.owned[stream]
        if self.alive[owned.worker]:
            await self.handles[owned.worker].disown(stream, owned.generation, moved=False)
        await self.changed()

    async def block(self) -> int:
        """Return a start epoch."""
        return next(self._generations)

    async def want(self, specs: Sequence[StreamSpec]) -> None:
        """Have streams that are not there yet."""
        for spec in specs:
            if spec.id not in self.owned:
                await self.add(spec)

    async def retune(self, settings: EngineSettings, stream: str | None) -> None:
        """Keep thresholds, and pass them to whom they concern."""
        if stream is None:
            self.thresholds = settings
            self.owned = {s: replace(o, thresholds=None) for s, o in self.owned.items()}
            for handle in self.handles.values():
                await handle.ask("control", "retune", settings, None)
        else:
            owned = self._known(stream)
            self.owned[stream] = replace(owned, thresholds=settings)
            await self.handles[owned.worker].ask("control", "retune", settings, stream)
        await self.changed()

    async def claim(self, stream: str, publisher: Publisher = ANYBODY) -> str:
        """Return the worker for a call."""
        return self.owned[stream].worker if stream in self.owned else self.least()

    async def _adopt(self) -> None:
        """Learn of the streams that calls have made."""
        for name, handle in self.handles.items():
            beat = await handle.worker.beat()
            for stream in beat.owned.keys() - self.owned.keys() if self.alive[name] else ():
                specs = {each.id: each for each in await handle.worker.ask("control", "specs")}
                self.owned[stream] = Owned(specs[stream], beat.owned[stream], name)
                await self.changed()

    async def fill(self, worker: str) -> int:
        """Move nothing."""
        return 0

    async def drain(
        self, worker: str, *, draining: bool, why: str = "", force: bool = False
    ) -> None:
        """Move a worker's streams away, or take that back."""
        if worker not in self.handles:
            raise WorkerUnknown(worker)
        (self.draining.add if draining else self.draining.discard)(worker)
        await self.changed()

    def _known(self, stream: str) -> Owned:
        if stream not in self.owned:
            raise StreamUnknown(stream)
        return self.owned[stream]


class LocalCluster:
    """Some workers and a director, in this process; an async context manager where peers call.

    Args:
        count: how many workers, called `worker-1` and so on.
        clock: where time comes from; the machine's when left out.
        max_streams: streams that a worker takes.
        parts: makes what every worker has beside its analyzer.

    Attributes:
        workers: by name.
        handles: how they are reached, by name.
        director: gives streams to them.
    """

    def __init__(
        self,
        count: int = 2,
        clock: Clock | None = None,
        max_streams: int = 16,
        parts: Parts = no_parts,
    ) -> None:
        self.clock = clock or SystemClock()
        self._running = AsyncExitStack()
        names = [f"worker-{number}" for number in range(1, count + 1)]
        self.handles: dict[str, LocalHandle] = {}
        self.director = ScriptedDirector(self.handles)
        block = self.director.block
        self.workers = {
            name: LocalWorker(name, self.clock, block, max_streams, parts) for name in names
        }
        for name, made in self.workers.items():
            self.handles[name] = LocalHandle(made.worker, name)
            self.director.alive[name] = True

    async def __aenter__(self) -> LocalCluster:
        for each in self.workers.values():
            await self._running.enter_async_context(each.analyzer)
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self._running.aclose()

    def pause(self, worker: str) -> None:
        """Stop a worker's process."""
        self.handles[worker].pause()

    def resume(self, worker: str) -> None:
        """Let a worker's process go on."""
        self.handles[worker].resume()

    def cut_off(self, worker: str, *, cut: bool = True) -> None:
        """Take a worker's network away, or give it back."""
        self.handles[worker].cut = cut

    def kill(self, worker: str) -> None:
        """End a worker's process."""
        self.handles[worker].dead = True

    def owner(self, stream: str) -> LocalWorker:
        """Return the worker that owns a stream."""
        return self.workers[self.director.owned[stream].worker]
