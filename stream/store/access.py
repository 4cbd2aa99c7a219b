"""Access to the store: writes go to one writer, reads have connections of their own.

The device thread and the event loop never wait for the database: `submit` only queues, and reads
are done in worker threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")

_BEGAN = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Write = Callable[[Connection], T]
"""Part of a transaction; it may be run again when the database was busy, so it must not do
anything else."""


WRITING = "styleflow_writing"
"""Execution option of connections that write: SQLite's then take their turn at once."""


class StoreAccess(Protocol):
    """Everything that other rooms may do with the database."""

    def submit(self, write: Write[T]) -> Future[T]:
        """Queue a write; safe on any thread, and never waits.

        The future is resolved once it is committed, with what `write` returned. It fails with
        `StoreUnavailable` when it was not written: the queue is full, or the disk.
        """
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """Return a connection to read with. It waits for the database: not on the event loop.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        ...


class DirectStore:
    """Access without a writer thread: every write is a transaction of its own, done at once.

    For commands that run beside the analyzer or without it, and for tests.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def submit(self, write: Write[T]) -> Future[T]:
        """Write now; an error is the future's."""
        future: Future[T] = Future()
        try:
            engine = self.engine.execution_options(**{WRITING: True})
            with engine.begin() as connection:
                _lock(connection)
                future.set_result(write(connection))
        except Exception as error:
            future.set_exception(error)
        return future

    def reading(self) -> AbstractContextManager[Connection]:
        """Return a connection to read with."""
        return self.engine.connect()


def _lock(connection: Connection) -> None:
    """Have SQLite's transaction take its turn at once, also where the driver would begin it late.

    Begun late, a transaction that has read fails at its first write if another one was quicker.
    """
    if connection.dialect.name != "sqlite":
        return
    driver = connection.connection.dbapi_connection
    if not getattr(driver, "in_transaction", True):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def to_us(moment: datetime) -> int:
    """Return a moment as the tables have it: whole microseconds since 1970."""
    return (moment - _BEGAN) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Return the moment of a table's microseconds, UTC."""
    return _BEGAN + microseconds * _MICROSECOND
