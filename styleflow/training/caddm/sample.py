"""One training sample of CADDM: a crop, its label, and the boxes of what is fake about it.

A real sample is a frame of a real video. A fake one is a mixture of a fake frame and the real frame
that it was made from:

    30 %  both are halved                       then, of the fakes,
    40 %  REAL_ON_FAKE   the real face in the fake frame: only what surrounds it is fake
    20 %  FAKE_ON_REAL   the fake face in the real frame
    20 %  UNTOUCHED      the fake frame itself
    20 %  PART           the part of the face that differs most, in the real frame

pasted by alpha or by Poisson blending. The mixture is aligned with a random jitter and degraded as
`degradations.py` says. Every fake has one box over the whole crop; a part has a second one,
found again in the crop. All draws come in the order of the released program.

Source: CADDM's released program (SPEC b in our notes).
Departs: what the release meant and missed happens here: Poisson blending puts the patch where the
face is and takes bent and partial masks, parts lie where the difference is, halved landmarks keep
their fractions, crops are mirrored with their boxes. `as_released` leaves all of it undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np

from styleflow.data.index import REAL
from styleflow.errors import ShapeMismatch
from styleflow.faces import mesh
from styleflow.faces.crops import caddm as crops
from styleflow.faces.crops.caddm import CROP_PX, TEST_SCALE, Jitter, caddm_crop
from styleflow.faces.face import Image, Points
from styleflow.training.caddm.degradations import degraded
from styleflow.training.caddm.draws import Draws
from styleflow.training.caddm.swap import (
    NO_BOX,
    WHOLE,
    WINDOWS,
    Box,
    HardMask,
    Mask,
    alpha_blend,
    block_mask,
    hull_mask,
    leaves_trace,
    middle,
    most_changed,
    part_to_swap,
    poisson_blend,
    rippled,
    softened,
    structural_change,
)

_MESH_POINTS = 468


class Branch(Enum):
    """Which mixture a sample is."""

    REAL = "real"
    REAL_ON_FAKE = "real face on fake frame"
    FAKE_ON_REAL = "fake face on real frame"
    UNTOUCHED = "fake frame"
    PART = "part of a fake face on real frame"


class Paste(Enum):
    """How a mixture was pasted."""

    NONE = "nothing pasted"
    ALPHA = "alpha"
    POISSON = "Poisson"
    FELL_BACK = "alpha, because Poisson could not be done"


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What a sample is made from.

    Attributes:
        fake: the fake frame, or the real one for a real sample, `(H, W, 3)` RGB uint8.
        real: the real frame that it was made from, same size.
        landmarks: of the face in both, `(n, 2)` px: 468 of FaceMesh, or 68 or more of dlib.
        label: 0 real, 1 fake.
    """

    fake: Image
    real: Image
    landmarks: Points
    label: int

    def __post_init__(self) -> None:
        """Refuse pictures that are not of one scene."""
        if self.fake.shape != self.real.shape:
            raise ShapeMismatch("a fake and its original", str(self.real.shape), self.fake.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What the network is shown, and how it came about.

    Attributes:
        crop: `(224, 224, 3)` RGB uint8.
        clean: the same before the noise.
        label: 0 real, 1 fake.
        boxes: what is fake, in crop pixels; none for a real sample.
        branch: the mixture.
        paste: how it was pasted.
        jitter: of the alignment.
        halved: whether the pictures were halved.
        mirrored: whether the crop is.
    """

    crop: Image
    clean: Image
    label: int
    boxes: tuple[Box, ...]
    branch: Branch
    paste: Paste
    jitter: Jitter
    halved: bool
    mirrored: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Mixture:
    """A mixture before it is aligned."""

    picture: Image
    background: Image
    branch: Branch
    paste: Paste = Paste.NONE
    window: tuple[int, int] | None = None


def make_sample(scene: Scene, draws: Draws, *, as_released: bool = False) -> Sample | None:
    """Return a sample, or None where a swapped part leaves no trace that could be learnt.

    Args:
        scene: pictures and landmarks.
        draws: decides everything.
        as_released: repeat the faults of the released program, to compare with it.
    """
    halved = draws.uniform() >= 0.7
    if halved:
        scene = _halved(scene, whole_px=as_released)
    mixture = _mixture(scene, draws, as_released=as_released)
    jitter = random_jitter(draws)
    points = five_points(scene.landmarks)
    clean = caddm_crop(mixture.picture, points, jitter)
    boxes = _boxes(mixture, clean, points, jitter)
    if boxes is None:
        return None
    mirrored = not as_released and draws.uniform() >= 0.5
    if mirrored:
        clean, boxes = np.ascontiguousarray(clean[:, ::-1]), tuple(map(_mirrored, boxes))
    return Sample(
        crop=degraded(clean, draws, as_released=as_released),
        clean=clean,
        label=scene.label,
        boxes=boxes,
        branch=mixture.branch,
        paste=mixture.paste,
        jitter=jitter,
        halved=halved,
        mirrored=mirrored,
    )


def random_jitter(draws: Draws) -> Jitter:
    """Draw how training displaces the alignment of the test."""
    scale = TEST_SCALE + 0.1 * draws.normal()
    shift = draws.uniform(-25, 25), draws.uniform(-25, 25)
    roll = 30 * draws.uniform(-1, 1) ** 3
    eyes, left = (draws.uniform(0.97, 1.03) if draws.uniform() > 0.8 else 1.0 for _ in range(2))
    return Jitter(scale, shift, roll, eyes, left)


def five_points(landmarks: Points) -> Points:
    """Return the five points of a face that CADDM's crop is laid on, `(5, 2)`.

    Args:
        landmarks: 468 of FaceMesh, as live video has them, or 68 or more of dlib.
    """
    of = mesh.five_points if len(landmarks) == _MESH_POINTS else crops.five_points
    return of(np.asarray(landmarks, np.float64))


def _halved(scene: Scene, *, whole_px: bool) -> Scene:
    size = scene.fake.shape[1] // 2, scene.fake.shape[0] // 2
    fake, real = (
        np.asarray(cv2.resize(p, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        for p in (scene.fake, scene.real)
    )
    landmarks = scene.landmarks / 2
    return Scene(fake, real, np.trunc(landmarks) if whole_px else landmarks, scene.label)


# --- mixtures -------------------------------------------------------------------------------


def _mixture(scene: Scene, draws: Draws, *, as_released: bool) -> _Mixture:
    if scene.label == REAL:
        return _Mixture(scene.fake, scene.fake, Branch.REAL)
    poisson = draws.uniform() >= 0.5
    if draws.uniform() >= 0.2:
        return _global(scene, draws, poisson=poisson, as_released=as_released)
    window = WINDOWS[draws.integer(0, len(WINDOWS))]
    part = part_to_swap(scene.fake, scene.real, scene.landmarks, window, displaced=as_released)
    mask = block_mask(part, scene.fake.shape[:2])
    picture, paste = _pasted(scene.fake, scene.real, mask, poisson=poisson, as_released=as_released)
    return _Mixture(picture, scene.real, Branch.PART, paste, window)


def _global(scene: Scene, draws: Draws, *, poisson: bool, as_released: bool) -> _Mixture:
    if draws.uniform() > 0.5:
        branch, face, background = Branch.REAL_ON_FAKE, scene.real, scene.fake
    elif draws.uniform() >= 0.5:
        branch, face, background = Branch.FAKE_ON_REAL, scene.fake, scene.real
    else:
        return _Mixture(scene.fake, scene.fake, Branch.UNTOUCHED)
    hull = hull_mask(scene.landmarks, scene.fake.shape[:2])
    mask: HardMask | Mask = hull
    if draws.uniform() > 0.5:
        mask = rippled(hull, *draws.ripple(*hull.shape))
    picture, paste = _pasted(face, background, mask, poisson=poisson, as_released=as_released)
    return _Mixture(picture, background, branch, paste)


def _pasted(
    face: Image, background: Image, mask: HardMask | Mask, *, poisson: bool, as_released: bool
) -> tuple[Image, Paste]:
    """Lay a face over a background where a mask says so."""
    if not poisson:
        return alpha_blend(face, background, softened(mask)), Paste.ALPHA
    cloned = None
    if not as_released:
        cloned = poisson_blend(face, background, mask)
    elif mask.dtype == np.uint8:  # the release cannot clone masks of any other type
        x, y = middle(np.asarray(mask, np.uint8))
        cloned = poisson_blend(face, background, mask, (y, x))  # and exchanges the axes
    if cloned is None:
        return alpha_blend(face, background, softened(mask)), Paste.FELL_BACK
    return cloned, Paste.POISSON


# --- boxes ----------------------------------------------------------------------------------


def _boxes(
    mixture: _Mixture, crop: Image, points: Points, jitter: Jitter
) -> tuple[Box, ...] | None:
    if mixture.branch is Branch.REAL:
        return ()
    if mixture.window is None:
        return (WHOLE,)
    change = structural_change(crop, caddm_crop(mixture.background, points, jitter))
    if not leaves_trace(change):
        return None
    box = most_changed(change, *mixture.window)
    return None if box == NO_BOX else (WHOLE, box)


def _mirrored(box: Box) -> Box:
    left, top, right, bottom = box
    return CROP_PX - right, top, CROP_PX - left, bottom
