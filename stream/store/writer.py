"""The one writer of the store: a thread that commits what has gathered, twice a second.

Theory of operation. The event log puts events into a bounded queue, other rooms put writes into a
bounded mailbox; neither ever waits. The writer's thread turns events into rows (`Collector`), and
commits rows and writes together, at most `commit_s` after they came. A batch that cannot be
written stays and is tried again, after longer and longer pauses: meanwhile events gather in the
queue, whose oldest give way and are counted, while writes fail at the next try. Between commits the
thread deletes what is too old, in small steps.

`turn` does one round of this and can be stepped by tests; `run` is the thread.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from stream.clock import Clock
from stream.event_log.event_log import StampedEvent
from stream.event_log.queued_sink import QueuedSink
from stream.events import StreamAdded, StreamDescribed
from stream.scheduling.mailbox import Mailbox, Overflow
from stream.store.access import T, Write
from stream.store.batches import BatchWriter, Numbers, Written
from stream.store.database import OF_A_ROW, Database, prepare, reason_of
from stream.store.errors import StoreError, StoreUnavailable
from stream.store.owners import Ownership
from stream.store.retention import Retention, fill_seconds
from stream.store.rows import Batch, Collector
from stream.store.settings import StoreSettings

log = structlog.get_logger(__name__)

MAX_BATCH = 8192
"""Rows of one commit at most."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
HURRY_S = 0.02
"""How long a write that somebody waits for is held back, so that its like may join it."""

_ANNOUNCED = 4096

COLLIDES = (
    "another analyzer writes into this database and counts its events from the same numbers: "
    "give each machine's analyzer a database of its own in store.url"
)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A write that somebody submitted."""

    write: Write[Any]
    future: Future[Any]


@dataclass(slots=True)
class _Outcome:
    """What became of a write, told when it is committed."""

    future: Future[Any]
    result: Any = None
    error: BaseException | None = None

    def tell(self) -> None:
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


@dataclass(frozen=True, slots=True)
class _Done:
    """What a transaction has done."""

    written: Written
    outcomes: list[_Outcome]
    fenced: int


class StoreWriter:
    """Everything that is written; `StoreAccess` for other rooms, and a sink of the event log.

    Args:
        database: where to; its tables are brought up to date on the writer's thread when they
            are not yet.
        settings: bounds.
        clock: tells when to commit, and what is too old.
        prepared: whether the tables are up to date.
        committed: called on the writer's thread with the number of the newest event that is on
            disk.

    Attributes:
        written: rows written, by table.
        deleted: rows that retention deleted, by table.
        failures: commits that failed.
        refused_writes: writes that found the mailbox full, or the database away.
        commit_s: how long the last commit took.
        collisions: events whose numbers another analyzer had taken.
        ownership: which streams this analyzer was given, where several write.
        failing: what the database says, while it cannot be written; empty otherwise.
        failing_since: when that began; None otherwise.
    """

    def __init__(
        self,
        database: Database,
        settings: StoreSettings,
        clock: Clock,
        *,
        prepared: bool = True,
        committed: Callable[[int], None] | None = None,
    ) -> None:
        self.written: Counter[str] = Counter()
        self.failures = 0
        self.refused_writes = 0
        self.commit_s = 0.0
        self.collisions = 0
        self.ownership = Ownership()
        self.failing = ""
        self.failing_since: datetime | None = None
        self._database = database
        self._settings = settings
        self._clock = clock
        self._prepared = prepared
        self._filled = False
        self._committed = committed
        self._announced: OrderedDict[str, StreamAdded] = OrderedDict()
        self._collector = Collector(self._announced.get)
        self._events = QueuedSink(self._collector, settings.queue)
        self._writes: Mailbox[_Waiting] = Mailbox(
            settings.writes, Overflow.REFUSE, lambda: self._wake.set()
        )
        self._numbers = Numbers()
        self._batches = BatchWriter(self._numbers)
        self._retention = Retention(settings, sqlite=database.file is not None)
        self._left: Batch | None = None
        self._lost = 0
        self._pause_s = 0.0
        self._not_before = 0.0
        self._failing_from = 0.0
        self._lost_before = 0
        self._wake, self._stopping, self._closed = (threading.Event() for _ in range(3))

    # --- any thread -----------------------------------------------------------------------------

    def accept(self, stamped: StampedEvent) -> None:
        """Take an event from the log; never waits."""
        if isinstance(stamped.event, StreamAdded):
            self._announced[stamped.event.stream] = stamped.event
            while len(self._announced) > _ANNOUNCED:
                self._announced.popitem(last=False)
        elif isinstance(stamped.event, StreamDescribed):
            self._describe(stamped.event)
        self._events.accept(stamped)

    def _describe(self, event: StreamDescribed) -> None:
        known = self._announced.get(event.stream)
        if known is not None:
            self._announced[event.stream] = replace(known, name=event.name, tags=event.tags)

    def submit(self, write: Write[T]) -> Future[T]:
        """Queue a write; see `StoreAccess`."""
        future: Future[T] = Future()
        if self._closed.is_set() or not self._writes.put(_Waiting(write, future)):
            self.refused_writes += 1
            why = "it is closed" if self._closed.is_set() else "too many writes wait"
            future.set_exception(StoreUnavailable(self._database.shown, why))
        return future

    def reading(self) -> AbstractContextManager[Connection]:
        """Return a connection to read with; see `StoreAccess`."""
        return self._database.reading()

    @property
    def database(self) -> Database:
        """Where everything is written."""
        return self._database

    @property
    def lost(self) -> int:
        """Events that were never written."""
        return self._events.dropped + self._collector.lost + self._lost

    @property
    def waiting(self) -> int:
        """Events that wait to be written."""
        return len(self._events) + (self._left.taken if self._left else 0)

    @property
    def deleted(self) -> Counter[str]:
        """Rows that retention deleted, by table."""
        return self._retention.deleted

    @property
    def detail(self) -> str:
        """How the store is doing, in words."""
        lost = f"; {self.lost} events lost" if self.lost else ""
        if self.collisions:
            lost += f", {self.collisions} of them because {COLLIDES}"
        return f"failing: {self.failing}{lost}" if self.failing else f"ok{lost}"

    def stop(self) -> None:
        """Have the thread write what is queued, once, and end."""
        self._stopping.set()
        self._wake.set()

    # --- the writer's thread --------------------------------------------------------------------

    def run(self) -> None:
        """Write until it is stopped, then what is left."""
        while not self._stopping.is_set():
            if self._wake.wait(self._settings.commit_s):
                self._wake.clear()
                self._stopping.wait(HURRY_S)
            self.turn()
        self._finish()

    def turn(self) -> None:
        """Commit what has gathered, unless it is too soon after a failure; then delete a little."""
        now = self._clock.monotonic()
        if now < self._not_before:
            return
        try:
            self._step(self._clock.utc().timestamp())
        except Exception as error:  # whatever it is, scoring goes on and the thread, too
            self._failed(error, now)

    def _step(self, until: float) -> None:
        if self.failing:
            with suppress(StoreUnavailable):
                self._database.relieve()
        self._make_ready()
        self.ownership.tell(self._database)
        while self._take(until) or self._writes.peek() is not None:
            self._commit()
        if self._retention.due(self._clock.monotonic()):
            self._purge()

    def _make_ready(self) -> None:
        if not self._prepared:
            prepare(self._database)
            self._prepared = True
        if not self._filled:
            with self._database.writing() as connection:
                fill_seconds(connection)
            self._filled = True

    def _take(self, until: float) -> Batch | None:
        """Return the rows to write next; None when there are none."""
        if self._left is None:
            while self._collector.batch.taken < MAX_BATCH and self._deliver():
                pass
            batch = self._collector.take(until)
            self._left = batch if len(batch) else None
        return self._left

    def _deliver(self) -> bool:
        try:
            return self._events.deliver()
        except Exception:
            self._lost += 1
            log.exception("an event cannot be stored")
            return True

    def _commit(self) -> None:
        """Write the rows that are left and the writes that wait, in one transaction."""
        began = self._clock.monotonic()
        batch, writes = self._left or Batch(), self._claimed()
        try:
            try:
                done = self._write(batch, writes, self._batches.write)
            except (*OF_A_ROW, OverflowError):
                self._numbers.forget()
                done = self._write(batch, writes, self._batches.salvage)
        except BaseException as error:
            self._numbers.forget()
            self._fail(writes, error)
            raise
        self._numbers.keep()
        self._left = None
        self._count(done)
        self.commit_s = self._clock.monotonic() - began
        self._succeeded(began)
        for outcome in done.outcomes:
            outcome.tell()
        if self._committed is not None and batch.newest:
            self._committed(batch.newest)

    def _write(
        self,
        batch: Batch,
        writes: Sequence[_Waiting],
        rows: Callable[[Connection, Batch], Written],
    ) -> _Done:
        with self._database.writing() as connection:
            batch, fenced = self.ownership.kept(connection, batch)
            written = rows(connection, batch)
            outcomes = [self._done(connection, waiting) for waiting in writes]
            return _Done(written, outcomes, fenced)

    def _count(self, done: _Done) -> None:
        written = done.written
        self.ownership.fenced += done.fenced
        self.written.update(written.rows)
        self._lost += written.refused
        if written.refused:
            log.warning("rows are lost: the database refuses them", count=written.refused)
        if written.there and not self.failing:  # after a failure they may be this very batch
            self._lost += written.there
            self.collisions += written.there
            log.warning(
                "events are lost: their numbers are taken", count=written.there, hint=COLLIDES
            )

    def _claimed(self) -> list[_Waiting]:
        """Return the writes that wait and that nobody has called off."""
        claimed = []
        while (waiting := self._writes.take()) is not None:
            if waiting.future.set_running_or_notify_cancel():
                claimed.append(waiting)
        return claimed

    def _done(self, connection: Connection, waiting: _Waiting) -> _Outcome:
        """Run a write; an error of its own undoes it alone."""
        try:
            with connection.begin_nested():
                return _Outcome(waiting.future, waiting.write(connection))
        except Exception as error:
            if connection.invalidated or not connection.in_transaction():
                raise
            if isinstance(error, DBAPIError) and not isinstance(error, OF_A_ROW):
                told = StoreUnavailable(self._database.shown, reason_of(error))
                return _Outcome(waiting.future, error=told)
            return _Outcome(waiting.future, error=error)

    def _fail(self, writes: Sequence[_Waiting], error: BaseException) -> None:
        told = StoreUnavailable(self._database.shown, _reason(error))
        for waiting in writes:
            self.refused_writes += 1
            waiting.future.set_exception(told)

    def _failed(self, error: Exception, now: float) -> None:
        """Note that nothing could be written, and when to try again."""
        self.failures += 1
        if not self.failing:
            self._failing_from, self._lost_before = now, self.lost
            self.failing_since = self._clock.utc()
            log.warning(
                "the store cannot be written; scoring goes on",
                store=self._database.shown,
                error=_reason(error),
                exc_info=None if isinstance(error, StoreError) else error,
            )
        self.failing = _reason(error)
        self._fail(self._claimed(), error)
        self._pause_s = min(max(self._pause_s * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        self._not_before = now + self._pause_s

    def _succeeded(self, now: float) -> None:
        self._pause_s, self._not_before = 0.0, 0.0
        if self.failing:
            self.failing, self.failing_since = "", None
            log.info(
                "the store is written again",
                store=self._database.shown,
                after_s=round(now - self._failing_from, 1),
                events_lost=self.lost - self._lost_before,
            )

    def _purge(self) -> None:
        """Delete a little of what is too old."""
        with self._database.writing() as connection:
            self._retention.step(connection, self._clock.utc(), self._clock.monotonic())
        if self._retention.swept:
            self._numbers.forget()  # others may have deleted streams meanwhile

    def _finish(self) -> None:
        """Write what is left, the seconds that go on among it; what cannot be is counted."""
        self._not_before = 0.0
        try:
            self._step(float("inf"))
        except Exception as error:
            self._failed(error, self._clock.monotonic())
            left = self.waiting
            self._lost += left
            log.warning("events are lost: the store cannot be written", count=left)
        self._closed.set()
        closed = StoreUnavailable(self._database.shown, "it is closed")
        for waiting in self._claimed():
            self.refused_writes += 1
            with suppress(Exception):
                waiting.future.set_exception(closed)


def _reason(error: BaseException) -> str:
    if isinstance(error, StoreUnavailable):
        return error.reason
    return str(error) if isinstance(error, StoreError) else type(error).__name__
