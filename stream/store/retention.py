"""Retention: what is too old is deleted, in steps so small that nobody waits for them.

A sweep goes through the streams of every table. Each step deletes about `purge_rows` rows (those
of one moment go together) in a transaction of the writer's, between two commits, and goes on where
the last one stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from stream.store.access import to_us
from stream.store.settings import StoreSettings
from stream.store.tables import drift_hours, events, pulses, score_seconds, scores, streams

SWEEP_S = 60.0
"""Pause between two sweeps."""

EARLY_US = 15 * 60 * 1_000_000
"""How much of the oldest scores gives way at once when the file is too large."""

FILL_S = 10
"""How far before a stream's newest score seconds are made up for."""

_HOUR_US = 3600 * 1_000_000
_DAY_US = 24 * _HOUR_US


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of one table that are too old.

    Attributes:
        table: where they are.
        column: tells their age.
        before: they are below this.
        of: which of the rows are meant.
    """

    table: Table
    column: ColumnElement[int]
    before: int
    of: ColumnElement[bool] | None = None


class Retention:
    """Deletes what is too old, a little at a time; belongs to the writer's thread.

    Args:
        settings: what is kept for how long.
        sqlite: whether the database's size follows from what is deleted.

    Attributes:
        deleted: rows deleted, by table.
        swept: whether the last step finished a sweep.
    """

    def __init__(self, settings: StoreSettings, *, sqlite: bool) -> None:
        self.deleted: Counter[str] = Counter()
        self.swept = False
        self._settings = settings
        self._sqlite = sqlite
        self._parts: Iterator[_Part] | None = None
        self._part: _Part | None = None
        self._next_sweep = 0.0

    def due(self, now: float) -> bool:
        """Say whether there may be something to delete at a monotonic second."""
        return self._parts is not None or now >= self._next_sweep

    def step(self, connection: Connection, utc: datetime, now: float) -> int:
        """Delete about `purge_rows` rows, and return how many.

        Args:
            connection: in a transaction.
            utc: the wall clock's time.
            now: monotonic seconds.
        """
        left = self._settings.purge_rows
        self.swept = False
        if self._parts is None:
            self._parts = iter(self._too_old(connection, utc))
        while left > 0:
            self._part = self._part or next(self._parts, None)
            if self._part is None:
                self._parts, self.swept = None, True
                self._next_sweep = now + SWEEP_S
                break
            count, more = _delete(connection, self._part, left)
            self.deleted[self._part.table.name] += count
            left -= count
            if not more:
                self._part = None
        return self._settings.purge_rows - max(left, 0)

    def _too_old(self, connection: Connection, utc: datetime) -> list[_Part]:
        now, keep = to_us(utc), self._settings
        scores_before = now - int(keep.full_rate_hours * _HOUR_US)
        seconds_before = now - int(keep.seconds_days * _DAY_US)
        drift_before = (now - int(keep.drift_days * _DAY_US)) // _HOUR_US
        found = [_Part(events, events.c.at, now - int(keep.events_days * _DAY_US))]
        numbers = connection.execute(select(streams.c.number)).scalars().all()
        if self._too_large(connection):
            oldest = (_oldest(connection, number) for number in numbers)
            least = min((at for at in oldest if at is not None), default=now)
            scores_before = max(scores_before, least + EARLY_US)
        for number in numbers:
            for table, column, before in (
                (scores, scores.c.at, scores_before),
                (pulses, pulses.c.at, seconds_before),
                (score_seconds, score_seconds.c.second, seconds_before // 1_000_000),
                (drift_hours, drift_hours.c.hour, drift_before),
            ):
                found.append(_Part(table, column, before, table.c.stream == number))
        return found

    def _too_large(self, connection: Connection) -> bool:
        if not self._sqlite or not self._settings.max_bytes:
            return False
        pages, free, size = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size > self._settings.max_bytes


def _oldest(connection: Connection, stream: int) -> int | None:
    least = select(func.min(scores.c.at)).where(scores.c.stream == stream)
    found: int | None = connection.execute(least).scalar_one()
    return found


def _delete(connection: Connection, part: _Part, at_most: int) -> tuple[int, bool]:
    """Delete the oldest rows of a part; return how many, and whether there are more."""
    old = part.column < part.before
    where = old if part.of is None else and_(part.of, old)
    nth = select(part.column).where(where).order_by(part.column).offset(at_most - 1).limit(1)
    last = connection.execute(nth).scalar_one_or_none()
    if last is not None:
        where = and_(where, part.column <= last)
    count = connection.execute(delete(part.table).where(where)).rowcount
    return count, last is not None


def fill_seconds(connection: Connection) -> None:
    """Make up for the last seconds that a process had only in memory when it was killed."""
    numbers = connection.execute(select(streams.c.number)).scalars().all()
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    c, names = scores.c, [column.name for column in score_seconds.columns]
    second = (c.at // 1_000_000).label("second")
    for number in numbers:
        newest = connection.execute(
            select(func.max(c.at)).where(c.stream == number)
        ).scalar_one_or_none()
        if newest is None:
            continue
        since = (newest // 1_000_000 - FILL_S) * 1_000_000
        found = (
            select(
                c.stream,
                second,
                c.track,
                c.model,
                func.max(c.epoch),
                func.count(c.p),
                func.min(c.p),
                func.avg(c.p),
                func.max(c.p),
                func.avg(c.lo),
                func.avg(c.hi),
                func.max(c.state),
            )
            .where(c.stream == number, c.at >= since)
            .group_by(c.stream, second, c.track, c.model)
        )
        insert = dialect.insert(score_seconds).from_select(names, found)
        connection.execute(insert.on_conflict_do_nothing())
