"""A detector that keeps no state but pixels: every rating recomputes its whole window.

What a windowed detector costs when nothing is carried from one window to the next; the other side
of `benchmarks/capacity.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from styleflow.detectors.protocol import Detector


@dataclass(slots=True)
class _Pixels:
    """The newest crops of every slot, oldest first, and a state in which windows are computed."""

    crops: dict[int, list[Tensor]] = field(default_factory=dict)
    scratch: Any = None


class Recomputing:
    """Wraps a detector so that a rating begins again with the first frame of its window.

    Args:
        detector: what does the computing.
        frames: length of the window.
    """

    def __init__(self, detector: Detector, frames: int) -> None:
        self.card = detector.card
        self.clip = detector.clip
        self.calibration = detector.calibration
        self._detector = detector
        self._frames = frames

    def init_state(self, slots: int) -> _Pixels:
        """Return the state of `slots` tracks that have seen nothing."""
        return _Pixels(scratch=self._detector.init_state(slots))

    def clear(self, state: _Pixels, rows: Tensor) -> None:
        """Make rows forget everything."""
        for row in rows.tolist():
            state.crops.pop(row, None)

    def push(self, state: _Pixels, rows: Tensor, images: Tensor, missing: Tensor) -> None:
        """Keep one sampled frame of each row; nothing is computed yet."""
        for row, image in zip(rows.tolist(), images, strict=True):
            kept = state.crops.setdefault(row, [])
            kept.append(image)
            del kept[: -self._frames]

    def reanchor(self, state: _Pixels, rows: Tensor, images: Tensor) -> None:
        """Replace the newest frame of each row."""
        for row, image in zip(rows.tolist(), images, strict=True):
            state.crops[row][-1] = image

    def rate(self, state: _Pixels, rows: Tensor) -> Tensor:
        """Return the logits of rows, `(B,)`, from the first frame of their windows on."""
        self._detector.clear(state.scratch, rows)
        known = [state.crops.get(row, []) for row in rows.tolist()]
        longest = max(map(len, known), default=0)
        for number in range(longest):
            # Shorter windows join later, so that all end with the newest frame.
            places = [i for i, crops in enumerate(known) if number >= longest - len(crops)]
            some = rows[places]
            images = torch.stack([known[i][number - longest] for i in places])
            self._detector.push(state.scratch, some, images, torch.zeros_like(some))
        return self._detector.rate(state.scratch, rows)
