"""One way to cut a face out for every detector, live and in training data alike.

A detector must see faces framed as in its training, so each clip names its `Framing` and this
module makes it. Anchored framings keep one transform per track (`align.py`); the others look at
each frame alone. What limits the evidence is measured under our own framing for all of them, so
that one set of limits serves every detector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.clips import ClipSpec, Framing, WideCrop
from styleflow.faces.align import (
    TEMPLATE_PX,
    Aligner,
    Anchoring,
    AnchorSettings,
    Cut,
    Transform,
    apply,
    fit,
    is_alignable,
    measure_quality,
    mirrored_warp,
    warp,
)
from styleflow.faces.crops.box import fakestormer_crop, shown_box
from styleflow.faces.crops.caddm import CROP_PX as CADDM_PX
from styleflow.faces.crops.caddm import caddm_crop, crop_to_image
from styleflow.faces.crops.clip_alignment import TEMPLATE_256
from styleflow.faces.crops.gend import crop_corners as gend_corners
from styleflow.faces.crops.gend import gend_crop
from styleflow.faces.device_picture import DevicePicture, P, Pixels, warped
from styleflow.faces.face import AlignedFace, Face, FaceQuality, Points, TrackedFace
from styleflow.overlay import Patch

QUALITY_PX = 128
"""Quality is measured on crops of this side; the engine's limits were found on them."""

Crop = Callable[[Pixels, Face], Pixels | None]
"""Cuts a face out of a picture, or says None when there is nothing to cut."""

_SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


class Framer(Protocol):
    """Cuts tracked faces out of pictures. Holds no track's state."""

    def align(
        self, image: Pixels, tracked: TrackedFace, at: float, before: Anchoring | None
    ) -> tuple[AlignedFace, Anchoring | None] | None:
        """Return a face as its detector wants it, and what its track's next frame needs.

        Args:
            image: the picture that the face was found in, `(H, W, 3)` RGB uint8.
            tracked: the face, and whose it is.
            at: media time of the picture.
            before: what the track's previous frame returned; None at its first.

        Returns:
            None when there is nothing to cut.
        """
        ...


def framer(clip: ClipSpec, settings: AnchorSettings | None = None) -> Framer:
    """Return what makes the crops of a clip.

    Args:
        clip: names the framing and the size.
        settings: when an anchor moves; only anchored framings have one.
    """
    match clip.framing:
        case Framing.ANCHORED:
            return Aligner(clip.size_px, settings, cut=mirrored_warp)
        case Framing.STYLEFLOW:
            return StyleFlowFramer(clip.size_px, settings)
        case Framing.STYLEFLOW_WIDE:
            return StyleFlowFramer(clip.size_px, settings, wide_warp)
        case Framing.CADDM:
            return FrameCropper(_caddm)
        case Framing.FAKESTORMER:
            return FrameCropper(lambda image, face: _fakestormer(image, face, clip.size_px))
        case Framing.GEND | Framing.GEND_BILINEAR:
            cubic = clip.framing is Framing.GEND
            return FrameCropper(lambda image, face: _gend(image, face, cubic=cubic))


class StyleFlowFramer:
    """Anchored crops on the template of StyleFlow and FTCN.

    Args:
        size_px: side of the square crops.
        settings: when an anchor moves.
        cut: makes the crop; `wide_warp` shows what FFHQ shows.

    Source: StyleFlow and FTCN, released pre-processing.
    Departs: the transform belongs to a track while it fits, where the authors fit one to each
    finished clip; for a still head they are the same. What lies beyond twice the face's box is
    picture here and black there.
    """

    def __init__(
        self, size_px: int, settings: AnchorSettings | None = None, cut: Cut | None = None
    ) -> None:
        self._aligner = Aligner(size_px, settings, TEMPLATE_256, cut or plain_warp)

    def align(
        self, image: Pixels, tracked: TrackedFace, at: float, before: Anchoring | None
    ) -> tuple[AlignedFace, Anchoring | None] | None:
        """Return the crop and the anchoring of the track's next frame; see `Framer`."""
        done = self._aligner.align(image, tracked, at, before)
        if done is None:
            return None
        face, anchoring = done
        quality = plain_quality(image, tracked.face)
        return replace(face, quality=quality), anchoring


class FrameCropper:
    """Crops each frame alone; there is nothing to remember.

    Args:
        crop: makes the crop.
    """

    def __init__(self, crop: Crop) -> None:
        self._crop = crop

    def align(
        self, image: Pixels, tracked: TrackedFace, at: float, before: Anchoring | None
    ) -> tuple[AlignedFace, Anchoring | None] | None:
        """Return the crop; see `Framer`."""
        if not is_alignable(tracked.face.points):
            return None
        crop = self._crop(image, tracked.face)
        if crop is None:
            return None
        quality = plain_quality(image, tracked.face)
        return AlignedFace(tracked.track, tracked.face, crop, None, quality), before


def plain_quality(image: Pixels, face: Face) -> FaceQuality:
    """Return what limits the evidence of a face, measured under our own framing."""
    return measure_quality(warp(image, fit(face.points), QUALITY_PX), face)


def plain_warp(image: P, anchor: Transform, size_px: int) -> P:
    """Return the crop that an anchor cuts out, bilinear however large the face is.

    `warp` averages first what a strong reduction would alias; the published weights were trained
    without.
    """
    transform = anchor * (size_px / TEMPLATE_PX)
    return warped(image, transform, (size_px, size_px))


def wide_warp(image: P, anchor: Transform, size_px: int) -> P:
    """Return what FFHQ's framing shows round the crop that an anchor cuts out, as `plain_warp`.

    Departs: FFHQ frames every picture by its own landmarks, whose jitter would look like style
    moving; here the frame follows the anchor. What lies beyond the picture is black, as for the
    content branch, and not FFHQ's blurred mirror image (`ffhq_crop` has that).

    Args:
        image: `(H, W, 3)` uint8.
        anchor: image to the template of 256 pixels.
        size_px: side of the crop, one that a `WideCrop` has.
    """
    wide = WideCrop.of_size(size_px)
    transform = anchor * (wide.inner_px / TEMPLATE_PX)
    transform[:, 2] += (wide.left_px, wide.top_px)
    crop = warped(image, transform, (size_px, size_px))
    # The same once more inside: sampling rounds places, and the content branch wants its own.
    rows = slice(wide.top_px, wide.top_px + wide.inner_px)
    columns = slice(wide.left_px, wide.left_px + wide.inner_px)
    inner = plain_warp(image, anchor, wide.inner_px)
    if isinstance(crop, DevicePicture) and isinstance(inner, DevicePicture):
        return cast(P, crop.pasted(rows, columns, inner))
    cast(NDArray[np.uint8], crop)[rows, columns] = cast(NDArray[np.uint8], inner)
    return crop


def _caddm(image: Pixels, face: Face) -> Pixels | None:
    return caddm_crop(image, face.points)


def _fakestormer(image: Pixels, face: Face, size_px: int) -> Pixels | None:
    try:
        return fakestormer_crop(image, face.box, size_px)
    except (ValueError, OverflowError):  # outside the picture, or no box at all
        return None


def _gend(image: Pixels, face: Face, *, cubic: bool) -> Pixels | None:
    try:
        return gend_crop(image, face.points, cubic=cubic)
    except ValueError:  # points that fall together
        return None


def crop_corners(aligned: AlignedFace, clip: ClipSpec, width: int, height: int) -> Points:
    """Return where a face's crop lies in its picture.

    Args:
        aligned: the face, with its crop.
        clip: the crop's framing.
        width: of the picture, pixels.
        height: of the picture, pixels.

    Returns:
        The corners of `aligned.image`, clockwise from its top left, in picture pixels, `(4, 2)`.

    Raises:
        ValueError: an anchored framing, but the face does not say which anchor.
    """
    face = aligned.face
    match clip.framing:
        case Framing.CADDM:
            whole = np.array([[0.0, 0.0, CADDM_PX, CADDM_PX]])
            return np.asarray(crop_to_image(whole, face.points)[0], np.float64)
        case Framing.FAKESTORMER:
            shown = shown_box(face.box, width, height)
            corners = [(shown.x0, shown.y0), (shown.x1, shown.y0)]
            corners += [(shown.x1, shown.y1), (shown.x0, shown.y1)]
            return np.array(corners, np.float64)
        case Framing.GEND | Framing.GEND_BILINEAR:
            return gend_corners(face.points)
        case Framing.ANCHORED | Framing.STYLEFLOW | Framing.STYLEFLOW_WIDE:
            if aligned.anchor is None:
                raise ValueError(f"a crop framed as {clip.framing.value} needs its anchor")
            back = np.asarray(cv2.invertAffineTransform(aligned.anchor), np.float64)
            return apply(back, _on_template(clip))


def in_picture(patches: Sequence[Patch], corners: Points) -> Points:
    """Return where patches of a crop lie in its picture.

    Args:
        patches: of one crop.
        corners: where the crop lies, from `crop_corners`, `(4, 2)`; no framing skews a crop, so
            three of them say it all.

    Returns:
        The four corners of each, clockwise from the top left, in picture pixels, `(K, 4, 2)`.
    """
    boxes = np.array([(p.x0, p.y0, p.x1, p.y1) for p in patches], np.float64).reshape(-1, 4)
    quads = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]  # (K, 4, 2), in crop sides
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    return np.asarray(quads @ np.stack([across, down]) + corners[0], np.float64)


def _on_template(clip: ClipSpec) -> Points:
    """Return the corners of an anchored crop on the template, `(4, 2)` template pixels."""
    if clip.framing is not Framing.STYLEFLOW_WIDE:
        return _SQUARE * TEMPLATE_PX
    wide = WideCrop.of_size(clip.size_px)
    corners = _SQUARE * clip.size_px - (wide.left_px, wide.top_px)
    return np.asarray(corners * (TEMPLATE_PX / wide.inner_px), np.float64)
