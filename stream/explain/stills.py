"""Still pictures as they are shown: the faces in them, their explanation, and the JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stream.events import Score
from styleflow.faces.face import Box, Image, Points
from styleflow.overlay import Patch

WIDTHS = (160, 320, 640, 960, 1280)
"""Widths that pictures are made in; what is asked for is rounded up to one of them."""


@dataclass(frozen=True, slots=True)
class ShownFace:
    """One face in a picture, with the scores that this very frame led to, one per detector."""

    track: int
    box: Box
    scores: tuple[Score, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedFace:
    """A detector's explanation of one face in a picture.

    Attributes:
        track: whose face it is.
        corners: where the crop that the detector saw lies in the source's pixels, clockwise from
            its top left, `(4, 2)`.
        regions: parts of that crop that stand out.
    """

    track: int
    corners: Points
    regions: tuple[Patch, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """A detector's explanation of a picture.

    Attributes:
        detector: its name.
        explained: False when it did not rate this frame, so that it is not known.
        faces: the faces that it has rated in this frame.
        left_out: weaker regions beyond `MAX_REGIONS`.
    """

    detector: str
    explained: bool
    faces: tuple[ExplainedFace, ...] = ()
    left_out: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One picture, encoded.

    Attributes:
        stream: whose it is.
        epoch: the frame's epoch.
        slot: the frame's place on the cadence grid.
        at: media seconds since the epoch began.
        arrived: monotonic seconds at which the frame arrived.
        width: width of the source, in whose pixels the boxes are.
        height: height of the source.
        faces: who is in it.
        jpeg: the picture, `step` pixels wide or as wide as the source.
        step: the entry of WIDTHS that it was made for.
        overlay: a detector's explanation of this very frame; None where nobody asked.
        drawn: the overlay is painted into the picture.
    """

    stream: str
    epoch: int
    slot: int
    at: float
    arrived: float
    width: int
    height: int
    faces: tuple[ShownFace, ...]
    jpeg: bytes
    step: int
    overlay: Overlay | None = None
    drawn: bool = False

    @property
    def tag(self) -> str:
        """What tells it from every other picture of the stream."""
        plain = f"{self.epoch}.{self.slot}.{self.step}"
        if self.overlay is None:
            return plain
        return f"{plain}.{self.overlay.detector}{'.drawn' if self.drawn else ''}"


def step_for(width: int) -> int:
    """Return the smallest of WIDTHS that is no smaller than a wanted width, or the largest."""
    return next((step for step in WIDTHS if step >= width), WIDTHS[-1])


def encode_jpeg(image: Image, width: int, quality: int) -> bytes:
    """Return an RGB picture as JPEG, scaled down to a width unless it is narrower already."""
    if image.shape[1] > width:
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
    assert done, "JPEG of an 8-bit picture cannot fail"
    return bytes(data)
