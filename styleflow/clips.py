"""How long a clip is, how its frames are spaced, how large its crops are and how they are framed.

No torch and no pictures here; `styleflow.faces.framing` makes the crops.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Framing(Enum):
    """How a face is cut out for one detector; scores mean nothing under another's framing."""

    ANCHORED = "anchored"  # ours: one transform for as long as it fits
    STYLEFLOW = "styleflow"  # the same, onto the template that StyleFlow and FTCN were trained on
    CADDM = "caddm"  # each frame alone, by its five points
    FAKESTORMER = "fakestormer"  # each frame alone, by its box


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """The temporal and spatial format that one detector was trained on.

    Attributes:
        frames: length of a training clip or evaluation window, in sampled frames.
        cadence_hz: sampled frames per second of media time.
        size_px: side of the square aligned crop.
        framing: how the crop is cut out of the picture.
    """

    frames: int
    cadence_hz: float
    size_px: int
    framing: Framing = Framing.ANCHORED

    @property
    def step_s(self) -> float:
        """Media seconds from one sampled frame to the next."""
        return 1.0 / self.cadence_hz

    @property
    def duration_s(self) -> float:
        """Media seconds that one clip covers, from its first frame to its last."""
        return (self.frames - 1) / self.cadence_hz
