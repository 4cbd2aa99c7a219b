"""Stored events: found by stream, kind and time, newest first, and those after a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from stream.store.tables import events, streams


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted.

    Attributes:
        stream: id; None means all.
        kind: as on the wire; None means all.
        begin: first microsecond since 1970; None means any.
        end: the one after the last; None means any.
    """

    stream: str | None = None
    kind: str | None = None
    begin: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the events that were asked for.

    Attributes:
        messages: as on the wire, newest first.
        next: number below which the next page begins; None when there is none.
    """

    messages: tuple[str, ...]
    next: int | None


def find(connection: Connection, wanted: EventFilter, below: int | None, limit: int) -> Page:
    """Return a page of events, newest first.

    Args:
        connection: to read with.
        wanted: which events.
        below: only numbers below this one; None begins with the newest.
        limit: how many at most.
    """
    query = _filtered(select(events.c.seq, events.c.message), wanted)
    if below is not None:
        query = query.where(events.c.seq < below)
    rows = connection.execute(query.order_by(events.c.seq.desc()).limit(limit + 1)).all()
    more = rows[limit - 1].seq if len(rows) > limit else None
    return Page(tuple(row.message for row in rows[:limit]), more)


def count_after(connection: Connection, stream: str, seq: int, most: int) -> int | None:
    """Return how many events of a stream are above a number; None if that cannot be known.

    It cannot when the oldest stored event is above it: what was between is gone.

    Args:
        connection: to read with.
        stream: its id.
        seq: the number.
        most: where counting ends.
    """
    oldest = connection.execute(select(func.min(events.c.seq))).scalar_one()
    if oldest is None or oldest > seq:
        return None
    found = _after(stream, seq).with_only_columns(events.c.seq).limit(most).subquery()
    return int(connection.execute(select(func.count()).select_from(found)).scalar_one())


def after(connection: Connection, stream: str, seq: int, limit: int) -> Sequence[tuple[int, str]]:
    """Return number and message of the events of a stream above a number, oldest first."""
    query = _after(stream, seq).order_by(events.c.seq).limit(limit)
    return [(row.seq, row.message) for row in connection.execute(query)]


def _after(stream: str, seq: int) -> Select[Any]:
    number = select(streams.c.number).where(streams.c.id == stream).scalar_subquery()
    columns = select(events.c.seq, events.c.message)
    return columns.where(events.c.stream == number, events.c.seq > seq)


def _filtered(query: Select[Any], wanted: EventFilter) -> Select[Any]:
    if wanted.stream is not None:
        number = select(streams.c.number).where(streams.c.id == wanted.stream).scalar_subquery()
        query = query.where(events.c.stream == number)
    if wanted.kind is not None:
        query = query.where(events.c.kind == wanted.kind)
    if wanted.begin is not None:
        query = query.where(events.c.at >= wanted.begin)
    if wanted.end is not None:
        query = query.where(events.c.at < wanted.end)
    return query
