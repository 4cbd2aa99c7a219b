"""Degradations of whole pictures: what a call, a camera or a beauty filter does before any crop.

A detector that judges how good a picture is fails wherever sources differ in that. So every kind
here is done to *real* pictures, and training penalises what it does to their logit. Codecs are
real ones, fed with the pictures before, as a call would send them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np

from styleflow.data.degradations.video import through_h264, through_vp8
from styleflow.data.pseudo_fakes.blending import jpeg
from styleflow.data.video import Frames
from styleflow.faces.face import Image

HISTORY = 8
"""Pictures, the degraded one included, that a codec sees: its rate control needs a past."""

_NOISE = 6.0  # grey levels

Degrade = Callable[[Frames, int], Image]
"""Takes consecutive pictures, `(T, H, W, 3)` RGB uint8, and a seed; returns the last, degraded."""


def rescaled(image: Image, factor: float, enlarge: int = cv2.INTER_CUBIC) -> Image:
    """Return a picture made smaller by a factor and brought back to its size.

    Args:
        image: RGB uint8.
        factor: below 1.
        enlarge: OpenCV's interpolation on the way back.
    """
    height, width = image.shape[:2]
    small = (max(8, int(width * factor)), max(8, int(height * factor)))
    reduced = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(reduced, (width, height), interpolation=enlarge), np.uint8)


def sharpened(image: Image, sigma: float, strength: float) -> Image:
    """Return a picture with an unsharp mask of some width and strength."""
    soft = cv2.GaussianBlur(image, (0, 0), sigma)
    return np.asarray(cv2.addWeighted(image, 1 + strength, soft, -strength, 0), np.uint8)


def _half_h264(frames: Frames, seed: int) -> Image:
    height, width = frames.shape[1:3]
    size = (width // 4 * 2, height // 4 * 2)
    small = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])
    coded = through_h264(np.asarray(small, np.uint8), 30)[-1]
    return np.asarray(cv2.resize(coded, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _noisy(frames: Frames, seed: int) -> Image:
    noise = np.random.default_rng(seed).normal(0, _NOISE, frames.shape[1:])
    return np.asarray(np.clip(frames[-1] + noise + 0.5, 0, 255), np.uint8)


def _gamma(image: Image, power: float) -> Image:
    return np.asarray(np.clip(255 * (image / 255.0) ** power + 0.5, 0, 255), np.uint8)


def _limited(frames: Frames, seed: int) -> Image:
    """Return a full-range picture that was taken for a limited-range one: hard and dark."""
    stretched = (frames[-1].astype(np.float32) - 16) * (255 / 219)
    return np.asarray(np.clip(stretched + 0.5, 0, 255), np.uint8)


DEGRADATIONS: Mapping[str, Degrade] = MappingProxyType(
    {
        "half size": lambda frames, _: rescaled(frames[-1], 1 / 2),
        "two thirds": lambda frames, _: rescaled(frames[-1], 2 / 3),
        "JPEG 25": lambda frames, _: jpeg(frames[-1], 25),
        "sharpened": lambda frames, _: sharpened(frames[-1], 1.5, 0.8),
        "smoothed": lambda frames, _: np.asarray(
            cv2.bilateralFilter(frames[-1], 7, 30, 3), np.uint8
        ),
        "H.264 crf 36": lambda frames, _: np.asarray(through_h264(frames, 36)[-1], np.uint8),
        "half size, H.264 crf 30": _half_h264,
        "VP8 200 kbit/s": lambda frames, _: np.asarray(through_vp8(frames, 200_000)[-1], np.uint8),
        "noise": _noisy,
        "gamma 0.75": lambda frames, _: _gamma(frames[-1], 0.75),
        "gamma 1.35": lambda frames, _: _gamma(frames[-1], 1.35),
        "limited range": _limited,
        "half size, bilinear": lambda frames, _: rescaled(frames[-1], 1 / 2, cv2.INTER_LINEAR),
    }
)
"""Every degradation by name, in the order in which features are kept."""
