"""Self-blended video: a pseudo-fake made of one real clip, blended with itself.

Every choice is drawn once and replayed on all frames; only the landmarks, and with them the mask,
move. What trembles over time is therefore the border of the blend, and nothing else gives the fake
away. The real clip gets the colours of the fake's surroundings, so that colours tell nothing.

Source: FakeSTormer (Nguyen et al., ICCV 2025), release v1, after self-blended images.
Departs: hue, saturation and value are shifted by whole levels where the release's limits are
fractions of one level and so do nothing; a mirrored point lands on its mirrored pixel, where the
release is one pixel off; draws live in a frozen value, so that no clip inherits another's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.data.pseudo_fakes.blending import Mask, jpeg, pick
from styleflow.data.pseudo_fakes.kinds import FaceClip
from styleflow.data.video import Frames
from styleflow.faces.face import Image, Points
from styleflow.training.fakestormer.face_hulls import (
    FEATURES,
    HULLS,
    from_mesh,
    hull_mask,
    mirrored,
    steadied,
)

_RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
_KERNELS = tuple(range(5, 26, 2))
_SIGMAS = tuple(range(5, 46))
_ELASTIC_PX, _ELASTIC_SIGMA = 50.0, 7.0


@dataclass(frozen=True, slots=True, eq=False)
class BlendedVideo:
    """A real clip and the pseudo-fake that was made from it.

    Attributes:
        real: `(T, H, W, 3)` RGB uint8.
        fake: the same moments, `(T, H, W, 3)` RGB uint8.
        masks: how the fake was blended, in [0, 1], `(T, H, W)` float32.
    """

    real: Frames
    fake: Frames
    masks: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MaskSoftening:
    """How a hard mask becomes a blend.

    Attributes:
        height: it is softened at this height, pixels.
        width: and at this width.
        first: side of the first blur, odd; what it touches is taken off the mask.
        second: side of the second blur, odd, which makes the slope.
        sigma: of the second blur, pixels.
    """

    height: int
    width: int
    first: int
    second: int
    sigma: float

    def apply(self, mask: Mask) -> Mask:
        """Return a blend mask in [0, 1], `(H, W)` like the hard one; all 0 if nothing is left."""
        H, W = mask.shape
        soft = cv2.resize(mask, (self.width, self.height))
        soft = _to_one(cv2.GaussianBlur(soft, (self.first, self.first), 0))
        soft[soft < 1] = 0
        soft = _to_one(cv2.GaussianBlur(soft, (self.second, self.second), self.sigma))
        return np.asarray(cv2.resize(soft, (W, H)), np.float32)


def _to_one(mask: NDArray[Any]) -> Mask:
    highest = float(mask.max())
    return np.asarray(mask / highest if highest > 0 else mask, np.float32)


@dataclass(frozen=True, slots=True)
class ColourShift:
    """A change of colours and sharpness, the same for every frame it is applied to.

    Attributes:
        rgb: added to the channels, grey levels.
        hsv: added to hue (2 degrees a level), saturation and value, in levels.
        brightness: added, as a fraction of the range.
        contrast: the range is stretched by one plus this.
        shrink: 2 or 4 draws the picture at so much less resolution; 1 leaves it.
        sharpen: share of a sharpened picture that is mixed in.
        lightness: of the sharpened picture.
        quality: of a JPEG pass at the end; 0 for none.
    """

    rgb: tuple[int, int, int] = (0, 0, 0)
    hsv: tuple[int, int, int] = (0, 0, 0)
    brightness: float = 0.0
    contrast: float = 0.0
    shrink: int = 1
    sharpen: float = 0.0
    lightness: float = 1.0
    quality: int = 0

    def apply(self, image: Image) -> Image:
        """Return a picture so changed, `(H, W, 3)` RGB uint8."""
        levels = _clipped(image.astype(np.float32) + np.array(self.rgb, np.float32))
        if any(self.hsv):
            levels = _hsv_shifted(levels, self.hsv)
        if self.brightness or self.contrast:
            toned = levels.astype(np.float32) * (1 + self.contrast) + 255 * self.brightness
            levels = _clipped(toned)
        if self.shrink > 1:
            levels = _coarser(levels, self.shrink)
        if self.sharpen:
            levels = _sharper(levels, self.sharpen, self.lightness)
        return jpeg(levels, self.quality) if self.quality else levels


def _hsv_shifted(image: Image, shift: tuple[int, int, int]) -> Image:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + shift[0]) % 180
    hsv[..., 1:] = np.clip(hsv[..., 1:] + np.array(shift[1:], np.int16), 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def _coarser(image: Image, times: int) -> Image:
    H, W = image.shape[:2]
    small = cv2.resize(image, (W // times, H // times), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.resize(small, (W, H), interpolation=cv2.INTER_LINEAR), np.uint8)


def _sharper(image: Image, share: float, lightness: float) -> Image:
    kernel = np.full((3, 3), -1.0)
    kernel[1, 1] = 8 + lightness
    mixed = share * kernel
    mixed[1, 1] += 1 - share
    return np.asarray(cv2.filter2D(image, -1, mixed), np.uint8)


def _clipped(levels: NDArray[np.float32]) -> Image:
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class BlendPlan:
    """Everything about one self-blended video that is drawn; the same for all its frames.

    Attributes:
        mirror: whether the clip is turned left to right first.
        features_only: the forehead's points are left out.
        hull: how the mask is laid.
        change_inside: what is laid over is changed; otherwise what lies around.
        change: how.
        displace: how what is laid over is moved and stretched, `(2, 3)`.
        bend: where the mask's pixels are fetched from, offsets `(H, W, 2)` float32 in pixels.
        softening: how the mask becomes a blend.
        ratio: the blend is this strong at most.
    """

    mirror: bool
    features_only: bool
    hull: str
    change_inside: bool
    change: ColourShift
    displace: NDArray[np.float64]
    bend: NDArray[np.float32]
    softening: MaskSoftening
    ratio: float


def draw_plan(rng: np.random.Generator, size: tuple[int, int]) -> BlendPlan:
    """Draw how one clip is blended with itself; `size` is height and width of its pictures."""
    H, W = size
    return BlendPlan(
        mirror=bool(rng.random() < 0.5),
        features_only=bool(rng.random() < 0.25),
        hull=pick(rng, HULLS),
        change_inside=bool(rng.random() < 0.5),
        change=draw_source_change(rng),
        displace=_draw_displacement(rng, size),
        bend=_draw_bend(rng, size),
        softening=MaskSoftening(
            height=int(H * rng.uniform(0.8, 1.25)),
            width=int(W * rng.uniform(0.8, 1.25)),
            first=pick(rng, _KERNELS),
            second=pick(rng, _KERNELS),
            sigma=float(pick(rng, _SIGMAS)),
        ),
        ratio=pick(rng, _RATIOS),
    )


def draw_source_change(rng: np.random.Generator) -> ColourShift:
    """Draw how one side of a blend differs from the other: in colours, and in sharpness."""
    coarse = bool(rng.random() < 0.5)
    return ColourShift(
        rgb=_levels(rng, (20, 20, 20)) if rng.random() < 0.3 else (0, 0, 0),
        hsv=_levels(rng, (4, 15, 15)),
        brightness=float(rng.uniform(-0.1, 0.1)),
        contrast=float(rng.uniform(-0.1, 0.1)),
        shrink=int(rng.choice([2, 4])) if coarse else 1,
        sharpen=0.0 if coarse else float(rng.uniform(0.2, 0.5)),
        lightness=float(rng.uniform(0.5, 1.0)),
    )


def draw_common_change(rng: np.random.Generator) -> ColourShift:
    """Draw what happens to the real and to the fake clip alike, after blending."""
    toned = bool(rng.random() < 0.3)
    return ColourShift(
        rgb=_levels(rng, (20, 20, 20)) if rng.random() < 0.3 else (0, 0, 0),
        hsv=_levels(rng, (4, 15, 15)) if rng.random() < 0.3 else (0, 0, 0),
        brightness=float(rng.uniform(-0.3, 0.3)) if toned else 0.0,
        contrast=float(rng.uniform(-0.3, 0.3)) if toned else 0.0,
        quality=int(rng.integers(40, 101)) if rng.random() < 0.5 else 0,
    )


def self_blended(clip: FaceClip, rng: np.random.Generator) -> BlendedVideo:
    """Return a clip blended with itself under a plan that is drawn now."""
    return blend_with_itself(clip, draw_plan(rng, clip.size))


def blend_with_itself(clip: FaceClip, plan: BlendPlan) -> BlendedVideo:
    """Return the real clip and the pseudo-fake that a plan makes of it."""
    frames = clip.frames[:, :, ::-1] if plan.mirror else clip.frames
    points = steadied(np.stack([from_mesh(mesh) for mesh in clip.meshes]))
    if plan.mirror:
        points = np.stack([mirrored(p, clip.size[1] - 1) for p in points])
    blended = [
        _blend_frame(np.ascontiguousarray(f), p, plan) for f, p in zip(frames, points, strict=True)
    ]
    real, fake, masks = (np.stack(part) for part in zip(*blended, strict=True))
    return BlendedVideo(real, fake, masks)


def _blend_frame(image: Image, points: Points, plan: BlendPlan) -> tuple[Image, Image, Mask]:
    size = image.shape[1], image.shape[0]
    used = points[:FEATURES] if plan.features_only else points
    mask = hull_mask(used, plan.hull, image.shape[:2])
    over, under = image, image
    if plan.change_inside:
        over = plan.change.apply(image)
    else:
        under = plan.change.apply(image)
    over = np.asarray(cv2.warpAffine(over, plan.displace, size, flags=cv2.INTER_LINEAR), np.uint8)
    mask = np.asarray(
        cv2.warpAffine(mask, plan.displace, size, flags=cv2.INTER_NEAREST), np.float32
    )
    soft = plan.softening.apply(_bent(mask, plan.bend))
    return under, laid_over(under, over, soft, plan.ratio), soft


def laid_over(under: Image, over: Image, mask: Mask, ratio: float) -> Image:
    """Return `over` blended on `under`, cut to whole grey levels as the release does."""
    return np.asarray(mixture(under, over, mask, ratio), np.uint8)


def mixture(under: Image, over: Image, mask: Mask, ratio: float) -> NDArray[np.float32]:
    """Return `over` blended on `under`, `(H, W, 3)` in grey levels that need not be whole."""
    m = (ratio * mask)[..., None]
    return np.asarray(m * over + (1 - m) * under, np.float32)


def _bent(mask: Mask, bend: NDArray[np.float32]) -> Mask:
    H, W = mask.shape
    x, y = np.meshgrid(np.arange(W, dtype=np.float32), np.arange(H, dtype=np.float32))
    fetched = cv2.remap(mask, x + bend[..., 0], y + bend[..., 1], cv2.INTER_LINEAR)
    return np.asarray(fetched, np.float32)


def _draw_displacement(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float64]:
    """Draw a shift of up to 3 % across and 1.5 % down, and a stretch of up to 5 % each way."""
    H, W = size
    sx, sy = np.exp(rng.uniform(np.log(0.95), -np.log(0.95), 2))
    dx, dy = rng.uniform(-0.03, 0.03) * W, rng.uniform(-0.015, 0.015) * H
    cx, cy = (W - 1) / 2, (H - 1) / 2
    return np.array([[sx, 0.0, cx - sx * cx + dx], [0.0, sy, cy - sy * cy + dy]])


def _draw_bend(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    noise = rng.uniform(-1, 1, (*size, 2)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), _ELASTIC_SIGMA)
    return np.asarray(smooth * np.float32(_ELASTIC_PX), np.float32)


def _levels(rng: np.random.Generator, most: tuple[int, int, int]) -> tuple[int, int, int]:
    r, g, b = (int(rng.integers(-m, m + 1)) for m in most)
    return r, g, b
