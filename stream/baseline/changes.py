"""Changes of a camera's picture: what is seen now against what a baseline was made of. Pure.

A figure that either side does not know is not compared. Limits are wide on purpose: they are to
notice another encoder, another picture size, or the light going on and off, and not somebody who
leans back. They were chosen so, not measured.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median

from stream.baseline.statistics import Band, Conditions
from stream.events import CaptureConditions, PictureFormat
from styleflow.faces.face import FaceQuality

LIGHT = 25.0
"""Levels of luma, 0 to 255, beyond the baseline's band at which the light is another."""
FACTOR = 1.6
"""Factor beyond the baseline's band at which sharpness or the size of faces is another."""
BITS_FACTOR = 3.0
"""The same for bits per pixel, which follow what moves in the picture."""

_LESS_SHARP, _SHARPER = "faces are less sharp", "faces are sharper"
_SMALLER, _LARGER = "faces are smaller", "faces are larger"
_FEWER_BITS = "the encoder spends fewer bits per pixel"
_MORE_BITS = "the encoder spends more bits per pixel"

_UNKNOWN = PictureFormat("", 0, 0)

LATELY = 80
"""Ratings whose median counts: 20 s of one face."""
LEAST = 20
"""Ratings that must be there before anything but codec and size is compared."""


@dataclass(slots=True)
class Lately:
    """Conditions of the newest ratings. Memory is bounded by `LATELY`.

    Attributes:
        codec: of the newest one; empty where it is unknown.
        size: likewise; zeros where it is unknown.
    """

    codec: str = ""
    size: tuple[int, int] = (0, 0)
    _figures: dict[str, deque[float]] = field(default_factory=dict)

    def note(self, capture: CaptureConditions, quality: FaceQuality) -> None:
        """Take in the conditions behind a rating."""
        pictures = capture.picture_format or _UNKNOWN
        codec, size = pictures.codec, (pictures.width, pictures.height)
        if (codec, size) != (self.codec, self.size):
            self._figures.clear()  # what is compared is compared within one picture format
        self.codec, self.size = codec, size
        self._add("brightness", quality.brightness)
        self._add("sharpness", quality.sharpness)
        self._add("face_px", quality.face_px)
        self._add("bits_per_pixel", capture.bits_per_pixel or None)

    def _add(self, name: str, value: float | None) -> None:
        if value is not None and abs(value) < 1e12:
            self._figures.setdefault(name, deque(maxlen=LATELY)).append(value)

    def middle(self, name: str) -> float | None:
        """Return the median of a figure; None while too little is known."""
        values = self._figures.get(name, ())
        return median(values) if len(values) >= LEAST else None


def changed(made_of: Conditions, now: Lately) -> str:
    """Return what of the camera's picture has changed, in words; empty when nothing has."""
    if now.codec and made_of.codecs and now.codec not in made_of.codecs:
        return f"the video is {now.codec} now, and the baseline is of {_either(made_of.codecs)}"
    sizes = [f"{width} × {height}" for width, height in made_of.sizes]
    if all(now.size) and made_of.sizes and now.size not in made_of.sizes:
        width, height = now.size
        return f"pictures are {width} × {height} now, and the baseline is of {_either(sizes)}"
    sharpness, face_px = now.middle("sharpness"), now.middle("face_px")
    bits = now.middle("bits_per_pixel")
    return (
        _light(made_of.brightness, now.middle("brightness"))
        or _factor(made_of.sharpness, sharpness, FACTOR, _LESS_SHARP, _SHARPER)
        or _factor(made_of.face_px, face_px, FACTOR, _SMALLER, _LARGER)
        or _factor(made_of.bits_per_pixel, bits, BITS_FACTOR, _FEWER_BITS, _MORE_BITS)
    )


def _either(names: tuple[str, ...] | list[str]) -> str:
    return " or ".join(names)


def _light(band: Band | None, now: float | None) -> str:
    if band is None or now is None or band.low - LIGHT <= now <= band.high + LIGHT:
        return ""
    word = "darker" if now < band.low else "brighter"
    return f"faces are {word} than in the baseline: {now:.0f} of 255, there {_span(band)}"


def _factor(band: Band | None, now: float | None, factor: float, less: str, more: str) -> str:
    if band is None or now is None or band.low / factor <= now <= band.high * factor:
        return ""
    said = less if now < band.low else more
    return f"{said} than in the baseline: {now:.3g}, there {_span(band)}"


def _span(band: Band) -> str:
    return f"{band.low:.3g} to {band.high:.3g}"
