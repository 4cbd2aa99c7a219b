"""Conditions of capture, measured over the last seconds of a stream. Pure; no clock is read.

The one place where `CaptureConditions` are made: a further figure is declared there and measured
here, from the picture, its place in media time, or the network below.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction

from stream.events import CaptureConditions, Layer, PictureFormat
from stream.ingest.decode import Picture
from stream.ingest.timeline import Moment

WINDOW_S = 4.0
"""Media seconds over which the source's frame rate and its bits per pixel are measured."""

MAX_PICTURES = 1024
"""Pictures that the window holds at most, whatever a source sends."""


class CaptureMeter:
    """Measures the pictures of one stream, in presentation order.

    Sums are whole numbers, so nothing drifts however long a stream runs.

    Args:
        link_loss: returns the share of packets lately lost on the way; 0 where it is unknown.

    Attributes:
        layers: sizes in which the sender of the current connection offers its video.
        complete: the source of the current connection loses nothing on the way.
    """

    def __init__(self, link_loss: Callable[[], float]) -> None:
        self.layers = 1
        self.complete = False
        self._link_loss = link_loss
        self._substituted = False
        self._window = 0.0  # in the pictures' time base
        self._pictures: deque[tuple[int, int, int]] = deque()  # PTS, bits, pixels
        self._bits = 0
        self._pixels = 0

    def measure(self, picture: Picture, moment: Moment) -> CaptureConditions:
        """Take in a picture that has a place in media time and return its conditions.

        Frame rate and bits per pixel are 0 at the first picture of an epoch.
        """
        if moment.began is not None or moment.substituted != self._substituted:
            self._restart(picture.time_base)
        self._substituted = moment.substituted
        self._add(moment.ticks, picture)
        known = len(self._pictures) > 1
        return CaptureConditions(
            contaminated=moment.damage is not None,
            source_fps=self._per_second(picture.time_base) if known else 0.0,
            link_loss=self._link_loss(),
            camera_clock=moment.substituted,
            lossless=self.complete,
            simulcast_layer=Layer(*picture.size, self.layers) if self.layers > 1 else None,
            bits_per_pixel=self._bits / self._pixels if known and self._pixels else 0.0,
            picture_format=PictureFormat(picture.codec, *picture.size),
        )

    def _restart(self, time_base: Fraction) -> None:
        self._window = WINDOW_S / time_base
        self._pictures.clear()
        self._bits = self._pixels = 0

    def _add(self, pts: int, picture: Picture) -> None:
        """Take in the newest picture, and let go of those that are too old or too many."""
        pixels = picture.size[0] * picture.size[1]
        self._pictures.append((pts, picture.bits, pixels))
        self._bits += picture.bits
        self._pixels += pixels
        while len(self._pictures) > 2 and (
            pts - self._pictures[0][0] > self._window or len(self._pictures) > MAX_PICTURES
        ):
            _, bits, pixels = self._pictures.popleft()
            self._bits -= bits
            self._pixels -= pixels

    def _per_second(self, time_base: Fraction) -> float:
        pts = self._pictures[-1][0] - self._pictures[0][0]
        return (len(self._pictures) - 1) / float(pts * time_base)
