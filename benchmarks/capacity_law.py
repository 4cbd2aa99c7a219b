"""Amdahl's law through a few measured capacities, and what it says of more cores: a projection."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

FORMULA = "streams = a n / (1 + s (n - 1)) on n cores"
PROJECTED = (8, 16, 64)
GATEWAY_FULL = 0.8
"""Share of one core at which the event loop of a gateway counts as full."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Streams that so many cores held.

    Attributes:
        cores: how many.
        held: the median over rounds.
        least: of all rounds.
        most: likewise.
    """

    cores: int
    held: float
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Law:
    """Amdahl's law.

    Attributes:
        a: streams on one core.
        s: share that does not grow with cores, at least 0.
    """

    a: float
    s: float

    @classmethod
    def through(cls, counts: Mapping[int, float]) -> Law:
        """Fit the law to streams by cores, by least squares of n / streams over n - 1.

        Where more was held than in proportion, the share is 0 and a the mean per core.
        """
        cores = np.array(sorted(counts), float)
        per = cores / np.array([counts[int(n)] for n in cores])
        slope, begin = np.polyfit(cores - 1, per, 1)
        if slope <= 0 or begin <= 0:
            return cls(float(np.mean(1 / per)), 0.0)
        return cls(float(1 / begin), float(slope / begin))

    def at(self, cores: int) -> float:
        """Return the streams on so many cores."""
        return self.a * cores / (1 + self.s * (cores - 1))


@dataclass(frozen=True, slots=True)
class Projection:
    """What the law says of a number of cores that was not measured.

    Attributes:
        cores: how many.
        streams: by the law.
        least: by the law through counts that were moved within what was measured.
        most: likewise.
        gateways: that so many streams need by the CPU time of the one that was measured; none
            where there was none.
    """

    cores: int
    streams: int
    least: int
    most: int
    gateways: int | None


@dataclass(frozen=True, slots=True)
class Fit:
    """The law with its doubts.

    Attributes:
        law: through the medians.
        least_s: smallest share that does not grow, of all laws through what was measured.
        most_s: largest.
        spare: points more than the law has parameters; with 0 it goes through them exactly, and
            nothing says how well it describes more cores.
        projected: what it says of more cores.
    """

    law: Law
    least_s: float
    most_s: float
    spare: int
    projected: tuple[Projection, ...]


def fit(counts: Sequence[Counted], gateway_cpu: float | None = None) -> Fit | None:
    """Fit the law to what was counted; None with fewer than two numbers of cores, or none held.

    Args:
        counts: one for each number of cores.
        gateway_cpu: CPU seconds per second that a gateway uses for one stream, where known.
    """
    if len({one.cores for one in counts}) < 2 or any(one.least < 1 for one in counts):
        return None
    law = Law.through({one.cores: one.held for one in counts})
    corners = itertools.product(*((one.least, one.most + 1) for one in counts))
    cores = [one.cores for one in counts]
    laws = [Law.through(dict(zip(cores, corner, strict=True))) for corner in corners]
    projected = []
    for number in PROJECTED:
        streams = [one.at(number) for one in laws]
        gateways = _gateways(law.at(number), gateway_cpu)
        projected.append(
            Projection(
                number,
                math.floor(law.at(number)),
                math.floor(min(streams)),
                math.floor(max(streams)),
                gateways,
            )
        )
    shares = [one.s for one in laws]
    return Fit(law, min(shares), max(shares), len(cores) - 2, tuple(projected))


def _gateways(streams: float, cpu: float | None) -> int | None:
    return None if cpu is None else max(1, math.ceil(streams * cpu / GATEWAY_FULL))
