"""The null of a stream with a baseline: between all known real video and the stream's own. Pure.

The general null is a list of G values, one per known real source. A camera's own trials have
quantiles, and the n-th lowest of the G values moves towards the camera's quantile n / G, by a share
`weight`. So there are G values as before, the finest stake stays what it was, and the account of
false alarms need not know of it.

    weight = effective / (effective + G)

With as many effective trials as there are known sources, both count half. It is not the weight at
which the camera's level is known best: a camera's level is known after very few trials. It is how
far down its *tail* is known, since a stake of 1 / (1 + G) asks for the one trial in G. Rounding
goes up everywhere (the quantile at the upper end of each rank), which makes alarms rarer.
"""

from __future__ import annotations

from dataclasses import replace

from stream.baseline.statistics import Statistics
from styleflow.decisions import DecisionTable


def weight(statistics: Statistics, sources: int) -> float:
    """Return the share of the camera's own null, 0..1, beside so many known sources."""
    return statistics.effective / (statistics.effective + sources)


def mixed(table: DecisionTable, statistics: Statistics) -> DecisionTable:
    """Return a table whose real values lie between its own and those of a camera.

    What a fake face looks like in front of this camera is not known, so fake values stay.
    """
    own = weight(statistics, len(table.reals))
    count = len(table.reals)
    return replace(
        table,
        reals=tuple(
            (1.0 - own) * value + own * statistics.quantile((place + 1) / count)
            for place, value in enumerate(sorted(table.reals))
        ),
    )
