"""Contact sheet of every kind of pseudo-fake of one clip, side by side.

Rows are values; drawing them with names and captions is the command line's work.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.data.degradations.video import Degradation
from styleflow.data.pseudo_fakes.kinds import KINDS, FaceClip, Kind, Materials
from styleflow.data.video import Frames
from styleflow.faces.align import Transform, fit, warp
from styleflow.faces.face import Image
from styleflow.faces.mesh import five_points

MOMENTS = 4
"""How many frames of a clip are shown."""

_SETTLE_FRAMES = 8  # as in live alignment: the settled anchor is the mean of so many frames
_GAIN = 4.0  # differences are small; this makes them visible


@dataclass(frozen=True, slots=True, eq=False)
class SheetRow:
    """One kind of pseudo-fake, or the real clip.

    Attributes:
        kind: its name; `real` for the clip itself.
        about: what it does, in a sentence.
        moments: aligned crops over the clip, `(MOMENTS, S, S, 3)` RGB uint8.
        replaced: the moment that differs most from the real clip, with what was replaced in red,
            `(S, S, 3)` RGB uint8.
        difference: how it differs, enlarged, grey where it does not, `(S, S, 3)` uint8.
        degraded: it after camera and codec, as a model sees it in training, `(S, S, 3)` RGB uint8.
    """

    kind: str
    about: str
    moments: Frames
    replaced: Image
    difference: Image
    degraded: Image


def sheet_rows(
    clip: FaceClip,
    materials: Materials,
    seed: int,
    size_px: int,
    degradation: Degradation,
    kinds: Mapping[str, Kind] = KINDS,
) -> tuple[SheetRow, ...]:
    """Return the real clip and a pseudo-fake of every kind.

    Args:
        clip: whose face is faked.
        materials: what the kinds draw from.
        seed: decides every draw; each kind has a generator of its own.
        size_px: side of the pictures.
        degradation: what camera and codec do to each row alike.
        kinds: which kinds.
    """
    points = [five_points(mesh.astype(np.float64)) for mesh in clip.meshes[:_SETTLE_FRAMES]]
    anchor = fit(np.mean(points, axis=0))
    rows = [_row("real", "The clip itself.", clip, clip.frames, None, anchor, size_px, degradation)]
    for number, (name, kind) in enumerate(kinds.items()):
        fake = kind(clip, materials, np.random.default_rng([seed, number]))
        about = (inspect.getdoc(kind) or "").partition("\n")[0]
        rows.append(_row(name, about, clip, fake.frames, fake.masks, anchor, size_px, degradation))
    return tuple(rows)


def _row(
    name: str,
    about: str,
    clip: FaceClip,
    frames: Frames,
    masks: NDArray[np.uint8] | None,
    anchor: Transform,
    size_px: int,
    degradation: Degradation,
) -> SheetRow:
    shown = np.linspace(0, len(frames) - 1, MOMENTS).round().astype(int)
    moments = np.stack([warp(frames[t], anchor, size_px) for t in shown])
    reals = np.stack([warp(clip.frames[t], anchor, size_px) for t in shown])
    # A kind may leave some frames nearly alone; the one that it changes most shows what it does.
    most = int(np.abs(moments.astype(np.int16) - reals).mean(axis=(1, 2, 3)).argmax())
    t = shown[most]
    mask = np.zeros(clip.size, np.uint8) if masks is None else masks[t]
    aligned_mask = warp(np.repeat(mask[..., None], 3, axis=-1), anchor, size_px)
    degraded = degradation.apply(frames)[t]
    vertical, horizontal = degraded.shape[0] / clip.size[0], degraded.shape[1] / clip.size[1]
    return SheetRow(
        name,
        about,
        moments,
        _in_red(moments[most], aligned_mask[..., 0]),
        _difference(reals[most], moments[most]),
        warp(degraded, _rescaled(anchor, vertical, horizontal), size_px),
    )


def _rescaled(anchor: Transform, vertical: float, horizontal: float) -> Transform:
    """Return an anchor for pictures of another size; cv2 counts from pixel centres.

    Args:
        anchor: for pictures as they were.
        vertical: new height over old.
        horizontal: new width over old.
    """
    turn = anchor[:, :2] / np.array([horizontal, vertical])
    half = np.array([horizontal, vertical]) / 2 - 0.5
    return np.column_stack([turn, anchor[:, 2] - turn @ half])


def _in_red(picture: Image, mask: NDArray[np.uint8]) -> Image:
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    share = mask[..., None].astype(np.float32) / 255 * 0.6
    mixed = grey * (1 - share) + np.array([230, 40, 40]) * share
    return np.asarray(mixed, np.uint8)


def _difference(real: Image, fake: Image) -> Image:
    shift = (fake.astype(np.float32) - real.astype(np.float32)) * _GAIN
    return np.asarray(np.clip(128 + shift, 0, 255), np.uint8)
