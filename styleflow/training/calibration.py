"""Platt scaling of a detector's logits on videos that it was not trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from styleflow.calibration import Calibration


def fit_calibration(labels: ArrayLike, logits: ArrayLike, prior: float = 0.5) -> Calibration:
    """Return Platt scaling with the spread between clips of one label.

    Both labels weigh the same however many clips they have: how common fakes are is said by
    `prior` and not by the data set.

    Args:
        labels: 0 or 1.
        logits: ratings of clips that were not trained on.
        prior: share of fakes among the faces that will be watched.

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
    return Calibration(float(scale), float(bias), float(np.sqrt(np.mean(within))), fitted=True)
