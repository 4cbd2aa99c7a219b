"""Choice of the faces and frames of a clip, as in the published StyleFlow and FTCN.

Offline rules, on the detections of a whole video; live video follows faces with `track.py`. They
are simple and harsh (one missing frame ends a track), and kept because published numbers were
measured with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from styleflow.faces.face import Box

CLIP = 32
SHORTEST = 16  # frames of a track that StyleFlow still cuts clips from
SHORTEST_SPAN = 2
FIRST_SCORE = 0.8
SAME_FACE_IOU = 0.5


@dataclass(frozen=True, slots=True)
class ScoredBox:
    """One detection of an offline detector."""

    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class ClipTrack:
    """One face through a span of frames.

    Attributes:
        start: first frame.
        faces: which of each frame's detections it is, from `start` on.
    """

    start: int
    faces: tuple[int, ...]

    @property
    def end(self) -> int:
        """The frame after the last."""
        return self.start + len(self.faces)


Detections = Sequence[Sequence[ScoredBox]]
"""For each frame, its detections, best first."""


def full_tracks(frames: Detections, start: int = 0, end: int | None = None) -> list[ClipTrack]:
    """Return the faces that can be followed through every frame of a span.

    A track begins at a face of the span's first frame that is sure enough and not covered by a
    better one. It goes on with whichever face overlaps its last box most, and is given up where
    none overlaps by half.

    Args:
        frames: detections of the whole video.
        start: first frame of the span.
        end: the frame after its last; by default the video's end.
    """
    span = frames[start:end]
    if not span:
        return []
    tracks = []
    for first in range(len(span[0])):
        faces = _followed(span, first)
        if faces is not None:
            tracks.append(ClipTrack(start, faces))
    return tracks


def video_tracks(frames: Detections) -> list[ClipTrack]:
    """Return the tracks that clips are cut from.

    All faces that last for the whole video; if there is none, the first face of each longest span
    whose number of followable faces stays the same.

    Source: FTCN, released tracking. Its side effect is kept: a missing frame also loses the frame
    after it, because a span has two frames at least and what fails is skipped whole.
    """
    whole = full_tracks(frames)
    if whole:
        return whole
    tracks = []
    start = 0
    while start < len(frames):
        track = _longest_span(frames, start)
        if track is not None:
            tracks.append(track)
        start = track.end if track is not None else start + SHORTEST_SPAN
    return tracks


def _longest_span(frames: Detections, start: int) -> ClipTrack | None:
    """Return the first face of the longest span from `start` on, or None."""
    found: list[ClipTrack] = []
    for end in range(start + SHORTEST_SPAN, len(frames) + 1):
        tracks = full_tracks(frames, start, end)
        if not tracks or (found and len(tracks) != len(found)):
            break
        found = tracks
    return found[0] if found else None


def _followed(span: Detections, first: int) -> tuple[int, ...] | None:
    """Return the face of each frame that continues the first frame's `first`, or None."""
    here = span[0]
    if here[first].score < FIRST_SCORE:
        return None
    if any(here[first].box.iou(better.box) > SAME_FACE_IOU for better in here[:first]):
        return None
    faces = [first]
    box = here[first].box
    for candidates in span[1:]:
        overlaps = [box.iou(candidate.box) for candidate in candidates]
        if not overlaps or max(overlaps) < SAME_FACE_IOU:
            return None
        faces.append(overlaps.index(max(overlaps)))
        box = candidates[faces[-1]].box
    return tuple(faces)


def sliding_windows(length: int) -> list[tuple[int, ...]]:
    """Return FTCN's test windows of a track: every window of 32 frames.

    A track shorter than a window is first extended by its own mirror image on both sides, without
    repeating the end frames.

    Args:
        length: frames of the track, at least 1.

    Returns:
        For each window, the 32 frames it shows.
    """
    frames = list(range(length))
    if length < CLIP:
        frames = [_mirrored(i, length) for i in range(-(CLIP - 1), length + CLIP - 1)]
    return [tuple(frames[i : i + CLIP]) for i in range(len(frames) - CLIP + 1)]


@dataclass(frozen=True, slots=True)
class SavedFrame:
    """A frame that StyleFlow's cropping writes, and the window whose transform aligns it.

    Attributes:
        frame: number within the track.
        window: number among `sliding_windows`.
        position: place within that window.
    """

    frame: int
    window: int
    position: int


def saved_frames(length: int) -> list[SavedFrame]:
    """Return the frames that StyleFlow's cropping writes for a track, in order.

    Whole windows follow each other without overlap. What is left over at the end comes from the
    track's last window, so it is aligned together with frames that were already written.
    """
    if length < SHORTEST:
        return []
    windows = list(enumerate(sliding_windows(length)))
    saved = [
        SavedFrame(frame, number, position)
        for number, window in windows
        if (window[-1] + 1) % CLIP == 0
        for position, frame in enumerate(window)
    ]
    left_over = length % CLIP
    if left_over:
        # A mirrored track ends on its last frame twice; the released code keeps what it wrote last.
        number, window = [w for w in windows if w[1][-1] == length - 1][-1]
        saved += [SavedFrame(window[p], number, p) for p in range(CLIP - left_over, CLIP)]
    return saved


def _mirrored(i: int, length: int) -> int:
    """Return the frame at place `i` of a track that is reflected at both ends without end."""
    if length == 1:
        return 0
    i %= 2 * (length - 1)
    return min(i, 2 * (length - 1) - i)
