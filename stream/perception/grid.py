"""Common cadence grid of several detectors that watch one stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream.errors import SettingInvalid
from styleflow.clips import ClipSpec

MAX_GRID_HZ = 60.0
"""No camera here is faster, so a finer common grid of several cadences would be empty."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The slots that all clips of one stream have in common.

    Attributes:
        cadence_hz: slots per second of media time.
        strides: slots from one frame of each clip to its next.
    """

    cadence_hz: float
    strides: tuple[int, ...]

    @classmethod
    def common(cls, clips: Sequence[ClipSpec]) -> Grid:
        """Return the coarsest grid on which every clip's frames lie.

        Raises:
            SettingInvalid: there is none up to `MAX_GRID_HZ`.
        """
        fastest = max(clip.cadence_hz for clip in clips)
        finer = 1
        while finer == 1 or fastest * finer <= MAX_GRID_HZ:
            strides = [fastest * finer / clip.cadence_hz for clip in clips]
            if all(abs(stride - round(stride)) < 1e-6 * stride for stride in strides):
                return cls(fastest * finer, tuple(round(stride) for stride in strides))
            finer += 1
        rates = ", ".join(f"{clip.cadence_hz:g}" for clip in clips)
        rule = f"must have a common multiple up to {MAX_GRID_HZ:g} Hz to run side by side"
        raise SettingInvalid("cadences", rates, rule)
