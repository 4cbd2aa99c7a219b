"""Statistics of known-real video: how its trials spread, and under which conditions. Pure.

Neighbouring trials of one face are alike, so there is less in them than their number says. The
*effective* number is `n / (1 + 2 * sum of autocorrelations)`, as for the mean of a correlated
series, the sum ending where the autocorrelation first falls to 0; correlations are taken within one
face only. Source: Geyer, "Practical Markov Chain Monte Carlo" (1992), initial positive sequence.

Only figures are kept: percentiles of trials, and bands of brightness, sharpness, size of the face
and bits per pixel. No picture, no crop, and nothing that tells one person from another.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from stream.baseline.trials import RealTrial

T = TypeVar("T")

MAX_TRIALS = 4096
"""Trials that statistics are made of: four and a half hours. Of more, every second one is."""

MAX_KINDS = 8
"""Codecs and picture sizes that are kept: the most frequent ones."""

PERCENTILES = tuple(range(101))
_LEAST_SHARE = 0.02  # of the trials, below which a codec or size is not one of this video's
_MOST_LAGS = 200


@dataclass(frozen=True, slots=True)
class Band:
    """Where a figure usually lies: its percentiles 5, 50 and 95."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Band | None:
        """Return the band of the values that are known; None when none is."""
        known = [value for value in values if value is not None and math.isfinite(value)]
        if not known:
            return None
        low, middle, high = np.percentile(known, (5, 50, 95))
        return cls(round(float(low), 4), round(float(middle), 4), round(float(high), 4))


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions under which video was taken; what is empty or None is not known.

    Attributes:
        codecs: names, the most frequent first.
        sizes: of pictures, the most frequent first.
        brightness: mean luma of faces.
        sharpness: of faces.
        face_px: side of faces, source pixels.
        bits_per_pixel: compressed.
    """

    codecs: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    brightness: Band | None = None
    sharpness: Band | None = None
    face_px: Band | None = None
    bits_per_pixel: Band | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is kept of known-real video.

    Attributes:
        seconds: of evidence, in whole trials.
        faces: tracks that they are of.
        trials: whole ones.
        effective: as many independent ones would tell as much; at least 1, at most `trials`.
        mean: of the trials' values, logits.
        deviation: their standard deviation.
        percentiles: 0 to 100 of the trials' values.
        conditions: under which they were taken.
    """

    seconds: float
    faces: int
    trials: int
    effective: float
    mean: float
    deviation: float
    percentiles: tuple[float, ...]
    conditions: Conditions

    def quantile(self, share: float) -> float:
        """Return the value that this share, 0..1, of the trials does not exceed."""
        return float(np.interp(share * 100.0, PERCENTILES, self.percentiles))


def summarised(trials: Sequence[RealTrial]) -> Statistics:
    """Return the statistics of some trials, at least one, each face's in their order.

    The order of faces among one another changes nothing.
    """
    runs: dict[tuple[int, int], list[RealTrial]] = defaultdict(list)
    for trial in trials:
        runs[trial.face].append(trial)
    kept = thinned(list(runs.values()))
    flat = [trial for run in kept for trial in run]
    values = np.sort([trial.highest for trial in flat])
    return Statistics(
        seconds=math.fsum(trial.seconds for trial in trials),
        faces=len(runs),
        trials=len(trials),
        effective=effective_number([[trial.highest for trial in run] for run in kept]),
        mean=round(float(values.mean()), 6),
        deviation=round(float(values.std()), 6),
        percentiles=tuple(round(float(v), 6) for v in np.percentile(values, PERCENTILES)),
        conditions=Conditions(
            codecs=_frequent(trial.codec for trial in flat),
            sizes=_frequent(trial.size if all(trial.size) else None for trial in flat),
            brightness=Band.of(trial.brightness for trial in flat),
            sharpness=Band.of(trial.sharpness for trial in flat),
            face_px=Band.of(trial.face_px for trial in flat),
            bits_per_pixel=Band.of(trial.bits_per_pixel for trial in flat),
        ),
    )


def thinned(runs: list[list[RealTrial]], most: int = MAX_TRIALS) -> list[list[RealTrial]]:
    """Return every n-th trial of each face, and of very many faces every n-th: `most` in all."""
    stride = -(-sum(len(run) for run in runs) // most)
    if stride <= 1:
        return runs
    runs = [run[::stride] for run in runs]
    return runs[:: -(-sum(len(run) for run in runs) // most)]


def effective_number(runs: Sequence[Sequence[float]]) -> float:
    """Return how many independent values tell as much about their mean as these.

    Args:
        runs: values of one face after the other, each face's in their order; at least one in all.
    """
    values = np.concatenate([np.asarray(run, dtype=float) for run in runs])
    count = len(values)
    variance = float(values.var())
    if count < 2 or variance <= 1e-12:
        return 1.0
    centred = [np.asarray(run, dtype=float) - values.mean() for run in runs]
    total = 0.0
    for lag in range(1, min(_MOST_LAGS, max(len(run) for run in runs))):
        products = [run[lag:] * run[:-lag] for run in centred if len(run) > lag]
        # Divided by all values, not by the pairs, so that few far pairs weigh little.
        correlation = math.fsum(float(p.sum()) for p in products) / (count * variance)
        if correlation <= 0:
            break
        total += correlation
    return round(min(max(count / (1.0 + 2.0 * total), 1.0), float(count)), 3)


def _frequent(values: Iterable[T | None]) -> tuple[T, ...]:
    """Return the values that are not rare, the most frequent first."""
    found = Counter(value for value in values if value)
    least = _LEAST_SHARE * sum(found.values())
    ordered = sorted(found.items(), key=lambda item: (-item[1], str(item[0])))
    return tuple(value for value, count in ordered if count >= least)[:MAX_KINDS]
