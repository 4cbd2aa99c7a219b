"""Owners of streams, where several analyzers write into one store: the newest one's rows count.

A stream that is moved to another analyzer gets a higher generation, and its epochs begin at that
generation times a constant, so every row says whose it is. An analyzer that was held up while its
stream was given to another one may still have rows of it to write: they are left out and counted.

Where a single analyzer writes, nobody calls `owns` and nothing here asks the database.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Executable, func, select
from sqlalchemy.dialects import postgresql, sqlite

from stream.store.database import Database
from stream.store.rows import Batch
from stream.store.tables import owners

EPOCHS_PER_GENERATION = 1 << 20
"""A stream's epochs begin at its generation times this, so they rise from owner to owner."""

MAX_OWNED = 4096
"""Streams whose generations an analyzer remembers; the oldest gives way."""


MAX_READ = 65_536
"""Streams whose newest generation is read at once."""


class _Row(Protocol):
    @property
    def stream(self) -> str: ...
    @property
    def epoch(self) -> int: ...


R = TypeVar("R", bound=_Row)


def highest_generation(database: Database) -> int:
    """Return the highest generation that any stream was ever given; 0 without one.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    with database.reading() as connection:
        return int(connection.execute(select(func.max(owners.c.generation))).scalar() or 0)


def newest_generations(connection: Connection) -> dict[str, int]:
    """Return the newest generation of streams, those given last if there are very many."""
    wanted = select(owners.c.stream, owners.c.generation)
    rows = connection.execute(wanted.order_by(owners.c.generation.desc()).limit(MAX_READ))
    return {str(stream): int(generation) for stream, generation in rows}


class Ownership:
    """Which streams this analyzer has been given; belongs to the writer.

    Attributes:
        fenced: rows that were left out, because their stream had a newer owner.
    """

    def __init__(self) -> None:
        self.fenced = 0
        self._lock = threading.Lock()
        self._owned: OrderedDict[str, int] = OrderedDict()
        self._untold: dict[str, int] = {}

    def owns(self, stream: str, generation: int) -> None:
        """Note that a stream was given to this analyzer; on any thread."""
        with self._lock:
            self._owned[stream] = self._untold[stream] = generation
            self._owned.move_to_end(stream)
            while len(self._owned) > MAX_OWNED:
                self._untold.pop(self._owned.popitem(last=False)[0], None)

    def tell(self, database: Database) -> None:
        """Have the database know what this analyzer was given, before it has rows of that.

        In a transaction of its own, so that two analyzers which give each other streams cannot
        wait for one another.
        """
        with self._lock:
            untold = dict(self._untold)
        if not untold:
            return
        with database.writing() as connection:
            rows = [{"stream": stream, "generation": at} for stream, at in sorted(untold.items())]
            connection.execute(_raising(connection.dialect.name), rows)
        with self._lock:
            for stream, generation in untold.items():
                if self._untold.get(stream) == generation:
                    del self._untold[stream]

    def kept(self, connection: Connection, batch: Batch) -> tuple[Batch, int]:
        """Return a batch without the rows of older owners than the newest, and how many went.

        Until the transaction ends, no newer owner is noted of the streams that are asked about.
        """
        with self._lock:
            mine = self._owned.keys() & _streams(batch)
        if not mine:
            return batch, 0
        wanted = select(owners.c.stream, owners.c.generation).where(owners.c.stream.in_(mine))
        found = connection.execute(wanted.with_for_update(read=True))
        floor = {stream: int(at) * EPOCHS_PER_GENERATION for stream, at in found}
        kept = replace(
            batch,
            streams={id: row for id, row in batch.streams.items() if self._newest(id, floor)},
            scores=_at_least(floor, batch.scores),
            seconds=_at_least(floor, batch.seconds),
            pulses=_at_least(floor, batch.pulses),
            events=_at_least(floor, batch.events),
        )
        return kept, batch.taken - kept.taken

    def _newest(self, stream: str, floor: Mapping[str, int]) -> bool:
        """Say whether no newer owner of a stream is known than this analyzer."""
        with self._lock:
            mine = self._owned.get(stream, 0) * EPOCHS_PER_GENERATION
        return stream not in floor or mine >= floor[stream]


def _at_least(floor: Mapping[str, int], rows: list[R]) -> list[R]:
    return [row for row in rows if row.epoch >= floor.get(row.stream, 0)]


def _streams(batch: Batch) -> set[str]:
    parts: Iterable[Iterable[_Row]] = (batch.scores, batch.seconds, batch.pulses, batch.events)
    return {row.stream for part in parts for row in part} | batch.streams.keys()


@cache
def _raising(dialect: str) -> Executable:
    """Return what notes a generation, unless a higher one is known."""
    insert = sqlite.insert(owners) if dialect == "sqlite" else postgresql.insert(owners)
    return insert.on_conflict_do_update(
        index_elements=[owners.c.stream],
        set_={"generation": insert.excluded.generation},
        where=owners.c.generation < insert.excluded.generation,
    )
