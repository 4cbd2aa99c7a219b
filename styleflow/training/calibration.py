"""Platt scaling of a detector's logits on videos that it was not trained on.

And split-conformal intervals round them. How far a clip's rating lies from the mean of its label is
what its source, and not its label, did to it. Of clips exchangeable with those of the fit, as many
as are asked for lie no farther from it than the conformal width, whatever the distribution, within
each bucket of sharpness (Vovk's Mondrian conformal prediction).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from styleflow.calibration import Calibration, Width
from styleflow.evaluation.metrics import calibration_error

COVERED = 2 / 3
"""Share of clips that an interval is to cover."""

BUCKETS = 3
"""Of sharpness, each with as many clips of the fit."""

_FOLDS = 5


def fit_calibration(
    labels: ArrayLike, logits: ArrayLike, prior: float = 0.5, undecided: float = 0.0
) -> Calibration:
    """Return Platt scaling with the spread between clips of one label.

    Both labels weigh the same however many clips they have: how common fakes are is said by
    `prior` and not by the data set.

    Args:
        labels: 0 or 1.
        logits: ratings of clips that were not trained on.
        prior: share of fakes among the faces that will be watched.
        undecided: see `Calibration`.

    Returns:
        The calibration; one that is not `fitted` where there is nothing to fit it to: ratings of
        one label, all the same, or not all numbers.
    """
    y, raw = np.asarray(labels, np.float64), np.asarray(logits, np.float64)
    # Newton's steps overshoot when logits are large, so it sees them at a common size.
    centre, size = float(raw.mean()), max(float(raw.std()), 1e-9)
    x = (raw - centre) / size
    weight = np.where(y > 0.5, 0.5 / max(y.sum(), 1), 0.5 / max((1 - y).sum(), 1))
    if len(np.unique(y > 0.5)) < 2 or not np.isfinite(x).all() or np.ptp(x) == 0:
        return Calibration()
    # With so few clips nothing is certain: Platt's targets, alike for both labels.
    doubt = 1 / (len(y) / 2 + 2)
    target = np.where(y > 0.5, 1 - doubt, doubt)
    scale, bias = 0.0, 0.0
    for _ in range(100):  # Newton's method on a convex problem of two unknowns
        p = 1 / (1 + np.exp(-np.clip(scale * x + bias, -30, 30)))
        slope = weight * (p - target)
        gradient = np.array([(slope * x).sum() + 1e-4 * scale, slope.sum()])
        curve = weight * p * (1 - p)
        hessian = np.array(
            [
                [(curve * x * x).sum() + 1e-4, (curve * x).sum()],
                [(curve * x).sum(), curve.sum() + 1e-9],
            ]
        )
        scale, bias = np.array([scale, bias]) - np.linalg.solve(hessian, gradient)
    scale, bias = scale / size, bias - scale * centre / size
    scaled = scale * raw
    bias += np.log(prior / (1 - prior))
    within = [scaled[y == label].var() for label in (0, 1) if (y == label).any()]
    spread = float(np.sqrt(np.mean(within)))
    return Calibration(
        float(scale), float(bias), spread, fitted=True, prior=prior, undecided=undecided
    )


def with_widths(
    calibration: Calibration, labels: ArrayLike, logits: ArrayLike, sharpness: ArrayLike
) -> Calibration:
    """Return a calibration with conformal widths by sharpness; itself where it is not fitted.

    Args:
        calibration: of these clips.
        labels: 0 or 1.
        logits: ratings of the clips.
        sharpness: of their faces, see `FaceQuality`.
    """
    if not calibration.fitted:
        return calibration
    apart = _apart(calibration, np.asarray(labels), np.asarray(logits, np.float64))
    sharp = np.asarray(sharpness, np.float64)
    edges = [0.0, *(float(e) for e in np.quantile(sharp, np.arange(1, BUCKETS) / BUCKETS))]
    place = np.searchsorted(edges, sharp, side="right") - 1
    widths = tuple(
        Width(edge, _conformal(apart[place == number])) for number, edge in enumerate(edges)
    )
    return replace(calibration, widths=widths)


@dataclass(frozen=True, slots=True)
class CrossFit:
    """What a calibration does on clips whose groups it was not fitted on.

    Attributes:
        error: expected calibration error at even odds.
        covered: share of clips whose interval, of one full window, holds their label's mean.
        covered_by_sharpness: the same within each bucket.
        covered_without_buckets: the same with one width for all.
    """

    error: float
    covered: float
    covered_by_sharpness: tuple[float, ...]
    covered_without_buckets: float


def cross_fitted(
    labels: ArrayLike, logits: ArrayLike, sharpness: ArrayLike, groups: Sequence[str]
) -> CrossFit | None:
    """Return what calibrations fitted on four fifths of groups do on the others.

    Every fold's clips are measured against the means of their labels among the clips of its fit.

    Returns:
        None where a fold has nothing to be fitted to.
    """
    y, raw = np.asarray(labels), np.asarray(logits, np.float64)
    sharp = np.asarray(sharpness, np.float64)
    names = sorted(set(groups))
    drawn = np.random.default_rng(0).permutation(len(names)) % _FOLDS
    fold = np.array([dict(zip(names, drawn, strict=True))[group] for group in groups])
    chance, inside = np.zeros(len(y)), np.zeros((2, len(y)), bool)
    for number in range(_FOLDS):
        held, used = fold == number, fold != number
        found = fit_calibration(y[used], raw[used])
        if not found.fitted:
            return None
        bucketed = with_widths(found, y[used], raw[used], sharp[used])
        single = _conformal(_apart(found, y[used], raw[used]))
        middles = np.array([raw[used & (y == label)].mean() for label in (0, 1)])
        apart = np.abs(raw[held] - middles[y[held]]) * found.scale
        chance[held] = [found.probability(float(value)) for value in raw[held]]
        halves = [bucketed.half_width(float(value)) for value in sharp[held]]
        inside[0, held], inside[1, held] = apart <= halves, apart <= single
    edges = np.quantile(sharp, np.arange(1, BUCKETS) / BUCKETS)
    place = np.searchsorted(edges, sharp, side="right")
    return CrossFit(
        calibration_error(y, chance.tolist()),
        float(inside[0].mean()),
        tuple(float(inside[0, place == number].mean()) for number in range(BUCKETS)),
        float(inside[1].mean()),
    )


def near_chance_figures(
    labels: ArrayLike, logits: ArrayLike, calibration: Calibration
) -> dict[str, float]:
    """Return the share of clips that are answered, and the errors at even odds, labels even.

    `error_of_all` is that of answering every clip, `error_of_answered` that of those not near
    chance, and `error_of_others` that of the rest.
    """
    y = np.asarray(labels)
    even = replace(calibration, bias=calibration.bias - _log_odds(calibration.prior), prior=0.5)
    said = np.array([even.probability(float(logit)) > 0.5 for logit in np.asarray(logits)])
    answered = np.array([not calibration.near_chance(float(x)) for x in np.asarray(logits)])

    def error(clips: NDArray[np.bool_]) -> float:
        each = [np.mean(said[clips & (y == label)] != label) for label in np.unique(y[clips])]
        return float(np.mean(each)) if each else 0.0

    return {
        "answered": float(answered.mean()),
        "error_of_all": error(np.ones(len(y), bool)),
        "error_of_answered": error(answered),
        "error_of_others": error(~answered),
    }


def _apart(
    calibration: Calibration, labels: NDArray[np.int64], logits: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far clips lie from the mean of their label, in scaled logits."""
    middles = np.array([logits[labels == label].mean() for label in (0, 1)])
    return np.asarray(np.abs(logits - middles[labels]) * calibration.scale)


def _conformal(apart: NDArray[np.float64]) -> float:
    """Return the width that holds `COVERED` of clips like these; the largest where they are few."""
    if not len(apart):
        return math.inf
    rank = math.ceil((len(apart) + 1) * COVERED)
    return float(np.sort(apart)[min(rank, len(apart)) - 1])


def _log_odds(share: float) -> float:
    return math.log(share / (1 - share))
