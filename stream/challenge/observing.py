"""Observation: what is measured of the one face in a frame while a challenge runs.

A few angles, a size, two small grey patches and the mean colours of four parts of the skin; no
picture is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.challenge.pose import head_pose
from styleflow.faces.align import fit, is_alignable, warp, yaw_deg
from styleflow.faces.device_picture import Pixels, host
from styleflow.faces.face import Face

Grey = NDArray[np.float32]
Colours = NDArray[np.float32]

PATCH = 16
"""Side of a patch in pixels."""

_CROP = 64
_UPPER = (slice(20, 36), slice(14, 50))  # brows to below the eyes, in the aligned face
_LOWER = (slice(38, 60), slice(14, 50))  # nostrils to chin
_SKIN = (  # rows and columns in the aligned face
    (slice(14, 22), slice(22, 42)),  # forehead
    (slice(34, 43), slice(16, 25)),  # cheeks
    (slice(34, 43), slice(39, 48)),
    (slice(53, 61), slice(26, 38)),  # chin
)

BESIDE = 0.5
"""A face at least so large beside the largest one leaves it open whom the task is for."""


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One frame while a challenge runs.

    Attributes:
        at: monotonic seconds at which its packet arrived.
        epoch: stretch of continuous media time.
        faces: faces of about the same size; 0 without any.
        track: the largest one's number; 0 without any.
        turn_deg: head turn, positive towards the picture's right.
        tilt_deg: positive upwards.
        side: size of the face against the shorter side of the picture.
        face_px: size of the face in pixels.
        brightness: mean grey level of the aligned face, 0..255.
        upper: grey patch of the eyes, `(PATCH, PATCH)`; None without a face.
        lower: grey patch of mouth and chin, likewise.
        skin: mean red, green and blue of forehead, cheeks and chin, `(4, 3)`, 0..255; None
            likewise.
    """

    at: float
    epoch: int
    faces: int
    track: int = 0
    turn_deg: float = 0.0
    tilt_deg: float = 0.0
    side: float = 0.0
    face_px: float = 0.0
    brightness: float = 0.0
    upper: Grey | None = None
    lower: Grey | None = None
    skin: Colours | None = None


def observe(
    image: Pixels, faces: Sequence[tuple[int, Face]], arrived: float, epoch: int
) -> Observation:
    """Return what is measured of the largest face in a picture.

    Args:
        image: `(H, W, 3)` RGB uint8.
        faces: those that are followed, each with the number of its track.
        arrived: monotonic seconds at which the picture's packet arrived.
        epoch: stretch of continuous media time.
    """
    ordered = sorted(faces, key=lambda one: one[1].box.side, reverse=True)
    if not ordered or not is_alignable(ordered[0][1].points):
        return Observation(arrived, epoch, 0)
    track, face = ordered[0]
    near = sum(other.box.side >= BESIDE * face.box.side for _, other in ordered)
    crop = host(warp(image, fit(face.points), _CROP))
    grey = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.float32)
    tilt = head_pose(face.mesh)[1] if face.mesh is not None else 0.0
    return Observation(
        at=arrived,
        epoch=epoch,
        faces=near,
        track=track,
        turn_deg=yaw_deg(face.points),
        tilt_deg=tilt,
        side=face.box.side / min(image.shape[:2]),
        face_px=face.box.side,
        brightness=float(grey[_UPPER[0].start : _LOWER[0].stop, _UPPER[1]].mean()),
        upper=_patch(grey[_UPPER]),
        lower=_patch(grey[_LOWER]),
        skin=np.array([crop[part].reshape(-1, 3).mean(axis=0) for part in _SKIN], np.float32),
    )


def likeness(one: Grey, other: Grey) -> float:
    """Return how alike two patches are, 1 for the same up to brightness and contrast; else less."""
    a, b = one - one.mean(), other - other.mean()
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / scale if scale > 1e-6 else 0.0


def _patch(grey: Grey) -> Grey:
    size = (PATCH, PATCH)
    return np.asarray(cv2.resize(cv2.GaussianBlur(grey, (0, 0), 1.5), size), np.float32)
