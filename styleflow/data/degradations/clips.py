"""Degradations of aligned crops: one camera's for a whole clip, with noise of its own per frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from styleflow.data.pseudo_fakes.blending import Look, pick
from styleflow.data.video import Frames

_TONED = 0.6  # shares of clips with other colours,
_RESIZED, _BLURRED, _SHARPENED, _NOISY, _JPEG = 0.35, 0.2, 0.15, 0.25, 0.3


@dataclass(frozen=True, slots=True)
class CropDegradation:
    """What happened to both members of a pair after they were made.

    Attributes:
        look: tones, resolution, blur, sharpening and JPEG, in that order of a camera.
        noise: standard deviation of noise, in grey levels.
    """

    look: Look
    noise: float

    def apply(self, crops: Frames, rng: np.random.Generator) -> Frames:
        """Return degraded crops, `(T, S, S, 3)`; the noise is drawn anew for every picture."""
        degraded = np.stack([self.look.apply(crop) for crop in crops])
        if self.noise == 0:
            return degraded
        grain = rng.normal(0, self.noise, (*degraded.shape[:3], 1)).astype(np.float32)
        return np.asarray(np.clip(degraded + grain + 0.5, 0, 255), np.uint8)


def random_crop_degradation(rng: np.random.Generator) -> CropDegradation:
    """Draw the degradation of a clip, or of both clips of a pair."""
    look = Look(
        gain=_gains(rng) if rng.random() < _TONED else (1.0, 1.0, 1.0),
        gamma=float(np.exp(rng.normal(0, 0.15))) if rng.random() < _TONED else 1.0,
        resolution=float(rng.uniform(0.5, 0.95)) if rng.random() < _RESIZED else 1.0,
        up=pick(rng, (cv2.INTER_LINEAR, cv2.INTER_CUBIC)),
        blur=float(rng.uniform(0.3, 1.0)) if rng.random() < _BLURRED else 0.0,
        sharpen=float(rng.uniform(0.2, 1.2)) if rng.random() < _SHARPENED else 0.0,
        jpeg=int(rng.integers(35, 95)) if rng.random() < _JPEG else 0,
    )
    return CropDegradation(look, float(rng.uniform(0.7, 6.0)) if rng.random() < _NOISY else 0.0)


def _gains(rng: np.random.Generator) -> tuple[float, float, float]:
    light = np.exp(rng.normal(0, 0.1))
    red, green, blue = np.exp(rng.normal(0, 0.06, 3)) * light
    return float(red), float(green), float(blue)
