"""The null of a stream with a baseline: between all known real video and the stream's own. Pure.

The general null is a list of G values, one per known real source. A camera's own trials have
quantiles, and the n-th lowest of the G values moves towards the camera's quantile n / G, by a share
`weight`. So there are G values as before, the finest stake stays what it was, and the account of
false alarms need not know of it.

    weight = effective / (effective + G)

With as many effective trials as there are known sources, both count half. It is not the weight at
which the camera's level is known best: a camera's level is known after very few trials. It is how
far down its *tail* is known, since a stake of 1 / (1 + G) asks for the one trial in G.

A camera whose real faces score higher than others' would alarm beyond its stake while the general
null still pulls its own down. So the general null is first moved up to the camera's level, at once
and whole, where that lies higher; never down. Rounding goes up, too (the quantile at the upper end
of each rank). All of it errs towards fewer alarms.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from stream.baseline.statistics import Statistics
from styleflow.decisions import DecisionTable


def weight(statistics: Statistics, sources: int) -> float:
    """Return the share of the camera's own null, 0..1, beside so many known sources."""
    return statistics.effective / (statistics.effective + sources)


def mixed(table: DecisionTable, statistics: Statistics) -> DecisionTable:
    """Return a table whose real values lie between its own and those of a camera.

    What a fake face looks like in front of this camera is not known, so fake values stay. A camera
    is a kind of its own: whatever else tells a table's sources apart is not taken over.
    """
    count = len(table.reals)
    own = [statistics.quantile((place + 1) / count) for place in range(count)]
    share, level = weight(statistics, count), statistics.quantile(0.5)
    reals = between(sorted(table.reals), own, level, share)
    return DecisionTable(
        table.detector, table.digest, table.source, table.horizon, reals, table.fakes
    )


def between(
    general: Sequence[float], own: Sequence[float], level: float, share: float
) -> tuple[float, ...]:
    """Return the null that lies between a general one and a camera's own.

    Args:
        general: values of known real sources, sorted.
        own: the camera's quantiles at the same ranks.
        level: the camera's median.
        share: of its own null, 0..1.
    """
    up = max(level - median(general), 0.0)
    return tuple(
        (1.0 - share) * (value + up) + share * mine
        for value, mine in zip(general, own, strict=True)
    )
