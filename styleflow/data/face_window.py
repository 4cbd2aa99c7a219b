"""The window of a video's pictures that is kept around a face, and how its pictures are stored."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.data.video import FacePath
from styleflow.faces.face import Image


@dataclass(frozen=True, slots=True)
class FaceWindow:
    """The window of a video that is kept, and how large.

    Attributes:
        left, top, right, bottom: where it lies in the video's pictures, in whole pixels.
        size: height and width of kept pictures.
    """

    left: int
    top: int
    right: int
    bottom: int
    size: tuple[int, int]

    @classmethod
    def around(
        cls, path: FacePath, shape: tuple[int, ...], margin: float, face_px: int
    ) -> FaceWindow:
        """Return a window around everywhere a face goes.

        Args:
            path: where it goes.
            shape: of the video's pictures.
            margin: how far around the face the window reaches, in widths of the face.
            face_px: width of the face in kept pictures, at most.
        """
        seen = path.meshes[path.found]
        width = max(float(np.median(np.ptp(seen[..., 0], axis=1))), 1.0)
        reach = margin * width
        low, high = seen.min(axis=(0, 1)) - reach, seen.max(axis=(0, 1)) + reach
        # A face may lie wholly outside of the picture for all that its landmarks say.
        left = int(np.clip(np.floor(low[0]), 0, shape[1] - 1))
        top = int(np.clip(np.floor(low[1]), 0, shape[0] - 1))
        right = int(np.clip(np.ceil(high[0]), left + 1, shape[1]))
        bottom = int(np.clip(np.ceil(high[1]), top + 1, shape[0]))
        scale = min(1.0, face_px / width)
        size = (max(1, round((bottom - top) * scale)), max(1, round((right - left) * scale)))
        return cls(left, top, right, bottom, size)

    def cut(self, picture: Image) -> Image:
        """Return this window of a picture."""
        window = picture[self.top : self.bottom, self.left : self.right]
        if window.shape[:2] != self.size:
            window = np.asarray(
                cv2.resize(window, self.size[::-1], interpolation=cv2.INTER_AREA), np.uint8
            )
        return window

    def carry(self, meshes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return landmarks in pixels of this window; pixels are counted from their centres."""
        height, width = self.size
        scale = np.array([width / (self.right - self.left), height / (self.bottom - self.top)])
        offset = np.array([self.left, self.top])
        return np.asarray((meshes - offset + 0.5) * scale - 0.5, np.float32)


def encoded(picture: Image, quality: int) -> bytes:
    """Return a picture as PNG, or as JPEG where a quality of 1 to 100 is given."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    if quality:
        # JPEG usually halves the colours' resolution, and that is where blending shows.
        full = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality, *full])[1]
    else:
        data = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    return data.tobytes()


def decoded(data: bytes) -> Image:
    """Return a picture from what `encoded` made of it."""
    bgr = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
