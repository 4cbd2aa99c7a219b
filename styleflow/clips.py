"""How long a clip is, how its frames are spaced and how large its crops are. No torch here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """The temporal and spatial format that one detector was trained on.

    Attributes:
        frames: length of a training clip or evaluation window, in sampled frames.
        cadence_hz: sampled frames per second of media time.
        size_px: side of the square aligned crop.
    """

    frames: int
    cadence_hz: float
    size_px: int

    @property
    def step_s(self) -> float:
        """Media seconds from one sampled frame to the next."""
        return 1.0 / self.cadence_hz

    @property
    def duration_s(self) -> float:
        """Media seconds that one clip covers, from its first frame to its last."""
        return (self.frames - 1) / self.cadence_hz
