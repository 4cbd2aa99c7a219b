"""Streams that are there again after a restart: what the API does, done and then remembered.

Only what is asked for through this object is remembered: not the configuration's streams, which are
the file's, and not those that a call creates and takes away again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Future
from dataclasses import asdict

import structlog

from stream.analyzer.streams import Priority, StreamEditor, StreamSpec, StreamStatus
from stream.clock import Clock
from stream.engine.settings import EngineSettings
from stream.errors import StreamError, StreamExists, StreamUnknown
from stream.store.access import StoreAccess
from stream.store.audit import asked_by
from stream.store.desired import DesiredStreams, WantedStream
from styleflow.errors import StyleFlowError

log = structlog.get_logger(__name__)

COMMIT_S = 2.0
"""Seconds that an answer waits until what was done is on disk. Then it is given all the same."""


class RememberedStreams:
    """Control of streams that the store remembers. Belongs to the event loop.

    Args:
        control: does what is asked.
        store: remembers it.
        desired: how.
        clock: where time comes from.
        configured: ids of the configuration's streams, which the file remembers.
        start: starts a stored stream where that is not `control.add`: in a cluster it may wait for
            a worker.

    Attributes:
        forgotten: changes that were done and could not be remembered.
    """

    def __init__(
        self,
        control: StreamEditor,
        store: StoreAccess,
        desired: DesiredStreams,
        clock: Clock,
        configured: Collection[str] = (),
        start: Callable[[StreamSpec], Awaitable[object]] | None = None,
    ) -> None:
        self.forgotten = 0
        self._control = control
        self._start_stored = start or control.add
        self._store = store
        self._desired = desired
        self._clock = clock
        self._configured = frozenset(configured)
        self._remembered: set[str] = set()

    async def restore(self) -> bool:
        """Start every stream that was wanted when the analyzer ended.

        One that cannot be started is told of in the log; it stays wanted.

        Returns:
            Whether they could be read; if not, it is worth trying again.
        """
        try:
            wanted = await asyncio.to_thread(self._wanted)
        except StyleFlowError as error:
            log.error("stored streams cannot be read", reason=str(error))
            return False
        for stream in wanted:
            if stream.id in self._configured:
                log.warning("the configuration names a stored stream and wins", stream=stream.id)
                continue
            self._remembered.add(stream.id)
            try:
                await self._start(stream)
            except StreamExists:
                log.debug("a stored stream runs already", stream=stream.id)
            except (StreamError, ValueError, TypeError) as error:
                log.error("a stored stream is not started", stream=stream.id, reason=str(error))
        return True

    def _wanted(self) -> tuple[WantedStream, ...]:
        with self._store.reading() as connection:
            return self._desired.wanted(connection)

    async def _start(self, wanted: WantedStream) -> None:
        priority = Priority(wanted.priority)
        await self._start_stored(
            StreamSpec(
                wanted.id, wanted.source, wanted.name, priority, wanted.tags, wanted.placement
            )
        )
        if wanted.thresholds:
            values = asdict(await self._control.thresholds())
            values |= {k: v for k, v in wanted.thresholds.items() if k in values}
            await self._control.retune(EngineSettings(**values), wanted.id)

    # --- what is remembered -------------------------------------------------------------------

    async def add(self, spec: StreamSpec) -> StreamStatus:
        """Start a stream and remember it; see `StreamControl.add`."""
        status = await self._control.add(spec)
        if spec.id not in self._configured:
            self._remembered.add(spec.id)
        await self._remember(spec.id, "stream.added")
        return status

    async def change(self, spec: StreamSpec) -> StreamStatus:
        """Give a stream other settings, and remember those; see `StreamControl.change`."""
        status = await self._control.change(spec)
        await self._remember(spec.id, "stream.changed")
        return status

    async def retune(self, settings: EngineSettings, stream: str | None = None) -> None:
        """Judge one stream by other thresholds, and remember them; all streams: only until the end.

        Raises StreamUnknown.
        """
        await self._control.retune(settings, stream)
        if stream is not None:
            await self._remember(stream, "stream.changed")

    async def remove(self, stream: str) -> None:
        """Stop a stream and remember it no longer, one that could not be started as well.

        Raises:
            StreamUnknown: neither runs a stream of this id nor is one remembered.
            StoreUnavailable: it does not run, and nobody knows now whether it is remembered.
        """
        try:
            wanted = await self._as_wanted(stream)
        except StreamUnknown:
            ours = stream not in self._configured
            if not ours or not await asyncio.to_thread(self._is_wanted, stream):
                raise
            await self._drop(stream)
            return
        await self._control.remove(stream)
        if stream not in self._remembered:
            await self._write(wanted, "stream.removed")
            return
        await self._drop(stream)

    def _is_wanted(self, stream: str) -> bool:
        with self._store.reading() as connection:
            return self._desired.is_wanted(connection, stream)

    async def _drop(self, stream: str) -> None:
        at, by = self._clock.utc(), asked_by.get()
        self._remembered.discard(stream)
        await self._committed(
            self._store.submit(lambda connection: self._desired.drop(connection, stream, at, by)),
            stream,
        )

    async def _remember(self, stream: str, action: str) -> None:
        """Keep a stream as it is now, or only that somebody has changed it."""
        await self._write(await self._as_wanted(stream), action)

    async def _write(self, wanted: WantedStream, action: str) -> None:
        at, by = self._clock.utc(), asked_by.get()
        kept = wanted.id in self._remembered
        write = self._desired.save if kept else self._desired.note
        await self._committed(
            self._store.submit(lambda connection: write(connection, wanted, at, by, action)),
            wanted.id,
        )

    async def _as_wanted(self, stream: str) -> WantedStream:
        spec = self._control.spec(stream)
        own = asdict(await self._control.thresholds(stream))
        others = asdict(await self._control.thresholds())
        differs = {key: value for key, value in own.items() if value != others[key]}
        return WantedStream(
            spec.id,
            spec.source,
            spec.name,
            spec.priority.value,
            differs,
            spec.tags,
            spec.placement,
        )

    async def _committed(self, future: Future[None], stream: str) -> None:
        """Wait for the disk, but not for long: what was done is done."""
        try:
            async with asyncio.timeout(COMMIT_S):
                await asyncio.shield(asyncio.wrap_future(future))
        except TimeoutError:
            log.warning("a change of a stream is not on disk yet", stream=stream)
        except Exception as error:  # whatever the database raises: the stream itself is fine
            self.forgotten += 1
            log.error("a change of a stream is not remembered", stream=stream, reason=str(error))

    # --- what is only asked -------------------------------------------------------------------

    def spec(self, stream: str) -> StreamSpec:
        """Return a stream's settings as they were given. Raises StreamUnknown."""
        return self._control.spec(stream)

    def status(self, stream: str) -> StreamStatus:
        """Return how one stream stands. Raises StreamUnknown."""
        return self._control.status(stream)

    def statuses(self) -> tuple[StreamStatus, ...]:
        """Return how every stream stands, ordered by id."""
        return self._control.statuses()

    async def thresholds(self, stream: str | None = None) -> EngineSettings:
        """Return what one stream is judged by, or what holds for the others."""
        return await self._control.thresholds(stream)
