"""From video files to what a recipe trains on: landmarks of every frame, and aligned crops.

Faces are found, followed and aligned by the code that live video uses. Landmarks cost most, so
they are kept in a cache folder, one file per video, named by the video's content and by the
version of this work: a second run finds them and an interrupted one goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.errors import VideoUnusable
from styleflow.faces.align import Anchoring, Transform, warp
from styleflow.faces.face import Face, Image, Points
from styleflow.faces.finder import FaceFinder
from styleflow.faces.mesh import five_points

Frames = NDArray[np.uint8]
"""Consecutive pictures of one video, `(T, H, W, 3)` RGB uint8."""

_VERSION = 1  # counts up when the same file would give other landmarks
_MESH_POINTS = 468
_BLOCK = 1 << 20  # bytes of a file that are held at a time while it is hashed


@dataclass(frozen=True, slots=True, eq=False)
class FacePath:
    """Where the face of a video is in every frame.

    Attributes:
        meshes: landmarks in image pixels, `(T, 468, 2)` float32; where none were found, those of
            the nearest frame before (or after) are repeated.
        found: in which frames there was a face, `(T,)` bool.
    """

    meshes: NDArray[np.float32]
    found: NDArray[np.bool_]

    def points(self, frame: int) -> Points:
        """Return the five points of a frame, `(5, 2)`."""
        return five_points(self.meshes[frame].astype(np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class CropPlan:
    """Which frames a detector samples, and under which anchors.

    Where the anchor moves at a sampled frame, that frame is cropped under both.

    Attributes:
        frames: indices of the sampled frames, `(n,)`.
        arriving: anchors under which the delta *into* each frame is taken, `(n, 2, 3)`.
        leaving: anchors under which the delta *out of* each frame is taken, `(n, 2, 3)`.
    """

    frames: NDArray[np.int64]
    arriving: NDArray[np.float64]
    leaving: NDArray[np.float64]

    @property
    def moved(self) -> NDArray[np.bool_]:
        """At which samples the anchor moves, `(n,)`."""
        return np.asarray((self.arriving != self.leaving).any(axis=(1, 2)))


def read_frames(path: Path, limit: int | None = None) -> Frames:
    """Return the pictures of a video, in order.

    Args:
        path: any file that FFmpeg reads.
        limit: at most so many; all when None.

    Raises:
        VideoUnusable: it cannot be opened or decoded, or holds no picture.
    """
    return np.stack(list(stream_frames(path, limit)))


def stream_frames(path: Path, limit: int | None = None) -> Iterator[Image]:
    """Yield the pictures of a video, in order, one at a time in memory.

    Args:
        path: any file that FFmpeg reads.
        limit: at most so many; all when None.

    Raises:
        VideoUnusable: it cannot be opened or decoded, or holds no picture.
    """
    empty = True
    try:
        with av.open(str(path)) as container:
            for picture in _pictures(container, limit):
                empty = False
                yield picture
    except (av.FFmpegError, OSError, IndexError) as error:
        raise VideoUnusable(path, str(error)) from error
    if empty:
        raise VideoUnusable(path, "it holds no picture")


def frame_rate(path: Path) -> float:
    """Return how many frames a second a video claims to have; opens it and decodes nothing.

    Raises:
        VideoUnusable: it cannot be opened, holds no video, or does not say.
    """
    try:
        with av.open(str(path)) as container:
            rate = container.streams.video[0].average_rate
    except (av.FFmpegError, OSError, IndexError) as error:
        raise VideoUnusable(path, str(error)) from error
    if not rate:
        raise VideoUnusable(path, "it does not say how many frames a second it has")
    return float(rate)


def _pictures(container: av.container.InputContainer, limit: int | None) -> Iterator[Image]:
    container.streams.video[0].thread_type = "NONE"
    for index, frame in enumerate(container.decode(video=0)):
        if limit is not None and index >= limit:
            return
        yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def follow_face(frames: Iterable[Image] | Frames, finder: FaceFinder) -> FacePath | None:
    """Return where the largest face of a video is in every frame; None when there is none.

    Args:
        frames: consecutive pictures, RGB uint8; each is looked at once, so they may be a stream.
        finder: finds it, and finds it again where it was lost.
    """
    meshes: list[NDArray[np.float32]] = []
    seen: list[int] = []
    face: Face | None = None
    count = 0
    for frame in frames:
        faces = finder.follow(frame, [face]) if face is not None else ()
        faces = faces or finder.find(frame)
        face = max(faces, key=lambda f: f.box.area, default=None)
        if face is not None and face.mesh is not None:
            meshes.append(face.mesh.astype(np.float32))
            seen.append(count)
        count += 1
    if not seen:
        return None
    found = np.zeros(count, np.bool_)
    found[seen] = True
    nearest = np.searchsorted(seen, np.arange(count), side="right") - 1
    return FacePath(np.stack(meshes)[np.maximum(nearest, 0)], found)


def plan_crops(path: FacePath, fps: float, cadence_hz: float) -> CropPlan:
    """Return what live video would sample and how it would align it.

    Args:
        path: where the face is.
        fps: frames a second of the video.
        cadence_hz: sampled frames a second.
    """
    slots = np.arange(int(len(path.found) / fps * cadence_hz + 1e-6))
    wanted = np.unique(np.round(slots * fps / cadence_hz).astype(np.int64))
    frames, arriving, leaving = [], [], []
    anchoring: Anchoring | None = None
    for t in wanted[wanted < len(path.found)]:
        if not path.found[t]:
            continue
        points, at = path.points(int(t)), float(t) / fps
        anchoring = anchoring.advance(at, points) if anchoring else Anchoring.begin(at, points)
        frames.append(t)
        arriving.append(anchoring.anchor)
        leaving.append(anchoring.anchor if anchoring.moved is None else anchoring.moved)
    empty = np.zeros((0, 2, 3))
    return CropPlan(
        np.array(frames, np.int64),
        np.array(arriving) if frames else empty,
        np.array(leaving) if frames else empty,
    )


def crop(
    frames: Frames, indices: NDArray[np.int64], anchors: Sequence[Transform], size_px: int
) -> Frames:
    """Return aligned crops, `(n, size_px, size_px, 3)` uint8, one per index and anchor."""
    crops = [warp(frames[t], anchor, size_px) for t, anchor in zip(indices, anchors, strict=True)]
    return np.stack(crops) if crops else np.zeros((0, size_px, size_px, 3), np.uint8)


def cached_path(video: Path, cache: Path, make: Callable[[], FacePath | None]) -> FacePath | None:
    """Return a video's landmarks from the cache, or make and keep them.

    Args:
        video: the file; its content names the cache entry.
        cache: folder that is made where needed.
        make: does the work when the cache has nothing.
    """
    file = cache / f"{content_key(video)}.npz"
    if file.is_file():
        with np.load(file) as kept:
            meshes, found = kept["meshes"], kept["found"]
        return FacePath(meshes, found) if found.any() else None
    path = make()
    if path is None:
        path = FacePath(np.zeros((1, _MESH_POINTS, 2), np.float32), np.zeros(1, np.bool_))
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache, suffix=".part", delete=False) as part:
        np.savez_compressed(part, meshes=path.meshes, found=path.found)
    os.replace(part.name, file)
    return path if path.found.any() else None


def content_key(video: Path) -> str:
    """Return a short name for a file's content under this version of the preparation."""
    sha = hashlib.sha256(f"v{_VERSION}".encode())
    with video.open("rb") as file:
        while block := file.read(_BLOCK):
            sha.update(block)
    return sha.hexdigest()[:24]


def read_still(path: Path) -> Image:
    """Return a still picture, `(H, W, 3)` RGB uint8.

    Raises:
        VideoUnusable: it cannot be read.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise VideoUnusable(path, "it is no picture")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
