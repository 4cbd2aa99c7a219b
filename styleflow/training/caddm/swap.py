"""The parts of CADDM's multi-scale facial swap: masks, pasting, and finding what changed most.

A swap mixes two pictures of one scene, a fake and the real one that it was made from, so that only
a part of the face differs from its surroundings, and says where. Everything here is a function of
pictures, landmarks and numbers; `caddm_sample.py` decides what is mixed and draws the numbers.

Boxes are left, top, right and bottom, right and bottom outside, in pixels.

Source: CADDM's released program (SPEC b.2 to b.6 in our notes).
Departs: boxes have x before y everywhere; the release exchanges them in its targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.faces.crops.caddm import CROP_PX
from styleflow.faces.face import Image, Points

HardMask = NDArray[np.uint8]
"""What is replaced, `(H, W)`: 0 or 255."""

Mask = NDArray[np.float32]
"""How much of each pixel is replaced, `(H, W)` in 0..255."""

Change = NDArray[np.float64]
"""Structural difference of two pictures, `(H, W, 3)`, 0 where they are equal."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom."""

NO_BOX: Box = (0, 0, 0, 0)
WHOLE: Box = (0, 0, CROP_PX, CROP_PX)
WINDOWS = ((40, 80), (80, 120), (120, 160), (224, 224))
"""Height and width of the parts that are swapped, in pixels of the crop."""

_RIPPLE_REACH = 0.08  # smoothness of a mask's bending, in picture heights
_KERNEL_REACH = 4.0  # standard deviations after which a Gaussian is cut off
_CUT_ENLARGED = 1.2
_POSITIONS = 5  # window positions along each axis
_TRACE = 1e-3  # a pixel's channel has changed if it differs by more
_TRACES_MIN = 40 * 40 * 3
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


# --- masks ----------------------------------------------------------------------------------


def hull_mask(landmarks: Points, size: tuple[int, int]) -> HardMask:
    """Return the convex hull of a face, 255 inside.

    Args:
        landmarks: all of the face, `(n, 2)` px.
        size: height and width of the picture.
    """
    hull = cv2.convexHull(landmarks.astype(np.float32)).astype(np.int32)
    mask = np.zeros(size, np.uint8)
    cv2.fillConvexPoly(mask, hull, 255)
    return mask


def rippled(
    mask: HardMask, amplitude: float, across: NDArray[np.float64], down: NDArray[np.float64]
) -> Mask:
    """Return a mask bent by smoothed noise.

    Args:
        mask: `(H, W)`.
        amplitude: by which the smoothed noise is multiplied, px.
        across: noise in [-1, 1] along x, `(H, W)`.
        down: noise along y, `(H, W)`.

    Source: elastic deformation (Simard et al., ICDAR 2003), as the released program uses it.
    """
    height, width = mask.shape
    sigma = _RIPPLE_REACH * height
    rows, columns = _smoothing(height, sigma), _smoothing(width, sigma).T
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x += amplitude * (rows @ across @ columns)
    y += amplitude * (rows @ down @ columns)
    return _sampled(mask, x, y)


def _smoothing(length: int, sigma: float) -> NDArray[np.float64]:
    """Return the matrix that smooths a line with a Gaussian, mirrored at its ends.

    Two matrix products do in 0.2 s what filters of several hundred taps take seconds for.
    """
    reach = int(_KERNEL_REACH * sigma + 0.5)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    place = (np.arange(length)[:, None] + offsets) % (2 * length)
    place = np.minimum(place, 2 * length - 1 - place)
    matrix = np.zeros((length, length))
    np.add.at(matrix, (np.arange(length)[:, None], place), weights / weights.sum())
    return matrix


def _sampled(mask: HardMask, x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
    """Return a mask read between its pixels, zero outside.

    OpenCV would do it faster, but rounds positions to 1/32 px.
    """
    height, width = mask.shape
    inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    x, y = np.where(inside, x, 0), np.where(inside, y, 0)
    x0, y0 = x.astype(np.int64), y.astype(np.int64)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    right, low = x - x0, y - y0
    top = mask[y0, x0] * (1 - right) + mask[y0, x1] * right
    bottom = mask[y1, x0] * (1 - right) + mask[y1, x1] * right
    return np.where(inside, top * (1 - low) + bottom * low, 0).astype(np.float32)


def block_mask(box: Box, size: tuple[int, int]) -> Mask:
    """Return a rectangle, 255 inside; what lies beyond the picture is cut off."""
    left, top, right, bottom = box
    mask = np.zeros(size, np.float32)
    mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 255
    return mask


def softened(mask: HardMask | Mask) -> Mask:
    """Return a mask with a soft edge, two pixels either way; a hard one keeps whole levels."""
    # In 32 bits what is wholly inside would come to 254.99998 and lose a level when pasted.
    exact = mask if mask.dtype == np.uint8 else mask.astype(np.float64)
    return np.asarray(cv2.GaussianBlur(exact, (5, 5), 3), np.float32)


# --- pasting --------------------------------------------------------------------------------


def alpha_blend(face: Image, background: Image, mask: Mask) -> Image:
    """Return a face mixed into a background by a soft mask; levels are cut, not rounded."""
    share = mask[..., None] / np.float32(255)
    return np.asarray(share * face + (1 - share) * background, np.uint8)


def poisson_blend(
    face: Image, background: Image, mask: HardMask | Mask, centre: tuple[int, int] | None = None
) -> Image | None:
    """Return a face cloned into a background without a seam; None where that cannot be done.

    Args:
        face: `(H, W, 3)` uint8.
        background: same size.
        mask: what is cloned; half and more counts.
        centre: where the middle of the mask's bounding box goes, x and y; where it is when None.

    Source: Poisson image editing (Pérez et al., SIGGRAPH 2003), in OpenCV.
    """
    hard = np.where(mask >= 127.5, 255, 0).astype(np.uint8)
    if not hard.any():
        return None
    try:
        cloned = cv2.seamlessClone(face, background, hard, centre or middle(hard), cv2.NORMAL_CLONE)
    except cv2.error:  # the patch would leave the picture
        return None
    return np.asarray(cloned, np.uint8)


def middle(mask: HardMask) -> tuple[int, int]:
    """Return the middle of what a mask covers, x and y; the mask covers something."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return int(columns[0] + columns[-1]) // 2, int(rows[0] + rows[-1]) // 2


# --- what changed ---------------------------------------------------------------------------


def structural_change(a: Image, b: Image) -> Change:
    """Return where two pictures differ in structure, channel by channel: half of 1 - SSIM.

    Source: structural similarity (Wang et al., TIP 2004), 11 px window of sigma 1.5.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = _local(x), _local(y)
    spread_x = _local(x * x) - mean_x**2
    spread_y = _local(y * y) - mean_y**2
    common = _local(x * y) - mean_x * mean_y
    above = (2 * mean_x * mean_y + _C1) * (2 * common + _C2)
    below = (mean_x**2 + mean_y**2 + _C1) * (spread_x + spread_y + _C2)
    return np.asarray(np.abs((1 - above / below) / 2))


def _local(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float64)


def most_changed(change: Change, height: int, width: int) -> Box:
    """Return the window with the most change, the first of equals; `NO_BOX` if nothing changed.

    Windows start at fifths of the picture and lie wholly inside it.

    Args:
        change: `(H, W, 3)`.
        height: of the window.
        width: of the window.
    """
    H, W = change.shape[:2]
    best, found = 0.0, NO_BOX
    for top in range(0, H - height + 1, max(1, H // _POSITIONS)):
        for left in range(0, W - width + 1, max(1, W // _POSITIONS)):
            area = float(change[top : top + height, left : left + width].sum())
            if area > best:
                best, found = area, (left, top, left + width, top + height)
    return found


def leaves_trace(change: Change) -> bool:
    """Say whether a swap changed enough of a crop to be learnt from."""
    return int((change > _TRACE).sum()) > _TRACES_MIN


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a picture in which a window is looked for.

    Attributes:
        face: the landmarks' bounding box.
        around: the same enlarged, within the picture.
    """

    face: Box
    around: Box

    def of(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the cut of a picture or hard mask."""
        left, top, right, bottom = self.around
        return picture[top:bottom, left:right]


def face_cut(landmarks: Points, size: tuple[int, int]) -> Cut:
    """Return the surroundings of a face, a fifth wider and higher than it."""
    x0, y0 = (int(v) for v in landmarks.min(axis=0))
    x1, y1 = (int(v) for v in landmarks.max(axis=0))
    width, height = int(_CUT_ENLARGED * (x1 - x0)), int(_CUT_ENLARGED * (y1 - y0))
    # 1.2 - 1 is a little less than a fifth: 100 px give a margin of 9, as in the release.
    left = x0 - int((x1 - x0) * (_CUT_ENLARGED - 1) / 2)
    top = y0 - int((y1 - y0) * (_CUT_ENLARGED - 1) / 2)
    around = max(left, 0), max(top, 0), min(left + width, size[1]), min(top + height, size[0])
    return Cut((x0, y0, x1, y1), around)


def part_to_swap(
    fake: Image,
    real: Image,
    landmarks: Points,
    window: tuple[int, int],
    *,
    displaced: bool = False,
) -> Box:
    """Return the part of a face in which a fake differs most from its original.

    Args:
        fake: `(H, W, 3)` uint8.
        real: same size.
        landmarks: of the face in both, `(n, 2)` px.
        window: height and width of the part, one of `WINDOWS`, as if the face filled a crop.
        displaced: count from the corner of the face and not from that of its surroundings, by a
            slip of the release; the part then lies a tenth of a face too low and too far right.
    """
    size = fake.shape[:2]
    cut = face_cut(landmarks, (size[0], size[1]))
    change = structural_change(cut.of(fake), cut.of(real))
    inside = cut.of(hull_mask(landmarks, (size[0], size[1]))) > 0
    change = np.where(inside[..., None], change, 0)
    height, width = (window[i] * change.shape[i] // CROP_PX for i in (0, 1))
    left, top, right, bottom = most_changed(change, height, width)
    x, y = (cut.face if displaced else cut.around)[:2]
    return left + x, top + y, right + x, bottom + y


__all__ = [
    "NO_BOX",
    "WHOLE",
    "WINDOWS",
    "Box",
    "Change",
    "Cut",
    "HardMask",
    "Mask",
    "alpha_blend",
    "block_mask",
    "face_cut",
    "hull_mask",
    "leaves_trace",
    "middle",
    "most_changed",
    "part_to_swap",
    "poisson_blend",
    "rippled",
    "softened",
    "structural_change",
]
