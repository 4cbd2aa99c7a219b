"""Video files as training and evaluation read them: pictures, media times, landmarks, crops.

Pictures are made of frames, and faces found, followed, sampled and aligned, by the code that live
video uses.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from styleflow.errors import VideoUnusable
from styleflow.faces.align import Anchoring
from styleflow.faces.face import Face, Image, Points
from styleflow.faces.finder import FaceFinder
from styleflow.faces.mesh import five_points
from styleflow.pictures.decode_order import REORDERING, DecodeOrder
from styleflow.pictures.seen import MAX_PIXELS, as_seen
from styleflow.pictures.shape import is_scaled
from styleflow.pictures.upright import Orientation, pixel_aspect
from styleflow.sampling import sample
from styleflow.video_tracks import best_track

Frames = NDArray[np.uint8]
"""Consecutive pictures of one video, `(T, H, W, 3)` RGB uint8."""

Times = NDArray[np.float64]
"""Media seconds of the frames of one video since its first, `(T,)`."""

_VERSION = 2  # counts up when the same file would give other landmarks
_STILL_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
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
    """Return the pictures of a video, in order; see `stream_pictures`."""
    return np.stack([picture for _, picture in stream_pictures(path, limit)])


def read_timed(
    path: Path, limit: int | None = None, until_s: float = math.inf
) -> tuple[Times, Frames]:
    """Return the media time of every picture of a video, and the pictures.

    Args:
        path: any file that FFmpeg reads.
        limit: at most so many; all when None.
        until_s: media seconds after which the first picture is the last one that is read.

    Raises:
        VideoUnusable: as in `stream_pictures`.
    """
    times: list[float] = []
    pictures: list[Image] = []
    for at, picture in stream_pictures(path, limit):
        times.append(at)
        pictures.append(picture)
        if at > until_s:
            break
    return np.array(times), np.stack(pictures)


def stream_pictures(path: Path, limit: int | None = None) -> Iterator[tuple[float, Image]]:
    """Yield media time and picture of a video, in order, one at a time in memory.

    Media time counts from the first picture and comes from the file's time stamps, as in live
    video: the declared frame rate is not used, and a picture without a time stamp, or whose time
    stamp does not rise, is left out. A still picture is a video of one frame. Pictures are as they
    are meant to be seen, see `styleflow.pictures.seen`, and all of the first one's size: a recorded
    call's change their scale. A video ends where they change their shape.

    Args:
        path: any file that FFmpeg reads.
        limit: at most so many; all when None.

    Raises:
        VideoUnusable: it cannot be opened or decoded, or holds no picture.
    """
    if path.suffix.lower() in _STILL_SUFFIXES:
        yield 0.0, read_still(path)
        return
    count = 0
    try:
        with av.open(str(path)) as container:
            lies, size, aspect = None, None, pixel_aspect(_track(container))
            for at, picture in _timed(container):
                if limit is not None and count >= limit:
                    break
                lies = lies or Orientation.of(picture)
                image = as_seen(picture, lies, aspect)
                height, width = size = size or image.shape[:2]
                if not is_scaled(size, image.shape[:2]):
                    break
                if image.shape[:2] != size:
                    image = np.asarray(cv2.resize(image, (width, height)), np.uint8)
                count += 1
                yield at, image
    except (av.FFmpegError, OSError, IndexError) as error:
        raise VideoUnusable(path, str(error)) from error
    if not count:
        raise VideoUnusable(path, "it holds no picture")


def _timed(container: av.container.InputContainer) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield the pictures that have a place in media time; see `stream.ingest.timeline`."""
    video = _track(container)
    video.thread_type = "NONE"
    video.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    first = last = None
    for pts, picture in _stamped(container, video):
        if pts is None or (last is not None and pts <= last):
            continue
        first, last = (pts if first is None else first), pts
        assert picture.time_base is not None
        yield float((pts - first) * picture.time_base), picture


def _stamped(
    container: av.container.InputContainer, video: av.VideoStream
) -> Iterator[tuple[int | None, av.VideoFrame]]:
    """Yield pictures with their stamps, which some containers give in decoding order."""
    order = DecodeOrder() if video.codec_context.name in REORDERING else None
    for packet in container.demux(video):
        if order is not None and packet.size:
            order.take(packet.pts)
        for picture in packet.decode():
            assert isinstance(picture, av.VideoFrame)
            yield (picture.pts if order is None else order.stamp(picture.pts)), picture


def _track(container: av.container.InputContainer) -> av.VideoStream:
    video = best_track(container)
    if video is None:
        raise IndexError("it holds no video")
    return video


def check_readable(path: Path) -> None:
    """Open a video without decoding anything.

    Raises:
        VideoUnusable: it cannot be opened, or holds no video.
    """
    try:
        with av.open(str(path)) as container:
            _track(container)
    except (av.FFmpegError, OSError, IndexError) as error:
        raise VideoUnusable(path, str(error)) from error


def follow_face(frames: Iterable[Image] | Frames, finder: FaceFinder) -> FacePath | None:
    """Return where the largest face of a video is in every frame; None when there is none.

    Landmarks are laid in every frame, in one where nothing moved, too: live video may keep them
    there to save time, by a rule that is not to change what a training makes of its clips.

    Args:
        frames: consecutive pictures, RGB uint8; each is looked at once, so they may be a stream.
        finder: finds it, and finds it again where it was lost.
    """
    meshes: list[NDArray[np.float32]] = []
    seen: list[int] = []
    face: Face | None = None
    count = 0
    for frame in frames:
        faces = finder.follow(frame, [replace(face, sight=None)]) if face is not None else ()
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


def plan_crops(path: FacePath, times: Times, cadence_hz: float) -> CropPlan:
    """Return what live video would sample and how it would align it.

    Args:
        path: where the face is.
        times: media seconds of every frame, `(T,)`.
        cadence_hz: sampled frames a second.
    """
    return anchored(path, ((s.item, s.at) for s in sample(times, cadence_hz)))


def anchored(path: FacePath, sampled: Iterable[tuple[int, float]]) -> CropPlan:
    """Return how live video would align sampled frames.

    Args:
        path: where the face is.
        sampled: number and media time of each sampled frame, in order.
    """
    frames, arriving, leaving = [], [], []
    anchoring: Anchoring | None = None
    for t, at in sampled:
        if not path.found[t]:
            continue
        points = path.points(t)
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
