"""Prior boxes of CADDM's heads: their places and sizes, and how the heads adjust them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CROP_PX = 224
VARIANCE_CENTRE, VARIANCE_SIZE = 0.1, 0.2


@dataclass(frozen=True, slots=True)
class PriorLevel:
    """One map of the ADM: `cells` x `cells` of `step_px`, two boxes in each."""

    cells: int
    step_px: int
    short_px: int
    long_px: int


PRIOR_LEVELS = (
    PriorLevel(cells=7, step_px=32, short_px=40, long_px=80),
    PriorLevel(cells=5, step_px=45, short_px=80, long_px=120),
    PriorLevel(cells=3, step_px=75, short_px=120, long_px=160),
    PriorLevel(cells=1, step_px=224, short_px=224, long_px=224),
)
PRIORS_PER_CELL = 2
PRIORS = sum(level.cells**2 * PRIORS_PER_CELL for level in PRIOR_LEVELS)


def prior_boxes() -> Tensor:
    """Return the boxes that the heads adjust: upright then lying, cell by cell, level by level.

    Returns:
        Centre x, centre y, width and height in crop sides, `(168, 4)`, within [0, 1].
    """
    boxes = [
        ((column + 0.5) * level.step_px, (row + 0.5) * level.step_px, *size)
        for level in PRIOR_LEVELS
        for row in range(level.cells)
        for column in range(level.cells)
        for size in ((level.short_px, level.long_px), (level.long_px, level.short_px))
    ]
    return (torch.tensor(boxes, dtype=torch.float64) / CROP_PX).clamp(0, 1).float()


def corners(boxes: Tensor) -> Tensor:
    """Turn centre and size into left, top, right and bottom, `(..., 4)` to `(..., 4)`."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat((centre - size / 2, centre + size / 2), -1)


def decode_boxes(offsets: Tensor, priors: Tensor) -> Tensor:
    """Move and stretch the prior boxes as the heads say.

    Args:
        offsets: the heads' output, `(..., 168, 4)`.
        priors: from `prior_boxes`, `(168, 4)`.

    Returns:
        Left, top, right and bottom in crop sides, `(..., 168, 4)`; they may leave [0, 1].
    """
    centre = priors[:, :2] + offsets[..., :2] * VARIANCE_CENTRE * priors[:, 2:]
    size = priors[:, 2:] * (offsets[..., 2:] * VARIANCE_SIZE).exp()
    return corners(torch.cat((centre, size), -1))
