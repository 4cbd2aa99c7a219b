"""Degradations of whole pictures by cameras and two codec generations, as calls make them.

Somebody's video is coded by the call that shows it and again by whoever records, relays or uploads
the call. Each generation reduces and enlarges pictures, and either codec may come first. A draw is
one object: applied to real and fake of a pair, it does the same to both, noise included.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from styleflow.data.degradations.video import through_h264, through_vp8
from styleflow.data.video import Frames
from styleflow.faces.face import Image

_LEAST_PX = 32  # codecs want a few macroblocks
_INTERPOLATIONS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA)


@dataclass(frozen=True, slots=True)
class Generation:
    """One encoding of a call.

    Attributes:
        longest_px: longer side of the pictures that are encoded; smaller ones keep their size.
        crf: H.264's constant rate factor; 0 when VP8 encodes.
        bit_rate: VP8's bits a second; 0 when H.264 encodes.
        enlarge: OpenCV's interpolation on the way back to size.
    """

    longest_px: int
    crf: int = 0
    bit_rate: int = 0
    enlarge: int = cv2.INTER_LINEAR

    def __post_init__(self) -> None:
        """Refuse what is not exactly one codec."""
        if bool(self.crf) == bool(self.bit_rate):
            raise ValueError("a generation is H.264 by crf or VP8 by bit_rate, and not both")

    def apply(self, frames: Frames) -> Frames:
        """Return pictures after this encoding, at the size that they had."""
        height, width = frames.shape[1:3]
        scale = min(1.0, self.longest_px / max(height, width))
        size = [max(_LEAST_PX, round(side * scale / 16) * 16) for side in (width, height)]
        small = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])
        small = np.asarray(small, np.uint8)
        coded = through_h264(small, self.crf) if self.crf else through_vp8(small, self.bit_rate)
        back = [cv2.resize(f, (width, height), interpolation=self.enlarge) for f in coded]
        return np.asarray(np.stack(back), np.uint8)


@dataclass(frozen=True, slots=True)
class CallDegradation:
    """One way from a camera through two codecs.

    Attributes:
        generations: the encodings, in order.
        blur: standard deviation of a blur in pixels; 0 for none.
        smooth: strength of a smoothing that keeps edges, as beauty filters do; 0 for none.
        sharpen: strength of an unsharp mask; 0 for none.
        noise: standard deviation of sensor noise in grey levels; 0 for none.
        gamma: of the picture; 1 for none.
        limited: a full-range picture is taken for a limited-range one.
        seed: of the noise.
    """

    generations: tuple[Generation, ...]
    blur: float = 0.0
    smooth: float = 0.0
    sharpen: float = 0.0
    noise: float = 0.0
    gamma: float = 1.0
    limited: bool = False
    seed: int = 0

    def apply(self, frames: Frames) -> Frames:
        """Return degraded pictures, `(T, H, W, 3)` RGB uint8, of the same size."""
        rng = np.random.default_rng(self.seed)
        degraded = np.stack([self._filmed(frame, rng) for frame in frames])
        for generation in self.generations:
            degraded = generation.apply(degraded)
        return degraded

    def _filmed(self, image: Image, rng: np.random.Generator) -> Image:
        """Return what the camera and its filters make of a picture."""
        if self.blur:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), self.blur), np.uint8)
        if self.smooth:
            image = np.asarray(cv2.bilateralFilter(image, 7, self.smooth, 3), np.uint8)
        if self.sharpen:
            soft = cv2.GaussianBlur(image, (0, 0), 1.5)
            image = np.asarray(
                cv2.addWeighted(image, 1 + self.sharpen, soft, -self.sharpen, 0), np.uint8
            )
        picture = image.astype(np.float32)
        if self.gamma != 1:
            picture = np.float32(255) * (picture / np.float32(255)) ** np.float32(self.gamma)
        if self.limited:
            picture = (picture - np.float32(16)) * np.float32(255 / 219)
        if self.noise:
            picture += rng.normal(0, self.noise, picture.shape).astype(np.float32)
        return np.asarray(np.clip(picture + 0.5, 0, 255), np.uint8)


def random_call(rng: np.random.Generator) -> CallDegradation:
    """Draw a call: two generations always, and sometimes what a camera or a filter does."""
    first = _generation(rng, (320, 704))
    second = _generation(rng, (256, first.longest_px))

    def sometimes(share: float, low: float, high: float) -> float:
        drawn, size = rng.random() < share, float(rng.uniform(low, high))
        return size if drawn else 0.0

    return CallDegradation(
        (first, second),
        blur=sometimes(0.25, 0.3, 1.2),
        smooth=sometimes(0.2, 10, 40),
        sharpen=sometimes(0.2, 0.2, 1.0),
        noise=sometimes(0.25, 0.7, 6.0),
        gamma=float(np.exp(rng.normal(0, 0.15))) if rng.random() < 0.4 else 1.0,
        limited=bool(rng.random() < 0.1),
        seed=int(rng.integers(2**31)),
    )


def _generation(rng: np.random.Generator, longest: tuple[int, int]) -> Generation:
    size, enlarge = int(rng.integers(longest[0], longest[1] + 1)), int(rng.choice(_INTERPOLATIONS))
    if rng.random() < 0.5:
        return Generation(size, crf=int(rng.integers(26, 38)), enlarge=enlarge)
    return Generation(size, bit_rate=int(rng.integers(120_000, 400_000)), enlarge=enlarge)
