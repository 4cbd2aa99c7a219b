"""Memory of the analyzer: wires the store to the event log, and says how it is doing.

Without a store the analyzer works as well, and forgets: when it is turned off, and when its file
can be neither made nor opened. A server that is away is waited for, see `stream.store.writer`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType

import structlog
from platformdirs import user_data_path

from stream.analyzer.remembered_streams import RememberedStreams
from stream.analyzer.streams import StreamEditor, StreamSpec
from stream.analyzer.threads import StartThread, Thread, start_daemon
from stream.clock import Clock
from stream.drift.settings import DriftSettings
from stream.drift.watch import DriftWatch
from stream.event_log.event_log import EventLog
from stream.incidents.service import Incidents
from stream.incidents.settings import IncidentSettings
from stream.monitoring.metrics import Figure
from stream.store.access import StoreAccess
from stream.store.database import connect, newest_event, prepare
from stream.store.desired import DesiredStreams
from stream.store.errors import StoreNotWritable, StoreUnavailable
from stream.store.figures import StoreState
from stream.store.secret_box import KEY_FILE, SecretBox
from stream.store.settings import StoreSettings
from stream.store.writer import StoreWriter

log = structlog.get_logger(__name__)

CLOSE_S = 15.0
"""How long the writer may take for what is queued when the analyzer stops."""


SAVE_S = 5.0
"""How long the last figures of drift may take to be stored when the analyzer stops."""

RESTORE_S = 10.0
"""Pause between two tries to read which streams are wanted."""


class Memory:
    """What is remembered beyond a restart; an async context manager that runs the writer.

    Args:
        writer: of the store; None without one.
        off: why there is no store.
        start_thread: runs the writer.
        key: file of the key of stored credentials.
        newest: number of the newest event that is stored; 0 without one.
    """

    def __init__(
        self,
        writer: StoreWriter | None,
        off: str = "",
        start_thread: StartThread = start_daemon,
        key: Path | None = None,
        newest: int = 0,
    ) -> None:
        self.writer = writer
        self.newest = newest
        self._key = key or user_data_path("styleflow") / KEY_FILE
        self._off = off
        self._start_thread = start_thread
        self._thread: Thread | None = None

    @classmethod
    def open(
        cls,
        settings: StoreSettings,
        clock: Clock,
        folder: Path | None = None,
        start_thread: StartThread = start_daemon,
    ) -> Memory:
        """Return the memory of an analyzer; it waits for the database.

        Args:
            settings: where the store is and what is kept.
            clock: where time comes from.
            folder: the user's data directory; the system's own when left out.
            start_thread: runs the writer.

        Raises:
            StoreUrlInvalid: the URL names no database that is known.
            StoreDriverMissing: the package that speaks with it is not installed.
            StoreTooNew: a newer version has written it.
        """
        if not settings.enabled:
            return cls(None, "turned off")
        folder = folder or user_data_path("styleflow")
        database = connect(settings.url.get_secret_value(), folder)
        prepared, newest = False, 0
        try:
            prepare(database)
            newest = newest_event(database)
            prepared = True
        except StoreNotWritable as error:
            database.close()
            log.warning(
                "nothing is stored: the file can be neither made nor opened",
                store=error.shown,
                error=error.reason,
                hint=error.hint,
            )
            return cls(None, error.reason)
        except StoreUnavailable as error:
            log.warning("the store is not there yet", store=error.shown, error=error.reason)
        except BaseException:
            database.close()
            raise
        writer = StoreWriter(database, settings, clock, prepared=prepared)
        beside = database.file.parent if database.file else folder
        return cls(writer, "", start_thread, beside / KEY_FILE, newest)

    @property
    def store(self) -> StoreAccess | None:
        """Access to the store for other rooms; None without one."""
        return self.writer

    def editor(
        self,
        control: StreamEditor,
        clock: Clock,
        configured: Collection[str],
        start: Callable[[StreamSpec], Awaitable[object]] | None = None,
    ) -> RememberedStreams | None:
        """Return what the API changes streams through, so that they are there after a restart.

        Args:
            control: the analyzer.
            clock: where time comes from.
            configured: ids of the configuration's streams.
            start: starts a stored stream where that is not `control.add`.
        """
        if self.writer is None:
            return None
        desired = DesiredStreams(SecretBox(self._key))
        return RememberedStreams(control, self.writer, desired, clock, configured, start)

    def attach(self, events: EventLog) -> None:
        """Have every event stored from now on."""
        if self.writer is not None:
            events.attach(self.writer)

    def incidents(
        self, events: EventLog, clock: Clock, settings: IncidentSettings, *, alone: bool = True
    ) -> Incidents:
        """Return the incidents of an analyzer, which listen from now on; see `tended`."""
        incidents = Incidents(events, clock, settings, self.store, alone=alone)
        incidents.attach()
        return incidents

    def drift(self, events: EventLog, clock: Clock, settings: DriftSettings) -> DriftWatch:
        """Return the watch over drift, which listens from now on; see `watched`."""
        watch = DriftWatch(settings, clock, self.store)
        events.attach(watch)
        return watch

    async def __aenter__(self) -> Memory:
        if self.writer is not None:
            self._thread = self._start_thread(self.writer.run, "store")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        """Write what is queued, and close the database."""
        if self.writer is None or self._thread is None:
            return
        self.writer.stop()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            log.warning("the store does not finish; it is left alone", waiting=self.writer.waiting)
            return
        self.writer.database.close()

    def health(self) -> Mapping[str, str]:
        """Return how the store is doing, in words, for `/readyz`."""
        return {"store": self.writer.detail if self.writer else f"off: {self._off}"}

    def state(self) -> StoreState:
        """Return how the store is doing, for the API."""
        if self.writer is None:
            return StoreState("", "off", self._off, 0)
        writer = self.writer
        state = "failing" if writer.failing else "ok"
        since = writer.failing_since
        shown = writer.database.shown
        return StoreState(shown, state, writer.detail, writer.lost, since, writer.waiting)

    def figures(self) -> Iterator[Figure]:
        """Yield what the store counts; read at every scrape."""
        if self.writer is not None:
            yield from store_figures(self.writer)


@asynccontextmanager
async def tended(incidents: Incidents) -> AsyncIterator[None]:
    """Have incidents looked after, from the first stream to the last."""
    await incidents.start()
    task = asyncio.create_task(incidents.run(), name="incidents")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def watched(watch: DriftWatch) -> AsyncIterator[None]:
    """Have drift watched; what has gathered is stored at the end."""
    task = asyncio.create_task(watch.run(), name="drift")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(watch.save(), SAVE_S)


@asynccontextmanager
async def restored(editor: RememberedStreams | None, clock: Clock) -> AsyncIterator[None]:
    """Start what was wanted; while the database is away, go on trying until it is left."""
    trying = None
    if editor is not None and not await editor.restore():
        trying = asyncio.create_task(_restore(editor, clock))
    try:
        yield
    finally:
        if trying is not None:
            trying.cancel()
            await asyncio.gather(trying, return_exceptions=True)


async def _restore(editor: RememberedStreams, clock: Clock) -> None:
    while True:
        await clock.sleep(RESTORE_S)
        if await editor.restore():
            return


def store_figures(writer: StoreWriter) -> Iterator[Figure]:
    """Yield what a writer counts."""
    yield Figure("store_up", 0.0 if writer.failing else 1.0)
    yield Figure("store_rows_total", sum(writer.written.values()))
    yield Figure("store_rows_deleted_total", sum(writer.deleted.values()))
    yield Figure("store_events_lost_total", writer.lost)
    yield Figure("store_writes_refused_total", writer.refused_writes)
    yield Figure("store_rows_fenced_total", writer.ownership.fenced)
    yield Figure("store_failures_total", writer.failures)
    yield Figure("store_waiting", writer.waiting)
    yield Figure("store_commit_seconds", writer.commit_s)
