"""Notes of a cluster's director in the store that its workers share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

from platformdirs import user_data_path
from sqlalchemy import Connection

from stream.store import drains
from stream.store.database import Database, connect, prepare
from stream.store.owners import newest_generations
from stream.store.settings import StoreSettings

T = TypeVar("T")


class StoredNotes:
    """Notes in a store; implements `stream.cluster.notes.Notes`.

    Args:
        settings: where the store is.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings

    async def drained(self) -> Mapping[str, str]:
        """Return which workers are drained, and by whom. Raises StoreError."""
        return await asyncio.to_thread(self._in_store, drains.read)

    async def newest(self) -> Mapping[str, int]:
        """Return the newest generation of streams that the store has seen. Raises StoreError."""
        return await asyncio.to_thread(self._in_store, newest_generations)

    async def keep(self, drained: Mapping[str, str]) -> None:
        """Write which workers are drained, and by whom. Raises StoreError."""
        await asyncio.to_thread(self._in_store, lambda at: drains.write(at, drained))

    def forget(self) -> None:
        """Have nobody drained: all workers begin anew. Raises StoreError."""
        self._in_store(lambda at: drains.write(at, {}))

    def _in_store(self, work: Callable[[Connection], T]) -> T:
        """Do something in the store; it is asked so rarely that it is opened each time."""
        database = self._open()
        try:
            with database.writing() as connection:
                return work(connection)
        finally:
            database.close()

    def _open(self) -> Database:
        database = connect(self._settings.url.get_secret_value(), user_data_path("styleflow"))
        try:
            prepare(database)
        except BaseException:
            database.close()
            raise
        return database


def notes_of(settings: StoreSettings) -> StoredNotes | None:
    """Return the notes of a director; None where there is no store to write them in."""
    return StoredNotes(settings) if settings.enabled else None
