"""Words of a change: what a person reads on the stream's page."""

from __future__ import annotations

from stream.drift.comparison import FigureChange
from stream.drift.sketch import Figure
from stream.events import AbstainReason
from stream.problems import REASON_WORDS

STALE = "calibration is stale here"

_MORE = {
    Figure.BRIGHTNESS: "faces have become brighter",
    Figure.SHARPNESS: "faces have become sharper",
    Figure.FACE_PX: "faces have become larger",
    Figure.BITS_PER_PIXEL: "the video is compressed less",
    Figure.STRANGENESS: "ratings lie farther from what calibration has seen",
}
_LESS = {
    Figure.BRIGHTNESS: "faces have become darker",
    Figure.SHARPNESS: "faces have become more blurred",
    Figure.FACE_PX: "faces have become smaller",
    Figure.BITS_PER_PIXEL: "the video is compressed more",
    Figure.STRANGENESS: "ratings lie nearer to what calibration has seen",
}
_DIGITS = {
    Figure.BRIGHTNESS: "{:.2f}",
    Figure.SHARPNESS: "{:.0f}",
    Figure.FACE_PX: "{:.0f} pixels",
    Figure.BITS_PER_PIXEL: "{:.3f} bits per pixel",
    Figure.STRANGENESS: "{:.1f}",
}


def sentence(change: FigureChange) -> str:
    """Return what has changed, with the figures."""
    if change.figure is Figure.REASONS:
        return _reasons(change)
    now, before = (_DIGITS[change.figure].format(x) for x in (change.now, change.before))
    how = (_LESS if change.lower else _MORE)[change.figure]
    moved = f"{change.distance:.0%} of the ratings have moved"
    return f"{how} than in the last seven days: {moved}, median {now}, was {before}"


def _reasons(change: FigureChange) -> str:
    shares = f"{change.now:.0%} of the ratings, was {change.before:.0%}"
    often = "less often" if change.lower else "more often"
    why = REASON_WORDS[AbstainReason(change.reason)]
    return f"“{why}” stands in the way {often} than in the last seven days: {shares}"
