"""The crop that GenD was trained on: five points laid onto its template, as large as the face is.

A similarity moves eyes, nose and mouth corners as close to the template as most of them go (least
median of squares: one bad point of five counts nothing). The crop shows 1.3 times the template's
square, at the scale of the picture, and is then resized to what the encoders see, 224 px.

Resizing averages what a reduction would alias, as Pillow and torchvision do and OpenCV does not.

Source: GenD's released program (alignment); the image processors of its encoders (resizing).
Departs: takes five points from any landmark model, where the release takes RetinaFace's. A crop
larger than `MAX_SIDE_PX` is cut out at that size.
"""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from styleflow.errors import ShapeMismatch
from styleflow.faces.device_picture import DevicePicture, P, warped
from styleflow.faces.face import Points

CROP_PX = 224
MARGIN = 1.3
MAX_SIDE_PX = 2048
"""Largest side at which a face is cut out; a landmark model's slip shall not fill the memory."""

TEMPLATE: Points = np.array([(0.34, 0.46), (0.66, 0.46), (0.50, 0.64), (0.37, 0.82), (0.63, 0.82)])
"""Where eyes, nose tip and mouth corners lie in a square without a margin, `(5, 2)`, in sides."""

_PAIRS = np.triu_indices(len(TEMPLATE), 1)


def _distances(points: Points) -> NDArray[np.float64]:
    """Return the distances between all pairs of five points, `(10,)`."""
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)[_PAIRS]
    return np.asarray(apart, np.float64)


_TEMPLATE_DISTANCES = _distances(TEMPLATE)


def source_side(points: Points) -> int:
    """Return the side of the square that is cut out, in pixels of the picture, at least 1.

    Args:
        points: the five points of a face, `(5, 2)`.

    Raises:
        ShapeMismatch: not five points.
        ValueError: points that are no numbers.
    """
    if points.shape != (5, 2):
        raise ShapeMismatch("points", "(5, 2)", points.shape)
    if not np.isfinite(points).all():
        raise ValueError("points that are no numbers cannot be aligned")
    side = float(np.mean(_distances(points) / _TEMPLATE_DISTANCES)) * MARGIN
    return int(np.clip(np.round(side), 1, MAX_SIDE_PX))


def alignment(points: Points, side_px: int) -> NDArray[np.float64]:
    """Return the similarity that takes picture pixels to the pixels of a crop, `(2, 3)`.

    Args:
        points: the five points of a face, picture pixels, `(5, 2)`.
        side_px: side of the crop.

    Raises:
        ValueError: the points name no direction.
    """
    goal = (TEMPLATE + (MARGIN - 1) / 2) / MARGIN * side_px
    found, _ = cv2.estimateAffinePartial2D(
        points.astype(np.float32), goal.astype(np.float32), method=cv2.LMEDS
    )
    if found is None or not np.isfinite(found).all():
        raise ValueError("five points that coincide cannot be aligned")
    return np.asarray(found, np.float64)


def source_crop(image: P, points: Points) -> P:
    """Return a face as GenD's pre-processing stores it, `(S, S, 3)` uint8, black outside.

    Args:
        image: the whole picture, `(H, W, 3)` uint8.
        points: the five points of the face, picture pixels, `(5, 2)`.

    Raises:
        ValueError: the points name no direction.
    """
    side = source_side(points)
    return warped(image, alignment(points, side), (side, side))


def resized(image: P, side_px: int = CROP_PX, *, cubic: bool = True) -> P:
    """Return a square picture at another size, averaging where it becomes smaller.

    Args:
        image: `(S, S, 3)` uint8.
        side_px: the new side.
        cubic: interpolate cubically, else linearly.

    Returns:
        `(side_px, side_px, 3)` uint8.
    """
    if image.shape[0] == side_px:
        return image
    mode = "bicubic" if cubic else "bilinear"
    if isinstance(image, DevicePicture):
        return cast(P, image.resized(side_px, side_px, mode))
    here = np.ascontiguousarray(cast(NDArray[np.uint8], image))
    planes = torch.from_numpy(here).permute(2, 0, 1)[None]
    small = functional.interpolate(planes, (side_px, side_px), mode=mode, antialias=True)
    return cast(P, np.ascontiguousarray(small[0].permute(1, 2, 0).numpy()))


def gend_crop(image: P, points: Points, *, cubic: bool = True) -> P:
    """Return a face as GenD's encoders see it, `(224, 224, 3)` uint8, black outside.

    Args:
        image: the whole picture, `(H, W, 3)` uint8.
        points: the five points of the face, picture pixels, `(5, 2)`.
        cubic: see `resized`.

    Raises:
        ValueError: the points name no direction.
    """
    return resized(source_crop(image, points), cubic=cubic)


def crop_corners(points: Points) -> Points:
    """Return where the crop's corners lie in its picture, clockwise from the top left, `(4, 2)`.

    Raises:
        ValueError: the points name no direction.
    """
    side = source_side(points)
    back = np.asarray(cv2.invertAffineTransform(alignment(points, side)), np.float64)
    corners = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]) * side
    return np.asarray(corners @ back[:, :2].T + back[:, 2], np.float64)
