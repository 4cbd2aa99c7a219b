"""FFHQ's framing of a face, which pSp was trained on.

Looser than the clip template: the face is smaller and lower. Whether the published StyleFlow fed
pSp with this framing or with its clip crops is not settled (docs/models.md), so both are
here.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.errors import ShapeMismatch
from styleflow.faces.face import Image, Points


@dataclass(frozen=True, slots=True, eq=False)
class FfhqQuad:
    """The square that FFHQ cuts out around a face.

    Attributes:
        corners: top left, bottom left, bottom right, top right in image pixels, `(4, 2)`.
        side: length of its side in image pixels.
    """

    corners: Points
    side: float


def ffhq_quad(points: Points) -> FfhqQuad:
    """Return the square around a face with these 68 landmarks.

    Args:
        points: landmarks in the common 68-point order, in image pixels, `(68, 2)`.

    Raises:
        ShapeMismatch: not 68 landmarks.

    Source: FFHQ (Karras et al., CVPR 2019), as pSp's pre-processing applies it.
    """
    if points.shape != (68, 2):
        raise ShapeMismatch("landmarks", "(68, 2)", points.shape)
    eyes = points[36:42].mean(0), points[42:48].mean(0)
    middle = (eyes[0] + eyes[1]) / 2
    between = eyes[1] - eyes[0]
    down = (points[48] + points[54]) / 2 - middle
    across = between - _quarter_turn(down)
    across /= np.hypot(*across)
    across *= max(2.0 * np.hypot(*between), 1.8 * np.hypot(*down))
    along = _quarter_turn(across)
    centre = middle + 0.1 * down
    corners = centre + np.array([-across - along, -across + along, across + along, across - along])
    return FfhqQuad(corners, 2.0 * float(np.hypot(*across)))


def ffhq_crop(image: Image, quad: FfhqQuad, size_px: int = 256) -> Image:
    """Return the square's content, `(S, S, 3)` RGB uint8, bilinear.

    Departs: what lies outside the image is its mirror image. The reference also blurs such margins
    and fades them to the median colour.
    """
    corners = quad.corners
    shrink = int(quad.side // (2 * size_px))
    if shrink > 1:  # bilinear sampling alone would skip pixels of a face this large
        height, width = image.shape[:2]
        size = (round(width / shrink), round(height / shrink))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        corners = (corners + 0.5) * (size[0] / width, size[1] / height) - 0.5
    # The square's corners are corners of the crop's outer pixels, half a pixel from their centres.
    edges = np.array([(0, 0), (0, size_px), (size_px, size_px)], np.float32) - np.float32(0.5)
    transform = cv2.getAffineTransform(corners[:3].astype(np.float32), edges)
    crop = cv2.warpAffine(image, transform, (size_px, size_px), borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(crop, np.uint8)


def _quarter_turn(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a vector turned by a quarter, (x, y) -> (-y, x)."""
    return np.array([-vector[1], vector[0]])
