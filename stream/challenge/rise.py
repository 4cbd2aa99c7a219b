"""Artefact rise: whether ratings are higher while a face is asked for something than before.

Neighbouring ratings are nearly one observation, so the interval comes of drawing whole seconds (a
block bootstrap) rather than single ratings. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.compliance import Rise

Rating = tuple[float, float]
"""Seconds of any clock, and logit."""

LEAST_SECONDS = 3
"""Seconds with ratings on each side, below which nothing is said."""

LEAST_RATINGS = 6
DRAWS = 1000


def rise(before: Sequence[Rating], inside: Sequence[Rating], what: str = "what was asked") -> Rise:
    """Return how ratings changed.

    Args:
        before: ratings of the face at rest.
        inside: ratings while it was asked.
        what: named in the sentence.
    """
    first, second = _blocks(before), _blocks(inside)
    middle = tuple(_median([logit for _, logit in side]) for side in (before, inside))
    counts = len(before), len(inside)
    few = min(counts) < LEAST_RATINGS or min(len(first), len(second)) < LEAST_SECONDS
    if few or middle[0] is None or middle[1] is None:
        said = (
            f"Too few ratings to say whether they changed: {counts[0]} before, "
            f"{counts[1]} during {what}."
        )
        return Rise(middle[0], middle[1], None, None, None, *counts, said)
    change = middle[1] - middle[0]
    rng = np.random.default_rng(0)
    draws = np.array([_drawn(second, rng) - _drawn(first, rng) for _ in range(DRAWS)])
    low, high = (float(x) for x in np.quantile(draws, (0.025, 0.975)))
    numbers = f"{abs(change):.2f} ({low:+.2f} to {high:+.2f}) of a logit"
    if low > 0:
        said = f"Ratings leaned towards synthesised during {what}: higher by {numbers}."
    elif high < 0:
        said = f"Ratings leaned towards real during {what}: lower by {numbers}."
    else:
        numbers = f"{change:+.2f} ({low:+.2f} to {high:+.2f}) of a logit"
        said = f"Ratings did not change measurably during {what}: {numbers}."
    return Rise(middle[0], middle[1], change, low, high, *counts, said)


def _blocks(ratings: Sequence[Rating]) -> list[NDArray[np.float64]]:
    """Return the ratings of each second."""
    seconds: dict[int, list[float]] = {}
    for at, logit in ratings:
        seconds.setdefault(int(at), []).append(logit)
    return [np.array(block) for block in seconds.values()]


def _drawn(blocks: Sequence[NDArray[np.float64]], rng: np.random.Generator) -> float:
    """Return the median of as many blocks, drawn with replacement."""
    chosen = rng.integers(0, len(blocks), len(blocks))
    return float(np.median(np.concatenate([blocks[n] for n in chosen])))


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
