"""Random masks over parts of a face, as pairs of pictures are blended with."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.data.pseudo_fakes.blending import (
    Landmarks,
    Mask,
    face_width,
    pick,
    region,
    region_mask,
)

_REGIONS = {"face": 0.40, "inner": 0.20, "lower": 0.13, "mouth": 0.09, "upper": 0.08, "part": 0.10}
_SOFT = (0.004, 0.01, 0.02, 0.035, 0.06)  # edges of masks, in widths of the face
_WEIGHTS = (1.0, 1.0, 1.0, 0.75, 0.5)


def random_mask(
    mesh: Landmarks,
    size: tuple[int, ...],
    rng: np.random.Generator,
    regions: Mapping[str, float] | None = None,
) -> Mask:
    """Return a mask over some part of a face, with an edge of any softness, `(H, W)`."""
    chances, width = regions or _REGIONS, face_width(mesh)
    height, across = size[0], size[1]
    name = str(rng.choice(list(chances), p=np.array(list(chances.values()))))
    if name == "part":
        distance = np.linalg.norm(mesh - mesh[rng.integers(len(mesh))], axis=1)
        indices = np.argsort(distance)[: int(rng.integers(60, 300))]
    else:
        indices = region(mesh, name)
    grow = float(rng.uniform(-0.08, 0.06))
    mask = region_mask(mesh, indices, (height, across), grow=grow, soft=0.006)
    if name == "face" and rng.random() < 0.35:
        mask = np.maximum(mask, _with_forehead(mesh, (height, across), rng))
    if name in ("face", "inner", "lower") and rng.random() < 0.1:
        mask = _box(mesh[indices], (height, across))  # as some lip-sync programs paste
    if rng.random() < 0.6:
        mask = bent(mask, 0.02 * width, 6, rng)
    soft = max(pick(rng, _SOFT) * width, 0.5)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), soft), np.float32)
    if rng.random() < 0.4:  # a soft edge that lies within the region
        inner = np.clip(mask * 2 - 1, 0, 1)
        mask = np.asarray(cv2.GaussianBlur(inner, (0, 0), max(0.7 * soft, 0.5)), np.float32)
    return np.asarray(mask * pick(rng, _WEIGHTS), np.float32)


def bent(
    picture: NDArray[np.uint8] | NDArray[np.float32],
    amount: float,
    grid: int,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return a picture or mask with a smooth random displacement, of `amount` pixels."""
    height, width = picture.shape[:2]
    coarse = rng.normal(0, amount, (grid, grid, 2)).astype(np.float32)
    off = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bent = cv2.remap(
        picture,
        x + off[..., 0],
        y + off[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(bent)


def _with_forehead(mesh: Landmarks, size: tuple[int, int], rng: np.random.Generator) -> Mask:
    """Return an ellipse over face and forehead: landmarks end at the hairline."""
    width, (x, y) = face_width(mesh), mesh.mean(axis=0)
    tall = float(mesh[:, 1].max() - mesh[:, 1].min())
    above = float(rng.uniform(0.0, 0.35)) * tall
    axes = (int(width * rng.uniform(0.48, 0.62)), int((tall + above) * rng.uniform(0.5, 0.58)))
    area = np.zeros(size, np.uint8)
    cv2.ellipse(area, (int(x), int(y - above / 2)), axes, 0, 0, 360, 255, -1)
    return np.asarray(area, np.float32) / 255.0


def _box(points: Landmarks, size: tuple[int, int]) -> Mask:
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    mask = np.zeros(size, np.float32)
    mask[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1] = 1
    return mask
