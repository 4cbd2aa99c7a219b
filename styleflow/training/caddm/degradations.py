"""Degradations of CADDM's training crops, real and fake alike, as by a camera and a codec.

Each is a function of a crop and plain numbers; `degraded` draws which happen, in the order of the
released program.

Source: CADDM's released program (SPEC b.7 in our notes).
Departs: `stretched` computes in a wider type, where 8 bits overflow; passing through a lower
resolution happens, where the release forgets its result.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.data.pseudo_fakes.blending import jpeg
from styleflow.faces.face import Image
from styleflow.training.caddm.draws import Draws

Levels = NDArray[np.float64]
"""A crop on its way through the damages, `(S, S, 3)`, RGB, about 0..255."""

_GRAIN = 4  # low-frequency noise is drawn at this fraction of the resolution
_GRAIN_SIGMA = 2.0
_INTERPOLATIONS = (
    cv2.INTER_NEAREST,
    cv2.INTER_LINEAR,
    cv2.INTER_CUBIC,
    cv2.INTER_AREA,
    cv2.INTER_LANCZOS4,
)


def degraded(crop: Image, draws: Draws, *, as_released: bool = False) -> Image:
    """Return a crop after the damages that are drawn for it.

    Args:
        crop: `(S, S, 3)` RGB uint8.
        draws: decides.
        as_released: draw the resolution and leave it, as the release does.
    """
    if draws.uniform() >= 0.7:
        crop = jpeg(crop, int(15 + 65 * draws.uniform()))
    levels = crop.astype(np.float64)
    if draws.uniform() >= 0.5:
        levels = stretched(levels)
    if draws.uniform() >= 0.5:
        small = _GRAIN_SIGMA * draws.normals(crop.shape[0] // _GRAIN, crop.shape[1] // _GRAIN)
        levels = grained(levels, small)
    if draws.uniform() >= 0.75:
        levels = _recoloured(levels, draws)
    levels = toned(levels, draws.uniform(0.6, 1.4)).astype(np.float64)
    if draws.uniform() >= 0.7:
        levels = _moved(levels, draws)
    if draws.uniform() >= 0.7:
        levels = blurred(levels, draws.integer(0, 3))
    if draws.uniform() >= 0.7:
        levels = _noisy(levels, draws)
    if draws.uniform() >= 0.7:
        colour = 60 + 195 * draws.colour()
        levels = tinted(levels, colour, 0.3 * draws.uniform())
    if draws.uniform() >= 0.75:
        fraction = draws.uniform(0.5, 1.0)
        down, up = (_INTERPOLATIONS[draws.integer(0, len(_INTERPOLATIONS))] for _ in range(2))
        if not as_released:
            levels = resized(levels, fraction, down, up)
    return np.clip(levels, 0, 255).astype(np.uint8)


def stretched(levels: Levels) -> Levels:
    """Return a crop whose darkest level is 0 and whose brightest nearly 255."""
    low, high = levels.min(), levels.max()
    return np.asarray((levels - low) / (high - low + 1) * 255)


def grained(levels: Levels, noise: NDArray[np.float64]) -> Levels:
    """Return a crop with coarse noise, the same for all channels, enlarged to its size."""
    size = levels.shape[1], levels.shape[0]
    large = cv2.resize(noise, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(levels + large[..., None], 0, 255))


def resaturated(levels: Levels, saturation: float, value: float) -> Levels:
    """Return a crop whose saturation and value (HSV) are multiplied."""
    hsv = cv2.cvtColor(levels.astype(np.uint8), cv2.COLOR_RGB2HSV).astype(np.float64)
    hsv[..., 1:] = np.clip(hsv[..., 1:] * (saturation, value), 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.float64)


def toned(levels: Levels, gamma: float) -> Image:
    """Return a crop after a tone curve; gamma above 1 brightens."""
    curve = np.clip(levels, 0, 255) ** (1 / gamma) * 255.0 ** (1 - 1 / gamma)
    return np.asarray(np.clip(curve, 0, 255), np.uint8)


def motion_kernel(angle_deg: float, length: int) -> NDArray[np.float64]:
    """Return a line from the middle of a square outwards, of sum 1."""
    across = length * math.cos(math.radians(angle_deg))
    down = length * math.sin(math.radians(angle_deg))
    side = max(int(2 * max(abs(across), abs(down))), 1)
    kernel = np.zeros((side, side))
    start = side // 2, side // 2
    cv2.line(kernel, start, (int(start[0] + across), int(start[1] + down)), 1.0, 1)
    return np.asarray(kernel / kernel.sum(), np.float64)


def filtered(levels: Levels, kernel: NDArray[np.float64]) -> Levels:
    """Return a crop after a linear filter."""
    return np.asarray(cv2.filter2D(levels, -1, kernel), np.float64)


def blurred(levels: Levels, sigma: float) -> Levels:
    """Return a crop after a 3x3 Gaussian; a sigma of 0 is OpenCV's own for that size."""
    return np.asarray(cv2.GaussianBlur(levels, (3, 3), sigma), np.float64)


def tinted(levels: Levels, colour: NDArray[np.float64], share: float) -> Levels:
    """Return a crop mixed with one colour."""
    return np.asarray((1 - share) * levels + share * colour)


def resized(levels: Levels, fraction: float, down: int, up: int) -> Levels:
    """Return a crop that passed through a fraction of its resolution."""
    height, width = levels.shape[:2]
    small = max(1, int(width * fraction)), max(1, int(height * fraction))
    reduced = cv2.resize(levels, small, interpolation=down)
    return np.asarray(cv2.resize(reduced, (width, height), interpolation=up), np.float64)


def _recoloured(levels: Levels, draws: Draws) -> Levels:
    saturation = value = 1.0
    if draws.uniform() >= 0.5:
        less = draws.uniform() >= 0.5
        u = draws.uniform()
        saturation = 1 - 0.5 * u if less else 1 + 0.15 * u
    if draws.uniform() >= 0.5:
        more = draws.uniform() >= 0.5
        u = draws.uniform()
        value = 1 + u if more else 1 - 0.5 * u
    return resaturated(levels, saturation, value)


def _moved(levels: Levels, draws: Draws) -> Levels:
    angle = int(360 * draws.uniform())
    return filtered(levels, motion_kernel(angle, 1 + int(10 * draws.uniform())))


def _noisy(levels: Levels, draws: Draws) -> Levels:
    strong = draws.uniform() >= 0.5
    sigma = draws.integer(15, 22) if strong else draws.integer(0, 5)
    return np.asarray(np.clip(levels + sigma * draws.normals(*levels.shape), 0, 255))
