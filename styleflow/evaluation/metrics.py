"""How well scores separate fake from real; NumPy only.

Scores may be any numbers that grow with suspicion; labels are 0 (real) and 1 (fake).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from styleflow.errors import ShapeMismatch

Metric = Callable[[NDArray[np.int64], NDArray[np.float64]], float]
"""A figure of labels and scores."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the interval that bootstrapping gives it."""

    value: float
    low: float
    high: float


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve; ties count half. NaN without both labels.

    Raises:
        ShapeMismatch: not one score per label.
    """
    y, s = _checked(labels, scores)
    fakes, reals = int(y.sum()), int((1 - y).sum())
    if not fakes or not reals:
        return float("nan")
    _, places, counts = np.unique(s, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return float((ranks[y == 1].sum() - fakes * (fakes + 1) / 2) / (fakes * reals))


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the mean precision over the fakes, each threshold once. NaN without a fake.

    Raises:
        ShapeMismatch: not one score per label.
    """
    y, s = _checked(labels, scores)
    if not y.sum():
        return float("nan")
    flagged, hits = _counts(y, s)
    recall = np.concatenate([[0.0], hits / y.sum()])
    return float((np.diff(recall) * hits / flagged).sum())


def equal_error_rate(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the rate at which as many reals are flagged as fakes are missed.

    Between two thresholds the ROC curve is followed in a straight line. NaN without both labels.

    Raises:
        ShapeMismatch: not one score per label.
    """
    false_alarms, hits = roc(labels, scores)
    if np.isnan(false_alarms).any() or np.isnan(hits).any():
        return float("nan")
    missed = 1 - hits
    crossed = int(np.argmax(false_alarms >= missed))
    if crossed == 0:
        return float(false_alarms[0])
    before = missed[crossed - 1] - false_alarms[crossed - 1]
    after = false_alarms[crossed] - missed[crossed]
    step = before / (before + after) if before + after > 0 else 0.0
    rise = false_alarms[crossed] - false_alarms[crossed - 1]
    return float(false_alarms[crossed - 1] + step * rise)


def hit_rate_at(labels: ArrayLike, scores: ArrayLike, false_alarm_rate: float) -> float:
    """Return the largest share of fakes found with at most so many reals flagged.

    Raises:
        ShapeMismatch: not one score per label.
    """
    false_alarms, hits = roc(labels, scores)
    if np.isnan(false_alarms).any() or np.isnan(hits).any():
        return float("nan")
    return float(hits[false_alarms <= false_alarm_rate + 1e-12].max())


def roc(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return false alarm rates and hit rates over falling thresholds, both from 0 to 1.

    Raises:
        ShapeMismatch: not one score per label.
    """
    y, s = _checked(labels, scores)
    flagged, hits = _counts(y, s)
    with np.errstate(invalid="ignore"):
        false_alarms = (flagged - hits) / np.float64(len(y) - y.sum())
        found = hits / np.float64(y.sum())
    return np.concatenate([[0.0], false_alarms]), np.concatenate([[0.0], found])


def bootstrap(
    metric: Metric,
    labels: ArrayLike,
    scores: ArrayLike,
    groups: Sequence[str],
    rng: np.random.Generator,
    *,
    rounds: int = 1000,
    coverage: float = 0.95,
) -> Interval:
    """Return a figure with an interval from resampling whole groups.

    Clips of one person stand or fall together, so people are drawn and not clips. Draws in which
    the metric is not defined are left out.

    Args:
        metric: the figure.
        labels: 0 or 1.
        scores: one per label.
        groups: who must stay together, one per label.
        rng: draws.
        rounds: how many draws.
        coverage: share of the draws between low and high.

    Raises:
        ShapeMismatch: not one score and one group per label.
    """
    y, s = _checked(labels, scores)
    if len(groups) != len(y):
        raise ShapeMismatch("groups", f"({len(y)},)", (len(groups),))
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    rows = [np.flatnonzero(members == g) for g in range(len(names))]
    draws = []
    for _ in range(rounds):
        chosen = np.concatenate([rows[g] for g in rng.integers(len(names), size=len(names))])
        draws.append(metric(y[chosen], s[chosen]))
    usable = np.array([d for d in draws if not np.isnan(d)])
    if not len(usable):
        return Interval(metric(y, s), float("nan"), float("nan"))
    low, high = np.quantile(usable, [(1 - coverage) / 2, (1 + coverage) / 2])
    return Interval(metric(y, s), float(low), float(high))


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal width.

    Raises:
        ShapeMismatch: not one probability per label.
    """
    y, p = _checked(labels, probabilities)
    places = np.minimum((p * bins).astype(np.int64), bins - 1)
    total = 0.0
    for b in range(bins):
        inside = places == b
        if inside.any():
            total += inside.mean() * abs(y[inside].mean() - p[inside].mean())
    return float(total)


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    y, s = np.asarray(labels, np.int64), np.asarray(scores, np.float64)
    if y.ndim != 1 or s.shape != y.shape:
        raise ShapeMismatch("scores", str(y.shape), s.shape)
    return y, s


def _counts(
    y: NDArray[np.int64], s: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many are flagged and how many of them are fake, for each threshold that occurs."""
    order = np.argsort(-s, kind="stable")
    last = np.append(np.diff(s[order]) != 0, True)  # equal scores are flagged together
    return np.flatnonzero(last) + 1, np.cumsum(y[order])[last]
