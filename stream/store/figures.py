"""Figures of the store: how large it is, how many rows it has, and from when to when they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, text

from stream.store.access import from_us
from stream.store.tables import events, metadata, score_seconds, streams

COUNTED_TO = 1_000_000
"""Where counting the rows of a table ends: to count all of many takes minutes."""


@dataclass(frozen=True, slots=True)
class StoreState:
    """How the store is doing.

    Attributes:
        url: where it is, without a password; empty when there is none.
        state: ok, failing or off.
        detail: the same in words.
        lost: events that were never written since the analyzer started.
        since: when it began to fail; None while it does not.
        waiting: events in memory that are still to be written.
    """

    url: str
    state: str
    detail: str
    lost: int
    since: datetime | None = None
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """What the store holds.

    Attributes:
        bytes: on disk; free pages of a file do not count.
        rows: by table; `COUNTED_TO` means that there are as many or more.
        oldest: when the oldest score or event came; None when it holds none.
        newest: when the newest one came.
    """

    bytes: int
    rows: Mapping[str, int]
    oldest: datetime | None
    newest: datetime | None


def figures(connection: Connection) -> StoreFigures:
    """Read the store's figures. It waits for the database."""
    ends = [_ends_of_events(connection), *_ends_of_scores(connection)]
    known = [end for pair in ends for end in pair if end is not None]
    rows = {}
    for table in metadata.sorted_tables:
        some = select(text("1")).select_from(table).limit(COUNTED_TO).subquery()
        query = select(func.count()).select_from(some)
        rows[table.name] = int(connection.execute(query).scalar_one())
    return StoreFigures(
        size(connection),
        rows,
        from_us(min(known)) if known else None,
        from_us(max(known)) if known else None,
    )


def size(connection: Connection) -> int:
    """Return how many bytes hold something."""
    if connection.dialect.name != "sqlite":
        name = text("SELECT pg_database_size(current_database())")
        return int(connection.execute(name).scalar_one())
    pages, free, each = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * each


def _ends_of_events(connection: Connection) -> tuple[int | None, int | None]:
    row = connection.execute(select(func.min(events.c.at), func.max(events.c.at))).one()
    return row[0], row[1]


def _ends_of_scores(connection: Connection) -> list[tuple[int | None, int | None]]:
    """Return the ends of each stream's scores: two looks into the key of each."""
    found = []
    c = score_seconds.c
    for number in connection.execute(select(streams.c.number)).scalars():
        least = connection.execute(select(func.min(c.second)).where(c.stream == number)).scalar()
        most = connection.execute(select(func.max(c.second)).where(c.stream == number)).scalar()
        if least is not None and most is not None:
            found.append((least * 1_000_000, most * 1_000_000))
    return found
