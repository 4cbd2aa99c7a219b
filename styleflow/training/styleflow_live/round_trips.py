"""Round trips: faces of real clips through a diffusion model's auto-encoder, as pseudo-fakes.

One look of each real clip goes through the auto-encoder (`autoencoder.py`); of what comes back the
face is pasted into the look, matched to it in colour, with a soft edge. What that adds to the
look's statistics, added to the clip's, is the vector of a fake that shares everything with its real
clip but the decoder's traces. Results are kept, a file per clip.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from styleflow.data.index import REAL
from styleflow.detectors.styleflow_live.network import StyleFlowLiveDims
from styleflow.digest import file_digest
from styleflow.faces.align import TEMPLATE_PX
from styleflow.faces.face import Image
from styleflow.training.styleflow_live.autoencoder import (
    DECODER,
    ENCODER,
    MULTIPLE,
    TinyAutoencoder,
)
from styleflow.training.styleflow_live.features import feature_encoder
from styleflow.training.styleflow_live.looks import LookedAt
from styleflow.training.threads import always_as_many_threads
from styleflow.weights import cache as published
from styleflow.weights.checkpoint import digest

_VERSION = 2  # counts up when the same look would come back otherwise
# The face in an aligned crop, brows to chin, in template pixels.
_CENTRE, _AXES = (128, 150), (56, 75)
_EDGE = 1 / 40  # softness of its edge, in sides of the crop

Shift = NDArray[np.float64]
"""What a round trip adds to a look's statistics, `(blocks, 4, D)`."""


def round_trips(
    clips: Sequence[LookedAt],
    dims: StyleFlowLiveDims,
    folder: Path,
    work: Path,
    processes: int = 1,
    observe: Callable[[int, int], None] | None = None,
) -> list[Shift | None]:
    """Return what round trips add to the statistics of each clip; None for fakes.

    Args:
        clips: their looks.
        dims: of the network; its encoder stands on published weights.
        folder: has the auto-encoder's weights.
        work: folder of results; what it has of them is kept.
        processes: crops that are encoded at a time.
        observe: told how many are done, and of how many.

    Raises:
        WeightsMissing: the published weights are not on this machine.
        WeightsUnusable: the folder has no auto-encoder.
        OSError: the work folder cannot be written.
    """
    trips = TinyAutoencoder(folder)
    store = work / _name(dims, folder)
    store.mkdir(parents=True, exist_ok=True)
    encoder: torch.nn.Module | None = None
    made: list[Shift | None] = []
    for number, clip in enumerate(clips, start=1):
        path = store / clip.path.with_suffix(".npy").name
        if clip.entry.label != REAL:
            made.append(None)
        else:
            if not path.is_file():
                encoder = encoder or feature_encoder(dims, processes)
                _keep(clip, trips, encoder, path)
            made.append(np.load(path))
        if observe is not None:
            observe(number, len(clips))
    return made


def redrawn(look: Image, trips: TinyAutoencoder) -> Image:
    """Return an aligned crop, `(S, S, 3)`, whose face has been through an auto-encoder."""
    side = look.shape[0]
    spare = -side % MULTIPLE
    padded = np.pad(look, ((0, spare), (0, spare), (0, 0)), mode="edge")
    with always_as_many_threads():
        back = trips.round_trip(padded[None])[0, :side, :side].astype(np.float64)
    mask = _face(side)
    inside = mask[..., 0] > 0.5
    wanted, found = look[inside].astype(np.float64), back[inside]
    scale = wanted.std(axis=0) / (found.std(axis=0) + 1e-3)
    matched = np.clip((back - found.mean(axis=0)) * scale + wanted.mean(axis=0), 0, 255)
    return np.asarray((look * (1 - mask) + matched * mask).round(), np.uint8)


def _face(side: int) -> NDArray[np.float32]:
    """Return how much of each pixel is the face's, `(S, S, 1)`."""
    scale = side / TEMPLATE_PX
    centre, axes = (tuple(round(v * scale) for v in pair) for pair in (_CENTRE, _AXES))
    mask = cv2.ellipse(np.zeros((side, side), np.float32), centre, axes, 0, 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), side * _EDGE), np.float32)[..., None]


def _keep(clip: LookedAt, trips: TinyAutoencoder, encoder: torch.nn.Module, path: Path) -> None:
    looks = clip.looks()
    look = looks.crops[looks.degraded_look]
    with torch.inference_mode():
        statistics, _ = encoder(torch.from_numpy(np.stack([look, redrawn(look, trips)])))
    clean, changed = statistics.double().numpy()
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, changed - clean)
    os.replace(part, path)


def _name(dims: StyleFlowLiveDims, folder: Path) -> str:
    """Return the folder's name: all that results depend on beside the crops."""
    said = f"{_VERSION} {dims.backbone} {dims.blocks} {dims.size_px} "
    said += " ".join(file_digest(folder / name) for name in (ENCODER, DECODER))
    said += digest(published.dinov2())
    return "round-trips-" + hashlib.sha256(said.encode()).hexdigest()[:12]
