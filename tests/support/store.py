"""A store whose writer is stepped: events in, rows out, on a clock that stands still."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Table, select

from stream.clock import ManualClock
from stream.event_log.event_log import EventLog
from stream.event_log.ids import EventIds
from stream.events import Event
from stream.store.database import Database
from stream.store.settings import StoreSettings
from stream.store.writer import StoreWriter

STEADY = StoreSettings()


class StoreRig:
    """A writer without a thread, behind an event log that may have numbers of its own."""

    def __init__(
        self,
        database: Database,
        settings: StoreSettings = STEADY,
        ids: EventIds | None = None,
        **more: Any,
    ) -> None:
        self.clock = ManualClock(start=100.0)
        self.database = database
        self.writer = StoreWriter(database, replace(settings), self.clock, **more)
        self.log = EventLog(self.clock, ids)
        self.log.attach(self.writer)

    def publish(self, *events: Event) -> list[int]:
        """Publish events at the clock's time and return their numbers."""
        return [self.log.append(event).id for event in events]

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass, then have the writer take its turn."""
        self.clock.advance(seconds)
        self.writer.turn()

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """Return all rows of a table, ordered by its key."""
        with self.database.reading() as connection:
            found = connection.execute(select(table).order_by(*table.primary_key.columns))
            return [dict(row) for row in found.mappings()]
