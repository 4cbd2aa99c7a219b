"""Pairs of single pictures: a real face and a pseudo-fake of it, degraded and cropped alike.

Windows of video (`windows.py`) are dear, so there are hundreds of them; pairs of pictures are cheap
and drawn anew for every step, so that a network never sees one twice. What is fake in a pair is
mostly the face blended with itself, with other colours, another sharpness or a little displaced:
the difference is local, and whatever holds for both members can't be the cue. A generator decides
everything.

Source: self-blended images (Shiohara and Yamasaki, CVPR 2022).
Departs: masks of mouths and of arbitrary parts, too; faces of others bent to the same landmarks;
    faces and whole pictures drawn anew by small networks and by a style decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.data.degradations.pictures import degraded_alike, other_detail, recoloured, sharpened
from styleflow.data.pseudo_fakes.blending import (
    Landmarks,
    Mask,
    blend,
    face_width,
    match_colours,
    pick,
    region,
    region_mask,
    warp_between,
)
from styleflow.data.pseudo_fakes.kinds import Portrait, Redraw
from styleflow.data.pseudo_fakes.restyling import Styles, face_anchor, random_restyling
from styleflow.faces.align import fit, warp
from styleflow.faces.face import Image
from styleflow.faces.mesh import five_points
from styleflow.training.styleflow_live.windows import MASK_STRIDE, warp_mask

_STILL_SIDE = (176, 257, 16)  # stills are enlarged to such sides before anything is done to them
_FILMED_SIDE = 160  # pictures smaller than this are enlarged
_REGIONS = {"face": 0.40, "inner": 0.20, "lower": 0.13, "mouth": 0.09, "upper": 0.08, "part": 0.10}
_SOFT = (0.004, 0.01, 0.02, 0.035, 0.06)  # edges of masks, in widths of the face
_WEIGHTS = (1.0, 1.0, 1.0, 0.75, 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class PicturePair:
    """One real picture and its pseudo-fake, aligned.

    Attributes:
        real: `(S, S, 3)` RGB uint8.
        fake: the same place and light, `(S, S, 3)` RGB uint8.
        mask: what was replaced, `(S / 8, S / 8)` uint8.
        kind: of pseudo-fake.
    """

    real: Image
    fake: Image
    mask: NDArray[np.uint8]
    kind: str


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """What pairs are made of.

    Attributes:
        crop_px: side of the aligned crop.
        top: first row of the window that is kept of it.
        left: its first column.
        size_px: its side.
        stills: share of pairs that are made of stills, the others of filmed frames.
        kinds: how often each kind is drawn; the numbers need not sum to 1.
    """

    crop_px: int = 256
    top: int = 48
    left: int = 32
    size_px: int = 192
    stills: float = 0.4
    kinds: Mapping[str, float] | None = None


@dataclass(frozen=True, eq=False)
class PictureSource:
    """Where faces come from.

    Attributes:
        filmed: frames with landmarks, by repository and person.
        stills: faces of other people.
        redraws: networks that draw pictures anew.
        styles: the style auto-encoder.
        partner: the landmark that each one becomes in a mirror, `(468,)`.
    """

    filmed: Mapping[tuple[str, str], Sequence[Portrait]]
    stills: Sequence[Portrait]
    redraws: Sequence[Redraw]
    styles: Styles
    partner: NDArray[np.int64]

    def frame(self, rng: np.random.Generator) -> Portrait:
        """Draw a filmed face; half of the time repositories weigh the same, else people do."""
        people = sorted(self.filmed)
        if rng.random() < 0.5:
            repository = pick(rng, sorted({person[0] for person in people}))
            people = [person for person in people if person[0] == repository]
        return pick(rng, self.filmed[pick(rng, people)])

    def draw(self, rng: np.random.Generator, stills: float) -> Portrait:
        """Draw a face, mirrored half of the time, large enough to be worked on."""
        face = pick(rng, self.stills) if rng.random() < stills else self.frame(rng)
        if rng.random() < 0.5:
            face = mirrored(face, self.partner)
        return _enlarged(face, rng)


def mirrored(face: Portrait, partner: NDArray[np.int64]) -> Portrait:
    """Return a face as a mirror shows it."""
    mesh = face.mesh[partner].copy()
    mesh[:, 0] = face.image.shape[1] - 1 - mesh[:, 0]
    return Portrait(np.ascontiguousarray(face.image[:, ::-1]), mesh)


def mirror_partners(meshes: Sequence[Landmarks]) -> NDArray[np.int64]:
    """Return the landmark that each becomes in a mirror, `(468,)`, from many faces' mean.

    A landmark goes with whichever lies nearest to its mirrored place.
    """
    faces = np.stack([mesh - mesh.mean(axis=0) for mesh in meshes]).astype(np.float64)
    mean = faces.mean(axis=0)
    mean[:, 0] -= five_points(mean)[:2, 0].mean()
    away = ((mean * [-1, 1])[:, None] - mean[None]) ** 2
    return np.asarray(away.sum(axis=-1).argmin(axis=1), np.int64)


def draw_pair(source: PictureSource, spec: PictureSpec, rng: np.random.Generator) -> PicturePair:
    """Draw a real picture and a pseudo-fake of it, degraded alike."""
    face = source.draw(rng, spec.stills)
    weights = KIND_WEIGHTS if spec.kinds is None else spec.kinds
    shares = np.array(list(weights.values()))
    kind = str(rng.choice(list(weights), p=shares / shares.sum()))
    fake, mask = PICTURE_KINDS[kind](face, source, rng)
    real, fake = degraded_alike((face.image, fake), rng)
    return _cropped(real, fake, mask, face, kind, spec, rng)


def self_blended(
    face: Portrait, source: PictureSource, rng: np.random.Generator
) -> tuple[Image, Mask]:
    """Blend a face with itself: other colours, another sharpness, a little displaced."""
    mask = random_mask(face.mesh, face.image.shape[:2], rng)
    if rng.random() < 0.3:  # what lies around the face changes instead of the face
        changed = _changed(face.image, face.mesh, rng, may_move=False)
        return blend(changed, face.image, mask), mask
    return blend(face.image, _changed(face.image, face.mesh, rng), mask), mask


def coarse_mouth(
    face: Portrait, source: PictureSource, rng: np.random.Generator
) -> tuple[Image, Mask]:
    """Do so with the lower face only."""
    mask = random_mask(face.mesh, face.image.shape[:2], rng, {"lower": 0.5, "mouth": 0.5})
    return blend(face.image, _changed(face.image, face.mesh, rng), mask), mask


def redrawn_part(
    face: Portrait, source: PictureSource, rng: np.random.Generator
) -> tuple[Image, Mask]:
    """Lay a part of the face over itself that a network has drawn anew."""
    mask = random_mask(face.mesh, face.image.shape[:2], rng)
    drawn = pick(rng, source.redraws)(face.image[None])[0]
    return blend(face.image, _changed(drawn, face.mesh, rng), mask), mask


def restyled(face: Portrait, source: PictureSource, rng: np.random.Generator) -> tuple[Image, Mask]:
    """Draw the face anew through a style decoder, with a little of somebody else's style."""
    mask = random_mask(
        face.mesh, face.image.shape[:2], rng, {"face": 0.4, "inner": 0.3, "lower": 0.3}
    )
    lent, styles = pick(rng, source.stills), source.styles
    other = warp(lent.image, face_anchor(lent.mesh), styles.size_px)
    restyling = random_restyling(styles, rng)
    (drawn,) = restyling.apply(face.image[None], face.mesh[None], other, styles)
    drawn = match_colours(drawn, face.image, mask, float(rng.uniform(0.5, 1.0)))
    if rng.random() < 0.4:
        drawn = sharpened(drawn, 1.2, float(rng.uniform(0.1, 0.8)))
    return blend(face.image, drawn, mask), mask


def swapped(face: Portrait, source: PictureSource, rng: np.random.Generator) -> tuple[Image, Mask]:
    """Bend somebody else's face to the same landmarks and blend it in."""
    size = face.image.shape[:2]
    other = pick(rng, source.stills) if rng.random() < 0.7 else source.frame(rng)
    mask = random_mask(face.mesh, size, rng, {"face": 0.5, "inner": 0.5})
    bent = warp_between(other.image, other.mesh, face.mesh, size, pinned=False)
    bent = match_colours(bent, face.image, mask, float(rng.uniform(0.5, 1.0)))
    if rng.random() < 0.6:
        bent = other_detail(bent, face_width(face.mesh), rng)
    return blend(face.image, bent, mask), mask


def redrawn(face: Portrait, source: PictureSource, rng: np.random.Generator) -> tuple[Image, Mask]:
    """Draw the whole picture anew: through a network, or through few pixels and an upsampler."""
    if rng.random() < 0.65:
        drawn = pick(rng, source.redraws)(face.image[None])[0]
    else:
        drawn = _upsampled(face.image, rng)
    if rng.random() < 0.4:
        drawn = sharpened(drawn, 1.2, float(rng.uniform(0.1, 0.8)))
    if rng.random() < 0.3:
        drawn = np.asarray(cv2.bilateralFilter(drawn, 5, float(rng.uniform(8, 30)), 3.0), np.uint8)
    return drawn, np.ones(face.image.shape[:2], np.float32)


PictureKind = Callable[[Portrait, PictureSource, np.random.Generator], tuple[Image, Mask]]

PICTURE_KINDS: Mapping[str, PictureKind] = {
    "self_blend": self_blended,
    "mouth": coarse_mouth,
    "redrawn_part": redrawn_part,
    "swap": swapped,
    "redraw": redrawn,
    "restyle": restyled,
}

KIND_WEIGHTS: Mapping[str, float] = {
    "self_blend": 0.47,
    "mouth": 0.15,
    "redrawn_part": 0.08,
    "swap": 0.12,
    "redraw": 0.12,
    "restyle": 0.06,
}


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
        mask = _bent(mask, 0.02 * width, 6, rng)
    soft = max(pick(rng, _SOFT) * width, 0.5)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), soft), np.float32)
    if rng.random() < 0.4:  # a soft edge that lies within the region
        inner = np.clip(mask * 2 - 1, 0, 1)
        mask = np.asarray(cv2.GaussianBlur(inner, (0, 0), max(0.7 * soft, 0.5)), np.float32)
    return np.asarray(mask * pick(rng, _WEIGHTS), np.float32)


def _changed(
    image: Image, mesh: Landmarks, rng: np.random.Generator, *, may_move: bool = True
) -> Image:
    """Return a picture with other colours, another sharpness, displaced, or several of these."""
    width = face_width(mesh)
    colours = detail = moved = False
    while not (colours or detail or moved):
        colours, detail = rng.random() < 0.75, rng.random() < 0.75
        moved = may_move and rng.random() < 0.8
    if colours:
        image = recoloured(image, float(rng.uniform(0.3, 1.0)), rng)
    if detail:
        image = other_detail(image, width, rng)
    return _displaced(image, mesh, rng) if moved else image


def _displaced(image: Image, mesh: Landmarks, rng: np.random.Generator) -> Image:
    height, across = image.shape[:2]
    width, (x, y) = face_width(mesh), mesh.mean(axis=0)
    tall = np.exp(rng.uniform(-0.05, 0.05))
    wide = tall * np.exp(rng.uniform(-0.02, 0.02))
    right, down = rng.uniform(-1, 1, 2) * (0.03, 0.02) * width
    matrix = np.array([[wide, 0, x - wide * x + right], [0, tall, y - tall * y + down]])
    by = pick(rng, (cv2.INTER_LINEAR, cv2.INTER_LINEAR, cv2.INTER_CUBIC))
    moved = cv2.warpAffine(
        image, matrix, (across, height), flags=by, borderMode=cv2.BORDER_REPLICATE
    )
    if rng.random() < 0.6:
        moved = _bent(np.asarray(moved, np.uint8), 0.008 * width, 8, rng)
    return np.asarray(moved, np.uint8)


def _bent(
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


def _upsampled(image: Image, rng: np.random.Generator) -> Image:
    """Return a picture through few pixels and an upsampler that leaves a pattern."""
    height, width = image.shape[:2]
    step, fraction = pick(rng, (2, 2, 4)), float(rng.uniform(0.5, 1.0))
    small = (max(16, round(width * fraction / step)), max(16, round(height * fraction / step)))
    coarse = cv2.resize(image, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    large: NDArray[Any] = coarse.repeat(step, axis=0).repeat(step, axis=1)
    side = step + int(rng.integers(0, 3))
    kernel = np.abs(rng.normal(1, 0.5, (side, side))).astype(np.float32)
    large = cv2.filter2D(large, -1, kernel / kernel.sum())
    large *= np.tile(1 + rng.normal(0, 0.02, (step, step, 1)), (small[1], small[0], 1))
    large = cv2.resize(large, (width, height), interpolation=cv2.INTER_LINEAR)
    soft = cv2.GaussianBlur(large, (0, 0), 1.2)
    sharp = large + (large - soft) * float(rng.uniform(0.2, 1.2))
    return np.asarray(np.clip(sharp + 0.5, 0, 255), np.uint8)


def _enlarged(face: Portrait, rng: np.random.Generator) -> Portrait:
    """Return a face in a picture that is large enough; filmed ones mostly are."""
    width = face.image.shape[1]
    if width >= _FILMED_SIDE:
        return face
    side = int(rng.choice(np.arange(*_STILL_SIDE)))
    by = pick(rng, (cv2.INTER_CUBIC, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4))
    large = cv2.resize(face.image, (side, side), interpolation=by)
    mesh = (face.mesh + 0.5) * (side / width) - 0.5
    return Portrait(np.asarray(large, np.uint8), np.asarray(mesh, np.float32))


def _cropped(
    real: Image,
    fake: Image,
    mask: Mask,
    face: Portrait,
    kind: str,
    spec: PictureSpec,
    rng: np.random.Generator,
) -> PicturePair:
    """Return the window of the aligned crop, under an anchor that is a little off, as live."""
    points = five_points(face.mesh.astype(np.float64))
    apart, centre = float(np.linalg.norm(points[0] - points[1])), points.mean(axis=0)
    angle, scale = rng.normal(0, 0.05), np.exp(rng.normal(0, 0.05))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (points - centre) @ turn.T + centre + rng.normal(0, 0.06, 2) * apart
    ratio = np.array(real.shape[1::-1]) / np.array(face.image.shape[1::-1])
    anchor = fit(points * ratio + (ratio - 1) / 2)  # cv2 counts from pixel centres
    rows = slice(spec.top, spec.top + spec.size_px)
    columns = slice(spec.left, spec.left + spec.size_px)
    coarse = warp_mask(np.asarray(mask * 255, np.uint8), fit(points), spec.crop_px // MASK_STRIDE)
    kept = coarse[
        rows.start // MASK_STRIDE : rows.stop // MASK_STRIDE,
        columns.start // MASK_STRIDE : columns.stop // MASK_STRIDE,
    ]
    return PicturePair(
        warp(real, anchor, spec.crop_px)[rows, columns],
        warp(fake, anchor, spec.crop_px)[rows, columns],
        kept,
        kind,
    )
