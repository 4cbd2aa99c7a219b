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

from styleflow.data.degradations.clips import random_crop_degradation
from styleflow.data.pseudo_fakes.blending import pick
from styleflow.data.video import Frames
from styleflow.training.styleflow_live.window_store import Family
from styleflow.training.styleflow_live.windows import MASK_STRIDE, Window

_SHIFT = MASK_STRIDE  # crops are displaced by whole patches, so that masks stay aligned
_PARTLY = 0.3  # share of pairs of which only a part is fake
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
        degradation = random_crop_degradation(rng)
        clips += [degradation.apply(crops, rng), degradation.apply(faked, rng)]
        masks += [blank, mask]
        labels += [0.0, 1.0]
    return Batch(
        torch.from_numpy(np.stack(clips)),
        torch.from_numpy(np.stack(masks)).float() / 255.0,
        torch.tensor(labels),
    )


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
