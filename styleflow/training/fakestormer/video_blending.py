"""Blended video with drifting features: parts of a face that wander away from where they belong.

Generators that draw every frame anew keep a face's features in slightly different places from
frame to frame. Here a real clip is bent so that some features lie a little off, and blended back
into itself. The bend is drawn once for the clip and replayed with a slow drift.

Source: Generalizing Deepfake Video Detection with Plug-and-Play: Video-Level Blending and
Spatiotemporal Adapter Tuning (Yan et al., arXiv 2408.17065).
Departs: a thin plate through mesh landmarks bends the face, and the drift is a random walk that
comes back, so that clips of any length stay plausible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from styleflow.data.pseudo_fakes.blending import (
    Landmarks,
    blend,
    face_width,
    pick,
    region,
    region_mask,
    wander,
    warp_between,
)
from styleflow.data.pseudo_fakes.kinds import FaceClip
from styleflow.training.fakestormer.self_blended_video import BlendedVideo

# Landmarks in the middle of what may wander: brows, eyes, nose, mouth corners, lips, chin.
_FEATURES = (105, 334, 159, 386, 1, 61, 291, 13, 14, 152)
_REACH = 0.18  # of the face's width: how far around a feature the face follows it


@dataclass(frozen=True, slots=True, eq=False)
class FeatureDrift:
    """Which features wander and how; drawn once for a clip.

    Attributes:
        features: indices of landmarks.
        offsets: where each lies off on average, in face widths, `(K, 2)`.
        drift: by what the offsets are multiplied in each frame, `(T, K)`.
        region: part of the face that is laid over.
        grow: how much it is enlarged, in face widths.
        soft: width of its soft edge, in face widths.
    """

    features: NDArray[np.int64]
    offsets: NDArray[np.float64]
    drift: NDArray[np.float64]
    region: str
    grow: float
    soft: float

    def moved(self, mesh: Landmarks, frame: int) -> Landmarks:
        """Return where the landmarks of a frame lie after the drift, `(468, 2)`."""
        width = face_width(mesh)
        away = mesh[:, None] - mesh[self.features]  # (468, K, 2)
        near = np.exp(-(away**2).sum(axis=-1) / (2 * (_REACH * width) ** 2))
        steps = self.offsets * self.drift[frame][:, None] * width  # (K, 2)
        return np.asarray(mesh + near @ steps, np.float32)


def draw_drift(rng: np.random.Generator, frames: int) -> FeatureDrift:
    """Draw which features of a clip of so many frames wander, and how."""
    count = int(rng.integers(2, 6))
    memory, unrest = float(rng.uniform(0.5, 0.95)), float(rng.uniform(0.3, 1.0))
    walks = [1 + unrest * wander(rng, frames, memory) for _ in range(count)]
    return FeatureDrift(
        features=np.asarray(rng.choice(_FEATURES, count, replace=False), np.int64),
        offsets=rng.normal(0, float(rng.uniform(0.01, 0.025)), (count, 2)),
        drift=np.stack(walks, axis=1),
        region=pick(rng, ("face", "inner", "lower")),
        grow=float(rng.uniform(-0.04, 0.03)),
        soft=float(rng.choice([0.02, 0.04, 0.07])),
    )


def video_blended(clip: FaceClip, rng: np.random.Generator) -> BlendedVideo:
    """Return a clip whose features wander, blended into the clip itself."""
    plan = draw_drift(rng, len(clip.frames))
    indices = region(clip.meshes[0], plan.region)
    fake, masks = [], []
    for t, (frame, mesh) in enumerate(zip(clip.frames, clip.meshes, strict=True)):
        bent = warp_between(frame, mesh, plan.moved(mesh, t), clip.size, pinned=True)
        mask = region_mask(mesh, indices, clip.size, grow=plan.grow, soft=plan.soft)
        fake.append(blend(frame, bent, mask))
        masks.append(mask)
    return BlendedVideo(clip.frames, np.stack(fake), np.stack(masks))
