"""Deletion of what somebody asks to have forgotten: an incident, a stream, or a stretch of time.

In steps, each a transaction of its own, so that an analyzer that runs meanwhile can write in
between; what was deleted is noted in the audit log at the end. An interrupted purge is finished by
asking again. The audit log keeps ids of streams and incidents, and who changed them.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, delete, or_, select, true

from stream.store import audit
from stream.store.access import to_us
from stream.store.database import BUSY_MS, Database
from stream.store.errors import NothingStored, StillGoingOn
from stream.store.tables import (
    drift_hours,
    events,
    evidence,
    incident_notes,
    incidents,
    outbox,
    pulses,
    score_seconds,
    scores,
    snoozes,
    streams,
)

ROWS = 5000
"""Rows that one transaction deletes at most, but for those of one moment."""

_US = 1_000_000
_GATHERED = "pending"  # as `stream.incident.EvidenceState` has it


@dataclass(frozen=True, slots=True)
class PurgeWish:
    """What is to be forgotten; at least one of these is said, and all must hold.

    Attributes:
        incident: id of an incident, with the scores of its faces while it lasted.
        stream: id of a stream.
        begin: from when on.
        end: until when.
    """

    incident: str | None = None
    stream: str | None = None
    begin: datetime | None = None
    end: datetime | None = None

    def shown(self) -> dict[str, Any]:
        """Return the wish for the audit log."""
        said = {"incident": self.incident, "stream": self.stream}
        said |= {"from": _iso(self.begin), "to": _iso(self.end)}
        return {key: value for key, value in said.items() if value is not None}


@dataclass(slots=True)
class Purged:
    """What is forgotten.

    Attributes:
        rows: how many, by table.
        files: evidence that is no longer referred to, below its folder.
    """

    rows: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a wish means in the tables: of which stream and faces, from and to which microsecond."""

    number: int | None
    stream: str | None
    tracks: tuple[int, ...] | None
    begin: int | None
    end: int | None
    incident: str | None

    def of(self, table: Table, time: ColumnElement[int], unit: int = 1) -> ColumnElement[bool]:
        """Return which rows of a table are meant."""
        parts: list[ColumnElement[bool]] = [true()]
        if self.stream is not None:
            parts.append(table.c.stream == self.number)
        if self.tracks is not None:
            parts.append(table.c.track.in_(self.tracks))
        if self.begin is not None:
            parts.append(time >= self.begin // unit)
        if self.end is not None:
            parts.append(time <= self.end // unit)
        return and_(*parts)


def purge(
    database: Database, wish: PurgeWish, at: datetime, by: str, *, even_open: bool = False
) -> Purged:
    """Delete what is wished, a little at a time, and note it in the audit log.

    Args:
        database: where from.
        wish: what.
        at: wall clock.
        by: who wishes it.
        even_open: delete incidents that go on, too; only while no analyzer runs, which would
            write them again.

    Raises:
        StillGoingOn: an incident is open, or its video is gathered; nothing was deleted, or what
            is left is deleted by asking again.
        NothingStored: there is no such incident or stream.
        StoreUnavailable: the database cannot be written.
    """
    done = Purged()
    with database.reading() as connection:
        scope = _scope_of(connection, wish)
        _refuse_open(connection, scope, even_open=even_open)
    for table, where in _plain(scope):
        while _step(database, table, where, done):
            pass
    with _erasing(database) as connection:
        _refuse_open(connection, scope, even_open=even_open)  # one may have begun meanwhile
        _forget_incidents(connection, scope, done)
        _forget_stream(connection, wish, done)
        detail = {**wish.shown(), "rows": dict(done.rows), "files": len(done.files)}
        audit.append(connection, at, by, "store.purged", "store", detail)
    return done


def reclaim(database: Database) -> None:
    """Write what was deleted over in SQLite's log of changes, too; PostgreSQL does so by itself."""
    if database.file is None:
        return
    with closing(sqlite3.connect(database.file, timeout=BUSY_MS / 1000)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def _erasing(database: Database) -> Iterator[Connection]:
    """Give a connection in a transaction that leaves nothing readable of what it deletes."""
    with database.writing() as connection:
        if database.file is not None:
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
        yield connection


def _scope_of(connection: Connection, wish: PurgeWish) -> _Scope:
    begin = None if wish.begin is None else to_us(wish.begin)
    end = None if wish.end is None else to_us(wish.end)
    if wish.incident is None:
        number = None if wish.stream is None else _number_of(connection, wish.stream)
        return _Scope(number, wish.stream, None, begin, end, None)
    row = connection.execute(select(incidents).where(incidents.c.id == wish.incident)).first()
    if row is None:
        raise NothingStored(f"incident {wish.incident!r}")
    number = _number_of(connection, row.stream)
    tracks = tuple(json.loads(row.data).get("tracks", ()))
    last = row.closed if row.closed is not None else row.last_at
    return _Scope(number, row.stream, tracks, row.opened, last, row.id)


def _number_of(connection: Connection, stream: str) -> int:
    query = select(streams.c.number).where(streams.c.id == stream)
    number = connection.execute(query).scalar_one_or_none()
    if number is None:
        raise NothingStored(f"stream {stream!r}")
    return int(number)


def _plain(scope: _Scope) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Yield tables that nothing refers to, and which of their rows are meant."""
    yield scores, scope.of(scores, scores.c.at)
    yield score_seconds, scope.of(score_seconds, score_seconds.c.second, _US)
    if scope.incident is None:
        yield pulses, scope.of(pulses, pulses.c.at)
        yield drift_hours, scope.of(drift_hours, drift_hours.c.hour, 3600 * _US)
        yield events, scope.of(events, events.c.at)
        return
    named = events.c.message.contains(f'"{scope.incident}"', autoescape=True)
    yield events, and_(events.c.stream == scope.number, events.c.kind == "incident_changed", named)


def _step(database: Database, table: Table, where: ColumnElement[bool], done: Purged) -> bool:
    """Delete some rows of a table; return whether there are more."""
    key = list(table.primary_key.columns)
    order = key[1] if len(key) > 1 else key[0]
    with _erasing(database) as connection:
        nth = select(order).where(where).order_by(order).offset(ROWS - 1).limit(1)
        last = connection.execute(nth).scalar_one_or_none()
        some = where if last is None else and_(where, order <= last)
        done.rows[table.name] += connection.execute(delete(table).where(some)).rowcount
    return last is not None


def _refuse_open(connection: Connection, scope: _Scope, *, even_open: bool) -> None:
    if even_open:
        return
    gathered = select(evidence.c.incident).where(evidence.c.state == _GATHERED)
    ids = _meant(scope).where(or_(incidents.c.closed.is_(None), incidents.c.id.in_(gathered)))
    found = connection.execute(ids.order_by(incidents.c.id)).scalars().all()
    if found:
        raise StillGoingOn(tuple(found))


def _meant(scope: _Scope) -> Select[Any]:
    """Return the ids of the incidents that are meant."""
    meant: list[ColumnElement[bool]] = [true()]
    c = incidents.c
    if scope.incident is not None:
        meant.append(c.id == scope.incident)
    else:
        if scope.stream is not None:
            meant.append(c.stream == scope.stream)
        if scope.begin is not None:
            meant.append(or_(c.last_at >= scope.begin, c.closed >= scope.begin))
        if scope.end is not None:
            meant.append(c.opened <= scope.end)
    return select(c.id).where(*meant)


def _forget_incidents(connection: Connection, scope: _Scope, done: Purged) -> None:
    """Delete incidents with everything that refers to them."""
    ids = _meant(scope)
    files = select(evidence.c.file).where(evidence.c.incident.in_(ids), evidence.c.file != "")
    done.files += connection.execute(files).scalars().all()
    for table, column in (
        (incident_notes, incident_notes.c.incident),
        (evidence, evidence.c.incident),
        (outbox, outbox.c.incident),
        (incidents, incidents.c.id),
    ):
        done.rows[table.name] += connection.execute(delete(table).where(column.in_(ids))).rowcount


def _forget_stream(connection: Connection, wish: PurgeWish, done: Purged) -> None:
    """Delete a stream's own row, if all of it is to be forgotten and nobody wants it any longer."""
    if wish.stream is None or wish.begin is not None or wish.end is not None:
        return
    gone = connection.execute(delete(snoozes).where(snoozes.c.stream == wish.stream))
    done.rows[snoozes.name] += gone.rowcount
    unwanted = and_(streams.c.id == wish.stream, streams.c.wanted.is_(False))
    done.rows[streams.name] += connection.execute(delete(streams).where(unwanted)).rowcount


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
