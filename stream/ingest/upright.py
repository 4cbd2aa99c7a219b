"""Pictures as they are meant to be seen: mirrored and turned as their file says.

A display matrix is one of eight ways to lay a picture: four quarter turns, each with and without a
mirror. The mirror is told from the matrix's determinant, so a mirrored picture is not taken for one
that stands on its head.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame

from styleflow.faces.face import Image

_MATRIX = struct.Struct("<9i")


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture has to be laid to be upright.

    Attributes:
        mirrored: it is flipped left to right first.
        quarter_turns: then it is turned so many times, counterclockwise, 0 to 3.
    """

    mirrored: bool = False
    quarter_turns: int = 0

    @classmethod
    def of_matrix(cls, matrix: tuple[int, ...]) -> Orientation:
        """Return what a display matrix of nine numbers means, to the nearest quarter turn.

        Args:
            matrix: `a b u c d v x y w`; it takes the point (p, q) to (ap + cq, bp + dq), with q
                downwards.
        """
        a, b, _, c, d, *_ = matrix
        mirrored = a * d - b * c < 0
        if mirrored:
            a, b = -a, -b  # what is left to do once the picture has been flipped
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(mirrored, 0 if a + d >= 0 else 2)
        return cls(mirrored, 3 if b - c > 0 else 1)

    @classmethod
    def of(cls, frame: VideoFrame) -> Orientation:
        """Return what a decoded picture says of itself; upright when it says nothing."""
        data = frame.side_data.get("DISPLAYMATRIX")
        raw = bytes(data) if isinstance(data, SideData) else b""
        return cls() if len(raw) < _MATRIX.size else cls.of_matrix(_MATRIX.unpack_from(raw))

    def upright(self, image: Image) -> Image:
        """Return a picture upright; the same array when it is already."""
        if not self.mirrored and not self.quarter_turns:
            return image
        flipped = image[:, ::-1] if self.mirrored else image
        return np.ascontiguousarray(np.rot90(flipped, self.quarter_turns))
