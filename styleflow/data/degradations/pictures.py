"""Other colours, detail, noise and codecs for single pictures, and the same for both of a pair.

What only fakes suffered would become the cue, so `degraded_alike` draws once and does it to both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.data.degradations.video import MACROBLOCK_PX, through_h264
from styleflow.data.pseudo_fakes.blending import jpeg, pick
from styleflow.faces.face import Image


def recoloured(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Return a picture with other colours, contrast and tones; `strength` is 0 to 1."""
    x: NDArray[np.floating[Any]] = image.astype(np.float32)
    if rng.random() < 0.5:
        x = x + rng.uniform(-20, 20, 3) * strength
    if rng.random() < 0.5:
        grey = x.mean(axis=-1, keepdims=True)
        x = grey + (x - grey) * np.exp(rng.normal(0, 0.2 * strength))
    if rng.random() < 0.5:
        contrast, light = np.exp(rng.normal(0, 0.12 * strength)), rng.normal(0, 10 * strength)
        x = (x - x.mean()) * contrast + x.mean() + light
    x = np.clip(x, 0, 255)
    if rng.random() < 0.3:
        x = 255 * (x / 255) ** np.exp(rng.normal(0, 0.15 * strength))
    return np.asarray(np.clip(x + 0.5, 0, 255), np.uint8)


def other_detail(image: Image, width: float, rng: np.random.Generator) -> Image:
    """Return a picture of another sharpness; `width` is the face's, in pixels."""
    choice = rng.random()
    if choice < 0.45:
        image = _through_few_pixels(image, float(rng.uniform(36, 128)) / width, rng)
    elif choice < 0.6:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.3))), np.uint8)
    elif choice < 0.8:
        image = sharpened(image, float(rng.uniform(0.7, 1.6)), float(rng.uniform(0.2, 1.2)))
    elif choice < 0.88:
        image = np.asarray(cv2.bilateralFilter(image, 5, float(rng.uniform(10, 45)), 3.0), np.uint8)
    elif choice < 0.94:
        image = jpeg(image, int(rng.integers(30, 85)))
    else:
        image = _noisy(image, rng.normal(0, rng.uniform(1, 5), (*image.shape[:2], 1)))
    if rng.random() < 0.15:
        image = sharpened(image, 1.0, float(rng.uniform(0.2, 0.8)))
    return image


def degraded_alike(pictures: tuple[Image, Image], rng: np.random.Generator) -> tuple[Image, Image]:
    """Return both members of a pair after the same camera and codec."""
    height, width = pictures[0].shape[:2]
    steps: list[Callable[[Image], Image]] = []
    if rng.random() < 0.4:
        size = (max(48, round(width * (f := rng.uniform(0.45, 1.0)))), max(48, round(height * f)))
        by = pick(rng, (cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_AREA, cv2.INTER_CUBIC))
        steps.append(lambda x: np.asarray(cv2.resize(x, size, interpolation=by), np.uint8))
    if rng.random() < 0.2:
        sigma = float(rng.uniform(0.3, 1.1))
        steps.append(lambda x: np.asarray(cv2.GaussianBlur(x, (0, 0), sigma), np.uint8))
    if rng.random() < 0.15:
        strength = float(rng.uniform(0.2, 0.9))
        steps.append(lambda x: sharpened(x, 1.0, strength))
    if rng.random() < 0.1:
        smooth = float(rng.uniform(8, 30))
        steps.append(lambda x: np.asarray(cv2.bilateralFilter(x, 5, smooth, 3.0), np.uint8))
    if rng.random() < 0.7:
        seed = int(rng.integers(2**31))
        steps.append(lambda x: recoloured(x, 0.7, np.random.default_rng(seed)))
    if rng.random() < 0.25:
        planes, grain = (1 if rng.random() < 0.7 else 3), float(rng.uniform(0.7, 5))
        noise_seed = int(rng.integers(2**31))
        steps.append(
            lambda x: _noisy(
                x, np.random.default_rng(noise_seed).normal(0, grain, (*x.shape[:2], planes))
            )
        )
    steps.append(_codec(rng))
    real, fake = pictures
    for step in steps:
        real, fake = step(real), step(fake)
    return real, fake


def _codec(rng: np.random.Generator) -> Callable[[Image], Image]:
    """Draw what encodes a picture: H.264, JPEG, or nothing more than it has gone through."""
    choice = rng.random()
    if choice < 0.35:
        crf = int(rng.integers(14, 34))
        return lambda x: _through_h264(x, crf)
    if choice < 0.84:
        quality = int(rng.integers(35, 97))
        return lambda x: jpeg(x, quality)
    return lambda x: x


def _through_h264(image: Image, crf: int) -> Image:
    height, width = (n // MACROBLOCK_PX * MACROBLOCK_PX for n in image.shape[:2])
    if (height, width) != image.shape[:2]:
        image = np.asarray(
            cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    return np.asarray(through_h264(image[None], crf, "superfast")[0], np.uint8)


def _through_few_pixels(image: Image, fraction: float, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    fraction = min(max(fraction, 0.2), 1.4)
    small = (max(8, round(width * fraction)), max(8, round(height * fraction)))
    down = pick(rng, (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_AREA))
    up = pick(rng, (cv2.INTER_LINEAR, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4))
    reduced = cv2.resize(image, small, interpolation=down)
    return np.asarray(cv2.resize(reduced, (width, height), interpolation=up), np.uint8)


def sharpened(image: Image, sigma: float, strength: float) -> Image:
    """Return a picture with an unsharp mask of some width and strength."""
    soft = cv2.GaussianBlur(image, (0, 0), sigma)
    return np.asarray(cv2.addWeighted(image, 1 + strength, soft, -strength, 0), np.uint8)


def _noisy(image: Image, noise: NDArray[np.float64]) -> Image:
    return np.asarray(np.clip(image + noise + 0.5, 0, 255), np.uint8)
