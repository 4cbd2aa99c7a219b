"""Pseudo-fakes: what training calls fake, made from real clips only.

Each kind imitates one way in which faces are synthesised, without being it:

- `self_blend`: a face blended with itself, of another look (face swaps leave such borders);
- `swap`: another person's picture bent to the face's landmarks, frame by frame;
- `mouth`: the lower face drawn anew, coarser than the rest (lip-sync networks work small);
- `other_mouth`: the lower face of another moment, so that lips and head disagree;
- `reenact`: one single picture, bent to follow the clip's landmarks (talking heads);
- `redraw`: everything drawn by a small network (fully generated pictures);
- `restyle`: the face drawn by a style decoder, its styles smoothed or partly somebody else's;
- `restore`: the face smoothed and sharpened beyond what a camera does (face restoration);
- `smooth_time`: the face averaged or held over neighbouring frames.

A pseudo-fake keeps the landmarks of its clip, the degradation by camera and codec comes later, and
the generator that is passed in decides everything: same generator state, same pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.data.pseudo_fakes.blending import (
    Landmarks,
    Look,
    Mask,
    blend,
    face_width,
    match_colours,
    pick,
    random_look,
    region,
    region_mask,
    wander,
    warp_between,
)
from styleflow.data.pseudo_fakes.restyling import Styles, face_anchor, random_restyling
from styleflow.data.video import Frames
from styleflow.faces.align import warp
from styleflow.faces.face import Image

Redraw = Callable[[Frames], Frames]
"""Draws pictures anew through some network; same shape in and out."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceClip:
    """Consecutive pictures and where the face is in them.

    Attributes:
        frames: `(T, H, W, 3)` RGB uint8.
        meshes: `(T, 468, 2)` float32, in pixels.
    """

    frames: Frames
    meshes: NDArray[np.float32]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self.frames.shape[1], self.frames.shape[2]


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """One picture of a face and its landmarks."""

    image: Image
    mesh: Landmarks


@dataclass(frozen=True, slots=True, eq=False)
class PseudoFake:
    """What a kind made of a clip.

    Attributes:
        kind: which one.
        frames: `(T, H, W, 3)` RGB uint8.
        masks: how much of each pixel was replaced, `(T, H, W)` uint8.
    """

    kind: str
    frames: Frames
    masks: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Materials:
    """What the kinds draw from, besides the clip.

    Attributes:
        portraits: faces of other people.
        redraws: networks that draw pictures anew.
        styles: the style auto-encoder; `restyle` needs one.
    """

    portraits: Sequence[Portrait]
    redraws: Sequence[Redraw]
    styles: Styles | None = None


Kind = Callable[[FaceClip, Materials, np.random.Generator], PseudoFake]


@dataclass(frozen=True, slots=True)
class _Patch:
    """Where and how softly something is laid over a face, for a whole clip."""

    indices: NDArray[np.int64]
    grow: float
    soft: float
    weight: float

    def mask(self, mesh: Landmarks, size: tuple[int, int], breath: float = 0.0) -> Mask:
        grow = self.grow + 0.01 * breath
        return self.weight * region_mask(mesh, self.indices, size, grow=grow, soft=self.soft)


def self_blend(clip: FaceClip, materials: Materials, rng: np.random.Generator) -> PseudoFake:
    """Blend a face with itself, of another look and slightly displaced.

    Source: self-blended images (Shiohara and Yamasaki, CVPR 2022).
    Departs: one draw per clip with slow wandering, so that the blending lasts over time.
    """
    patch = _random_patch(clip.meshes[0], rng, ("face", "inner", "lower", "mouth", "upper"))
    look = random_look(rng, colours=bool(rng.random() < 0.8), detail=bool(rng.random() < 0.8))
    over = _displaced(clip, look, rng)
    return _lay(clip, over, patch, rng, "self_blend")


def swap(clip: FaceClip, materials: Materials, rng: np.random.Generator) -> PseudoFake:
    """Bend somebody else's picture to the face's landmarks and blend it in."""
    portrait = pick(rng, materials.portraits)
    patch = _random_patch(clip.meshes[0], rng, ("face", "inner"))
    look = random_look(rng, colours=True, detail=bool(rng.random() < 0.7))
    strength = float(rng.uniform(0.6, 1.0))
    shaken = _shaken(clip.meshes, rng)
    over = []
    for frame, mesh, there in zip(clip.frames, clip.meshes, shaken, strict=True):
        bent = warp_between(portrait.image, portrait.mesh, there, clip.size, pinned=False)
        bent = match_colours(bent, frame, patch.mask(mesh, clip.size), strength)
        over.append(look.apply(bent))
    return _lay(clip, over, patch, rng, "swap")


def mouth(clip: FaceClip, materials: Materials, rng: np.random.Generator) -> PseudoFake:
    """Draw the lower face anew: through a network, or through few pixels."""
    patch = _random_patch(clip.meshes[0], rng, ("lower", "mouth"))
    look = random_look(rng, colours=bool(rng.random() < 0.5), detail=False)
    if materials.redraws and rng.random() < 0.4:
        drawn = pick(rng, materials.redraws)(clip.frames)
        clip_over = FaceClip(drawn, clip.meshes)
    else:
        across = float(rng.uniform(28, 110))  # pixels that the network spends on the face
        fraction = min(across / face_width(clip.meshes[0]), 0.95)
        up = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4]))
        sharpen = float(rng.uniform(0.2, 0.9)) if rng.random() < 0.4 else 0.0
        look = Look(look.gain, look.offset, look.gamma, fraction, up=up, sharpen=sharpen)
        clip_over = clip
    over = _displaced(clip_over, look, rng)
    return _lay(clip, over, patch, rng, "mouth")


def other_mouth(clip: FaceClip, materials: Materials, rng: np.random.Generator) -> PseudoFake:
    """Lay the lower face of another moment over this one, carried along with the head."""
    T = len(clip.frames)
    shift = int(rng.integers(max(1, T // 4), max(2, 3 * T // 4)))
    patch = _random_patch(clip.meshes[0], rng, ("lower", "mouth"))
    look = random_look(rng, colours=bool(rng.random() < 0.5), detail=bool(rng.random() < 0.6))
    over = []
    for t in range(T):
        s = (t + shift) % T
        rigid = _similarity(clip.meshes[s], clip.meshes[t])
        moved = cv2.warpAffine(
            clip.frames[s], rigid, clip.size[::-1], borderMode=cv2.BORDER_REPLICATE
        )
        moved = match_colours(
            np.asarray(moved, np.uint8),
            clip.frames[t],
            patch.mask(clip.meshes[t], clip.size),
            0.7,
        )
        over.append(look.apply(moved))
    return _lay(clip, over, patch, rng, "other_mouth")


def reenact(clip: FaceClip, materials: Materials, rng: np.random.Generator) -> PseudoFake:
    """Animate one single picture of the clip with the clip's own landmarks.

    Source: the idea of first-order motion models (Siarohin et al., NeurIPS 2019): warp, then draw.
    Departs: landmarks and thin plates in place of learned key points and flow.
    """
    start = int(rng.integers(len(clip.frames)))
    pinned = bool(rng.random() < 0.7)
    path = _smoothed(clip.meshes, float(rng.choice([0.0, 0.5, 0.75])))
    look = random_look(rng, colours=False, detail=bool(rng.random() < 0.5))
    frames = np.stack(
        [
            look.apply(
                warp_between(
                    clip.frames[start], clip.meshes[start], there, clip.size, pinned=pinned
                )
            )
            for there in path
        ]
    )
    if rng.random() < 0.6:
        frames = _real_mouth(clip, frames, materials, rng)
    if materials.redraws and rng.random() < 0.4:
        frames = pick(rng, materials.redraws)(frames)
    return PseudoFake("reenact", frames, _everywhere(clip))


def redraw(clip: FaceClip, materials: Materials, rng: np.random.Generator) -> PseudoFake:
    """Draw the pictures anew through a network, whole or only the face."""
    drawn = pick(rng, materials.redraws)(clip.frames)
    if rng.random() < 0.5:  # some generators are followed by a network that restores detail
        look = Look(sharpen=float(rng.uniform(0.1, 0.8)))
        drawn = np.stack([look.apply(frame) for frame in drawn])
    if rng.random() < 0.7:
        return PseudoFake("redraw", drawn, _everywhere(clip))
    patch = _random_patch(clip.meshes[0], rng, ("face", "inner"))
    return _lay(clip, list(drawn), patch, rng, "redraw")


def restyle(clip: FaceClip, materials: Materials, rng: np.random.Generator) -> PseudoFake:
    """Draw the face anew through a style decoder, styles smoothed over time or mixed.

    Raises:
        ValueError: the materials have no style decoder.

    Source: style mixing (Karras et al., CVPR 2019).
    Departs: a small auto-encoder's styles, moved a little towards somebody else's.
    """
    if materials.styles is None:
        raise ValueError("restyle needs a style decoder among its materials")
    lent = pick(rng, materials.portraits)
    other = warp(lent.image, face_anchor(lent.mesh), materials.styles.size_px)
    path = _smoothed(clip.meshes, float(rng.choice([0.0, 0.5])))
    restyling = random_restyling(materials.styles, rng)
    drawn = restyling.apply(clip.frames, path, other, materials.styles)
    patch = _random_patch(clip.meshes[0], rng, ("face", "inner", "lower"))
    look = Look(sharpen=float(rng.uniform(0.1, 1.0)) if rng.random() < 0.5 else 0.0)
    strength = float(rng.uniform(0.6, 1.0))
    over = [
        look.apply(match_colours(picture, frame, patch.mask(mesh, clip.size), strength))
        for picture, frame, mesh in zip(drawn, clip.frames, clip.meshes, strict=True)
    ]
    return _lay(clip, over, patch, rng, "restyle")


def restore(clip: FaceClip, materials: Materials, rng: np.random.Generator) -> PseudoFake:
    """Take the grain out of a face and put edges in, as face restoration does."""
    look = Look(
        smooth=float(rng.uniform(15, 50)),
        sharpen=float(rng.uniform(0.4, 1.8)),
        resolution=float(rng.uniform(0.5, 1.0)),
    )
    over = [look.apply(frame) for frame in clip.frames]
    if rng.random() < 0.4:
        return PseudoFake("restore", np.stack(over), _everywhere(clip))
    patch = _random_patch(clip.meshes[0], rng, ("face", "inner", "lower"))
    return _lay(clip, over, patch, rng, "restore")


def smooth_time(clip: FaceClip, materials: Materials, rng: np.random.Generator) -> PseudoFake:
    """Average the face over neighbouring frames, or hold it for some, carried with the head."""
    T = len(clip.frames)
    hold = int(rng.integers(2, 5)) if rng.random() < 0.4 else 0
    reach = int(rng.integers(1, 3))
    over = []
    for t in range(T):
        sources = [t - t % hold] if hold else range(max(0, t - reach), min(T, t + reach + 1))
        carried = [
            cv2.warpAffine(
                clip.frames[s],
                _similarity(clip.meshes[s], clip.meshes[t]),
                clip.size[::-1],
                borderMode=cv2.BORDER_REPLICATE,
            ).astype(np.float32)
            for s in sources
        ]
        over.append(np.clip(np.mean(carried, axis=0) + 0.5, 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        return PseudoFake("smooth_time", np.stack(over), _everywhere(clip))
    patch = _random_patch(clip.meshes[0], rng, ("face", "inner", "lower"))
    return _lay(clip, over, patch, rng, "smooth_time")


KINDS: Mapping[str, Kind] = {
    "self_blend": self_blend,
    "swap": swap,
    "mouth": mouth,
    "other_mouth": other_mouth,
    "reenact": reenact,
    "redraw": redraw,
    "restyle": restyle,
    "restore": restore,
    "smooth_time": smooth_time,
}


def make(kind: str, clip: FaceClip, materials: Materials, rng: np.random.Generator) -> PseudoFake:
    """Return a pseudo-fake of one kind.

    Raises:
        KeyError: no such kind.
    """
    return KINDS[kind](clip, materials, rng)


def _random_patch(mesh: Landmarks, rng: np.random.Generator, regions: Sequence[str]) -> _Patch:
    name = str(rng.choice(list(regions)))
    return _Patch(
        region(mesh, name),
        grow=float(rng.uniform(-0.06, 0.05)),
        soft=float(rng.choice([0.008, 0.02, 0.04, 0.07])),
        weight=float(rng.choice([1.0, 1.0, 0.8])),
    )


def _lay(
    clip: FaceClip,
    over: Sequence[Image],
    patch: _Patch,
    rng: np.random.Generator,
    kind: str,
) -> PseudoFake:
    breath = wander(rng, len(clip.frames), 0.8)
    masks = [patch.mask(mesh, clip.size, b) for mesh, b in zip(clip.meshes, breath, strict=True)]
    frames = [blend(f, o, m) for f, o, m in zip(clip.frames, over, masks, strict=True)]
    return PseudoFake(kind, np.stack(frames), np.ceil(np.stack(masks) * 255).astype(np.uint8))


def _displaced(clip: FaceClip, look: Look, rng: np.random.Generator) -> list[Image]:
    """Return the clip's pictures with a look, shifted and scaled a little, wandering slowly."""
    T, width = len(clip.frames), face_width(clip.meshes[0])
    shift = rng.normal(0, 0.012, 2) * width
    scale = float(np.exp(rng.normal(0, 0.02)))
    restless = float(rng.choice([0.0, 0.002, 0.005])) * width
    memory = float(rng.choice([0.3, 0.9]))
    dx, dy = wander(rng, T, memory) * restless, wander(rng, T, memory) * restless
    flicker = wander(rng, T, 0.6) * float(rng.choice([0.0, 0.0, 1.0, 2.5]))
    moved = []
    for t, frame in enumerate(clip.frames):
        cx, cy = clip.meshes[t].mean(axis=0)
        tx = cx - scale * cx + shift[0] + dx[t]
        ty = cy - scale * cy + shift[1] + dy[t]
        turn = np.array([[scale, 0, tx], [0, scale, ty]])
        bent = cv2.warpAffine(frame, turn, clip.size[::-1], borderMode=cv2.BORDER_REPLICATE)
        moved.append(look.apply(np.asarray(bent, np.uint8), float(flicker[t])))
    return moved


def _shaken(meshes: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return landmarks that tremble together, as those that drive a generator do."""
    T, width = len(meshes), face_width(meshes[0])
    amount = float(rng.choice([0.0, 0.003, 0.008])) * width
    memory = float(rng.choice([0.2, 0.9]))
    both = np.stack([wander(rng, T, memory), wander(rng, T, memory)], axis=1) * amount
    return np.asarray(meshes + both[:, None], np.float32)


def _smoothed(meshes: NDArray[np.float32], memory: float) -> NDArray[np.float32]:
    out = meshes.copy()
    for t in range(1, len(out)):
        out[t] = memory * out[t - 1] + (1 - memory) * meshes[t]
    return out


def _real_mouth(
    clip: FaceClip, frames: Frames, materials: Materials, rng: np.random.Generator
) -> Frames:
    """Give an animated picture a mouth that opens: the clip's own, drawn coarsely."""
    patch = _Patch(region(clip.meshes[0], "mouth"), -0.06, 0.03, 1.0)
    look = Look(resolution=float(rng.uniform(0.3, 0.8)))
    laid = [
        blend(under, look.apply(over), patch.mask(mesh, clip.size))
        for under, over, mesh in zip(frames, clip.frames, clip.meshes, strict=True)
    ]
    return np.stack(laid)


def _similarity(here: Landmarks, there: Landmarks) -> NDArray[np.float64]:
    """Return the 2x3 map without shear that carries one set of landmarks best to another."""
    a, b = here.astype(np.float64), there.astype(np.float64)
    a0, b0 = a.mean(axis=0), b.mean(axis=0)
    za = (a - a0) @ np.array([1, 1j])
    zb = (b - b0) @ np.array([1, 1j])
    z = complex((za.conj() * zb).sum() / max(float((np.abs(za) ** 2).sum()), 1e-9))
    turn = np.array([[z.real, -z.imag], [z.imag, z.real]])
    return np.column_stack([turn, b0 - turn @ a0])


def _everywhere(clip: FaceClip) -> NDArray[np.uint8]:
    return np.full(clip.frames.shape[:3], 255, np.uint8)
