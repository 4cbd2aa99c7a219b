"""Worker: an analyzer and its services as the director and gateways call them.

It runs the streams that it is given, from the packet on, and keeps the newest events for gateways
to fetch. A stream's epochs begin at its generation's, so they rise from owner to owner. Everything
here belongs to one event loop; nothing of Ray is known here.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog

from stream.analyzer.analyzer import Analyzer
from stream.analyzer.streams import StreamSpec, StreamStatus
from stream.cluster.feed import Feed
from stream.cluster.protocol import EPOCHS_PER_GENERATION, Batch, Beat, WorkerCard
from stream.errors import StreamUnknown
from stream.event_log.event_log import EventLog

log = structlog.get_logger(__name__)

FEED_EVENTS = 16_384


async def _nothing() -> None:
    """Do nothing."""


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


class StreamWorker:
    """A worker in this process; implements `WorkerHandle`.

    Args:
        card: who it is.
        analyzer: runs the streams; its events are told in the feed.
        services: further parts that may be asked, by name; the analyzer itself is `control`.
        allowed: names of what may be asked of every part.
        figures: returns the figures in Prometheus's text format.
        feed_events: events that wait for gateways.
        renumber: has the numbers of events begin above all that were given away; awaited before a
            stream is started that may have had an owner before.
        fence: tells the store that from now on a stream has a generation.
    """

    def __init__(
        self,
        card: WorkerCard,
        analyzer: Analyzer,
        services: Mapping[str, object],
        allowed: Mapping[str, Collection[str]],
        figures: Callable[[], str] = str,
        feed_events: int = FEED_EVENTS,
        renumber: Callable[[], Awaitable[None]] = _nothing,
        fence: Callable[[str, int], None] = lambda stream, generation: None,
    ) -> None:
        self._card = card
        self._analyzer = analyzer
        self._services: dict[str, object] = {"control": analyzer, **services}
        self._allowed = allowed
        self._figures = figures
        self._renumber = renumber
        self._fence = fence
        self._generations: dict[str, int] = {}
        self._turns = _Turns()
        self._feed = Feed(card.incarnation, feed_events, lambda id: self._generations.get(id, 0))
        events: EventLog = analyzer.events
        events.attach(self._feed)

    async def card(self) -> WorkerCard:
        """Return who it is."""
        return self._card

    async def beat(self) -> Beat:
        """Return how it is doing; nothing is waited for."""
        analyzer, owned = self._analyzer, self._owned()
        full = len(owned) >= analyzer.settings.max_streams
        return Beat(
            incarnation=self._card.incarnation,
            busy=analyzer.busy,
            degradation=int(analyzer.degradation.level),
            refuses=full or analyzer.degradation.refuses,
            owned=owned,
            health=analyzer.health(),
            sent=self._feed.end,
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
            await self._renumber()
            self._fence(spec.id, generation)
            self._generations[spec.id] = generation
            try:
                status = await self._analyzer.add(spec, generation * EPOCHS_PER_GENERATION)
            except BaseException:
                del self._generations[spec.id]
                raise
            log.info("stream owned", stream=spec.id, generation=generation)
            return status

    async def disown(self, stream: str, generation: int, *, moved: bool) -> None:
        """Stop a stream up to this generation; see `WorkerHandle.disown`."""
        async with self._turns.of(stream):
            held = self._generations.get(stream)
            if held is None or held > generation:
                return
            await self._drop(stream, moved=moved)
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
        asked = getattr(part, method)
        answer = asked(*args, **named) if callable(asked) else asked
        return await answer if inspect.isawaitable(answer) else answer

    def specs(self) -> tuple[StreamSpec, ...]:
        """Return the settings of the streams that it owns, ordered by id."""
        return tuple(self._analyzer.spec(id) for id in self._owned())

    async def feed(self, position: int | None, incarnation: str, wait_s: float) -> Batch:
        """Return events from a position on; see `WorkerHandle.feed`."""
        return await self._feed.read(position, incarnation, wait_s)

    async def metrics(self) -> str:
        """Return its figures in Prometheus's text format."""
        return self._figures()
