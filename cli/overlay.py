"""`analyze --overlay DIR`: pictures with the regions drawn in that explain the scores."""

from __future__ import annotations

import errno
from pathlib import Path

import cv2
import numpy as np

from stream.explain.overlay import Explanation, paint
from styleflow.faces.device_picture import host
from styleflow.faces.face import Image

MAX_PICTURES = 2000


class Album:
    """A folder of annotated pictures, one per face and rating.

    Args:
        folder: made when the first picture is written.

    Attributes:
        written: pictures so far.
        left_out: pictures beyond `MAX_PICTURES`.
    """

    def __init__(self, folder: Path) -> None:
        self.written = 0
        self.left_out = 0
        self._folder = folder

    def add(self, said: Explanation) -> None:
        """Write one picture."""
        if self.written >= MAX_PICTURES:
            self.left_out += 1
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{said.frame.epoch:03d}-{said.frame.at:09.3f}s-{said.detector}-face{said.track}.png"
        done, data = cv2.imencode(".png", cv2.cvtColor(annotated(said), cv2.COLOR_RGB2BGR))
        if not done:
            raise OSError(errno.EIO, "cannot be encoded as PNG", name)
        (self._folder / name).write_bytes(data.tobytes())
        self.written += 1


def annotated(said: Explanation) -> Image:
    """Return the picture with the face's box and the patches, stronger ones more opaque.

    What stands out in the frame itself is blue, what changes over time and everything else red.
    """
    box = said.face.box
    drawn = np.array(paint(host(said.frame.image), said.corners, said.regions))
    top_left, bottom_right = (round(box.x0), round(box.y0)), (round(box.x1), round(box.y1))
    cv2.rectangle(drawn, top_left, bottom_right, (60, 200, 120))
    words = f"{said.detector} {said.frame.at:.2f} s"
    place = (6, drawn.shape[0] - 8)
    cv2.putText(drawn, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255))
    return np.asarray(drawn, np.uint8)
