"""Pictures as they are meant to be seen: mirrored, turned and stretched as their file says.

A display matrix is one of eight ways to lay a picture: four quarter turns, each with and without a
mirror. The mirror is told from the matrix's determinant, so a mirrored picture is not taken for one
that stands on its head.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from styleflow.faces.face import Image

_MATRIX = struct.Struct("<9i")
_SQUARE_ENOUGH = 0.02  # pixels that differ less than this from squares are left as they are
_WIDEST = 10  # a pixel aspect beyond is nonsense


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


def pixel_aspect(video: VideoStream) -> Fraction | None:
    """Return the width of a stored pixel over its height: what the file says, else its codec."""
    return video.sample_aspect_ratio or video.codec_context.sample_aspect_ratio


def square(image: Image, pixel_aspect: Fraction | None, max_pixels: int) -> Image:
    """Return a picture with square pixels; the same array when they are square already.

    Args:
        image: `(H, W, 3)`, as stored.
        pixel_aspect: width of a stored pixel over its height; None or 0 when nobody knows.
        max_pixels: the picture grows in its shorter direction, but not beyond this.
    """
    height, width = image.shape[:2]
    size = squared_size(width, height, pixel_aspect, max_pixels)
    if size == (width, height):
        return image
    grows = size[0] > width or size[1] > height
    how = cv2.INTER_CUBIC if grows else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def squared_size(
    width: int, height: int, pixel_aspect: Fraction | None, max_pixels: int
) -> tuple[int, int]:
    """Return the width and height that a picture has with square pixels; see `square`."""
    aspect = float(pixel_aspect or 1)
    if abs(aspect - 1.0) < _SQUARE_ENOUGH or not 1 / _WIDEST <= aspect <= _WIDEST:
        return width, height
    grows = width * height * max(aspect, 1 / aspect) <= max_pixels
    if (aspect > 1) == grows:
        return max(round(width * aspect), 1), height
    return width, max(round(height / aspect), 1)
