"""Features of looks: what the frozen encoder makes of every kept crop, computed once.

Fitting heads takes seconds and encoding takes minutes, so what comes out of the encoder is kept, a
file per clip. It is computed by live video's runtime, in half precision.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from styleflow.data.index import Entry
from styleflow.detectors.styleflow_live.face_encoder import FaceEncoder
from styleflow.detectors.styleflow_live.network import StyleFlowLiveDims
from styleflow.runtime import accelerated, reduced
from styleflow.runtime_settings import Precision, RuntimeSettings
from styleflow.training.styleflow_live.looks import LookedAt
from styleflow.weights import cache as published
from styleflow.weights.checkpoint import digest
from styleflow.weights.face_networks import graphs_dir

Features = NDArray[np.float16]
"""Statistics of looks, `(n, blocks, 4, D)`; see `FaceEncoder`."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Which looks of a clip are encoded: a few runs of neighbours, spread evenly over the clip.

    Neighbours show how style moves, and the distance between runs what else a clip has to show.

    Attributes:
        count: runs per clip.
        length: looks per run.
    """

    count: int = 2
    length: int = 3

    def __post_init__(self) -> None:
        """Refuse what chooses nothing."""
        if self.count < 1 or self.length < 1:
            raise ValueError(f"runs and their length are one at least, not {self}")

    def of(self, looks: int) -> list[int]:
        """Return the numbers of the chosen looks of a clip that has so many, rising."""
        starts = np.linspace(0, max(looks - self.length, 0), self.count).round().astype(int)
        chosen = {int(s) + n for s in starts for n in range(self.length)}
        return sorted(number for number in chosen if number < looks)


EVERY_LOOK = Runs(1, 200)
"""One run that is longer than any clip that is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipFeatures:
    """One clip after the encoder.

    Attributes:
        entry: its label, group, generator and source.
        slots: where the encoded looks lie on the cadence grid, `(n,)` int64.
        looks: of every encoded look.
        clean: of the look that was degraded, `(blocks, 4, D)`.
        degraded: of that look in every kind, `(K, blocks, 4, D)`; none of fakes.
    """

    entry: Entry
    slots: NDArray[np.int64]
    looks: Features
    clean: Features
    degraded: Features

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean over the looks, `(blocks, 4, D)`: what a linear head needs to rate the clip."""
        return np.asarray(self.looks.astype(np.float64).mean(axis=0))


def encode_all(
    clips: Sequence[LookedAt],
    dims: StyleFlowLiveDims,
    runs: Runs,
    work: Path,
    processes: int = 1,
    observe: Callable[[int, int], None] | None = None,
) -> tuple[ClipFeatures, ...]:
    """Return the features of clips; what the work folder has of them is kept.

    Args:
        clips: their looks.
        dims: of the network; its encoder stands on published weights.
        runs: which looks are encoded.
        work: folder of results.
        processes: crops that are encoded at a time.
        observe: told how many are done, and of how many.

    Raises:
        WeightsMissing: the published weights are not on this machine.
        OSError: the folder cannot be written.
    """
    folder = work / _name(dims, runs)
    folder.mkdir(parents=True, exist_ok=True)
    encoder: nn.Module | None = None
    made = []
    for number, clip in enumerate(clips, start=1):
        path = folder / clip.path.name
        if not path.is_file():
            encoder = encoder or feature_encoder(dims, processes)
            _keep(clip, runs, encoder, path)
        with np.load(path) as kept:
            features = (kept[name] for name in ("slots", "looks", "clean", "degraded"))
            made.append(ClipFeatures(clip.entry, *features))
        if observe is not None:
            observe(number, len(clips))
    return tuple(made)


def feature_encoder(dims: StyleFlowLiveDims, processes: int) -> nn.Module:
    """Return the frozen encoder in live video's runtime; see `FaceEncoder`.

    Raises:
        WeightsMissing: the published weights are not on this machine.
    """
    shape = (dims.backbone, dims.blocks, dims.size_px)
    encoder = FaceEncoder.of(*shape, published.dinov2()).eval().requires_grad_(requires_grad=False)
    settings = RuntimeSettings(workers=processes, cache=graphs_dir(), bearing=Precision.BFLOAT16)
    return accelerated(encoder, reduced(settings, encoder))


def _keep(clip: LookedAt, runs: Runs, encoder: nn.Module, path: Path) -> None:
    looks = clip.looks()
    chosen = runs.of(len(looks.slots))
    clean = looks.crops[[looks.degraded_look]]
    pictures = np.concatenate([looks.crops[chosen], clean, looks.degraded])
    with torch.inference_mode():
        statistics, _ = encoder(torch.from_numpy(pictures))
    features = statistics.numpy().astype(np.float16)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        count = len(chosen)
        np.savez(
            file,
            slots=looks.slots[chosen],
            looks=features[:count],
            clean=features[count],
            degraded=features[count + 1 :],
        )
    os.replace(part, path)


def _name(dims: StyleFlowLiveDims, runs: Runs) -> str:
    """Return the folder's name: all that features depend on beside the crops."""
    said = f"{dims.backbone} {dims.blocks} {dims.size_px} {runs} "
    said += digest(published.dinov2())  # of the tensors: the same file is not written twice alike
    return "features-" + hashlib.sha256(said.encode()).hexdigest()[:12]
