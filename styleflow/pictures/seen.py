"""The one way from a decoded frame to the picture that faces are looked for in.

Live video, `analyze` and training come through here, so none of them sees a face lying, squeezed
or in other colours than the others do.
"""

from __future__ import annotations

from fractions import Fraction

from av.video.frame import VideoFrame

from styleflow.faces.face import Image
from styleflow.pictures.rgb import to_rgb
from styleflow.pictures.upright import Orientation, square

MAX_PIXELS = 7680 * 4320
"""Larger pictures are refused before memory is asked for."""


def as_seen(frame: VideoFrame, lies: Orientation, pixel_aspect: Fraction | None) -> Image:
    """Return a frame's picture in RGB with square pixels and upright, `(H, W, 3)` uint8.

    Args:
        frame: as decoded, of any format.
        lies: how the picture has to be laid.
        pixel_aspect: width of a stored pixel over its height; None or 0 when nobody knows.
    """
    return lies.upright(square(to_rgb(frame), pixel_aspect, MAX_PIXELS))
