"""Batches of rows on their way into the tables, in the writer's transaction.

Streams and models get their numbers here: a row of scores carries two short numbers instead of a
name and a hash. Rows that are there already stay as they are, so a batch whose commit was cut off
may be written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from stream.store.database import OF_A_ROW
from stream.store.rows import Batch, ModelKey, StreamRow
from stream.store.seconds import merged
from stream.store.tables import events, models, pulses, score_seconds, scores, streams

Row = dict[str, Any]  # Any: a column's value

_OF_STREAM = ("id", "name", "source", "changed")
_OF_MODEL = ("name", "version", "mode", "status", "sha256")
_OF_EVENTS = ("scores", "pulses", "events")
"""Tables of which a row is an event."""


class Numbers:
    """Numbers of streams and models, asked of the database once each.

    What a transaction found out counts only when it was committed, see `keep` and `forget`.
    """

    def __init__(self) -> None:
        self._streams: dict[str, int] = {}
        self._models: dict[ModelKey, int] = {}
        self._new_streams: dict[str, int] = {}
        self._new_models: dict[ModelKey, int] = {}

    def stream(self, connection: Connection, id: str) -> int:
        """Return the number of a stream, which may be one that was never announced."""
        found = self._streams.get(id) or self._new_streams.get(id)
        if found is None:
            where = select(streams.c.number).where(streams.c.id == id)
            row = {"id": id, "wanted": False, "changed": 0}
            found = self._new_streams[id] = _number(connection, streams, where, row)
        return found

    def model(self, connection: Connection, key: ModelKey) -> int:
        """Return the number of a model."""
        found = self._models.get(key) or self._new_models.get(key)
        if found is None:
            row: Row = dict(zip(_OF_MODEL, key, strict=True))
            where = select(models.c.number).where(*(models.c[k] == v for k, v in row.items()))
            found = self._new_models[key] = _number(connection, models, where, row)
        return found

    def keep(self) -> None:
        """Remember what the transaction found out: it is committed."""
        self._streams |= self._new_streams
        self._models |= self._new_models
        self._new_streams, self._new_models = {}, {}

    def forget(self) -> None:
        """Ask again for every number: a transaction was undone, or others may have deleted rows."""
        self._streams, self._models = {}, {}
        self._new_streams, self._new_models = {}, {}


def _number(connection: Connection, table: Table, where: Any, row: Row) -> int:
    found = connection.execute(where).scalar_one_or_none()
    if found is None:
        connection.execute(_adding(connection.dialect.name, table), [row])
        found = connection.execute(where).scalar_one()
    return int(found)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch.

    Attributes:
        rows: written, by table.
        refused: events that the database refuses.
        there: events whose number was in the table already.
    """

    rows: dict[str, int]
    refused: int = 0
    there: int = 0


class BatchWriter:
    """Writes batches; belongs to the writer's thread.

    Args:
        numbers: of streams and models.
    """

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def write(self, connection: Connection, batch: Batch) -> Written:
        """Write all rows."""
        written: dict[str, int] = {}
        there = 0
        for name, statement, rows in self._parts(connection, batch):
            if rows:
                done = connection.execute(statement, rows)
                written[name] = len(rows)
                if name == events.name:
                    there = len(rows) - len(done.all())
        return Written(written, there=there)

    def salvage(self, connection: Connection, batch: Batch) -> Written:
        """Write rows one by one, leaving out those that the database refuses."""
        written: dict[str, int] = {}
        refused = 0
        for name, statement, rows in self._parts(connection, batch):
            for row in rows:
                try:
                    with connection.begin_nested():
                        connection.execute(statement, [row])
                    written[name] = written.get(name, 0) + 1
                except (*OF_A_ROW, OverflowError):
                    refused += name in _OF_EVENTS
        return Written(written, refused)

    def _parts(
        self, connection: Connection, batch: Batch
    ) -> Iterable[tuple[str, Executable, Sequence[Row]]]:
        dialect = connection.dialect.name
        yield "streams", _announcing(dialect), _rows(batch.streams.values(), _stream_row)
        stream = {id: self._numbers.stream(connection, id) for id in _named(batch)}
        model = {key: self._numbers.model(connection, key) for key in _models(batch)}

        def named(table: Table) -> Callable[[tuple[Any, ...]], Row]:
            names = [column.name for column in table.columns]

            def row(values: tuple[Any, ...]) -> Row:
                made = dict(zip(names, values, strict=True))
                made["stream"] = stream[made["stream"]]
                if "model" in made:
                    made["model"] = model[made["model"]]
                return made

            return row

        yield "scores", _adding(dialect, scores), _rows(batch.scores, named(scores))
        yield "pulses", _adding(dialect, pulses), _rows(batch.pulses, named(pulses))
        yield "events", _adding_events(dialect), _rows(batch.events, named(events))
        yield "score_seconds", _joining(dialect), _rows(batch.seconds, named(score_seconds))


def _rows(rows: Iterable[Any], make: Callable[[Any], Row]) -> list[Row]:
    return [make(row) for row in rows]


def _named(batch: Batch) -> set[str]:
    parts = (batch.scores, batch.pulses, batch.events, batch.seconds)
    return {row.stream for part in parts for row in part}


def _models(batch: Batch) -> set[ModelKey]:
    return {row.model for part in (batch.scores, batch.seconds) for row in part}


def _stream_row(row: StreamRow) -> Row:
    return {"wanted": False, **dict(zip(_OF_STREAM, row, strict=True))}


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that can say what happens to a row that is there already."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@cache
def _adding(dialect: str, table: Table) -> Executable:
    return _insert(dialect, table).on_conflict_do_nothing()


@cache
def _adding_events(dialect: str) -> Executable:
    """Return what adds events and tells which were not there; drivers do not count all alike."""
    insert = _insert(dialect, events)
    return insert.on_conflict_do_nothing().returning(events.c.seq)


@cache
def _announcing(dialect: str) -> Executable:
    """Return what tells a stream's name and source; whether it is wanted is not touched."""
    insert = _insert(dialect, streams)
    new: Mapping[str, Any] = {name: insert.excluded[name] for name in ("name", "source", "changed")}
    return insert.on_conflict_do_update(index_elements=[streams.c.id], set_=new)


@cache
def _joining(dialect: str) -> Executable:
    """Return what joins a second to the same one; made once, because making it takes long."""
    insert = _insert(dialect, score_seconds)
    keys = list(score_seconds.primary_key.columns)
    return insert.on_conflict_do_update(index_elements=keys, set_=merged(dict(insert.excluded)))
