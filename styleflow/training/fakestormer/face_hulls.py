"""Masks over a face from the customary 68 points, and the 13 on the forehead that some add.

The 68 points run along the jaw (0-16), the brows (17-26), the nose (27-35), the eyes (36-47) and
the lips (48-67); the forehead's (68-80) run from the picture's left to its right. Our own faces
come as meshes of 468 landmarks, of which 81 stand at these places.

Source: self-blended images (Shiohara and Yamasaki, CVPR 2022) and FakeSTormer's release, whose
masks for the same points are equal to these pixel by pixel.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.data.pseudo_fakes.blending import Mask
from styleflow.faces.face import Points

HULLS = ("outline", "raised", "parts", "convex")
"""The ways of laying a mask over a face, in the release's order."""

FEATURES = 68
"""So many points lie on jaw, brows, nose, eyes and lips."""

# Where the 81 points lie on a mesh of 468.
_MESH = np.array([
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,  # jaw
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301,  # brows
    168, 197, 5, 4, 75, 97, 2, 326, 305,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,  # lips outside
    78, 82, 13, 312, 308, 317, 14, 87,  # lips inside
    127, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 356,  # forehead
])  # fmt: skip

# dlib's predictor for 81 points numbers the forehead in the order in which it was annotated.
_FOREHEAD = np.array([77, 75, 76, 68, 69, 70, 71, 80, 72, 73, 79, 74, 78])

_JUMP, _STRIDE = 0.35, 0.2  # in pixels a point: further than a jump is walked in strides


def from_mesh(mesh: NDArray[np.float32]) -> Points:
    """Return the 81 points of a mesh, `(468, 2)` to `(81, 2)`."""
    return np.asarray(mesh[_MESH], np.float64)


def forehead_in_order(points: Points) -> Points:
    """Return dlib's 81 points with those of the forehead from left to right."""
    return np.concatenate([points[:FEATURES], points[_FOREHEAD]])


def mirrored(points: Points, width: float) -> Points:
    """Return points of a mirrored face, each numbered by what it lies on, `(68 or 81, 2)`.

    Args:
        points: of the face before, forehead in order.
        width: x becomes `width - x`; the release takes the picture's width in pixels.
    """
    swapped = points[_swaps(len(points))].astype(np.float64)
    swapped[:, 0] = width - swapped[:, 0]
    return swapped


def _swaps(count: int) -> NDArray[np.int64]:
    """Return which point of a face each point of its mirror image was."""
    runs = ((0, 17), (17, 27), (31, 36), (68, 81))  # left to right, so simply turned round
    order = np.arange(count)
    for start, stop in runs:
        order[start:stop] = order[start:stop][::-1].copy()
    eyes = {36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46}
    lips = {48: 54, 49: 53, 50: 52, 55: 59, 56: 58, 60: 64, 61: 63, 65: 67}
    for a, b in (eyes | lips).items():
        order[a], order[b] = b, a
    return order


def steadied(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return landmarks that walk where they jumped from frame to frame, `(T, 81, 2)`.

    Each frame is compared with the steadied one before it. A move of more than 0.35 px a point
    is divided so that about 0.2 px a point remain.
    """
    out = np.array(points, np.float64)
    for t in range(1, len(out)):
        moved = out[t] - out[t - 1]
        distance = float(np.linalg.norm(moved)) / len(moved)
        if distance > _JUMP:
            out[t] = out[t - 1] + moved / round(distance / _STRIDE)
    return out


def hull_mask(points: Points, hull: str, size: tuple[int, int]) -> Mask:
    """Return a hard mask, 0 or 1, over a face.

    Args:
        points: 68 or 81 of them; only `convex` looks beyond the first 68.
        hull: `outline` (jaw, nose and brows), `parts` (overlapping parts around the chin),
            `raised` (the same with the brows pushed up) or `convex` (around all points).
        size: height and width.

    Raises:
        ValueError: no such hull.
    """
    whole = points.astype(np.int32)
    if hull == "convex":
        parts = [whole]
    elif hull == "outline":
        parts = _outline(whole)
    elif hull == "parts":
        parts = _parts(whole)
    elif hull == "raised":
        parts = _parts(_raised(whole))
    else:
        raise ValueError(f"hull {hull!r} is not one of {', '.join(HULLS)}")
    mask = np.zeros(size, np.float32)
    for part in parts:
        cv2.fillConvexPoly(mask, cv2.convexHull(part), 1.0)
    return mask


def _outline(p: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    jaw = np.concatenate([p[:17], p[48:68]])
    nose = np.concatenate([p[27:31], p[33:34]])
    brows = np.concatenate([p[17:27], p[[0, 27, 16, 33]]])
    return [jaw, nose, brows]


def _parts(p: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    chin, bridge, nostrils = p[8:9], p[27:28], p[31:36]
    return [
        np.concatenate([p[0:9], p[17:18]]),  # jaw, left and right
        np.concatenate([p[8:17], p[26:27]]),
        np.concatenate([p[17:20], chin]),  # cheeks
        np.concatenate([p[24:27], chin]),
        np.concatenate([p[19:25], chin]),  # middle
        np.concatenate([p[17:22], bridge, nostrils, chin]),  # eyes
        np.concatenate([p[22:27], bridge, nostrils, chin]),
        p[27:36],  # nose
    ]


def _raised(p: NDArray[np.int32]) -> NDArray[np.int32]:
    """Push brows up by half their distance to the eyes, in whole pixels."""
    temples = (p[36] + p[0]) // 2, (p[16] + p[45]) // 2
    left = np.stack([(p[36] + temples[0]) // 2, *p[36:40]])
    right = np.stack([*p[42:46], (p[45] + temples[1]) // 2])
    raised = p.copy()
    raised[17:22] += (p[17:22] - left) // 2
    raised[22:27] += (p[22:27] - right) // 2
    return raised
