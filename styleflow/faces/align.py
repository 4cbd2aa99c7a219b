"""Alignment: from five points to an aligned crop, without the points' jitter.

Aligning every frame by its own points would shake the crop by their error, and that shaking would
look like style moving. So a track is *anchored*: one transform is kept for as long as it fits.

Theory of operation, per track:

1. The first frame's own points make a provisional anchor, so that live video works at once.
2. At frame K (8) the anchor moves to the mean of the first K frames' points: the settled anchor.
3. From then on the points are smoothed in media time (half-life 0.5 s) and only watched. Mapped
   through the anchor to 256-pixel template space they may stray from the template by 12 px in
   their centroid, 12 % in scale and 10 degrees in roll. Beyond that the anchor moves to the
   smoothed points. If one frame strays three times that far the face really moved; smoothing
   starts anew from that frame, and the anchor moves to it at once.
4. At the frame where the anchor moves the face is cropped twice, under the old anchor and under
   the new one. The delta into this frame is taken under the old, the delta out of it under the
   new: every style delta lies under one transform and none is lost.

The same rules make training clips, so a model never meets framing that it was not trained on.

Source: StyleFlow aligns one clip with one transform; anchoring carries that over to live video.
Departs: FFHQ-like framing (eyes a quarter of the crop apart) in place of FTCN's tighter one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.errors import ShapeMismatch
from styleflow.faces.device_picture import DevicePicture, P, Pixels, averaged, warped
from styleflow.faces.face import AlignedFace, Face, FaceQuality, Image, Points, TrackedFace
from styleflow.faces.settings import AnchorSettings

Transform = NDArray[np.float64]
"""A 2x3 matrix that maps (x, y, 1) to (x, y)."""

Cut = Callable[[Pixels, Transform, int], Pixels]
"""Makes the square crop of a side, in pixels, that an anchor cuts out of a picture."""

TEMPLATE_PX = 256
"""The template is stated for crops of this size and scales with them."""

_TEMPLATE = np.array(
    [[96.5, 120.0], [159.5, 120.0], [128.0, 157.0], [100.5, 185.5], [155.5, 185.5]]
)
_TEMPLATE_BYTES = _TEMPLATE.tobytes()
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]) * TEMPLATE_PX
_MIN_SPREAD_PX = 1.0  # five points closer together than this name no direction
_NOSE_OVER_EYES = 0.55  # how far the nose stands out; 0.551 fitted to FaceMesh's depth
# What quality is measured on: brows to chin, so that neither hair nor background counts.
_FACE_ROWS = (0.36, 0.86)
_FACE_COLUMNS = (0.26, 0.74)


@dataclass(frozen=True, slots=True, eq=False)
class Anchoring:
    """One track's anchor as of one frame. A value: advancing returns another.

    Attributes:
        anchor: image to template space; this frame's delta from the one before lies under it.
        moved: the anchor from this frame on, where it moved at this frame.
        frames: frames seen, this one included.
        settled: the provisional anchor of the first frame is no longer in force.
        mean: mean of all frames' points until the anchor has settled.
        smoothed: points smoothed in media time.
        at: media time of this frame.
        goal: where the five points belong in template space, `(5, 2)`.
    """

    anchor: Transform
    moved: Transform | None
    frames: int
    settled: bool
    mean: Points
    smoothed: Points
    at: float
    goal: Points

    @classmethod
    def begin(cls, at: float, points: Points, goal: Points | None = None) -> Anchoring:
        """Return the anchoring of a track's first frame. Raises ShapeMismatch: see `fit`."""
        goal = template() if goal is None else goal
        anchor = fit(points, goal)
        return cls(anchor, None, 1, settled=False, mean=points, smoothed=points, at=at, goal=goal)

    def rescaled(self, x: float, y: float) -> Anchoring:
        """Return the same anchoring for pictures `x` times as wide and `y` times as high."""
        scale = np.array([x, y])

        def onto(transform: Transform) -> Transform:
            return np.column_stack([transform[:, :2] / scale, transform[:, 2]])

        return replace(
            self,
            anchor=onto(self.anchor),
            moved=None if self.moved is None else onto(self.moved),
            mean=self.mean * scale,
            smoothed=self.smoothed * scale,
        )

    def advance(
        self, at: float, points: Points, settings: AnchorSettings | None = None
    ) -> Anchoring:
        """Return the anchoring one frame later. Raises ShapeMismatch: see `fit`."""
        settings = settings or AnchorSettings()
        anchor = self.anchor if self.moved is None else self.moved
        frames = self.frames + 1
        mean = self.mean if self.settled else self.mean + (points - self.mean) / frames
        weight = 1.0 - 0.5 ** (max(at - self.at, 0.0) / settings.half_life_s)
        smoothed = self.smoothed + weight * (points - self.smoothed)
        if _strays(anchor, points, self.goal, settings, settings.far):
            smoothed = points
        settles = not self.settled and frames >= settings.settle_frames
        strays = _strays(anchor, smoothed, self.goal, settings)
        if settles and not strays:
            smoothed = mean
        return Anchoring(
            anchor,
            fit(smoothed, self.goal) if settles or strays else None,
            frames,
            settled=self.settled or settles or strays,
            mean=mean,
            smoothed=smoothed,
            at=at,
            goal=self.goal,
        )


class Aligner:
    """Crops tracked faces at one size. Holds no track's state: that is an `Anchoring`.

    Args:
        size_px: side of the square crops.
        settings: when an anchor moves.
        goal: where the five points belong in a crop of 256 pixels, `(5, 2)`; our template when
            None.
        cut: makes the crop, as `warp` does.
    """

    def __init__(
        self,
        size_px: int,
        settings: AnchorSettings | None = None,
        goal: Points | None = None,
        cut: Cut | None = None,
    ) -> None:
        self.size_px = size_px
        self.settings = settings or AnchorSettings()
        self._goal = template() if goal is None else goal
        self._cut = warp if cut is None else cut

    def align(
        self, image: Pixels, tracked: TrackedFace, at: float, before: Anchoring | None
    ) -> tuple[AlignedFace, Anchoring] | None:
        """Return a face aligned, and its track's anchoring for the next frame.

        What lies outside the picture is as the cut makes it; quality is measured with it black,
        whatever the cut, so that its limits mean the same for all. Tiny faces are enlarged:
        `face_px` of the quality says so, and it is the reader who decides what is too small.

        Args:
            image: the picture that the face was found in, `(H, W, 3)` RGB uint8.
            tracked: the face, and whose it is.
            at: media time of the picture.
            before: the track's anchoring after its previous frame; None at its first.

        Returns:
            None when the five points are not finite or fall together: there is nothing to align,
            and the track's anchoring stays what it was.
        """
        points = tracked.face.points
        if not is_alignable(points):
            return None
        if before is None:
            now = Anchoring.begin(at, points, self._goal)
        else:
            now = before.advance(at, points, self.settings)
        crop = self._cut(image, now.anchor, self.size_px)
        moved = None if now.moved is None else self._cut(image, now.moved, self.size_px)
        newest = crop if moved is None else moved
        anchor = now.anchor if now.moved is None else now.moved
        if self._cut is not warp and leaves(anchor, image):
            newest = warp(image, anchor, self.size_px)
        quality = measure_quality(newest, tracked.face)
        return AlignedFace(tracked.track, tracked.face, crop, moved, quality, now.anchor), now


def template(size_px: int = TEMPLATE_PX) -> Points:
    """Return where the five points belong in a crop of `size_px`, `(5, 2)`."""
    return _TEMPLATE * (size_px / TEMPLATE_PX)


def is_alignable(points: Points) -> bool:
    """Say whether five points are finite and far enough apart to name a transform."""
    if points.shape != (5, 2):
        return False
    far = False
    for values in points.T.tolist():  # ten numbers: NumPy's calls cost more than the sums
        middle = sum(values) / 5
        if not math.isfinite(middle) or not all(map(math.isfinite, values)):
            return False
        far |= max(max(values) - middle, middle - min(values)) >= _MIN_SPREAD_PX
    return far


def fit(points: Points, goal: Points | None = None) -> Transform:
    """Return the similarity that maps the five points onto the template.

    Least squares in image pixels, from template to points, then inverted; for several frames
    their mean points give the same transform as all of them together.

    Args:
        points: in image pixels, `(5, 2)`.
        goal: where they belong, `(5, 2)`; the template of 256 px when None.

    Raises:
        ShapeMismatch: not five finite points, or all of them in one place.

    Source: StyleFlow SPEC section A.3 (closed form on complex numbers, never mirrored).
    """
    if not is_alignable(points):
        raise ShapeMismatch("five points", "(5, 2), finite and apart", points.shape)
    s_middle, turned, spread = _goal(_TEMPLATE_BYTES if goal is None else goal.tobytes())
    m = _complex(points)
    m_middle = _middle(m)
    a = complex((turned * (m - m_middle)).sum() / spread)
    b = complex(m_middle - a * s_middle)
    if abs(a) < 1e-6:  # points that mirror the template cancel: no similarity describes them
        a = complex(1e-6)
    inverse, shift = 1 / a, -b / a
    return np.array(
        [
            [inverse.real, -inverse.imag, shift.real],
            [inverse.imag, inverse.real, shift.imag],
        ]
    )


@lru_cache(maxsize=64)
def _goal(points: bytes) -> tuple[np.complex128, NDArray[np.complex128], np.float64]:
    """Return what `fit` wants of the points to meet: middle, conjugate about it, spread."""
    s = _complex(np.frombuffer(points, np.float64).reshape(5, 2))
    middle = _middle(s)
    about = s - middle
    return middle, about.conj(), (np.abs(about) ** 2).sum()


def apply(transform: Transform, points: Points) -> Points:
    """Return points mapped through a transform, `(K, 2)`."""
    return np.asarray(points @ transform[:, :2].T + transform[:, 2])


def warp(image: P, anchor: Transform, size_px: int, *, border: int = cv2.BORDER_CONSTANT) -> P:
    """Return the square crop that an anchor cuts out of a picture, where the picture is.

    Args:
        image: `(H, W, 3)` uint8.
        anchor: image to 256-pixel template space.
        size_px: side of the crop.
        border: what lies beyond the picture, one of OpenCV's; black unless told otherwise.

    Returns:
        `(size_px, size_px, 3)` uint8.
    """
    transform = anchor * (size_px / TEMPLATE_PX)
    shrink = int(1.0 / max(math.hypot(transform[0, 0], transform[1, 0]), 1e-6))
    if shrink >= 2:
        image, transform = _shrink(image, transform, size_px, shrink)
    return warped(image, transform, (size_px, size_px), border=border)


def mirrored_warp(image: P, anchor: Transform, size_px: int) -> P:
    """Return the crop that an anchor cuts out, the picture mirrored where the crop leaves it.

    Inside the picture it is `warp`'s, pixel for pixel. A black border is an edge that no face has,
    and networks that pool over the whole crop see it.
    """
    return warp(image, anchor, size_px, border=cv2.BORDER_REFLECT_101)


def leaves(anchor: Transform, image: Pixels) -> bool:
    """Say whether the crop that an anchor cuts out shows anything beyond the picture."""
    back = np.asarray(cv2.invertAffineTransform(anchor), np.float64)
    corners = apply(back, _CORNERS)
    height, width = image.shape[:2]
    return bool((corners < 1).any() or (corners > (width - 2, height - 2)).any())


def sharpness(crop: Image) -> float:
    """Return the sharpness of an aligned crop's face, as `FaceQuality` has it."""
    return _sharpness(_face_luma(crop))


def measure_quality(crop: Pixels, face: Face) -> FaceQuality:
    """Return what limits the evidence of an aligned crop, `(S, S, 3)` RGB uint8."""
    if isinstance(crop, DevicePicture):
        sharp, brightness = crop.sharpness_and_brightness(*_face_part(crop))
    else:
        luma = _face_luma(crop)
        sharp, brightness = _sharpness(luma), float(luma.mean())
    return FaceQuality(
        face_px=face.box.side,
        sharpness=sharp,
        brightness=brightness,
        yaw_deg=yaw_deg(face.points),
    )


def _face_part(crop: Pixels) -> tuple[slice, slice]:
    """Return the rows and columns of a crop that show nothing but the face."""
    size = crop.shape[0]
    rows = slice(*(round(f * size) for f in _FACE_ROWS))
    return rows, slice(*(round(f * size) for f in _FACE_COLUMNS))


def _face_luma(crop: Image) -> Image:
    face = np.ascontiguousarray(crop[*_face_part(crop)])
    return np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), np.uint8)


def _sharpness(luma: Image) -> float:
    return float(cv2.Laplacian(luma, cv2.CV_32F).var())


def yaw_deg(points: Points) -> float:
    """Return the signed head turn in degrees; positive when the nose points to the image's right.

    The nose stands out from the plane of eyes and mouth; how far it leaves their middle line,
    against the distance between the eyes, is the tangent of the turn.
    """
    eyes, mouth = _middle(points[:2]), _middle(points[3:])
    across = points[1] - points[0]
    distance = float(np.hypot(*across))
    if distance < 1e-6:
        return 90.0
    right = across / distance
    down = mouth - eyes
    depth = float((points[2] - eyes) @ down) / max(float(down @ down), 1e-6)
    offset = float((points[2] - (eyes + depth * down)) @ right)
    return math.degrees(math.atan2(offset, _NOSE_OVER_EYES * distance))


def _strays(
    anchor: Transform,
    points: Points,
    goal: Points,
    settings: AnchorSettings,
    times: float = 1.0,
) -> bool:
    """Say whether points, seen through an anchor, lie too far from the template."""
    seen = apply(anchor, points)
    if not is_alignable(seen):
        return True
    shift = float(np.hypot(*(_middle(seen) - _middle(goal))))
    back = fit(seen, goal)
    scale = math.hypot(back[0, 0], back[1, 0])
    roll = math.degrees(math.atan2(back[1, 0], back[0, 0]))
    return (
        shift > settings.max_shift_px * times
        or abs(math.log(scale)) > math.log1p(settings.max_scale) * times
        or abs(roll) > settings.max_roll_deg * times
    )


def _shrink(image: P, transform: Transform, size_px: int, shrink: int) -> tuple[P, Transform]:
    """Average away what a strong reduction would alias, round the part that is needed."""
    inverse = np.asarray(cv2.invertAffineTransform(transform), np.float64)
    corners = apply(inverse, np.array([[0, 0], [size_px, 0], [0, size_px], [size_px, size_px]]))
    height, width = image.shape[:2]
    # On a grid that belongs to the picture, so that the crop does not shimmer with its corner.
    low = np.floor(corners.min(axis=0) / shrink - 1) * shrink
    high = np.ceil(corners.max(axis=0) / shrink + 1) * shrink
    x0, y0 = (int(np.clip(v, 0, n)) for v, n in zip(low, (width, height), strict=True))
    x1, y1 = (int(np.clip(v, 0, n)) for v, n in zip(high, (width, height), strict=True))
    x1, y1 = x0 + (x1 - x0) // shrink * shrink, y0 + (y1 - y0) // shrink * shrink
    if x1 <= x0 or y1 <= y0:
        return image, transform
    size = ((x1 - x0) // shrink, (y1 - y0) // shrink)
    small = averaged(image, slice(y0, y1), slice(x0, x1), size)
    # A small pixel's middle is the middle of the `shrink` pixels that it averages.
    offset = np.array([x0, y0]) + (shrink - 1) / 2
    turn = transform[:, :2]
    return small, np.column_stack([turn * shrink, turn @ offset + transform[:, 2]])


def _middle(points: NDArray[Any]) -> Any:
    """Return the mean over the first axis; of five points in a third of the time of `mean`."""
    return np.add.reduce(points, axis=0) / len(points)


def _complex(points: Points) -> NDArray[np.complex128]:
    return points[:, 0] + 1j * points[:, 1]


__all__ = [
    "TEMPLATE_PX",
    "Aligner",
    "AnchorSettings",
    "Anchoring",
    "Transform",
    "apply",
    "fit",
    "is_alignable",
    "leaves",
    "measure_quality",
    "mirrored_warp",
    "template",
    "warp",
    "yaw_deg",
]
