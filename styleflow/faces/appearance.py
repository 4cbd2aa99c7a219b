"""Appearance of a face in a few hundred numbers: enough to notice that it is another face.

This is no identification. It compares a face with itself a moment ago, to catch a cut to another
person or two faces that trade places. The descriptor is a layout of edge directions over the
aligned face: indifferent to brightness and colour casts, cheap, and nothing anyone can search by.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.faces.align import TEMPLATE_PX, Transform, apply, fit, is_alignable
from styleflow.faces.device_picture import Pixels, luma_of
from styleflow.faces.face import Face, Image

Appearance = NDArray[np.float32]
"""A unit vector, `(288,)`; two of them are at most sqrt(2) apart."""

_CROP_PX = 64
_ROWS = slice(12, 62)  # forehead to chin, hair and jaw outline included
_COLUMNS = slice(6, 58)
_WINDOW = np.array([[x, y] for x in (6.0, 58.0) for y in (12.0, 62.0)])  # its corners
_CELLS = 6
_DIRECTIONS = 8


def describe(image: Pixels, face: Face) -> Appearance | None:
    """Return the appearance of a face, or None when its five points name no transform.

    Args:
        image: the picture, `(H, W, 3)` RGB uint8.
        face: where the face is in it.
    """
    if not is_alignable(face.points):
        return None
    luma = _luma(image, fit(face.points) * (_CROP_PX / TEMPLATE_PX)).astype(np.float32)
    cells = _edges(np.asarray(cv2.GaussianBlur(luma, (0, 0), 1.0), np.float32))
    strength = np.linalg.norm(cells, axis=-1, keepdims=True)
    # The square root tames single strong edges; the mean keeps flat cells from shouting.
    balanced = np.sqrt(cells / (strength + strength.mean() + 1e-3)).ravel()
    return np.asarray(balanced / max(float(np.linalg.norm(balanced)), 1e-6), np.float32)


def _luma(image: Pixels, anchor: Transform) -> Image:
    """Return the luma of what the crop that an anchor cuts out shows of the window.

    Made of no more of the picture than shows there, and of luma alone: in half the time of cutting
    a crop in colour, to a grey level. A strong reduction is averaged before, on a grid that belongs
    to the picture.

    Args:
        image: the picture, `(H, W, 3)` RGB uint8.
        anchor: from the picture to the crop.
    """
    size = (_COLUMNS.stop - _COLUMNS.start, _ROWS.stop - _ROWS.start)
    step = max(int(1.0 / max(math.hypot(anchor[0, 0], anchor[1, 0]), 1e-6)), 1)
    shown = apply(np.asarray(cv2.invertAffineTransform(anchor), np.float64), _WINDOW)
    low, high = shown.min(axis=0) / step, shown.max(axis=0) / step
    height, width = image.shape[:2]
    x0, y0 = (max(math.floor(v) - 1, 0) * step for v in low)
    x1, y1 = (
        min(math.ceil(v) + 1, n // step) * step for v, n in zip(high, (width, height), strict=True)
    )
    if x1 <= x0 or y1 <= y0:
        return np.zeros(size[::-1], np.uint8)
    luma = luma_of(image, slice(y0, y1), slice(x0, x1), step)
    turn = anchor[:, :2]
    # A small pixel's middle is the middle of the pixels that it averages.
    shift = turn @ (np.array([x0, y0]) + (step - 1) / 2) + anchor[:, 2]
    shift -= (_COLUMNS.start, _ROWS.start)
    inside = np.column_stack([turn * step, shift])
    return np.asarray(cv2.warpAffine(luma, inside, size, flags=cv2.INTER_LINEAR), np.uint8)


def distance(a: Appearance, b: Appearance) -> float:
    """Return how different two faces look; about 0.13 from frame to frame, 0.6 across people."""
    apart = a - b
    return float(np.sqrt(apart.dot(apart)))  # as NumPy's norm, in a third of its time


def _edges(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how strong edges of each direction are in each cell, `(36, 8)`."""
    gx = cv2.Sobel(luma, cv2.CV_32F, 1, 0)
    gy = cv2.Sobel(luma, cv2.CV_32F, 0, 1)
    strength = np.hypot(gx, gy)
    turn = (np.arctan2(gy, gx) % np.pi) * (_DIRECTIONS / np.pi)
    lower = np.floor(turn)
    share = turn - lower  # an edge between two directions counts for both
    first = lower.astype(np.intp) % _DIRECTIONS
    bins = _CELL_OF * _DIRECTIONS
    count = _CELLS * _CELLS * _DIRECTIONS
    cells = np.bincount((bins + first).ravel(), (strength * (1 - share)).ravel(), count)
    second = (first + 1) % _DIRECTIONS
    cells += np.bincount((bins + second).ravel(), (strength * share).ravel(), count)
    return cells.reshape(-1, _DIRECTIONS).astype(np.float32)


def _cell_of() -> NDArray[np.intp]:
    """Return which cell each pixel of the window belongs to."""
    height, width = _ROWS.stop - _ROWS.start, _COLUMNS.stop - _COLUMNS.start
    row = np.arange(height) * _CELLS // height
    column = np.arange(width) * _CELLS // width
    return np.asarray(row[:, None] * _CELLS + column[None, :], np.intp)


_CELL_OF = _cell_of()
