"""Clip formats: length, cadence, crop size and framing that detectors are trained on.

No torch and no pictures here; `styleflow.faces.crops.framing` makes the crops.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Framing(Enum):
    """Framing of a face for one detector; scores mean nothing under another's."""

    ANCHORED = "anchored"  # ours: one transform for as long as it fits
    STYLEFLOW = "styleflow"  # the same, onto the template that StyleFlow and FTCN were trained on
    STYLEFLOW_WIDE = "styleflow-wide"  # the same, with as much around it as FFHQ shows
    CADDM = "caddm"  # each frame alone, by its five points
    FAKESTORMER = "fakestormer"  # each frame alone, by its box
    GEND = "gend"  # each frame alone, by its five points, with a margin; resized by cubic averaging
    GEND_BILINEAR = "gend-bilinear"  # the same, resized by linear averaging


class PspInput(Enum):
    """Input of StyleFlow's style encoder; its content branch sees the clip's crop either way."""

    CLIP = "clip"  # the same crop, as in the released programs
    FFHQ = "ffhq"  # FFHQ's looser framing, on which the encoder was trained


@dataclass(frozen=True, slots=True)
class WideCrop:
    """A crop that shows as much as FFHQ does, with StyleFlow's own crop inside, pixel for pixel.

    FFHQ's rule, applied to StyleFlow's template of 256 pixels, gives a square of 334 pixels whose
    corner lies 39 pixels to the left of the template's and 73 above. Eyes are then 64 of 256
    pixels apart and 120 from the top, as in FFHQ.

    Attributes:
        inner_px: side of StyleFlow's own crop.
    """

    inner_px: int

    @property
    def size_px(self) -> int:
        """Side of the wide crop."""
        return round(self.inner_px * 334 / 256)

    @property
    def left_px(self) -> int:
        """Columns to the left of StyleFlow's own crop."""
        return round(self.inner_px * 39 / 256)

    @property
    def top_px(self) -> int:
        """Rows above StyleFlow's own crop."""
        return round(self.inner_px * 73 / 256)

    @classmethod
    def of_size(cls, size_px: int) -> WideCrop:
        """Return the wide crop of this side.

        Raises:
            ValueError: no crop inside it has whole pixels.
        """
        wide = cls(round(size_px * 256 / 334))
        if wide.size_px != size_px:
            raise ValueError(f"no crop inside {size_px} px has whole pixels")
        return wide


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """The temporal and spatial format that one detector was trained on.

    Attributes:
        frames: length of a training clip or evaluation window, in sampled frames.
        cadence_hz: sampled frames per second of media time.
        size_px: side of the square aligned crop.
        framing: how the crop is cut out of the picture.
        memory: sampled frames that one rating sums up, beyond its window; 0 for the window alone.
    """

    frames: int
    cadence_hz: float
    size_px: int
    framing: Framing = Framing.ANCHORED
    memory: int = 0

    @property
    def step_s(self) -> float:
        """Media seconds from one sampled frame to the next."""
        return 1.0 / self.cadence_hz

    @property
    def duration_s(self) -> float:
        """Media seconds that one clip covers, from its first frame to its last."""
        return (self.frames - 1) / self.cadence_hz
