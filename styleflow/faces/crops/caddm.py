"""The crop that CADDM was trained on: five points laid onto its own template, 224 px.

There is no margin to choose. In the template the eyes are 72 px apart and the chin of an average
face touches the bottom edge. Training jitters the same alignment (`Jitter`); testing leaves it be.

Source: CADDM's released program (SPEC a.2 to a.4 and b.6 in our notes).
Departs: takes five points from any landmark model, where the release takes dlib's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.errors import ShapeMismatch
from styleflow.faces.device_picture import DevicePicture, P
from styleflow.faces.face import Points

CROP_PX = 224
TEST_SCALE = 0.9

# Eyes, nose and mouth corners of a mean face about its middle.
_MEAN_FACE = np.array(
    [
        [-0.17607, -0.172844],
        [0.1736, -0.17356],
        [-0.00182, 0.0357164],
        [-0.14617, 0.20185],
        [0.14496, 0.19943],
    ]
)
_MEAN_EYE_DISTANCE = 0.34967
_FACE_WIDTH_PX = 80  # between the eyes at scale 1
_HEADROOM = 2.42  # puts the left eye at 224 / 2.42 from the top, at any scale
_MIN_SPREAD_PX2 = 1.0  # squared distances from their middle, summed
_LEFT_EYE, _RIGHT_EYE = slice(36, 42), slice(42, 48)  # of the 68-point scheme
_NOSE, _LEFT_MOUTH, _RIGHT_MOUTH = 30, 48, 54

Homography = NDArray[np.float64]
"""A 3x3 matrix from image to crop pixels."""


@dataclass(frozen=True, slots=True)
class Jitter:
    """How an alignment differs from the plain one; the default is the plain one.

    Attributes:
        scale: of the template; 0.9 is the test scale.
        shift_px: of the whole crop, x and y.
        roll_deg: rotation about the middle of the crop, positive counter-clockwise.
        stretch_eyes: width of the eye pair; the mouth is squeezed by as much.
        stretch_left: height of the left half; the right half is squeezed by as much.
    """

    scale: float = TEST_SCALE
    shift_px: tuple[float, float] = (0.0, 0.0)
    roll_deg: float = 0.0
    stretch_eyes: float = 1.0
    stretch_left: float = 1.0


def template(scale: float = TEST_SCALE) -> Points:
    """Return where the five points of a face lie in the crop, `(5, 2)` px."""
    points = _MEAN_FACE * scale
    unit = _FACE_WIDTH_PX / (CROP_PX * _MEAN_EYE_DISTANCE)
    headroom = (points[0, 1] * unit + 0.5) * _HEADROOM
    x, y = (points * unit + 0.5).T * CROP_PX
    return np.column_stack([x, y / headroom])


def five_points(landmarks: Points) -> Points:
    """Return the five points of a 68-point (or 81-point) face, in whole pixels.

    Eye centres are cut to whole pixels, as they were when the published weights were trained.

    Raises:
        ShapeMismatch: fewer than 68 points.
    """
    if landmarks.ndim != 2 or len(landmarks) < 68:
        raise ShapeMismatch("landmarks", "(68, 2) or more", landmarks.shape)
    eyes = [landmarks[eye].mean(0) for eye in (_LEFT_EYE, _RIGHT_EYE)]
    rest = [landmarks[index] for index in (_NOSE, _LEFT_MOUTH, _RIGHT_MOUTH)]
    return np.trunc(np.array([*eyes, *rest], dtype=np.float64))


def similarity(points: Points, goal: Points) -> NDArray[np.float64]:
    """Return the rotation, scale and shift that bring points closest to a goal, `(2, 3)`.

    Raises:
        ShapeMismatch: not five points.
        ValueError: the points coincide, so they name no direction.
    """
    if points.shape != (5, 2):
        raise ShapeMismatch("points", "(5, 2)", points.shape)
    p, t = points - points.mean(0), goal - goal.mean(0)
    spread = float((p * p).sum())
    if not spread > _MIN_SPREAD_PX2:
        raise ValueError("five points that coincide cannot be aligned")
    a = float((t * p).sum()) / spread
    b = float((t[:, 0] * p[:, 1] - t[:, 1] * p[:, 0]).sum()) / spread
    turn = np.array([[a, b], [-b, a]])
    return np.column_stack([turn, goal.mean(0) - turn @ points.mean(0)])


def alignment(points: Points, jitter: Jitter | None = None) -> Homography:
    """Return the matrix that takes image pixels to crop pixels, `(3, 3)`.

    Args:
        points: the five points of a face, image pixels.
        jitter: for training; None is the alignment of the test.
    """
    jitter = jitter or Jitter()
    goal = template(jitter.scale)
    aligned = np.vstack([similarity(points, goal), [0.0, 0.0, 1.0]])
    if jitter == Jitter(scale=jitter.scale):
        return aligned
    middle = CROP_PX / 2
    roll = np.vstack(
        [cv2.getRotationMatrix2D((middle, middle), jitter.roll_deg, 1.0), [0.0, 0.0, 1.0]]
    )
    corners = goal[[0, 1, 3, 4]]
    moved = _stretched(corners, jitter)
    stretch = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    return np.asarray(stretch @ roll @ aligned, np.float64)


def caddm_crop(image: P, points: Points, jitter: Jitter | None = None) -> P:
    """Return a face as CADDM saw faces in training, `(224, 224, 3)` uint8, black outside.

    The channels keep their order; the network's own input turns RGB into BGR.

    Args:
        image: the whole picture, `(H, W, 3)` uint8.
        points: the five points of the face. Whole pixels agree with the released program, sub-pixel
            ones give a steadier crop.
        jitter: for training; None is the alignment of the test.
    """
    transform, size = alignment(points, jitter), (CROP_PX, CROP_PX)
    if isinstance(image, DevicePicture):
        # Without jitter, which only training has, the transform is a similarity.
        return cast(P, image.warped(transform[:2], size))
    crop = cv2.warpPerspective(cast(NDArray[np.uint8], image), transform, size)
    return cast(P, np.asarray(crop, np.uint8))


def crop_to_image(boxes: NDArray[np.float64], points: Points) -> NDArray[np.float64]:
    """Return where rectangles of a plain crop lie in its picture.

    Args:
        boxes: left, top, right and bottom in crop pixels, `(K, 4)`.
        points: the five points that the crop was made with.

    Returns:
        The four corners of each, clockwise from the top left, in image pixels, `(K, 4, 2)`.
    """
    back = np.linalg.inv(alignment(points))
    quads = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]  # (K, 4, 2)
    return np.asarray(quads @ back[:2, :2].T + back[:2, 2], np.float64)


def _stretched(corners: Points, jitter: Jitter) -> Points:
    """Move eyes and mouth corners (left eye, right eye, left mouth, right mouth), `(4, 2)`."""
    eyes, mouth = [0, 1], [2, 3]
    left, right = [0, 2], [1, 3]
    moved = np.array(corners, np.float64)
    for pair, factor in (
        (eyes, jitter.stretch_eyes),
        (mouth, 1 / jitter.stretch_eyes),
        (left, jitter.stretch_left),
        (right, 1 / jitter.stretch_left),
    ):
        middle = moved[pair].mean(0)
        moved[pair] = (moved[pair] - middle) * factor + middle
    return np.asarray(moved + np.array(jitter.shift_px), np.float64)


__all__ = [
    "CROP_PX",
    "TEST_SCALE",
    "Homography",
    "Jitter",
    "alignment",
    "caddm_crop",
    "crop_to_image",
    "five_points",
    "similarity",
    "template",
]
