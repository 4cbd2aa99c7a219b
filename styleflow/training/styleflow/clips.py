"""Clips that both stages of StyleFlow train on, drawn by label, and the rating of videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from styleflow.data.degradations.clips import random_crop_degradation
from styleflow.data.index import FAKE, REAL
from styleflow.data.prepared_video import Video
from styleflow.data.pseudo_fakes.blending import pick
from styleflow.data.video import Frames
from styleflow.detectors.styleflow.psp import PspDims, PspEncoder
from styleflow.detectors.styleflow.style_levels import StyleLevels
from styleflow.errors import LabelsMissing
from styleflow.training.progress import Tell
from styleflow.training.styleflow.latents import Alter, ClipCutting, LatentCache, StyleClips
from styleflow.weights.importing import load_styleflow_part

ALTERING = "half mirrored, all worn; 1"
"""Names what `altered` does, and counts up when that changes."""

_TOLD_EVERY = 50  # videos


def altered(crops: Frames, rng: np.random.Generator) -> Frames:
    """Return a clip as another camera might have filmed it, perhaps mirrored; one draw a clip."""
    if rng.random() < 0.5:
        crops = crops[:, :, ::-1]
    return random_crop_degradation(rng).apply(np.ascontiguousarray(crops), rng)


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip of a video."""

    clips: StyleClips
    number: int

    @property
    def latents(self) -> Tensor:
        """Its style latents, `(T, levels, D)`, on the CPU."""
        return torch.from_numpy(np.array(self.clips.latents[self.number]))

    @property
    def crops(self) -> Tensor:
        """Its crops, `(T, S, S, 3)` uint8, on the CPU."""
        return torch.from_numpy(self.clips.crops(self.number))


class ClipPool:
    """Clips to draw from, by label and by set.

    Args:
        videos: whose clips; both labels have to be among them.
        purpose: of the clips, for the error.

    Raises:
        LabelsMissing: there are not both labels.
    """

    def __init__(self, videos: Sequence[StyleClips], purpose: str = "training") -> None:
        labels = [clips.video.entry.label for clips in videos]
        if not {REAL, FAKE} <= set(labels):
            raise LabelsMissing(purpose, labels.count(REAL), labels.count(FAKE))
        self.videos = tuple(videos)
        self._by_set: dict[tuple[int, bool], list[Clip]] = {}
        for clips in videos:
            for number, place in enumerate(clips.places):
                second = clips.cutting.in_second_set(place.start)
                kept = self._by_set.setdefault((clips.video.entry.label, second), [])
                kept.append(Clip(clips, number))

    def draw(self, label: int, rng: np.random.Generator, *, second: bool | None = None) -> Clip:
        """Return any clip of a label.

        Args:
            label: 0 real, 1 fake.
            rng: chooses.
            second: from this set, where the label has clips in it; from either when None.
        """
        both = [self._by_set.get((label, which), []) for which in (False, True)]
        if second is not None and both[second]:
            return pick(rng, both[second])
        number = int(rng.integers(sum(map(len, both))))
        return both[0][number] if number < len(both[0]) else both[1][number - len(both[0])]


def gather(cache: LatentCache, videos: Sequence[Video], tell: Tell) -> list[StyleClips]:
    """Return the clips of videos, encoding those that are not in the cache yet.

    Videos without a clip are named to `tell` and left out.
    """
    kept: list[StyleClips] = []
    for done, video in enumerate(videos, start=1):
        clips = cache.clips(video)
        if clips is None:
            tell(f"{video.entry.path.name} is left out: no clip shows a face in every frame")
        else:
            kept.append(clips)
        if done % _TOLD_EVERY == 0 or done == len(videos):
            tell(f"style latents of {done} of {len(videos)} videos")
    return kept


def latent_cache(
    work: Path, psp: PspEncoder, levels: StyleLevels, cutting: ClipCutting
) -> LatentCache:
    """Return the cache of a work folder, which both stages share."""
    alter: Alter | None = altered if cutting.altered else None
    return LatentCache(work / "latents", psp, levels, cutting, alter, ALTERING)


def load_psp(path: Path, device: torch.device | str) -> PspEncoder:
    """Return the style encoder of the authors' file, in evaluation and held still.

    Raises:
        CheckpointInvalid: the file is not there, or is no pSp.
    """
    ported = load_styleflow_part(path, "pSp encoder")
    assert isinstance(ported.dims, PspDims)
    with torch.device("meta"):
        psp = PspEncoder(ported.dims)
    psp.load_state_dict(ported.tensors, assign=True)
    return psp.eval().requires_grad_(requires_grad=False).to(device)


@torch.inference_mode()
def rate_videos(
    videos: Sequence[StyleClips], rate: Callable[[Clip], float]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the label of every video and the mean logit of its clips as they were filmed."""
    labels, logits = [], []
    for clips in videos:
        plain = [n for n, place in enumerate(clips.places) if place.copy == 0]
        logits.append(float(np.mean([rate(Clip(clips, number)) for number in plain])))
        labels.append(clips.video.entry.label)
    return np.array(labels, np.int64), np.array(logits)
