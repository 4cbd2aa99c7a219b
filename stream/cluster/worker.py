"""Worker: an analyzer and its services as the director and gateways call them.

It runs the streams that it is given, from the packet on, and keeps the newest events for gateways
to fetch. A stream's generation is the number of a block that nobody had before: its epochs follow
it, and the worker's event numbers go on in it, so both rise from owner to owner. Everything here
belongs to one event loop; nothing of Ray is known here.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol

import structlog

from stream.analyzer.settings import AnalyzerSettings
from stream.analyzer.streams import Health, StreamSpec, StreamStatus
from stream.cluster.feed import Feed
from stream.cluster.protocol import EPOCHS_PER_GENERATION, Batch, Beat, WorkerCard
from stream.errors import StreamUnknown
from stream.event_log.event_log import EventLog
from stream.event_log.ids import EventIds, block_of
from stream.events import DegradationLevel
from stream.webrtc.calls import CallAnswer, Callers

log = structlog.get_logger(__name__)

FEED_EVENTS = 16_384


async def _told(taken: Awaitable[None], stream: str) -> None:
    """Await what follows from a stream's being taken; the stream goes on whatever becomes of it."""
    try:
        await taken
    except Exception:
        log.exception("what was left of a stream is not taken over", stream=stream)


class _Turns:
    """Turns of who does something with a stream; no memory is kept of those that are over."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, stream: str) -> AsyncIterator[None]:
        """Wait for one's turn, and have it until this is left."""
        lock, waiting = self._locks.get(stream, (asyncio.Lock(), 0))
        self._locks[stream] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._locks.pop(stream)
            if waiting > 1:
                self._locks[stream] = (lock, waiting - 1)


class Load(Protocol):
    """How much of an analyzer is in use; see `stream.scheduling.degradation.Degradation`."""

    @property
    def busy(self) -> float:
        """Share of its device's time that is in use."""
        ...

    @property
    def level(self) -> DegradationLevel:
        """What it leaves out for want of time."""
        ...

    @property
    def refuses(self) -> bool:
        """Whether it takes no further stream."""
        ...


class StreamRunner(Protocol):
    """What a worker asks of an analyzer; see `stream.analyzer.analyzer.Analyzer`."""

    @property
    def events(self) -> EventLog:
        """What is told of its streams."""
        ...

    @property
    def settings(self) -> AnalyzerSettings:
        """How much it takes on."""
        ...

    @property
    def degradation(self) -> Load:
        """How busy it is."""
        ...

    def number_epochs(self, after: Callable[[str], int]) -> None:
        """Have the epochs of a stream that is started follow a number."""
        ...

    def health(self) -> Health:
        """Return how it is."""
        ...

    def callers(self) -> Callers:
        """Return who sends streams now."""
        ...

    def spec(self, stream: str) -> StreamSpec:
        """Return a stream's settings. Raises StreamUnknown."""
        ...

    def status(self, stream: str) -> StreamStatus:
        """Return how a stream stands. Raises StreamUnknown."""
        ...

    def statuses(self) -> tuple[StreamStatus, ...]:
        """Return how every stream stands."""
        ...

    async def add(self, spec: StreamSpec, *, decided: bool = False) -> StreamStatus:
        """Start a stream."""
        ...

    async def remove(self, stream: str, *, moved: bool = False) -> None:
        """Stop a stream. Raises StreamUnknown."""
        ...

    async def call(self, stream: str, offer: str, /) -> CallAnswer:
        """Answer a peer that offers to send a stream."""
        ...


class StreamWorker:
    """A worker in this process; implements `WorkerHandle`.

    Args:
        card: who it is.
        analyzer: runs the streams; its events are told in the feed.
        services: further parts that may be asked, by name; the analyzer itself is `control`.
        allowed: names of what may be asked of every part.
        figures: returns the figures in Prometheus's text format.
        feed_events: events that wait for gateways.
        ids: numbers of its events; in a cluster they go on in the block of a new generation.
        block: returns a generation that nobody has had, for a stream that a call makes.
        fence: tells the store that from now on a stream has a generation.
        taken: awaited beside everything else after a stream was given to this worker.
        stored: waits until everything that was told is in the store. What is written there of a
            stream that was given up is left out as soon as its next owner has begun.
    """

    def __init__(
        self,
        card: WorkerCard,
        analyzer: StreamRunner,
        services: Mapping[str, object],
        allowed: Mapping[str, Collection[str]],
        figures: Callable[[], str] = str,
        feed_events: int = FEED_EVENTS,
        ids: EventIds | None = None,
        block: Callable[[], Awaitable[int]] | None = None,
        fence: Callable[[str, int], None] = lambda stream, generation: None,
        taken: Callable[[str], Awaitable[None]] | None = None,
        stored: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._card = card
        self._analyzer = analyzer
        self._services: dict[str, object] = {"control": analyzer, **services}
        self._allowed = allowed
        self._figures = figures
        self._ids = ids
        self._block = block
        self._fence = fence
        self._taken = taken
        self._stored = stored
        self._taking: set[asyncio.Task[None]] = set()
        self._generations: dict[str, int] = {}
        self._turns = _Turns()
        self._feed = Feed(card.incarnation, feed_events, lambda id: self._generations.get(id, 0))
        analyzer.number_epochs(lambda id: self._generations.get(id, 0) * EPOCHS_PER_GENERATION)
        analyzer.events.attach(self._feed)

    async def card(self) -> WorkerCard:
        """Return who it is."""
        return self._card

    async def beat(self) -> Beat:
        """Return how it is doing; nothing is waited for."""
        analyzer, owned = self._analyzer, self._owned()
        callers = analyzer.callers()
        full = len(owned) >= analyzer.settings.max_streams
        return Beat(
            incarnation=self._card.incarnation,
            busy=analyzer.degradation.busy,
            degradation=int(analyzer.degradation.level),
            refuses=full or analyzer.degradation.refuses,
            owned=owned,
            health=analyzer.health(),
            sent=self._feed.end,
            called=callers.called & owned.keys(),
            holders=callers.holders,
        )

    def _owned(self) -> dict[str, int]:
        """Return the streams that run, with their generations.

        A stream may have ended by itself, as one that a call made does some time after it.
        """
        running = {status.id for status in self._analyzer.statuses()}
        return {id: of for id, of in sorted(self._generations.items()) if id in running}

    async def own(self, spec: StreamSpec, generation: int) -> StreamStatus:
        """Start a stream that the director has given to it; see `WorkerHandle.own`."""
        async with self._turns.of(spec.id):
            held = self._owned().get(spec.id)
            if held is not None and held >= generation:
                return self._analyzer.status(spec.id)
            if held is not None:
                await self._drop(spec.id, moved=True)
            with self._owning(spec.id, generation):
                status = await self._analyzer.add(spec, decided=True)
            if self._taken is not None:
                task = asyncio.create_task(_told(self._taken(spec.id), spec.id))
                self._taking.add(task)
                task.add_done_callback(self._taking.discard)
            return status

    @contextmanager
    def _owning(self, stream: str, generation: int) -> Iterator[None]:
        """Own a stream from before its first event on, unless it cannot be started."""
        if self._ids is not None:
            self._ids.begin(block_of(generation))
        self._fence(stream, generation)
        self._generations[stream] = generation
        try:
            yield
        except BaseException:
            self._generations.pop(stream, None)
            raise
        log.info("stream owned", stream=stream, generation=generation)

    async def disown(self, stream: str, generation: int, *, moved: bool) -> None:
        """Stop a stream up to this generation; see `WorkerHandle.disown`."""
        async with self._turns.of(stream):
            held = self._generations.get(stream)
            if held is None or held > generation:
                return
            await self._drop(stream, moved=moved)
            if moved and self._stored is not None:
                await self._stored()
            log.info("stream given up", stream=stream, generation=held, moved=moved)

    async def _drop(self, stream: str, *, moved: bool) -> None:
        """Stop a stream; it may have ended by itself meanwhile."""
        try:
            await self._analyzer.remove(stream, moved=moved)
        except StreamUnknown:
            pass
        finally:
            self._generations.pop(stream, None)

    async def ask(self, service: str, method: str, *args: Any, **named: Any) -> Any:
        """Call a method of a part, or read a value of it, if the table allows that.

        Raises:
            LookupError: nobody may ask that, or this worker has no such part.
        """
        part = self._services.get(service)
        if part is None or method not in self._allowed.get(service, ()):
            raise LookupError(f"a worker answers no {service}.{method}")
        if (service, method) == ("control", "specs"):
            return self.specs()
        if (service, method) == ("control", "call"):
            return await self._call(*args, **named)
        asked = getattr(part, method)
        answer = asked(*args, **named) if callable(asked) else asked
        return await answer if inspect.isawaitable(answer) else answer

    async def _call(self, stream: str, *args: Any, **named: Any) -> CallAnswer:
        """Answer a call; the stream that it may make gets a generation of its own."""
        if self._block is None or stream in self._owned():
            return await self._analyzer.call(stream, *args, **named)
        async with self._turns.of(stream):
            if stream in self._owned():
                return await self._analyzer.call(stream, *args, **named)
            with self._owning(stream, await self._block()):
                return await self._analyzer.call(stream, *args, **named)

    def specs(self) -> tuple[StreamSpec, ...]:
        """Return the settings of the streams that it owns, ordered by id."""
        return tuple(self._analyzer.spec(id) for id in self._owned())

    async def feed(self, position: int | None, incarnation: str, wait_s: float) -> Batch:
        """Return events from a position on; see `WorkerHandle.feed`."""
        return await self._feed.read(position, incarnation, wait_s)

    async def metrics(self) -> str:
        """Return its figures in Prometheus's text format."""
        return self._figures()
