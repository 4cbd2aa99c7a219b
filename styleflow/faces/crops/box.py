"""The crop that FakeSTormer was trained on: the face's box with a quarter around it, stretched.

Each frame is cropped by its own box; nothing is tracked, smoothed or aligned. The box becomes a
256 px square whatever its proportions were, then a margin is cut off on all sides and the rest is
resampled to the network's size.

Source: FakeSTormer's released program (a.1 and e of our notes).
Departs: takes the box of any face detector, where the release takes RetinaFace's; a box that
reaches less far up the forehead shows the network less of it.
"""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.errors import ShapeMismatch
from styleflow.faces.device_picture import DevicePicture, P, part, warped
from styleflow.faces.face import Box

STORED_PX = 256
ENLARGE = 0.25
TEST_MARGIN_PX = 15


def enlarged(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom with a quarter added on every side, within the picture."""
    more_x, more_y = box.width * ENLARGE, box.height * ENLARGE
    return (
        max(int(box.x0 - more_x), 0),
        max(int(box.y0 - more_y), 0),
        min(int(box.x1 + more_x), width),
        min(int(box.y1 + more_y), height),
    )


def box_crop(image: P, box: Box) -> P:
    """Return a face and a quarter around it, `(256, 256, 3)` uint8, its proportions lost.

    Raises:
        ValueError: the box lies outside the picture.
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = enlarged(box, width, height)
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"box {box} lies outside a picture of {width}x{height}")
    rows, columns, size = slice(y0, y1), slice(x0, x1), (STORED_PX, STORED_PX)
    if isinstance(image, DevicePicture):
        return cast(P, image.part(rows, columns).stretched(*size))
    there = cast(NDArray[np.uint8], image)[rows, columns]
    return cast(P, np.asarray(cv2.resize(there, size, interpolation=cv2.INTER_LINEAR), np.uint8))


def cut_margin(crop: P, size_px: int = 224, margin_px: int = TEST_MARGIN_PX) -> P:
    """Cut a margin off and resample so that the outer pixels' centres stay the outer ones'.

    Args:
        crop: from `box_crop`, `(256, 256, 3)` uint8.
        size_px: side of the result; 224 for the base networks.
        margin_px: the authors take 15, but 0 for DFW, 5 for DFDCP and 13 for DFD.

    Returns:
        The network's crop, `(size_px, size_px, 3)` uint8.

    Raises:
        ShapeMismatch: not a square picture larger than its margins.
    """
    side = crop.shape[0]
    inner = side - 2 * margin_px
    if crop.shape != (side, side, 3) or inner < 2:
        raise ShapeMismatch("box crop", "(256, 256, 3)", crop.shape)
    inside = slice(margin_px, side - margin_px)
    return warped(part(crop, inside, inside), resampling(inner, size_px), (size_px, size_px))


def resampling(side: int, wanted: int) -> NDArray[np.float64]:
    """Return the transform of one square to another that keeps the outer pixels' centres, (2, 3).

    Args:
        side: of the square that there is, pixels; 2 or more.
        wanted: of the square that is made.
    """
    scale = (wanted - 1) / (side - 1)
    return np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]])


def fakestormer_crop(image: P, box: Box, size_px: int = 224, margin_px: int = TEST_MARGIN_PX) -> P:
    """Return a face as FakeSTormer saw faces in training, `(size_px, size_px, 3)` uint8."""
    return cut_margin(box_crop(image, box), size_px, margin_px)


def shown_box(box: Box, width: int, height: int, margin_px: int = TEST_MARGIN_PX) -> Box:
    """Return the part of a picture that a crop shows: where to lay a map of the crop.

    Args:
        box: the face's box that the crop was made with.
        width: of the picture, pixels.
        height: of the picture, pixels.
        margin_px: as given to `fakestormer_crop`.
    """
    x0, y0, x1, y1 = enlarged(box, width, height)
    cut_x, cut_y = (x1 - x0) * margin_px / STORED_PX, (y1 - y0) * margin_px / STORED_PX
    return Box(x0 + cut_x, y0 + cut_y, x1 - cut_x, y1 - cut_y)
