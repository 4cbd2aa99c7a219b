"""Offline rating of a clip: all pictures at hand, one face, no stream.

Training and the model card rate clips this way, on the frames that live video would sample. An
evaluation does both, so that what live video adds or loses (tracking, warming up, abstaining) is a
number: see `stream.offline.evaluate_clip` for the live way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from styleflow.data.video import FacePath, Frames, Times
from styleflow.detectors.protocol import Detector
from styleflow.faces.align import Anchoring
from styleflow.faces.crops.framing import framer
from styleflow.faces.device_picture import host
from styleflow.faces.face import AlignedFace, Box, Face, Image, TrackedFace
from styleflow.sampling import sample


@dataclass(frozen=True, slots=True)
class OfflineRating:
    """What the offline loop says of a clip.

    Attributes:
        end: logit after the last frame; None when there never was one.
        mean: mean of the logits that were asked for along the way; None likewise.
    """

    end: float | None
    mean: float | None


def rate_offline(
    detector: Detector,
    frames: Frames,
    path: FacePath | None,
    times: Times,
    hop: int,
    device: torch.device | str = "cpu",
    until_s: float = math.inf,
) -> OfflineRating:
    """Rate one clip by `push`, `reanchor` and `rate`.

    Args:
        detector: on `device`.
        frames: all pictures, `(T, H, W, 3)` RGB uint8.
        path: where the face is in each; None when there is none.
        times: media seconds of each picture, `(T,)`.
        hop: sampled frames from one rating to the next, at least 1; the last is always rated.
        device: where the detector's weights are.
        until_s: the first frame sampled at or after these media seconds is the last.
    """
    crops = _aligned(detector, frames, path, times, until_s) if path is not None else []
    logits = []
    with torch.inference_mode():
        row = torch.zeros(1, dtype=torch.int64, device=device)
        state = detector.init_state(1)
        detector.clear(state, row)
        before: int | None = None
        for number, (slot, face) in enumerate(crops, start=1):
            missing = 0 if before is None else slot - before - 1
            before = slot
            gap = torch.full_like(row, missing)
            detector.push(state, row, _batch(host(face.image), device), gap)
            if face.reanchored is not None:
                detector.reanchor(state, row, _batch(host(face.reanchored), device))
            if number % hop == 0 or number == len(crops):
                logits.append(float(detector.rate(state, row)[0]))
    usable = [logit for logit in logits if math.isfinite(logit)]
    if not usable:
        return OfflineRating(None, None)
    return OfflineRating(usable[-1], float(np.mean(usable)))


def _aligned(
    detector: Detector, frames: Frames, path: FacePath, times: Times, until_s: float
) -> list[tuple[int, AlignedFace]]:
    """Return the crops of the sampled frames that show a face, each with its grid slot."""
    clip = detector.clip
    cutter = framer(clip)
    anchoring: Anchoring | None = None
    crops = []
    for sampled in sample(times, clip.cadence_hz):
        t = sampled.item
        if path.found[t]:
            tracked = TrackedFace(0, _face(path, t))
            done = cutter.align(frames[t], tracked, sampled.at, anchoring)
            if done is not None:
                face, anchoring = done
                crops.append((sampled.slot, face))
        if sampled.at >= until_s:
            break
    return crops


def _face(path: FacePath, t: int) -> Face:
    mesh = path.meshes[t].astype(np.float64)
    (x0, y0), (x1, y1) = mesh.min(axis=0), mesh.max(axis=0)
    box = Box(float(x0), float(y0), float(x1), float(y1))
    return Face(box, path.points(t), 1.0, mesh)


def _batch(image: Image, device: torch.device | str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image))[None].to(device)
