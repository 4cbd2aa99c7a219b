"""Batches of training windows: every fake beside its own original, in the same place and light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from styleflow.data.blending import pick
from styleflow.data.prepare import Frames
from styleflow.data.store import Family
from styleflow.data.windows import MASK_STRIDE, Window

_TONED = 0.6  # share of pairs whose colours are changed
_SHIFT = MASK_STRIDE  # crops are displaced by one patch, so that masks stay aligned


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
        shift = tuple(int(s) for s in rng.integers(-1, 2, 2) * _SHIFT)
        tones = random_tones(rng) if rng.random() < _TONED else None
        for window in (family.real, fake):
            crops, mask = _cut(window, start, frames, shift)
            clips.append(crops if tones is None else toned(crops, tones))
            masks.append(mask)
            labels.append(float(bool(window.kind)))
    return Batch(
        torch.from_numpy(np.stack(clips)),
        torch.from_numpy(np.stack(masks)).float() / 255.0,
        torch.tensor(labels),
    )


def random_tones(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a tone curve per channel, `(256, 3)`: gamma, light and white balance."""
    levels = (np.arange(256) / 255.0) ** np.exp(rng.normal(0, 0.15)) * 255.0
    table = levels[:, None] * np.exp(rng.normal(0, 0.06, 3)) * np.exp(rng.normal(0, 0.1))
    return np.asarray(np.clip(table + 0.5, 0, 255), np.uint8)


def toned(crops: Frames, tones: NDArray[np.uint8]) -> Frames:
    """Return crops with every channel sent through its tone curve."""
    flat = np.ascontiguousarray(crops).reshape(len(crops), -1, 3)
    return np.asarray(cv2.LUT(flat, tones[None]), np.uint8).reshape(crops.shape)


def _cut(
    window: Window, start: int, frames: int, shift: tuple[int, ...]
) -> tuple[Frames, NDArray[np.uint8]]:
    """Return a stretch of a window, displaced; what it lacks in length repeats its last frame."""
    index = np.minimum(np.arange(start, start + frames), len(window.crops) - 1)
    down, right = shift
    crops = np.roll(window.crops[index], (-down, -right), axis=(1, 2))
    mask = np.roll(window.masks[index], (-down // MASK_STRIDE, -right // MASK_STRIDE), axis=(1, 2))
    return crops, mask
