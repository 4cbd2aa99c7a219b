"""Decoded pictures on disk, so that a video which is passed over twice is decoded once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from styleflow.faces.face import Image


class Spool:
    """Pictures of one video, uncompressed, in the order in which they came.

    Args:
        file: empty, open for writing and reading.

    Attributes:
        times: media seconds of each picture.
        shapes: height, width and 3 of each picture.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.times: list[float] = []
        self.shapes: list[tuple[int, ...]] = []

    def through(self, pictures: Iterable[tuple[float, Image]]) -> Iterator[Image]:
        """Yield pictures and keep each with its time."""
        for at, picture in pictures:
            self.times.append(at)
            self.shapes.append(picture.shape)
            self._file.write(np.ascontiguousarray(picture).data)
            yield picture

    def __iter__(self) -> Iterator[Image]:
        self._file.seek(0)
        for shape in self.shapes:
            data = self._file.read(math.prod(shape))
            yield np.frombuffer(data, np.uint8).reshape(shape)
