"""Alignment as the published StyleFlow and FTCN do it: one transform for a whole clip.

Every frame is cut generously around its face, pasted where it was on a canvas that holds the
whole clip, and all frames of the clip are then aligned by the *same* similarity. The face
keeps its motion within the clip, which is what these detectors look at. Live video uses `align.py`
instead, whose anchored transform does not have to wait for a clip to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.errors import ShapeMismatch
from styleflow.faces.align import Transform, fit
from styleflow.faces.face import Image, Points

TEMPLATE_256: Points = np.array(
    [
        (85.82991, 85.7792),
        (169.0532, 84.3381),
        (127.574, 137.0006),
        (90.6964, 174.7014),
        (167.3069, 173.3733),
    ]
)
"""Where eyes, nose tip and mouth corners lie in a crop of 256 pixels, `(5, 2)`."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipCanvas:
    """Where the frames of one clip lie together.

    Attributes:
        boxes: what was cut out of each frame, in frame pixels, x1 and y1 exclusive, `(T, 4)` int64.
        left_top: the canvas's corner in frame pixels, (x, y).
        size: the canvas's width and height.
    """

    boxes: NDArray[np.int64]
    left_top: NDArray[np.int64]
    size: tuple[int, int]


def context_boxes(boxes: NDArray[np.float64], frame_shape: tuple[int, int]) -> NDArray[np.int64]:
    """Return face boxes grown to twice their size and clipped to the frame, `(T, 4)`.

    Args:
        boxes: face boxes in frame pixels (x0, y0, x1, y1), `(T, 4)`.
        frame_shape: height and width of the frames.
    """
    height, width = frame_shape
    rounded = np.rint(boxes)
    grown = rounded + (rounded[:, 2:] - rounded[:, :2])[:, [0, 1, 0, 1]] * (-0.5, -0.5, 0.5, 0.5)
    limits = np.array([width - 1, height - 1, width - 1, height - 1])
    return np.rint(np.clip(grown, 0, limits)).astype(np.int64)


def clip_canvas(boxes: NDArray[np.int64]) -> ClipCanvas:
    """Return the smallest canvas on which every frame's cut keeps its place."""
    left_top = boxes[:, :2].min(0)
    width, height = (boxes[:, 2:].max(0) - left_top).tolist()
    return ClipCanvas(boxes, left_top, (width, height))


def clip_transform(points: NDArray[np.float64], size_px: int) -> Transform:
    """Return the similarity that brings a clip's points to the template, as the authors fit it.

    Args:
        points: five points of every frame in canvas pixels, `(T, 5, 2)`.
        size_px: side of the crop.

    Raises:
        ShapeMismatch: not five points per frame.

    Source: FTCN and StyleFlow, released pre-processing.
    Departs: never mirrors. The released code also fits a mirrored template and compares residuals
    against a target that was mirrored in place, so that very noisy points can flip the face.
    """
    if points.ndim != 3 or points.shape[1:] != (5, 2):
        raise ShapeMismatch("five points of a clip", "(T, 5, 2)", points.shape)
    # Because the template is the same in every frame, fitting all points is fitting their mean.
    return fit(points.mean(0), goal=TEMPLATE_256 * (size_px / 256))


def align_clip(
    frames: Sequence[Image],
    boxes: NDArray[np.float64],
    points: NDArray[np.float64],
    size_px: int = 256,
) -> NDArray[np.uint8]:
    """Return the aligned crops of one clip, `(T, S, S, 3)` RGB uint8.

    Args:
        frames: pictures of one size, one for each frame of the clip.
        boxes: the face's box in each frame, `(T, 4)`.
        points: the face's five points in each frame, in frame pixels, `(T, 5, 2)`.
        size_px: side of the crop.
    """
    height, width = frames[0].shape[:2]
    canvas = clip_canvas(context_boxes(boxes, (height, width)))
    transform = clip_transform(points - canvas.left_top, size_px)
    crops = [_warped(frame, canvas, i, transform, size_px) for i, frame in enumerate(frames)]
    return np.stack(crops)


def _warped(
    frame: Image, canvas: ClipCanvas, number: int, transform: Transform, size_px: int
) -> Image:
    """Return one frame's crop; whatever lies outside its own context box is black."""
    x0, y0, x1, y1 = canvas.boxes[number].tolist()
    left, top = canvas.left_top.tolist()
    width, height = canvas.size
    pasted = np.zeros((height, width, 3), np.uint8)
    pasted[y0 - top : y1 - top, x0 - left : x1 - left] = frame[y0:y1, x0:x1]
    crop = cv2.warpAffine(pasted, transform, (size_px, size_px), flags=cv2.INTER_LINEAR)
    return np.asarray(crop, np.uint8)
