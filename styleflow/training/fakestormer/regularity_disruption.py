"""Disrupted regularity: real clips whose faces break the order of space and of time.

What a camera films is regular: neighbouring pixels were made alike, and neighbouring frames
continue each other. Here a part of the face is drawn otherwise than its surroundings (space), is
taken from another moment than the frame says, and is laid a little differently every frame (time).
No fake is needed, and no generator is imitated.

Source: Detecting Deepfake by Creating Spatio-Temporal Regularity Disruption (Guan et al.,
arXiv 2207.10402), read as an idea: how much of each is disrupted is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from styleflow.data.pseudo_fakes.blending import (
    Look,
    blend,
    face_width,
    pick,
    random_look,
    region,
    region_mask,
    warp_between,
)
from styleflow.data.pseudo_fakes.kinds import FaceClip
from styleflow.training.fakestormer.self_blended_video import BlendedVideo

ORDERS = ("kept", "held", "swapped", "scattered")
"""How the moments of the laid-over part follow each other."""


@dataclass(frozen=True, slots=True, eq=False)
class Disruption:
    """What is irregular about one clip of T frames.

    Attributes:
        region: part of the face that is laid over.
        grow: how much it is enlarged, in face widths.
        soft: width of its soft edge, in face widths.
        look: how it differs from its surroundings.
        moments: from which frame each frame's part is taken, `(T,)`.
        shifts: by how much it is laid off in each frame, in face widths, `(T, 2)`.
        flicker: what is added to its levels in each frame, `(T,)`.
    """

    region: str
    grow: float
    soft: float
    look: Look
    moments: NDArray[np.int64]
    shifts: NDArray[np.float64]
    flicker: NDArray[np.float64]


def draw_disruption(rng: np.random.Generator, frames: int) -> Disruption:
    """Draw what is irregular in a clip of so many frames; something always is."""
    spatial = bool(rng.random() < 0.75)
    order = pick(rng, ORDERS[1:]) if not spatial else pick(rng, ORDERS)
    unrest = float(rng.choice([0.0, 0.004, 0.012]))
    return Disruption(
        region=pick(rng, ("face", "inner", "lower", "mouth", "upper")),
        grow=float(rng.uniform(-0.06, 0.04)),
        soft=float(rng.choice([0.01, 0.02, 0.05])),
        look=random_look(rng, colours=spatial, detail=spatial),
        moments=ordered(order, frames, rng),
        shifts=rng.normal(0, unrest, (frames, 2)),
        flicker=rng.normal(0, float(rng.choice([0.0, 2.0])), frames),
    )


def ordered(order: str, frames: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return from which frame each of `frames` frames is taken, `(T,)`.

    Args:
        order: `kept`; `held` repeats every other frame; `swapped` exchanges neighbours;
            `scattered` takes each frame at most two away.
        frames: T.
        rng: where holding and swapping begin, and where scattered frames come from.

    Raises:
        ValueError: no such order.
    """
    moments = np.arange(frames)
    first = int(rng.integers(2))
    match order:
        case "kept":
            return moments
        case "held":
            there = moments - (moments + first) % 2
        case "swapped":
            there = moments + np.where((moments + first) % 2 == 0, 1, -1)
        case "scattered":
            there = moments + rng.integers(-2, 3, frames)
        case _:
            raise ValueError(f"order {order!r} is not one of {', '.join(ORDERS)}")
    return np.asarray(np.clip(there, 0, frames - 1), np.int64)


def regularity_disrupted(clip: FaceClip, rng: np.random.Generator) -> BlendedVideo:
    """Return a clip with a part of its face out of order in space, in time, or in both."""
    plan = draw_disruption(rng, len(clip.frames))
    indices = region(clip.meshes[0], plan.region)
    fake, masks = [], []
    for t, (frame, mesh) in enumerate(zip(clip.frames, clip.meshes, strict=True)):
        source = int(plan.moments[t])
        there = np.asarray(mesh + plan.shifts[t] * face_width(mesh), np.float32)
        carried = warp_between(
            clip.frames[source], clip.meshes[source], there, clip.size, pinned=False
        )
        laid = plan.look.apply(carried, float(plan.flicker[t]))
        mask = region_mask(mesh, indices, clip.size, grow=plan.grow, soft=plan.soft)
        fake.append(blend(frame, laid, mask))
        masks.append(mask)
    return BlendedVideo(clip.frames, np.stack(fake), np.stack(masks))
