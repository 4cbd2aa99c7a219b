"""One second look: a run of frames of one face, at the heavier detector's cadence. Pure.

The frames are those that the first detector is given: none is decoded, and no face is searched for,
because of a second look. Of a cadence that does not divide the first one's, the nearest frame
behind each slot is taken, so distances are off by less than one of the first detector's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stream.engine.plan import TrackKey
from styleflow.clips import ClipSpec
from styleflow.faces.align import Anchoring

STALE_S = 10.0
"""Monotonic seconds after which a look that gets no more frames is given up."""


@dataclass(slots=True)
class Burst:
    """A look that goes on.

    Attributes:
        key: the face.
        clip: the detector's.
        least: frames after which its logit is asked for.
        price: seconds that are set aside for it.
        began: monotonic seconds.
        pushed: frames so far.
        at: media time of the newest one.
        anchoring: where the crop is anchored, for framings that have one.
    """

    key: TrackKey
    clip: ClipSpec
    least: int
    price: float
    began: float
    pushed: int = 0
    at: float = 0.0
    anchoring: Anchoring | None = None
    _slot: int = 0

    @property
    def most(self) -> int:
        """Frames after which it is given up without a logit."""
        return max(self.least, self.clip.frames)

    @property
    def ripe(self) -> bool:
        """Whether a logit may be asked for."""
        return self.pushed >= self.least

    def missing(self, at: float) -> int | None:
        """Return how many slots were skipped before a frame; None when it is not wanted.

        Args:
            at: media time of the frame.
        """
        if self.pushed == 0:
            return 0
        slot = self._slot_of(at)
        return slot - self._slot - 1 if slot > self._slot else None

    def take(self, at: float) -> None:
        """Take note of a frame that is used."""
        self._slot = self._slot_of(at)
        self.pushed += 1
        self.at = at

    def _slot_of(self, at: float) -> int:
        return math.floor(at * self.clip.cadence_hz + 0.5 + 1e-6)
