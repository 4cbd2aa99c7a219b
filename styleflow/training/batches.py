"""Batches of training windows: every fake beside its own original, in the same place and light.

What a camera or codec might also have done is drawn once per pair and done to both. Where most of
a face is fake, a random part of it is sometimes laid over the original, so that networks meet more
borders and shapes than there are windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from styleflow.data.pseudo_fakes.blending import Look, pick
from styleflow.data.video import Frames
from styleflow.training.styleflow_live.window_store import Family
from styleflow.training.styleflow_live.windows import MASK_STRIDE, Window

_SHIFT = MASK_STRIDE  # crops are displaced by whole patches, so that masks stay aligned
_TONED = 0.6  # shares of pairs: other colours,
_RESIZED, _BLURRED, _SHARPENED, _NOISY, _JPEG = 0.35, 0.2, 0.15, 0.25, 0.3
_PARTLY = 0.3  # and only a part of the fake
_MOSTLY_FAKE = 0.25  # mean of a mask from which on a part may be taken


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Clips with what is fake about them.

    Attributes:
        clips: aligned crops, `(B, T, S, S, 3)` uint8.
        masks: what was replaced, `(B, T, s, s)` in [0, 1].
        labels: 0 real, 1 fake, `(B,)` float32.
    """

    clips: Tensor
    masks: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class Wear:
    """What happened to both members of a pair after they were made.

    Attributes:
        look: tones, resolution, blur, sharpening and JPEG, in that order of a camera.
        noise: standard deviation of noise, in grey levels.
    """

    look: Look
    noise: float

    def apply(self, crops: Frames, rng: np.random.Generator) -> Frames:
        """Return worn crops, `(T, S, S, 3)`; the noise is drawn anew for every picture."""
        worn = np.stack([self.look.apply(crop) for crop in crops])
        if self.noise == 0:
            return worn
        grain = rng.normal(0, self.noise, (*worn.shape[:3], 1)).astype(np.float32)
        return np.asarray(np.clip(worn + grain + 0.5, 0, 255), np.uint8)


def draw(families: Sequence[Family], pairs: int, frames: int, rng: np.random.Generator) -> Batch:
    """Return `pairs` fakes and their originals, each pair under the same augmentation.

    Args:
        families: what to draw from.
        pairs: how many fakes; as many originals come with them.
        frames: length of the clips, in sampled frames.
        rng: chooses.
    """
    clips, masks, labels = [], [], []
    for _ in range(pairs):
        family = pick(rng, families)
        fake = pick(rng, family.fakes)
        shortest = min(len(family.real.crops), len(fake.crops))
        start = int(rng.integers(max(1, shortest - frames + 1)))
        down, right = (int(s) for s in rng.integers(-1, 2, 2) * _SHIFT)
        crops, blank = _cut(family.real, start, frames, down, right)
        faked, mask = _cut(fake, start, frames, down, right)
        if mask.mean() > 255 * _MOSTLY_FAKE and rng.random() < _PARTLY:
            faked, mask = _partly(crops, faked, mask, rng)
        wear = random_wear(rng)
        clips += [wear.apply(crops, rng), wear.apply(faked, rng)]
        masks += [blank, mask]
        labels += [0.0, 1.0]
    return Batch(
        torch.from_numpy(np.stack(clips)),
        torch.from_numpy(np.stack(masks)).float() / 255.0,
        torch.tensor(labels),
    )


def random_wear(rng: np.random.Generator) -> Wear:
    """Draw what a pair suffers."""
    look = Look(
        gain=_gains(rng) if rng.random() < _TONED else (1.0, 1.0, 1.0),
        gamma=float(np.exp(rng.normal(0, 0.15))) if rng.random() < _TONED else 1.0,
        resolution=float(rng.uniform(0.5, 0.95)) if rng.random() < _RESIZED else 1.0,
        up=pick(rng, (cv2.INTER_LINEAR, cv2.INTER_CUBIC)),
        blur=float(rng.uniform(0.3, 1.0)) if rng.random() < _BLURRED else 0.0,
        sharpen=float(rng.uniform(0.2, 1.2)) if rng.random() < _SHARPENED else 0.0,
        jpeg=int(rng.integers(35, 95)) if rng.random() < _JPEG else 0,
    )
    return Wear(look, float(rng.uniform(0.7, 6.0)) if rng.random() < _NOISY else 0.0)


def _gains(rng: np.random.Generator) -> tuple[float, float, float]:
    light = np.exp(rng.normal(0, 0.1))
    red, green, blue = np.exp(rng.normal(0, 0.06, 3)) * light
    return float(red), float(green), float(blue)


def _partly(
    crops: Frames, faked: Frames, mask: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[Frames, NDArray[np.uint8]]:
    """Return a fake of which only a soft ellipse is left, and its mask."""
    size = crops.shape[1]
    area = np.zeros((size, size), np.uint8)
    centre = (int(rng.uniform(0.35, 0.65) * size), int(rng.uniform(0.4, 0.8) * size))
    axes = (int(rng.uniform(0.1, 0.3) * size), int(rng.uniform(0.1, 0.3) * size))
    cv2.ellipse(area, centre, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    soft = cv2.GaussianBlur(area, (0, 0), float(rng.choice([1.0, 2.5, 5.0, 9.0])))
    weight = soft.astype(np.float32) / 255 * float(rng.uniform(0.6, 1.0))
    mixed = crops + weight[..., None] * (faked.astype(np.float32) - crops)
    coarse = cv2.resize(weight, mask.shape[1:], interpolation=cv2.INTER_AREA)
    return np.asarray(np.round(mixed), np.uint8), np.asarray(np.ceil(mask * coarse), np.uint8)


def _cut(
    window: Window, start: int, frames: int, down: int, right: int
) -> tuple[Frames, NDArray[np.uint8]]:
    """Return a stretch of a window, displaced; what it lacks in length repeats its last frame."""
    index = np.minimum(np.arange(start, start + frames), len(window.crops) - 1)
    crops = np.roll(window.crops[index], (-down, -right), axis=(1, 2))
    patches = (-down // MASK_STRIDE, -right // MASK_STRIDE)
    return crops, np.roll(window.masks[index], patches, axis=(1, 2))
