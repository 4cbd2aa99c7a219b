"""Cost of a frame: what the dearest of the latest frames took, and a margin. Pure."""

from __future__ import annotations

from collections import deque

LATEST = 32
"""Frames that are remembered."""

MARGIN = 1.1
"""A frame is expected to take so many times as long as the dearest of the latest."""

_UNKNOWN_S = 1.0  # before anything was measured


class FrameCosts:
    """Seconds that the latest frames of one detector took."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=LATEST)

    def note(self, seconds: float) -> None:
        """Take in what a frame took."""
        self._latest.append(max(seconds, 0.0))

    @property
    def expected(self) -> float:
        """Seconds that the next frame is expected to take, rather too many than too few."""
        return MARGIN * max(self._latest) if self._latest else _UNKNOWN_S
