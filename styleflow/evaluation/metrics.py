"""Metrics of how well scores separate fake from real; NumPy only.

Scores may be any numbers that grow with suspicion; labels are 0 (real) and 1 (fake).
"""

from __future__ import annotations

import math
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
    """Return a figure with an interval from resampling whole groups; see `resample`.

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
    return resample(
        lambda rows: metric(y[rows], s[rows]), groups, rng, rounds=rounds, coverage=coverage
    )


def resample(
    figure: Callable[[NDArray[np.int64]], float],
    groups: Sequence[str],
    rng: np.random.Generator,
    *,
    rounds: int = 1000,
    coverage: float = 0.95,
) -> Interval:
    """Return a figure of some rows with an interval from resampling whole groups.

    Clips of one person stand or fall together, so people are drawn and not clips. Draws in which
    the figure is not defined are left out. As many groups are drawn as there are.

    Args:
        figure: of row numbers, `(n,)`, each as often as it was drawn.
        groups: who must stay together, one per row.
        rng: draws.
        rounds: how many draws.
        coverage: share of the draws between low and high.
    """
    everything = np.arange(len(groups))
    names, members = np.unique(np.asarray(groups, str), return_inverse=True)
    rows = [np.flatnonzero(members == g) for g in range(len(names))]
    value = figure(everything)
    draws = []
    for _ in range(rounds if rows else 0):
        chosen = np.concatenate([rows[g] for g in rng.integers(len(names), size=len(names))])
        draws.append(figure(chosen))
    usable = np.array([d for d in draws if not np.isnan(d)])
    if not len(usable):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(usable, [(1 - coverage) / 2, (1 + coverage) / 2])
    return Interval(value, float(low), float(high))


def poisson_rate(count: int, exposure: float, coverage: float = 0.95) -> Interval:
    """Return events per unit of exposure with the exact interval of a Poisson count.

    Unlike a bootstrap it says something of no events at all. NaN without exposure.

    Source: Garwood, Biometrika 1936.
    """
    if exposure <= 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    tail = (1 - coverage) / 2
    low = 0.0 if count == 0 else _rate_where(count - 1, 1 - tail)
    return Interval(count / exposure, low / exposure, _rate_where(count, tail) / exposure)


def _rate_where(count: int, probability: float) -> float:
    """Return the Poisson mean at which `count` or fewer events have this probability."""

    def at_most(mean: float) -> float:
        logs = [k * math.log(mean) - mean - math.lgamma(k + 1) for k in range(count + 1)]
        return sum(math.exp(log) for log in logs)

    low, high = 1e-9, 2.0 * count + 20.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most(middle) > probability else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True, slots=True)
class Bin:
    """What became of the clips whose probability lies in one stretch.

    Attributes:
        low: where the stretch begins.
        high: where it ends.
        count: clips in it.
        probability: their mean probability; NaN without clips.
        fakes: the share of them that is fake; NaN without clips.
    """

    low: float
    high: float
    count: int
    probability: float
    fakes: float


def reliability(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> tuple[Bin, ...]:
    """Return how often a probability comes true, over bins of equal width.

    Raises:
        ShapeMismatch: not one probability per label.
    """
    y, p = _checked(labels, probabilities)
    places = np.clip((p * bins).astype(np.int64), 0, bins - 1)
    found = []
    for b in range(bins):
        inside = places == b
        count = int(inside.sum())
        means = (float(p[inside].mean()), float(y[inside].mean())) if count else (math.nan,) * 2
        found.append(Bin(b / bins, (b + 1) / bins, count, *means))
    return tuple(found)


def brier(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the mean squared distance of probabilities from what came true. NaN without clips.

    Raises:
        ShapeMismatch: not one probability per label.
    """
    y, p = _checked(labels, probabilities)
    return float(np.mean((p - y) ** 2)) if len(y) else math.nan


def risk_coverage(
    wrong: ArrayLike, doubt: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coverage and risk when the most doubtful clips are left unanswered, one by one.

    Clips that are doubted equally are answered together.

    Args:
        wrong: 1 where the answer is wrong, 0 where it is right, `(n,)`.
        doubt: grows with how unsure the answer is, `(n,)`.

    Returns:
        The share of clips answered, rising to 1, and the share of those answers that is wrong.

    Raises:
        ShapeMismatch: not one doubt per answer.

    Source: Geifman and El-Yaniv, NeurIPS 2017, selective classification.
    """
    w, d = _checked(wrong, doubt)
    if not len(w):
        return np.zeros(0), np.zeros(0)
    answered, mistakes = _counts(w, -d)
    return answered / len(w), mistakes / answered


def risk_area(coverage: ArrayLike, risk: ArrayLike) -> float:
    """Return the mean risk over all coverages, each answered clip counting once.

    Raises:
        ShapeMismatch: not one risk per coverage.
    """
    c, r = np.asarray(coverage, np.float64), np.asarray(risk, np.float64)
    if c.shape != r.shape or c.ndim != 1:
        raise ShapeMismatch("risk", str(c.shape), r.shape)
    return float((np.diff(c, prepend=0.0) * r).sum()) if len(c) else math.nan


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal width. NaN without clips.

    Raises:
        ShapeMismatch: not one probability per label.
    """
    y, _ = _checked(labels, probabilities)
    if not len(y):
        return math.nan
    found = [b for b in reliability(labels, probabilities, bins) if b.count]
    return sum(b.count / len(y) * abs(b.fakes - b.probability) for b in found)


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
