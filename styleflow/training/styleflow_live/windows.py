"""Training windows: a real stretch of video and pseudo-fakes of it, damaged alike and aligned.

A window is two seconds of one clip under one anchor, cropped at a detector's cadence. The real
member goes through the same camera and codec degradation as its fakes, with the same draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.data.degradations.video import Degradation
from styleflow.data.pseudo_fakes.kinds import FaceClip, Materials, make
from styleflow.data.video import Frames, Times
from styleflow.faces.align import Transform, fit, warp
from styleflow.faces.mesh import five_points
from styleflow.sampling import sample

_SETTLE_FRAMES = 8  # as in live alignment: the settled anchor is the mean of so many frames
_RATE_OF_STRIDES = 25.0  # frames a second that strides are told for
MASK_STRIDE = 8  # masks are kept this many times smaller than crops


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """How windows are cut.

    Attributes:
        frames: length in source frames.
        stride: source frames per sampled frame of a video of 25 frames a second; videos of other
            rates are sampled at the same cadence.
        size_px: side of the crops.
    """

    frames: int = 50
    stride: int = 2
    size_px: int = 192

    @property
    def cadence_hz(self) -> float:
        """Sampled frames per second of media time."""
        return _RATE_OF_STRIDES / self.stride


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One member of a family of windows: real, or one pseudo-fake.

    Attributes:
        kind: of pseudo-fake; empty for the real one.
        crops: aligned crops, `(n, S, S, 3)` RGB uint8.
        masks: what was replaced, `(n, S / 8, S / 8)` uint8; zero for the real one.
    """

    kind: str
    crops: Frames
    masks: NDArray[np.uint8]


def make_family(
    clip: FaceClip,
    times: Times,
    kinds: Sequence[str],
    materials: Materials,
    degradation: Degradation,
    rng: np.random.Generator,
    spec: WindowSpec,
) -> tuple[Window, ...]:
    """Return a real window and one pseudo-fake of each kind, real first.

    Args:
        clip: `spec.frames` pictures with landmarks.
        times: media seconds of each picture, `(T,)`.
        kinds: which pseudo-fakes.
        materials: what they draw from.
        degradation: what happens to every member alike.
        rng: chooses.
        spec: how windows are cut.
    """
    anchor = window_anchor(clip)
    blank = np.zeros(clip.frames.shape[:3], np.uint8)
    # The video goes on after the window, so its last frame is not sampled for being the last.
    sampled = [s.item for s in sample(times, spec.cadence_hz, ends=False)]
    members = [_finish("", clip.frames, blank, anchor, degradation, sampled, spec.size_px)]
    for kind in kinds:
        fake = make(kind, clip, materials, rng)
        members.append(
            _finish(kind, fake.frames, fake.masks, anchor, degradation, sampled, spec.size_px)
        )
    return tuple(members)


def window_anchor(clip: FaceClip) -> Transform:
    """Return the anchor that live video would settle on at the start of a clip."""
    points = [five_points(mesh.astype(np.float64)) for mesh in clip.meshes[:_SETTLE_FRAMES]]
    return fit(np.mean(points, axis=0))


def _finish(
    kind: str,
    frames: Frames,
    masks: NDArray[np.uint8],
    anchor: Transform,
    degradation: Degradation,
    sampled: list[int],
    size_px: int,
) -> Window:
    degraded = degradation.apply(frames)[sampled]
    height, width = frames.shape[1:3]
    scaled = rescaled(anchor, degraded.shape[1] / height, degraded.shape[2] / width)
    crops = np.stack([warp(frame, scaled, size_px) for frame in degraded])
    small = size_px // MASK_STRIDE
    shown = masks[degradation.shown(len(masks))]
    cropped = [warp_mask(mask, anchor, small) for mask in shown[sampled]]
    return Window(kind, crops, np.stack(cropped))


def warp_mask(mask: NDArray[np.uint8], anchor: Transform, size_px: int) -> NDArray[np.uint8]:
    """Return a mask cropped and averaged down to `(size_px, size_px)`."""
    large = warp(np.repeat(mask[..., None], 3, axis=-1), anchor, size_px * 4)[..., 0]
    small = cv2.resize(large, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def rescaled(anchor: Transform, vertical: float, horizontal: float) -> Transform:
    """Return an anchor for pictures of another size; cv2 counts from pixel centres.

    Args:
        anchor: for pictures as they were.
        vertical: new height over old.
        horizontal: new width over old.
    """
    turn = anchor[:, :2] / np.array([horizontal, vertical])
    half = np.array([horizontal, vertical]) / 2 - 0.5
    return np.column_stack([turn, anchor[:, 2] - turn @ half])
