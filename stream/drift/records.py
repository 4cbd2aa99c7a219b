"""Drift in the store: sketches by stream, hour and model, written as sums and read as days."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, and_, insert, select, update

from stream.drift.sketch import Sketch, merged, parsed
from stream.store.tables import drift_hours, streams

DAY_H = 24
DAYS = 7
"""Days before the last one that it is compared with."""


@dataclass(frozen=True, slots=True)
class HourKey:
    """The rows' key.

    Attributes:
        stream: id of the stream.
        hour: since 1970.
        model: SHA-256 of the weights whose ratings they are.
    """

    stream: str
    hour: int
    model: str


@dataclass(slots=True)
class PastDays:
    """What the store has of one stream and model.

    Attributes:
        today: the last 24 hours.
        days: those before, the newest first; empty sketches where there is nothing.
    """

    today: Sketch = field(default_factory=Sketch)
    days: tuple[Sketch, ...] = field(default_factory=lambda: tuple(Sketch() for _ in range(DAYS)))

    def add(self, sketch: Sketch, hours_ago: int) -> None:
        """Take in an hour; what is older than the days before is left out."""
        day, _ = divmod(hours_ago, DAY_H)
        if day == 0:
            self.today.merge(sketch)
        elif 0 < day <= DAYS:
            self.days[day - 1].merge(sketch)


def add(connection: Connection, sketches: Mapping[HourKey, Sketch]) -> tuple[HourKey, ...]:
    """Add sketches to what is stored of their hours, and return those whose stream is unknown."""
    numbers = {
        row.id: row.number
        for row in connection.execute(
            select(streams.c.id, streams.c.number).where(
                streams.c.id.in_({key.stream for key in sketches})
            )
        )
    }
    unknown = []
    c = drift_hours.c
    for key, sketch in sketches.items():
        number = numbers.get(key.stream)
        if number is None:
            unknown.append(key)
            continue
        mine = and_(c.stream == number, c.hour == key.hour, c.model == key.model)
        found = connection.execute(select(c.data).where(mine)).scalar_one_or_none()
        text = json.dumps(merged([sketch, *_read(found)]).shown(), separators=(",", ":"))
        if found is None:
            row = {"stream": number, "hour": key.hour, "model": key.model, "data": text}
            connection.execute(insert(drift_hours).values(row))
        else:
            connection.execute(update(drift_hours).where(mine).values(data=text))
    return tuple(unknown)


def read(
    connection: Connection, wanted: Iterable[tuple[str, str]], hour: int
) -> dict[str, PastDays]:
    """Return the days of streams, up to and with an hour.

    Args:
        connection: to read with.
        wanted: ids of streams, each with the model that rates it.
        hour: since 1970, the one that goes on.
    """
    models = dict(wanted)
    c = drift_hours.c
    query = (
        select(streams.c.id, c.hour, c.data)
        .join(streams, streams.c.number == c.stream)
        .where(c.hour > hour - DAY_H * (DAYS + 1), c.hour <= hour)
    )
    found = {stream: PastDays() for stream in models}
    for stream, model in models.items():
        rows = connection.execute(query.where(streams.c.id == stream, c.model == model))
        for row in rows:
            for sketch in _read(row.data):
                found[stream].add(sketch, hour - row.hour)
    return found


def _read(text: str | None) -> list[Sketch]:
    """Return a stored sketch; nothing where there is none, or one of another version."""
    try:
        return [] if text is None else [parsed(json.loads(text))]
    except ValueError:
        return []
