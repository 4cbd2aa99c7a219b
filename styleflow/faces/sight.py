"""Sight of a face: what lay under its landmarks when they were laid, to tell whether it moved.

In front of a resting camera a face may not move at all for a while, and the codec then repeats its
pixels. Landmarks laid over the same pixels are the same landmarks, so the mesh need not run again.
A sight is the face's part of the picture, thinned; a later picture is compared with the one that
the mesh saw, never with its neighbour, so that what drifts slowly is noticed too.

Whether anything moved follows from the pictures alone: live video and the same frames from a file
agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.faces.device_picture import Pixels

Corners = tuple[float, float, float, float]
"""A face's rectangle in a picture: x0, y0, x1, y1."""

MOST_REUSED = 4
"""Pictures in a row that one pass of the mesh serves beyond its own, at most: as many as usually
lie between two detections, each of which lays the mesh anew."""

STILL_LEVELS = 1
"""Grey levels by which the mean of a cell may differ where nothing moved."""

_SAMPLES = 64  # across and down, at most twice as many
_CELLS = 8
_MARGIN = 0.1  # of the face's side, on each side: what the face covers next


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A face's part of the picture over which its landmarks were laid.

    Attributes:
        pixels: green of every n-th pixel of every n-th row, uint8.
        place: where they lie in the picture: rows and columns.
        size: height and width of the picture.
        reused: later pictures that the same landmarks have served.
    """

    pixels: NDArray[np.uint8]
    place: tuple[slice, slice]
    size: tuple[int, int]
    reused: int = 0

    @classmethod
    def of(cls, image: Pixels, face: Corners) -> Sight | None:
        """Return the sight of a face in a picture, `(H, W, 3)`; None where no part is inside."""
        if not all(map(math.isfinite, face)):
            return None
        left, top, right, bottom = face
        height, width = image.shape[:2]
        margin = _MARGIN * max(right - left, bottom - top)
        (y0, y1), (x0, x1) = (
            (max(int(low - margin), 0), min(int(high + margin) + 1, length))
            for low, high, length in ((top, bottom, height), (left, right, width))
        )
        if y1 - y0 < _CELLS or x1 - x0 < _CELLS:
            return None
        step = max(1, min(y1 - y0, x1 - x0) // _SAMPLES)
        place = (slice(y0, y1, step), slice(x0, x1, step))
        return cls(_green(image, place), place, (height, width))

    def again(self, image: Pixels) -> Sight | None:
        """Return the sight for a later picture in which nothing moved; None where something did.

        Also None once the landmarks have served `MOST_REUSED` pictures beyond their own.
        """
        if self.reused >= MOST_REUSED or image.shape[:2] != self.size:
            return None
        apart = cv2.absdiff(self.pixels, _green(image, self.place))
        cells = cv2.resize(apart, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
        if int(cells.max()) > STILL_LEVELS:
            return None
        return replace(self, reused=self.reused + 1)


def _green(image: Pixels, place: tuple[slice, slice]) -> NDArray[np.uint8]:
    """Return green of a part of a picture, in memory; from a device only that is copied."""
    if isinstance(image, np.ndarray):
        return np.ascontiguousarray(image[*place, 1])
    return image.green(*place)
