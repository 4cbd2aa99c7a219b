"""Explanations of a detector: regions of a crop that stand out. No torch and no pictures here.

It is for people who look at a score and ask where it comes from; it never enters the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal


class PointsAt(Enum):
    """Kind of explanation: the meaning of a detector's regions."""

    ARTIFACTS = "artifacts"  # boxes around traces of a manipulation, of any size
    VULNERABILITY = "vulnerability"  # where blending shows or changes most, within the same face
    TRACES = "traces"  # which patches lean synthesised
    EVIDENCE = "evidence"  # what, once covered, lowers the score


@dataclass(frozen=True, slots=True)
class Patch:
    """A rectangle of a crop, in crop sides, so that the whole crop is 0..1 in both directions.

    Attributes:
        x0: left.
        y0: top.
        x1: right.
        y1: bottom.
        strength: how much it stands out, 0..1; only to be compared within one detector and kind.
        kind: which map it is part of: what stands out in this frame, or what changes from frame
            to frame; empty where a detector has one kind only.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    strength: float
    kind: Literal["", "spatial", "temporal"] = ""
