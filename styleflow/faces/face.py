"""Types that face detection, tracking and alignment hand to each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from styleflow.faces.device_picture import Pixels
    from styleflow.faces.sight import Sight

Image = NDArray[np.uint8]
"""One RGB picture, `(H, W, 3)` uint8."""

Points = NDArray[np.float64]
"""Landmarks in image pixels (x, y), `(K, 2)`.

The five points are, in order: the eye on the image's left, the eye on its right, the nose tip,
the mouth corner on the image's left, the mouth corner on its right.
"""


class TrackEnd(Enum):
    """Why a track ended."""

    LOST = "lost"
    JUMPED = "jumped"
    APPEARANCE_CHANGED = "appearance_changed"
    EVICTED = "evicted"
    EPOCH_ENDED = "epoch_ended"


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in image pixels; `x1`, `y1` are exclusive."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Horizontal extent in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Vertical extent in pixels."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Area in square pixels, 0 for an empty box."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box (x, y)."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def side(self) -> float:
        """Geometric mean of width and height: how large the face is, in pixels."""
        return math.sqrt(self.area)

    def iou(self, other: Box) -> float:
        """Return intersection over union with another box, in [0, 1]."""
        w = min(self.x1, other.x1) - max(self.x0, other.x0)
        h = min(self.y1, other.y1) - max(self.y0, other.y0)
        if w <= 0 or h <= 0:
            return 0.0
        shared = w * h
        return shared / (self.area + other.area - shared)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One detection in one frame.

    Attributes:
        box: the face's rectangle in image pixels.
        points: the five points, `(5, 2)`.
        confidence: the face detector's own confidence in [0, 1]; not a deepfake score.
        mesh: the landmarks of FaceMesh, `(468, 2)`, once a mesh has been laid over the face.
        sight: what it was laid over; None where it is not to be kept.
    """

    box: Box
    points: Points
    confidence: float
    mesh: Points | None = None
    sight: Sight | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFace:
    """A face, and whose it is: `track` is unique within one stream and never reused."""

    track: int
    face: Face


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """What limits the evidence that one aligned face can give.

    Attributes:
        face_px: side of the face box in source pixels.
        sharpness: variance of the Laplacian of the aligned luma, in grey levels squared.
        brightness: mean luma of the aligned face, 0..255.
        yaw_deg: signed head turn estimated from the five points; 0 is frontal.
    """

    face_px: float
    sharpness: float
    brightness: float
    yaw_deg: float


@dataclass(frozen=True, slots=True, eq=False)
class AlignedFace:
    """A tracked face, aligned to the template.

    Attributes:
        track: whose face it is.
        face: the detection in source pixels.
        image: the crop under the track's current anchor, `(S, S, 3)` RGB uint8; on the device where
            the picture is.
        reanchored: the same frame under a *new* anchor, when the anchor moved at this frame; the
            next style delta is taken against this one, so every delta lies under one transform.
        quality: what limits the evidence.
        anchor: what maps source pixels onto the template under which `image` was cut; None where
            the crop follows from the face alone.
    """

    track: int
    face: Face
    image: Pixels
    reanchored: Pixels | None
    quality: FaceQuality
    anchor: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FaceRequest:
    """A request for the faces in one picture.

    Attributes:
        image: `(H, W, 3)` RGB uint8.
        known: the faces of the previous frame.
        detect: search the whole picture; otherwise only follow what is known.
        tiles: how closely to search for small faces, see `BlazeFace.detect`.
    """

    image: Pixels
    known: tuple[Face, ...] = ()
    detect: bool = False
    tiles: int = 0


class FaceDetector(Protocol):
    """Anything that finds faces in a picture."""

    def detect(self, image: Pixels) -> tuple[Face, ...]:
        """Return the faces in one RGB picture, most confident first."""
        ...
