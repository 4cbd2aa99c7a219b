"""Shapes of pictures whose size changes as they come: calls scale them to fit. Pure."""

from __future__ import annotations

SAME_SHAPE = 0.03
"""By how much the two scales of a new size may differ; encoders round to even pixels."""


def is_scaled(old: tuple[int, int], new: tuple[int, int]) -> bool:
    """Say whether a picture has kept its shape, so that only its scale is another.

    Args:
        old: width and height, or height and width.
        new: the same of another picture.
    """
    if min(*old, *new) < 1:
        return False
    return abs(new[0] * old[1] / (new[1] * old[0]) - 1.0) <= SAME_SHAPE
