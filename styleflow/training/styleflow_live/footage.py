"""Faces, stills and clips as prepared videos hold them, in the forms that training wants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from styleflow.data.index import REAL, STILLS, groups_of
from styleflow.data.prepared_video import Video
from styleflow.data.pseudo_fakes.kinds import Portrait
from styleflow.data.pseudo_fakes.restyling import face_anchor
from styleflow.data.video import crop, plan_crops
from styleflow.errors import LabelsMissing
from styleflow.faces.align import warp
from styleflow.faces.face import Image

_PORTRAIT_EVERY = 45  # frames between the pictures of one clip that lend a face
_PICTURE_EVERY = 3  # frames between the pictures that pairs are made of
_FACE_EVERY = 2  # sampled frames between the faces of one clip that styles are learned from
_STILL_EVERY = 12  # so many stills are skipped for each that lends a face
_PATCH_PICTURES = 12  # frames between pictures that patch auto-encoders learn from


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """What one run is trained and validated with.

    Attributes:
        training: real videos that are trained on.
        held_out: real videos of other people, which validate and calibrate.
        stills: still faces of yet other people.
    """

    training: tuple[Video, ...]
    held_out: tuple[Video, ...]
    stills: tuple[Portrait, ...]

    @classmethod
    def of(cls, training: Sequence[Video], validation: Sequence[Video]) -> Footage:
        """Return the real ones of prepared videos; stills are among those that are trained on.

        Raises:
            LabelsMissing: there is nothing to train on or nothing to validate with.
        """
        videos = tuple(v for v in training if v.entry.split != STILLS and v.entry.label == REAL)
        held_out = tuple(v for v in validation if v.entry.label == REAL)
        for purpose, found in (("training", videos), ("validation", held_out)):
            if not found:
                raise LabelsMissing(purpose, 0, 0)
        stills = [v for v in training if v.entry.split == STILLS]
        return cls(videos, held_out, tuple(p for v in stills for p in portraits(v, [0])))

    def groups(self) -> tuple[str, ...]:
        """Return the groups that are trained on."""
        return groups_of(video.entry for video in self.training)


def length(video: Video) -> int:
    """Return how many frames a video has."""
    return len(video.path.found)


def portraits(video: Video, numbers: Sequence[int]) -> list[Portrait]:
    """Return some frames of a video with their landmarks."""
    meshes = video.path.meshes
    pictures = zip(numbers, video.frames(numbers), strict=True)
    return [Portrait(picture, meshes[number]) for number, picture in pictures]


def lent_faces(footage: Footage, videos: Iterable[Video]) -> list[Portrait]:
    """Return faces that pseudo-fakes of some videos may borrow: some stills, and their own."""
    lent = list(footage.stills[::_STILL_EVERY])
    for video in videos:
        lent += portraits(video, range(0, length(video), _PORTRAIT_EVERY))
    return lent


def patch_pictures(videos: Iterable[Video]) -> list[Image]:
    """Return the pictures that patch auto-encoders learn from."""
    return [
        picture
        for video in videos
        for picture in video.frames(range(0, length(video), _PATCH_PICTURES))
    ]


def filmed_people(videos: Iterable[Video]) -> dict[tuple[str, str], list[Portrait]]:
    """Return frames that show a face, by source and group."""
    filmed: dict[tuple[str, str], list[Portrait]] = {}
    for video in videos:
        shown = [t for t in range(0, length(video), _PICTURE_EVERY) if video.path.found[t]]
        person = (video.entry.source, video.entry.group)
        filmed.setdefault(person, []).extend(portraits(video, shown))
    return filmed


def still_faces(stills: Iterable[Portrait], size_px: int) -> NDArray[np.uint8]:
    """Return aligned still faces, `(n, size_px, size_px, 3)`; there is one at least."""
    return np.stack([warp(still.image, face_anchor(still.mesh), size_px) for still in stills])


def filmed_faces(video: Video, cadence_hz: float, crop_px: int, shrink: int) -> NDArray[np.uint8]:
    """Return faces of a video, aligned as in live video and `shrink` times smaller."""
    plan = plan_crops(video.path, video.times, cadence_hz)
    chosen = plan.frames[::_FACE_EVERY]
    pictures = video.frames([int(number) for number in chosen])
    anchors = list(plan.arriving[::_FACE_EVERY])
    return shrunk(crop(pictures, np.arange(len(chosen)), anchors, crop_px), shrink)


def shrunk(crops: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    """Return crops `times` smaller, as `StyleFlowLive` shrinks them, `(n, s, s, 3)` uint8."""
    n, side = len(crops), crops.shape[1] // times
    tiles = crops.reshape(n, side, times, side, times, 3).astype(np.float32)
    return np.asarray(np.round(tiles.mean(axis=(2, 4))), np.uint8)
