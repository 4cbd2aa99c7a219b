"""Several workers, a director and gateways in one process; every value crosses as a pickle.

A `LocalHandle` stands between whoever calls and whoever answers, as Ray does, and can be told what
a machine or a network would do: pause the worker, cut it off, kill it.
"""

from __future__ import annotations

import asyncio
import itertools
import pickle
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from stream.analyzer.analyzer import Analyzer
from stream.analyzer.settings import AnalyzerSettings
from stream.analyzer.streams import StreamSpec, StreamStatus
from stream.clock import Clock, SystemClock
from stream.cluster.protocol import (
    EPOCHS_PER_GENERATION,
    Batch,
    Beat,
    Owned,
    Table,
    Told,
    WorkerCard,
    WorkerHandle,
    WorkerView,
)
from stream.engine.settings import EngineSettings
from stream.errors import (
    Overloaded,
    StreamExists,
    StreamUnknown,
    TooManyStreams,
    WorkerGone,
    WorkerUnknown,
)
from stream.event_log.event_log import EventLog, StampedEvent
from stream.event_log.ids import EventIds
from stream.events import Event, StreamAdded, StreamRemoved
from stream.ingest.source import SourceSettings, SourceUrl
from stream.monitoring.metrics import Metrics
from stream.publish.hub import Hub
from stream.stream_state import StreamState
from tests.support.path import toy_pipeline
from tests.support.threads import SteppedThreads

T = TypeVar("T")

RING = 4096


def crossed(value: T) -> T:
    """Return a value as it arrives in another process."""
    return pickle.loads(pickle.dumps(value))  # type: ignore[no-any-return]


class ScriptedWorker:
    """A worker over a real analyzer whose threads run only when the test says so.

    Attributes:
        analyzer: the analyzer.
        threads: runs its ingests, see `SteppedThreads`.
        owned: generations of its streams.
        newest: position after the newest event in the feed.
    """

    def __init__(self, name: str, clock: Clock, ids: EventIds, max_streams: int = 16) -> None:
        self.name = name
        self.incarnation = f"{name}-1"
        self.threads = SteppedThreads()
        self.owned: dict[str, int] = {}
        self.newest = 0
        self.refuses = False
        self._max_streams = max_streams
        self._events = EventLog(clock, ids)
        self.analyzer = Analyzer(
            toy_pipeline(),
            Hub(clock),
            Metrics(CollectorRegistry()),
            clock,
            AnalyzerSettings(max_streams=max_streams, stop_s=0.001),
            seed=1,
            events=self._events,
            start_thread=self.threads,
        )
        self._states: dict[str, StreamState] = {}
        self._ids: dict[str, StampedEvent] = {}
        self._ring: list[Told] = []
        self._fell = 0  # events that are no longer in the ring
        self._news = asyncio.Event()
        self._moving: set[str] = set()
        self._events.attach(self)

    def accept(self, stamped: StampedEvent) -> None:
        """Keep an event for whoever reads the feed; a stream that moves is not told as removed."""
        event = stamped.event
        stream = event.stream
        if isinstance(event, StreamRemoved) and stream in self._moving:
            return
        generation = self.owned.get(stream, 0)
        event = replace(event, epoch=generation * EPOCHS_PER_GENERATION + event.epoch)
        stamped = replace(stamped, event=event)
        if isinstance(event, StreamAdded):
            self._states[stream] = StreamState(stream)
        if stream in self._states and not isinstance(event, StreamRemoved):
            self._states[stream].apply(event, stamped.now)
            self._ids[stream] = stamped
        self._ring.append(Told(generation, stamped))
        self.newest += 1
        if len(self._ring) > RING:
            del self._ring[0]
            self._fell += 1
        self._news.set()

    def say(self, *events: Event) -> None:
        """Log events of its streams."""
        for event in events:
            self._events.append(event)

    async def card(self) -> WorkerCard:
        """Return who it is."""
        return WorkerCard(
            self.name,
            "here",
            1,
            "0",
            {},
            "cpu",
            self._max_streams,
            self.analyzer.models,
            self.incarnation,
        )

    async def beat(self) -> Beat:
        """Return how it is doing."""
        owned, health = dict(self.owned), self.analyzer.health()
        return Beat(self.incarnation, 0.1, 0, self.refuses, owned, health, self.newest)

    async def own(self, spec: StreamSpec, generation: int) -> StreamStatus:
        """Start a stream."""
        if spec.id in self.owned:
            await self._stop(spec.id, moved=True)
        self.owned[spec.id] = generation
        try:
            return await self.analyzer.add(spec)
        except BaseException:
            del self.owned[spec.id]
            raise

    async def disown(self, stream: str, generation: int, *, moved: bool) -> None:
        """Stop a stream up to a generation."""
        if self.owned.get(stream, generation + 1) <= generation:
            await self._stop(stream, moved=moved)

    async def _stop(self, stream: str, *, moved: bool) -> None:
        if moved:
            self._moving.add(stream)
        await self.analyzer.remove(stream)
        self._moving.discard(stream)
        self.owned.pop(stream, None)
        self._states.pop(stream, None)

    async def ask(self, service: str, method: str, *args: Any, **named: Any) -> Any:
        """Call a method of one of its parts."""
        parts: dict[str, Any] = {"control": self.analyzer}
        answer = getattr(parts[service], method)
        if not callable(answer):
            return answer
        answer = answer(*args, **named)
        return await answer if isinstance(answer, Awaitable) else answer

    async def feed(self, position: int | None, incarnation: str, wait_s: float) -> Batch:
        """Return events from a position on, or a recap."""
        if position is None or incarnation != self.incarnation or position < self._fell:
            lost = self._fell - position if position is not None else 0
            return Batch(self.incarnation, self.newest, self._recap(), True, max(lost, 0))
        if position == self.newest:
            self._news.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                return Batch(self.incarnation, position, ())
        told = tuple(self._ring[position - self._fell :][:256])
        return Batch(self.incarnation, position + len(told), told)

    def _recap(self) -> tuple[Told, ...]:
        told = []
        for stream, state in self._states.items():
            newest, generation = self._ids[stream], self.owned.get(stream, 0)
            events: tuple[Event | None, ...] = (
                state.added,
                state.change,
                state.report,
                *state.scores.values(),
            )
            told += [Told(generation, replace(newest, event=e)) for e in events if e is not None]
        return tuple(told)

    async def metrics(self) -> str:
        """Return no figures."""
        return ""


@dataclass(eq=False)
class LocalHandle:
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

    async def _call(self, method: str, *args: Any, **named: Any) -> Any:
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

    async def card(self) -> WorkerCard:
        """Return who it is."""
        card: WorkerCard = await self._call("card")
        return card

    async def beat(self) -> Beat:
        """Return how it is doing."""
        beat: Beat = await self._call("beat")
        return beat

    async def own(self, spec: StreamSpec, generation: int) -> StreamStatus:
        """Start a stream."""
        status: StreamStatus = await self._call("own", spec, generation)
        return status

    async def disown(self, stream: str, generation: int, *, moved: bool) -> None:
        """Stop a stream."""
        await self._call("disown", stream, generation, moved=moved)

    async def ask(self, service: str, method: str, *args: Any, **named: Any) -> Any:
        """Call a method of one of its parts."""
        return await self._call("ask", service, method, *args, **named)

    async def feed(self, position: int | None, incarnation: str, wait_s: float) -> Batch:
        """Return events."""
        batch: Batch = await self._call("feed", position, incarnation, wait_s)
        return batch

    async def metrics(self) -> str:
        """Return its figures."""
        text: str = await self._call("metrics")
        return text


class ScriptedDirector:
    """A director that does what the test says: it notices nothing by itself.

    Streams go to the worker with the fewest; generations rise across all streams.
    """

    def __init__(self, handles: dict[str, LocalHandle], max_streams: int = 1000) -> None:
        self.handles = handles
        self.max_streams = max_streams
        self.version = 0
        self.owned: dict[str, Owned] = {}
        self.alive = dict.fromkeys(handles, True)
        self.draining: set[str] = set()
        self.thresholds: EngineSettings | None = None
        self._generations = itertools.count(1)
        self._changed = asyncio.Event()

    async def table(self, version: int, wait_s: float) -> Table:
        """Return the table once it is newer."""
        if self.version <= version:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
        workers = {name: await self._view(name) for name in self.handles}
        counts = {"moves": 0}
        return crossed(Table(self.version, workers, dict(self.owned), counts, self.thresholds))

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
        counts = {n: c for n, c in counts.items() if not self._of(n).refuses}
        if not counts:
            raise Overloaded(30.0)
        for owned in self.owned.values():
            if owned.worker in counts:
                counts[owned.worker] += 1
        return min(counts, key=lambda name: (counts[name], name))

    def _of(self, name: str) -> ScriptedWorker:
        worker = self.handles[name].worker
        assert isinstance(worker, ScriptedWorker)
        return worker

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

    async def claim(self, stream: str) -> str:
        """Return the worker for a call."""
        if stream in self.owned:
            return self.owned[stream].worker
        await self.add(StreamSpec(stream, SourceSettings(SourceUrl.parse("whip://"))))
        return self.owned[stream].worker

    async def drain(self, worker: str, *, draining: bool) -> None:
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
    """Some workers and a director, in this process.

    Args:
        count: how many workers, called `worker-1` and so on.
        clock: where time comes from; the machine's when left out.

    Attributes:
        workers: by name.
        handles: how they are reached, by name.
        director: gives streams to them.
    """

    def __init__(self, count: int = 2, clock: Clock | None = None, max_streams: int = 16) -> None:
        self.clock = clock or SystemClock()
        ids = EventIds()
        names = [f"worker-{number}" for number in range(1, count + 1)]
        self.workers = {n: ScriptedWorker(n, self.clock, ids, max_streams) for n in names}
        self.handles = {name: LocalHandle(self.workers[name], name) for name in names}
        self.director = ScriptedDirector(self.handles)

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

    def owner(self, stream: str) -> ScriptedWorker:
        """Return the worker that owns a stream."""
        return self.workers[self.director.owned[stream].worker]
