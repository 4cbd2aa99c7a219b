"""A teacher for styleflow-live: a published detector says what it thinks of unlabelled video.

A detector too slow for every camera still knows things. It looks at a few frames of each window,
the student at all of them, and the student learns to say the same probability. Nobody's labels are
looked at: real and fake video teach alike, and where the teacher is unsure, so shall the student.

Source: Distilling the Knowledge in a Neural Network (Hinton et al., 2015), with two classes and a
temperature of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from styleflow.data.prepared_video import Video
from styleflow.data.pseudo_fakes.kinds import FaceClip
from styleflow.data.video import Frames
from styleflow.detectors.protocol import Detector
from styleflow.detectors.registry import PUBLISHED
from styleflow.detectors.styleflow_live.network import StyleFlowLive
from styleflow.errors import LabelsMissing
from styleflow.faces.align import warp
from styleflow.faces.crops.framing import Framer, framer
from styleflow.faces.face import Box, Face, TrackedFace
from styleflow.faces.mesh import five_points
from styleflow.sampling import sample
from styleflow.training.progress import Tell
from styleflow.training.styleflow_live.windows import WindowSpec, window_anchor
from styleflow.weights import importing
from styleflow.weights.checkpoint import build
from styleflow.weights.places import fetched

TEACHERS = tuple(name for name in PUBLISHED if name.startswith(("gend-", "caddm-")))
"""Detectors that can teach: those that judge every frame alone, so that few frames will do."""


@dataclass(frozen=True, slots=True)
class LessonSettings:
    """How much is asked of a teacher.

    Attributes:
        windows: how many it looks at in all; validation has a quarter of that besides.
        per_video: how many of one video at most.
        looks: frames of each window that it judges.
        frames: sampled frames of a window that the student sees at a time.
        clips: windows per batch.
    """

    windows: int = 256
    per_video: int = 4
    looks: int = 2
    frames: int = 8
    clips: int = 6


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One window and what the teacher thinks of it.

    Attributes:
        crops: as the student sees it, `(n, S, S, 3)` RGB uint8.
        logit: of the teacher; above 0 leans fake.
    """

    crops: Frames
    logit: float


def weights_of(name: str, file: Path | None = None) -> Path:
    """Return where a teacher's weights are looked for: in the work tree, else in the cache."""
    if file is not None:
        return file
    near = Path("weights") / f"{name}.safetensors"
    return near if near.is_file() else fetched(name) or near


def called(name: str, file: Path | None = None, device: str = "cpu") -> Detector:
    """Return a teacher, ready to be asked.

    Args:
        name: one of `TEACHERS`.
        file: its checkpoint; `weights/NAME.safetensors` when None.
        device: what computes.

    Raises:
        DetectorWeightsMissing: there is no such file; the error says which to fetch, and where.
        CheckpointInvalid: it cannot be used.
    """
    return build(importing.weights((weights_of(name, file),), name), device)


def lessons(
    videos: Sequence[Video],
    teacher: Detector,
    spec: WindowSpec,
    settings: LessonSettings,
    seed: int,
    tell: Tell,
) -> list[Lesson]:
    """Return windows of videos and what a teacher thinks of them; labels are not looked at.

    Args:
        videos: real or fake; those without a window in which every frame shows a face teach
            nothing.
        teacher: judges every frame alone.
        spec: how the student's windows are cut.
        settings: how many.
        seed: chooses.
        tell: told how far it is.
    """
    rng = np.random.default_rng(seed)
    made: list[Lesson] = []
    for number in rng.permutation(len(videos)):
        for start in _starts(videos[number], spec.frames, settings.per_video, rng):
            if len(made) == settings.windows:
                return made
            lesson = _lesson(videos[number], start, teacher, spec, settings.looks)
            made += [] if lesson is None else [lesson]
            if len(made) % 50 == 0:
                tell(f"the teacher has judged {len(made)} windows")
    return made


def _starts(video: Video, length: int, most: int, rng: np.random.Generator) -> list[int]:
    """Return where windows may begin in which every frame shows a face, a few, in order."""
    found = np.concatenate([[0], np.cumsum(video.path.found)])
    starts = np.flatnonzero(found[length:] - found[:-length] == length)
    chosen = rng.permutation(starts)[:most]
    return sorted(int(start) for start in chosen)


def _lesson(
    video: Video, start: int, teacher: Detector, spec: WindowSpec, looks: int
) -> Lesson | None:
    """Return one window and the teacher's logit; None where the teacher cannot see the face."""
    numbers = range(start, start + spec.frames)
    clip = FaceClip(video.frames(numbers), video.path.meshes[start : start + spec.frames])
    times = video.times[start : start + spec.frames] - video.times[start]
    sampled = [s.item for s in sample(times, spec.cadence_hz, ends=False)]
    logit = judged(teacher, clip, np.linspace(0, spec.frames - 1, looks).round().astype(int))
    if logit is None or not sampled:
        return None
    anchor = window_anchor(clip)
    crops = np.stack([warp(clip.frames[i], anchor, spec.size_px) for i in sampled])
    return Lesson(crops, logit)


def judged(teacher: Detector, clip: FaceClip, numbers: NDArray[np.int64]) -> float | None:
    """Return what a teacher says of some frames together; None where it sees no face."""
    made, state = framer(teacher.clip), teacher.init_state(1)
    crops = [_crop(made, clip, int(number)) for number in numbers]
    seen = [crop for crop in crops if crop is not None]
    if not seen:
        return None
    with torch.no_grad():
        where = teacher.rate(state, torch.tensor([0])).device
        row = torch.zeros(1, dtype=torch.int64, device=where)
        for crop in seen:
            images = torch.from_numpy(np.ascontiguousarray(crop))[None].to(where)
            teacher.push(state, row, images, torch.zeros_like(row))
        logit = float(teacher.rate(state, row))
    return logit if np.isfinite(logit) else None


def _crop(made: Framer, clip: FaceClip, number: int) -> Frames | None:
    mesh = clip.meshes[number].astype(np.float64)
    (x0, y0), (x1, y1) = mesh.min(0), mesh.max(0)
    face = Face(Box(float(x0), float(y0), float(x1), float(y1)), five_points(mesh), 1.0)
    done = made.align(clip.frames[number], TrackedFace(0, face), 0.0, None)
    return None if done is None else done[0].image


class DistilTask:
    """Say what the teacher says of windows, by style flow, attention and head.

    The encoder is held still, so that its latents remain style latents, and so is the content
    network: so few windows would teach it their people.

    Args:
        network: a StyleFlowLive; trained in place.
        training: windows that are trained on.
        held_out: windows of other people.
        settings: size of a batch.

    Raises:
        LabelsMissing: there is nothing to train on, or nothing to validate with.
    """

    def __init__(
        self,
        network: StyleFlowLive,
        training: Sequence[Lesson],
        held_out: Sequence[Lesson],
        settings: LessonSettings,
    ) -> None:
        for purpose, found in (("training", training), ("validation", held_out)):
            if not found:
                raise LabelsMissing(purpose, 0, 0)
        self.network: nn.Module = network
        self._training, self._held_out, self._settings = training, held_out, settings
        network.requires_grad_(requires_grad=False)
        for part in _taught(network):
            part.requires_grad_(requires_grad=True)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Return cross-entropy between every frame's probability and the teacher's."""
        network, settings = self.network, self._settings
        assert isinstance(network, StyleFlowLive)
        network.eval()  # normalisations of what is held still stay still too
        for part in _taught(network):
            part.train()
        chosen = rng.integers(len(self._training), size=settings.clips)
        batch = [self._training[number] for number in chosen]
        clips = torch.from_numpy(np.stack([_stretch(b.crops, settings.frames, rng) for b in batch]))
        logits = network.frame_logits(clips)[:, 1:]
        wanted = torch.tensor([b.logit for b in batch])[:, None].expand_as(logits)
        loss = functional.binary_cross_entropy_with_logits(logits, wanted.sigmoid())
        apart = float((logits.detach().sigmoid() - wanted.sigmoid()).abs().mean())
        return loss, {"apart": apart}

    def validate(self, network: nn.Module) -> float:
        """Return how alike student and teacher rank windows of other people, -1 to 1."""
        return agreement(network, self._held_out)


def agreement(network: nn.Module, taught: Sequence[Lesson]) -> float:
    """Return the rank correlation of a student's last ratings and a teacher's logits.

    0 where there are too few windows to rank, or one of them says always the same.
    """
    assert isinstance(network, StyleFlowLive)
    with torch.inference_mode():
        said = [float(network.score_clip(torch.from_numpy(t.crops)[None])[0, -1]) for t in taught]
    ours, theirs = (_ranks(np.array(x)) for x in (said, [t.logit for t in taught]))
    if ours.std() == 0 or theirs.std() == 0:
        return 0.0
    return float(np.corrcoef(ours, theirs)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks, equal values sharing their mean."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return np.asarray((ends - (count - 1) / 2)[place], np.float64)


def _taught(network: StyleFlowLive) -> list[nn.Module]:
    """Return the parts that learn from a teacher."""
    if network.content is None:
        return [network.style_gru, network.head_norm, network.head]
    return [network.style_gru, network.fusion]


def _stretch(crops: Frames, frames: int, rng: np.random.Generator) -> Frames:
    """Return some frames in a row; what a window lacks in length repeats its last frame."""
    start = int(rng.integers(max(1, len(crops) - frames + 1)))
    index = np.minimum(np.arange(start, start + frames), len(crops) - 1)
    return crops[index]
