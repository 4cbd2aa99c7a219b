"""Comparison of a stream's last day with the days before it. Pure; it reads no clock.

Two distances, both a share of ratings that would have to move to make one the other: for numbers
the greatest difference of their cumulative shares (Kolmogorov and Smirnov's), for reasons half the
sum of the differences (total variation). They are not tested as if ratings were independent: those
of one face are nearly one observation. What counts as much is learnt from the stream itself: each
day before is held against the others, and the last day must be `margin` times as far from them all
as the strangest of these, and at least `distance`.

Whole days are compared, because light and people follow the hours of the day.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate

from stream.drift.settings import DriftSettings
from stream.drift.sketch import REASONS, Figure, Sketch, median, merged

KEPT = 0.8
"""A figure that has changed stays so until its distance is below this share of the limit."""


@dataclass(frozen=True, slots=True)
class FigureChange:
    """One figure on the last day and before.

    Attributes:
        figure: which one.
        distance: share of ratings that moved, 0..1.
        limit: distance from which it counts as changed.
        now: median of the last day; of reasons, the share of the one that changed most.
        before: the same of the days before.
        reason: which reason that is; empty for other figures.
        changed: whether it counts as changed.
        lower: whether the last day lies lower than the days before.
    """

    figure: Figure
    distance: float
    limit: float
    now: float
    before: float
    reason: str = ""
    changed: bool = False
    lower: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """A stream's last day against the days before.

    Attributes:
        ratings: of the last day.
        days: days before that have enough ratings.
        figures: what was compared; empty where there is too little to compare.
        missing: why nothing was compared; empty when something was.
    """

    ratings: int
    days: int
    figures: tuple[FigureChange, ...] = ()
    missing: str = ""

    @property
    def changed(self) -> tuple[FigureChange, ...]:
        """What has changed."""
        return tuple(each for each in self.figures if each.changed)


def distance(figure: Figure, one: Sequence[int], other: Sequence[int]) -> float:
    """Return the share of ratings that moved, 0..1; 0 where either has none."""
    moved = _moved(one, other)
    if figure is Figure.REASONS:
        return sum(abs(each) for each in moved) / 2
    return max(map(abs, accumulate(moved)), default=0.0)


def _moved(one: Sequence[int], other: Sequence[int]) -> list[float]:
    """Return the differences of the shares, bin by bin; nothing where either has none."""
    a, b = sum(one), sum(other)
    return [x / a - y / b for x, y in zip(one, other, strict=True)] if a and b else []


def compare(
    today: Sketch,
    days: Sequence[Sketch],
    settings: DriftSettings,
    held: Collection[Figure] = (),
) -> Comparison:
    """Return what has changed.

    Args:
        today: the last day.
        days: the days before it.
        settings: when it counts.
        held: figures that have counted as changed until now.
    """
    known = [day for day in days if day.ratings >= settings.least_ratings]
    if len(known) < settings.least_days:
        missing = f"{len(known)} of {settings.least_days} days with enough faces so far"
        return Comparison(today.ratings, len(known), missing=missing)
    if today.ratings < settings.least_ratings:
        missing = f"{today.ratings} of {settings.least_ratings} ratings in the last 24 hours"
        return Comparison(today.ratings, len(known), missing=missing)
    found = (_change(figure, today, known, settings, held) for figure in Figure)
    return Comparison(today.ratings, len(known), tuple(each for each in found if each is not None))


def _change(
    figure: Figure,
    today: Sketch,
    days: Sequence[Sketch],
    settings: DriftSettings,
    held: Collection[Figure],
) -> FigureChange | None:
    """Return how a figure has changed; None where it is unknown."""
    before = merged(days).counts[figure]
    now = today.counts[figure]
    if not sum(before) or not sum(now):
        return None
    usual = max(_apart(figure, days, n) for n in range(len(days)))
    limit = max(settings.distance, settings.margin * usual)
    moved = distance(figure, now, before)
    changed = moved >= limit * (KEPT if figure in held else 1.0)
    differences = _moved(now, before)
    if figure is Figure.REASONS:
        most = max(range(1, len(now)), key=lambda n: abs(differences[n]))  # 0 is no reason
        share = now[most] / sum(now)
        was = before[most] / sum(before)
        lower = share < was
        return FigureChange(figure, moved, limit, share, was, REASONS[most], changed, lower)
    here, there = median(figure, now), median(figure, before)
    assert here is not None
    assert there is not None
    lower = max(accumulate(differences), key=abs) > 0  # more of the last day is below there
    return FigureChange(figure, moved, limit, here, there, changed=changed, lower=lower)


def _apart(figure: Figure, days: Sequence[Sketch], n: int) -> float:
    """Return how far a day lies from the others."""
    others = merged(day for m, day in enumerate(days) if m != n)
    return distance(figure, days[n].counts[figure], others.counts[figure])
