"""A teacher for styleflow-live: a published detector says what it thinks of clips.

A detector too slow for every camera still knows things. It judges a few pictures of each clip, cut
out as it wants faces, and the heads are fitted to its probabilities beside the labels. Labels are
not looked at here: real and fake clips teach alike, and where the teacher is unsure, so shall the
student. Every opinion is kept in the work folder, because asking takes longer than fitting.

Source: Distilling the Knowledge in a Neural Network (Hinton et al., 2015), with two classes and a
temperature of one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from styleflow.data.video import FacePath, follow_face
from styleflow.detectors.protocol import Detector
from styleflow.detectors.registry import PUBLISHED
from styleflow.digest import file_digest
from styleflow.errors import VideosMissing
from styleflow.faces.crops.framing import Framer, framer
from styleflow.faces.device_picture import host
from styleflow.faces.face import Box, Face, Image, TrackedFace
from styleflow.faces.finder import FaceFinder
from styleflow.faces.mesh import five_points
from styleflow.training.progress import StepText, Tell
from styleflow.training.styleflow_live.looks import LookedAt, LookSpec, sampled_pictures
from styleflow.weights import importing
from styleflow.weights.checkpoint import build
from styleflow.weights.face_networks import load_finder
from styleflow.weights.places import fetched

TEACHERS = tuple(name for name in PUBLISHED if name.startswith(("gend-", "caddm-")))
"""Detectors that can teach: those that judge every frame alone, so that few pictures will do."""


@dataclass(frozen=True, slots=True)
class LessonSettings:
    """How much is asked of a teacher.

    Attributes:
        clips: how many it judges of those that are trained on; of those that validate, a quarter of
            that besides.
        pictures: how many of each clip.
    """

    clips: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    pictures: Annotated[int, Field(ge=1, le=100)] = 2


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """What a teacher says of the clips of a run: probabilities, NaN of those it says nothing of.

    Attributes:
        training: of the clips that are trained on, `(n,)`.
        validation: of those that validate, `(m,)`.
    """

    training: NDArray[np.float64]
    validation: NDArray[np.float64]


class Teacher:
    """A published detector that is asked about clips.

    Args:
        name: one of `TEACHERS`.
        file: its checkpoint; what `weights_of` finds when None.
        settings: how much is asked of it.
        spec: which pictures of a clip there are to choose from.
        work: folder of results.

    Raises:
        DetectorWeightsMissing: there is no such file; the error says which to fetch, and where.
        CheckpointInvalid: it cannot be used.
    """

    def __init__(
        self, name: str, file: Path | None, settings: LessonSettings, spec: LookSpec, work: Path
    ) -> None:
        self._detector, self._settings, self._spec = called(name, file), settings, spec
        about = f"{file_digest(weights_of(name, file))} {settings.pictures} {spec}"
        self._store = work / f"lessons-{hashlib.sha256(about.encode()).hexdigest()[:12]}"

    def lessons(
        self, training: Sequence[LookedAt], validation: Sequence[LookedAt], seed: int, tell: Tell
    ) -> Lessons:
        """Return what the teacher says of some clips, chosen by a seed.

        Raises:
            VideosMissing: it sees a face in none of those that are trained on.
            VideoUnusable: a clip cannot be read any more.
            OSError: the folder cannot be written.
        """
        self._store.mkdir(parents=True, exist_ok=True)
        most, finder = self._settings.clips, load_finder()
        made = Lessons(
            self._ask(training, most, seed, finder, tell),
            self._ask(validation, max(1, most // 4), seed, finder, tell),
        )
        if not np.isfinite(made.training).any():
            raise VideosMissing("clips with a face that the teacher can judge", len(training))
        return made

    def _ask(
        self, clips: Sequence[LookedAt], most: int, seed: int, finder: FaceFinder, tell: Tell
    ) -> NDArray[np.float64]:
        found = np.full(len(clips), np.nan)
        chosen = np.random.default_rng(seed).permutation(len(clips))[:most]
        for done, number in enumerate(chosen, start=1):
            found[number] = self._opinion(clips[number], finder)
            text = f"the teacher has judged {done} of {len(chosen)} clips"
            tell(StepText(text, "lessons", done, len(chosen)))
        return found

    def _opinion(self, clip: LookedAt, finder: FaceFinder) -> float:
        """Return a kept opinion, or ask for one and keep it."""
        path = self._store / f"{clip.path.stem}.txt"
        if not path.is_file():
            said = opinion(
                self._detector, clip.entry.path, self._spec, finder, self._settings.pictures
            )
            part = path.with_suffix(".part")
            part.write_text(repr(said), encoding="ascii")
            os.replace(part, path)
        return float(path.read_text(encoding="ascii"))


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
        file: its checkpoint; what `weights_of` finds when None.
        device: what computes.

    Raises:
        DetectorWeightsMissing: there is no such file; the error says which to fetch, and where.
        CheckpointInvalid: it cannot be used.
    """
    return build(importing.weights((weights_of(name, file),), name), device)


def opinion(
    teacher: Detector, video: Path, spec: LookSpec, finder: FaceFinder, pictures: int
) -> float:
    """Return how probably a teacher thinks a video fake; NaN where it sees no face.

    Args:
        teacher: judges every frame alone.
        video: the file.
        spec: which frames are sampled.
        finder: finds the face.
        pictures: how many of the sampled frames that show one are judged, evenly spread.

    Raises:
        VideoUnusable: it cannot be read.
    """
    images = [sampled.item[-1] for sampled in sampled_pictures(video, spec)]
    path = follow_face(images, finder)
    if path is None:
        return float("nan")
    seen = np.flatnonzero(path.found)
    chosen = np.unique(np.linspace(0, len(seen) - 1, pictures).round().astype(int))
    made = framer(teacher.clip)
    crops = [_crop(made, images[number], path, number) for number in seen[chosen]]
    return _judged(teacher, [crop for crop in crops if crop is not None])


def _judged(teacher: Detector, crops: Sequence[Image]) -> float:
    if not crops:
        return float("nan")
    state = teacher.init_state(1)
    with torch.no_grad():
        where = teacher.rate(state, torch.tensor([0])).device
        row = torch.zeros(1, dtype=torch.int64, device=where)
        for crop in crops:
            images = torch.from_numpy(np.ascontiguousarray(crop))[None].to(where)
            teacher.push(state, row, images, torch.zeros_like(row))
        return float(teacher.rate(state, row).double().sigmoid())


def _crop(made: Framer, image: Image, path: FacePath, number: int) -> Image | None:
    mesh = path.meshes[number].astype(np.float64)
    (x0, y0), (x1, y1) = mesh.min(0), mesh.max(0)
    face = Face(Box(float(x0), float(y0), float(x1), float(y1)), five_points(mesh), 1.0)
    done = made.align(image, TrackedFace(0, face), 0.0, None)
    return None if done is None else host(done[0].image)


def agreement(student: NDArray[Any], teacher: NDArray[np.float64]) -> float:
    """Return the rank correlation of a student's ratings and a teacher's opinions, -1 to 1.

    0 where there are too few clips to rank, or one of them says always the same.

    Args:
        student: ratings, `(n,)`.
        teacher: of the same clips; those of NaN are left out.
    """
    known = np.isfinite(teacher)
    ours, theirs = (_ranks(values[known]) for values in (student, teacher))
    if known.sum() < 2 or ours.std() == 0 or theirs.std() == 0:
        return 0.0
    return float(np.corrcoef(ours, theirs)[0, 1])


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return ranks, equal values sharing their mean."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return np.asarray((ends - (count - 1) / 2)[place], np.float64)
