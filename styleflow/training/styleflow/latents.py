"""Videos as StyleFlow is trained on them: clips under one alignment, and their style latents.

The style encoder is never trained here and costs more than everything that is (72 GMAC a picture),
so each clip is encoded once. The latents of one video are one array on disk, named by what it was
made from: landmarks and pictures of the video, how it was cut, what was done to its crops, and the
encoder's weights. Another run finds it; a change of any of them makes another file. Arrays are read
where they lie, clip by clip, so a data set may be larger than memory. Crops are not kept: they
follow from the video again, to the bit.

A clip starts at every multiple of `hop` frames at which a face is seen in all of its frames.
Every second one belongs to the *second set*: with a hop of half a clip, the first set is the
released program's clips without overlap, and the second lies between them.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from styleflow.clips import PspInput, WideCrop
from styleflow.data.prepared_video import Video
from styleflow.data.video import FacePath, Frames
from styleflow.detectors.styleflow.network import style_latents
from styleflow.detectors.styleflow.psp import PspEncoder
from styleflow.detectors.styleflow.style_levels import StyleLevels
from styleflow.faces.crops.clip_alignment import clip_transform
from styleflow.faces.crops.framing import plain_warp, wide_warp
from styleflow.weights.checkpoint import digest

_VERSION = 1  # counts up when the same video would give other latents

Latents = NDArray[np.float32]
"""Style latents of clips, `(n, T, levels, D)`, before the average is added."""

Alter = Callable[[Frames, np.random.Generator], Frames]
"""Does to the crops of one clip what cameras and codecs might have done; same shape and type."""


@dataclass(frozen=True, slots=True)
class ClipCutting:
    """How videos are cut into clips.

    Attributes:
        frames: length of a clip.
        hop: frames from one clip's first to the next one's.
        most: clips per video; where there are more, they are taken evenly, half from either set.
        altered: altered copies of each clip, beside the clip as it was filmed.
        psp_input: what the style encoder is fed.
    """

    frames: int = 32
    hop: int = 16
    most: int = 16
    altered: int = 0
    psp_input: PspInput = PspInput.CLIP

    def __post_init__(self) -> None:
        """Refuse what cuts no clips."""
        for name, least in (("frames", 2), ("hop", 1), ("most", 1), ("altered", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is at least {least}, not {getattr(self, name)}")

    def starts(self, path: FacePath) -> tuple[int, ...]:
        """Return the first frames of a video's clips: a face is seen in all of their frames."""
        last = len(path.found) - self.frames
        seen = [
            start
            for start in range(0, last + 1, self.hop)
            if path.found[start : start + self.frames].all()
        ]
        if len(seen) <= self.most:
            return tuple(seen)
        first = [start for start in seen if not self.in_second_set(start)]
        second = [start for start in seen if self.in_second_set(start)]
        half = self.most // 2
        return tuple(sorted(_evenly(first, self.most - half) + _evenly(second, half)))

    def in_second_set(self, start: int) -> bool:
        """Say whether the clip that starts here belongs to the second set."""
        return start // self.hop % 2 == 1


def _evenly(starts: Sequence[int], count: int) -> list[int]:
    """Return at most `count` of some starts, first and last included."""
    chosen = np.linspace(0, len(starts) - 1, min(count, len(starts))).round().astype(int)
    return [starts[i] for i in chosen]


@dataclass(frozen=True, slots=True)
class ClipPlace:
    """One clip of a video.

    Attributes:
        start: its first frame.
        copy: 0 as it was filmed, from 1 on an altered copy.
    """

    start: int
    copy: int


@dataclass(frozen=True, eq=False)
class StyleClips:
    """The clips of one video, with their latents.

    Attributes:
        video: where they come from.
        places: its clips, `n` of them.
        latents: theirs, in the same order, read from disk when they are looked at.
        cutting: how the video was cut.
        size_px: side of the style encoder's pictures.
        alter: makes altered copies.
        seed: decides what is done to them.
    """

    video: Video
    places: tuple[ClipPlace, ...]
    latents: Latents
    cutting: ClipCutting
    size_px: int
    alter: Alter | None
    seed: int

    def crops(self, number: int) -> Frames:
        """Return the crops of one clip, exactly those that its latents were made from.

        They are `(T, S, S, 3)` RGB uint8, framed for the cutting's `psp_input`.
        """
        place = self.places[number]
        crops = cut_clip(self.video, place.start, self.cutting, self.size_px)
        if place.copy and self.alter is not None:
            crops = self.alter(crops, np.random.default_rng([self.seed, place.start, place.copy]))
        return crops


def cut_clip(video: Video, start: int, cutting: ClipCutting, size_px: int) -> Frames:
    """Return the crops of one clip under one transform, `(T, S, S, 3)` RGB uint8.

    Args:
        video: what to cut.
        start: the clip's first frame.
        cutting: its length and its framing.
        size_px: side of the style encoder's pictures; S, or what lies inside S for FFHQ's framing.

    Source: StyleFlow and FTCN, released pre-processing.
    Departs: what lies beyond twice the face's box is picture here, as it is live, and black there.
    """
    numbers = range(start, start + cutting.frames)
    points = np.stack([video.path.points(number) for number in numbers])
    anchor = clip_transform(points, 256)
    wide = cutting.psp_input is PspInput.FFHQ
    side = WideCrop(size_px).size_px if wide else size_px
    cut = wide_warp if wide else plain_warp
    return np.stack([cut(frame, anchor, side) for frame in video.frames(numbers)])


class LatentCache:
    """Cuts videos into clips and knows their latents, from disk where it can.

    Args:
        folder: keeps one file per video; made where needed.
        psp: the style encoder, in evaluation, on the device that shall compute.
        levels: which styles are kept.
        cutting: how videos are cut.
        alter: makes altered copies; needed where the cutting asks for some.
        altering: names what `alter` does; another name makes other files.
        at_once: pictures that the encoder sees together; bounds its activations.
    """

    def __init__(
        self,
        folder: Path,
        psp: PspEncoder,
        levels: StyleLevels,
        cutting: ClipCutting,
        alter: Alter | None = None,
        altering: str = "",
        at_once: int = 8,
    ) -> None:
        if cutting.altered and alter is None:
            raise ValueError(f"{cutting.altered} altered copies, and nothing that alters")
        self._folder, self._psp, self._levels = folder, psp, levels
        self._cutting, self._alter, self._at_once = cutting, alter, at_once
        self._made_with = {
            "version": _VERSION,
            "encoder": digest(psp.state_dict()),
            "levels": levels.name,
            "cutting": asdict(cutting) | {"psp_input": cutting.psp_input.value},
            "altering": altering if cutting.altered else "",
        }

    def clips(self, video: Video) -> StyleClips | None:
        """Return the clips of a video; None when a face is never seen for a whole clip."""
        starts = self._cutting.starts(video.path)
        if not starts:
            return None
        places = tuple(
            ClipPlace(start, copy) for copy in range(1 + self._cutting.altered) for start in starts
        )
        key = self.key(video, starts)
        clips = StyleClips(
            video,
            places,
            np.zeros((0,), np.float32),
            self._cutting,
            self._psp.encoder.dims.size_px,
            self._alter,
            int(key[:8], 16),
        )
        file = self._folder / f"{key}.npy"
        if not file.is_file():
            self.write(clips, file)
        return replace(clips, latents=np.load(file, mmap_mode="r"))

    def key(self, video: Video, starts: Sequence[int]) -> str:
        """Return the name of a video's file.

        The pictures are told by the first and the last that are used, and by every landmark.
        """
        sha = hashlib.sha256(json.dumps(self._made_with, sort_keys=True).encode())
        sha.update(np.ascontiguousarray(video.path.meshes).data)
        sha.update(np.ascontiguousarray(video.path.found).data)
        ends = (starts[0], starts[-1] + self._cutting.frames - 1)
        sha.update(np.ascontiguousarray(video.frames(ends)).data)
        return sha.hexdigest()[:24]

    def write(self, clips: StyleClips, file: Path) -> None:
        """Encode clips and keep their latents in a file."""
        numbers = range(len(clips.places))
        latents = np.stack([self._encoded(clips.crops(number)) for number in numbers])
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".part", delete=False) as part:
            np.save(part, latents)
        os.replace(part.name, file)

    @torch.inference_mode()
    def _encoded(self, crops: Frames) -> Latents:
        images = torch.from_numpy(crops).to(self._psp.latent_avg.device)
        latents = style_latents(
            self._psp, images, self._levels, self._cutting.psp_input, at_once=self._at_once
        )
        return np.asarray(latents.cpu().numpy(), np.float32)
