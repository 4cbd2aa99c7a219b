"""Sketch of a stretch of ratings: how often each figure of quality lay in each of a few bins.

A sketch has the same size whatever it is of, sketches add up, and two can be compared without the
ratings. It holds counts, no pictures and nothing of one face.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from stream.events import AbstainReason, Score

FORMAT = 1
VERDICT = "verdict"
"""Stands among the reasons for a rating that nothing speaks against."""


class Figure(StrEnum):
    """What is watched of a stream. A closed list."""

    REASONS = "reasons"  # most fundamental one of each rating
    BRIGHTNESS = "brightness"  # mean luma of the face, 0..1
    SHARPNESS = "sharpness"  # see `FaceQuality`
    FACE_PX = "face_px"  # side of the face in source pixels
    BITS_PER_PIXEL = "bits_per_pixel"  # of the stream; not counted where it is unknown
    STRANGENESS = "strangeness"  # see `Score`


def _rising(first: float, last: float, count: int) -> tuple[float, ...]:
    """Return edges that rise by a constant factor."""
    factor = (last / first) ** (1 / (count - 1))
    return tuple(first * factor**n for n in range(count))


EDGES: Mapping[Figure, tuple[float, ...]] = {
    Figure.BRIGHTNESS: tuple(n / 20 for n in range(1, 20)),
    Figure.SHARPNESS: _rising(2.0, 2048.0, 21),
    Figure.FACE_PX: _rising(16.0, 1024.0, 19),
    Figure.BITS_PER_PIXEL: _rising(1 / 1024, 1.0, 21),
    Figure.STRANGENESS: (1e-9, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
}
"""Where each bin but the first begins, by figure."""

REASONS = (VERDICT, *(reason.value for reason in AbstainReason))
"""The bins of the reasons."""

BINS = {figure: len(EDGES[figure]) + 1 if figure in EDGES else len(REASONS) for figure in Figure}
"""How many bins each figure has."""


def _empty() -> dict[Figure, list[int]]:
    return {figure: [0] * bins for figure, bins in BINS.items()}


@dataclass(slots=True)
class Sketch:
    """Counts of ratings by figure and bin.

    Attributes:
        counts: by figure, as many as `BINS` says.
    """

    counts: dict[Figure, list[int]] = field(default_factory=_empty)

    @property
    def ratings(self) -> int:
        """How many ratings it is of."""
        return sum(self.counts[Figure.REASONS])

    def add(self, score: Score) -> None:
        """Take in a rating; a figure that is not a number is left out."""
        reason = score.reasons[0].value if score.reasons else VERDICT
        self.counts[Figure.REASONS][REASONS.index(reason)] += 1
        quality = score.quality
        self._count(Figure.BRIGHTNESS, quality.brightness / 255.0)
        self._count(Figure.SHARPNESS, quality.sharpness)
        self._count(Figure.FACE_PX, quality.face_px)
        if score.capture.bits_per_pixel > 0:
            self._count(Figure.BITS_PER_PIXEL, score.capture.bits_per_pixel)
        self._count(Figure.STRANGENESS, score.strangeness)

    def _count(self, figure: Figure, value: float) -> None:
        if math.isfinite(value):
            self.counts[figure][bisect_right(EDGES[figure], value)] += 1

    def merge(self, other: Sketch) -> None:
        """Add the counts of another one."""
        for figure, counts in self.counts.items():
            for n, count in enumerate(other.counts[figure]):
                counts[n] += count

    def shown(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"format": FORMAT, **{figure.value: self.counts[figure] for figure in Figure}}


def merged(sketches: Iterable[Sketch]) -> Sketch:
    """Return the sum of sketches."""
    whole = Sketch()
    for sketch in sketches:
        whole.merge(sketch)
    return whole


def parsed(found: Mapping[str, Any]) -> Sketch:  # Any: JSON
    """Return a sketch that was shown.

    Raises:
        ValueError: it is of another format, or none.
    """
    try:
        counts = {figure: [int(count) for count in found[figure.value]] for figure in Figure}
        wrong = found["format"] != FORMAT or any(len(counts[f]) != BINS[f] for f in Figure)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no sketch: {error!r}") from error
    if wrong:
        raise ValueError(f"a sketch of format {found['format']}, or of other bins")
    return Sketch(counts)


def median(figure: Figure, counts: list[int]) -> float | None:
    """Return the median of a figure, to within a bin; None without counts. Not for reasons."""
    edges, half = EDGES[figure], sum(counts) / 2
    if not half:
        return None
    below = 0
    for n, count in enumerate(counts):
        if below + count >= half:
            low = edges[n - 1] if n else 0.0
            high = edges[n] if n < len(edges) else 2 * low
            return low + (high - low) * (half - below) / count
        below += count
    raise AssertionError("the counts do not add up")
