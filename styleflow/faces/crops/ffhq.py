"""FFHQ's framing of a face, which pSp was trained on.

Looser than the clip template: the face is smaller and lower. Whether the published StyleFlow fed
pSp with this framing or with its clip crops is not settled (docs/models.md), so it is a setting
(`PspInput`). Live, `framing.wide_warp` shows what this square shows but follows the track's anchor;
here every picture is framed by its own landmarks, as FFHQ's were.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.errors import ShapeMismatch
from styleflow.faces.face import Image, Points

# Shares of the square's side, as FFHQ was made:
_BORDER = 0.1  # what has to be there round the square, or the image is continued
_MARGIN = 0.3  # then by at least so much on every side
_BLUR = 0.02  # standard deviation of the blur in the margins
_LEAST_BORDER_PX = 3
_SLACK_PX = 4  # the square may come so close to the image's edge


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

    Where the square and a border round it leave the image, the image goes on as its own mirror
    image, blurred and faded to its median colour, as in the pictures that FFHQ consists of.

    Args:
        image: `(H, W, 3)` RGB uint8.
        quad: from `ffhq_quad`.
        size_px: side of the crop.

    Raises:
        ValueError: the square and the image have no pixel in common.

    Source: FFHQ (Karras et al., CVPR 2019), as pSp's pre-processing applies it.
    Departs: very large faces are averaged by whole pixels where the reference filters by Lanczos.
    """
    corners, side = quad.corners, quad.side
    shrink = int(side // (2 * size_px))
    if shrink > 1:  # bilinear sampling alone would skip pixels of a face this large
        height, width = image.shape[:2]
        size = (round(width / shrink), round(height / shrink))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        corners = (corners + 0.5) * (size[0] / width, size[1] / height) - 0.5
        side /= shrink
    image, corners = _continued(image, corners, side)
    # The square's corners are corners of the crop's outer pixels, half a pixel from their centres.
    edges = np.array([(0, 0), (0, size_px), (size_px, size_px)], np.float32) - np.float32(0.5)
    transform = cv2.getAffineTransform(corners[:3].astype(np.float32), edges)
    crop = cv2.warpAffine(image, transform, (size_px, size_px), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def _continued(image: Image, corners: Points, side: float) -> tuple[Image, Points]:
    """Return the part of an image round a square, continued where it ends, and the square in it."""
    height, width = image.shape[:2]
    border = max(round(_BORDER * side), _LEAST_BORDER_PX)
    low = np.floor(corners.min(axis=0)).astype(int)
    high = np.ceil(corners.max(axis=0)).astype(int)
    if (high <= 0).any() or (low >= (width, height)).any():
        raise ValueError(f"the square {corners.tolist()} lies beyond a {width}x{height} picture")
    start = np.clip(low - border, 0, (width - 1, height - 1))
    end = np.clip(high + border, start + 1, (width, height))
    part = image[start[1] : end[1], start[0] : end[0]]
    missing = np.maximum((start - (low - border), (high + border) - end), 0)
    if missing.max() <= border - _SLACK_PX:  # a part of the border is missing, and no more
        return part, corners - start
    margin = np.maximum(missing, round(_MARGIN * side))
    (left, top), (right, bottom) = margin
    mirrored = np.pad(part, ((top, bottom), (left, right), (0, 0)), mode="reflect")
    return _faded(mirrored, margin, side), corners - start + (left, top)


def _faded(mirrored: Image, margin: NDArray[np.int64], side: float) -> Image:
    """Return an image whose margins lose sharpness first and then all contrast, outwards.

    Args:
        mirrored: an image with margins, RGB uint8.
        margin: their widths: left and top, right and bottom, `(2, 2)`, each at least 1.
        side: of the square that will be cut out, pixels.
    """
    picture = mirrored.astype(np.float32)
    height, width = picture.shape[:2]
    (left, top), (right, bottom) = margin
    x, y = np.arange(width), np.arange(height)
    along_x = np.minimum(x / left, (width - 1 - x) / right)
    along_y = np.minimum(y / top, (height - 1 - y) / bottom)
    # 1 at the outer edge, 0 where a margin begins, less inside.
    depth = 1 - np.minimum(along_x[None, :], along_y[:, None])[..., None]
    blurred = cv2.GaussianBlur(picture, (0, 0), _BLUR * side, borderType=cv2.BORDER_REFLECT)
    picture += (blurred - picture) * np.clip(3 * depth + 1, 0, 1)
    picture += (np.median(picture, axis=(0, 1)) - picture) * np.clip(depth, 0, 1)
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def _quarter_turn(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a vector turned by a quarter, (x, y) -> (-y, x)."""
    return np.array([-vector[1], vector[0]])
