"""Scores per second: least, mean and greatest of each face, in memory until the second is over.

A score that comes after its second was taken makes another row of the same second; the two are put
together where they meet (`merged`).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, case, func

from stream.store.tables import score_seconds

M = TypeVar("M", bound=Hashable)

Triple = tuple[float | None, float | None, float | None]
"""Score, lower and upper end of its interval."""

GRACE_S = 2
"""How long after its end a second is taken: by then its scores have been published."""


class SecondRow(NamedTuple, Generic[M]):
    """One second of one face by one model; in the order of the table's columns."""

    stream: str
    second: int
    track: int
    model: M
    epoch: int
    scores: int  # the table's `count`, which is a method of tuples
    p_min: float | None
    p_mean: float | None
    p_max: float | None
    lo: float | None
    hi: float | None
    state: int


@dataclass(slots=True)
class _Second:
    """Sums of one second."""

    epoch: int
    state: int
    count: int = 0
    least: float = 0.0
    greatest: float = 0.0
    total: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def add(self, p: float, lo: float, hi: float) -> None:
        self.least = min(self.least, p) if self.count else p
        self.greatest = max(self.greatest, p) if self.count else p
        self.total += p
        self.low += lo
        self.high += hi
        self.count += 1


class SecondMeans(Generic[M]):
    """The seconds that are not over yet."""

    def __init__(self) -> None:
        self._seconds: dict[int, dict[tuple[str, int, M], _Second]] = {}

    def add(
        self, second: int, key: tuple[str, int, M], epoch: int, values: Triple, state: int
    ) -> None:
        """Add a score.

        Args:
            second: UTC second since 1970 of its newest packet.
            key: stream, track and model.
            epoch: the stretch of continuous media time it belongs to.
            values: counted only when all three are numbers.
            state: rank of its state.
        """
        faces = self._seconds.setdefault(second, {})
        face = faces.get(key)
        if face is None:
            face = faces[key] = _Second(epoch, state)
        p, lo, hi = values
        if p is not None and lo is not None and hi is not None:
            face.add(p, lo, hi)
        face.epoch, face.state = epoch, max(face.state, state)

    def over(self, now: float) -> list[SecondRow[M]]:
        """Remove and return the seconds that were over `GRACE_S` before this UTC second."""
        ready = [second for second in self._seconds if second + GRACE_S < now]
        return [
            _row(second, key, face)
            for second in sorted(ready)
            for key, face in self._seconds.pop(second).items()
        ]


def _row(second: int, key: tuple[str, int, M], face: _Second) -> SecondRow[M]:
    stream, track, model = key
    n = face.count
    if n == 0:
        none = (None, None, None, None, None)
        return SecondRow(stream, second, track, model, face.epoch, 0, *none, face.state)
    low, high = face.low / n, face.high / n
    values = (face.least, face.total / n, face.greatest, low, high)
    return SecondRow(stream, second, track, model, face.epoch, n, *values, face.state)


def merged(new: dict[str, ColumnElement[float]]) -> dict[str, ColumnElement[float]]:
    """Return what becomes of a row of `score_seconds` that another of its second joins.

    Args:
        new: columns of the joining row, by name.
    """
    old = score_seconds.c
    n = old.count + new["count"]

    def mean(name: str) -> ColumnElement[float]:
        mine = func.coalesce(old[name], 0.0) * old.count
        theirs = func.coalesce(new[name], 0.0) * new["count"]
        return case((n > 0, (mine + theirs) / n), else_=None)

    def chosen(name: str, *, greatest: bool) -> ColumnElement[float]:
        mine, theirs = old[name], new[name]
        better = theirs > mine if greatest else theirs < mine
        return case((mine.is_(None), theirs), (better, theirs), else_=mine)

    return {
        "count": n,
        "p_min": chosen("p_min", greatest=False),
        "p_mean": mean("p_mean"),
        "p_max": chosen("p_max", greatest=True),
        "lo": mean("lo"),
        "hi": mean("hi"),
        "state": chosen("state", greatest=True),
        "epoch": chosen("epoch", greatest=True),
    }
