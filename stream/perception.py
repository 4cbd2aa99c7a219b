"""From one sampled frame to tracked, straightened faces: the state of one stream's eyes.

Looking at the whole picture is dear, laying the mesh over a known face is cheap. So the detector
runs at every n-th frame and at once when a face is missing; in between, the faces of the previous
frame are followed. Now and then the picture is searched in tiles for small faces.

This is a plain object, stepped frame by frame; what finds faces is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stream.events import EndedTrack, Frame, Perceived
from styleflow.clips import ClipSpec
from styleflow.faces.align import Aligner, Anchoring, AnchorSettings
from styleflow.faces.appearance import describe
from styleflow.faces.face import AlignedFace, Face, Image, TrackedFace
from styleflow.faces.track import FaceTracker, TrackEnd, TrackerSettings


class Finder(Protocol):
    """What perception needs of a face finder; `styleflow.faces.finder.FaceFinder` is one."""

    def find(self, image: Image, tiles: int = 0, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        """Return the faces in a picture, most confident first."""
        ...

    def follow(self, image: Image, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Return where the faces of the previous frame are now."""
        ...


@dataclass(frozen=True, slots=True)
class PerceptionSettings:
    """How closely a stream is looked at.

    Attributes:
        detect_every: sampled frames from one look at the whole picture to the next, at least 1.
        tiles: how closely small faces are looked for, see `BlazeFace.detect`; 0 never does.
        tiles_every: sampled frames from one such closer look to the next, at least 1.
        retry_every: while no face is in view, sampled frames from one look to the next.
        max_faces: faces per frame; the largest are kept.
        min_face_px: faces with a smaller side are left alone, in source pixels.
        tracker: when a face is still the same face.
        anchor: when a track's crop is framed anew.
    """

    detect_every: int = 5
    tiles: int = 1
    tiles_every: int = 50
    retry_every: int = 2
    max_faces: int = 8
    min_face_px: float = 20.0
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    anchor: AnchorSettings = field(default_factory=AnchorSettings)


class Perception:
    """What one stream has in view.

    Args:
        finder: finds and follows faces; may be shared by streams, it holds nothing of theirs.
        clip: the size of crop that the detector was trained on.
        settings: how closely to look.
    """

    def __init__(
        self, finder: Finder, clip: ClipSpec, settings: PerceptionSettings | None = None
    ) -> None:
        self.settings = settings or PerceptionSettings()
        self.ignored_faces = 0  # faces that found no free track
        self.detections = 0  # looks at the whole picture
        self._finder = finder
        self._aligner = Aligner(clip.size_px, self.settings.anchor)
        self._tracker = FaceTracker(self.settings.tracker)
        self._epoch: int | None = None
        self._anchorings: dict[int, Anchoring] = {}
        self._forget_faces()

    def perceive(self, frame: Frame, overrun: int = 0) -> Perceived:
        """Return what is seen in one sampled frame.

        The first frame of a new epoch ends all earlier tracks. A contaminated frame is looked at
        like any other and its faces are delivered; but no track begins with it and none ends
        because a face looks different in it.

        Args:
            frame: the newest sampled frame, in order.
            overrun: sampled frames dropped before it because the analyzer was too slow.
        """
        ended: tuple[EndedTrack, ...] = ()
        if frame.epoch != self._epoch:
            ended = self.close()
            self._epoch = frame.epoch
        faces = self._look(frame.image)
        looks = [describe(frame.image, face) for face in faces]
        step = self._tracker.step(frame.at, faces, looks, damaged=frame.contaminated)
        ended += self._end(step.ended)
        self.ignored_faces += step.ignored
        return Perceived(
            stream=frame.stream,
            epoch=frame.epoch,
            slot=frame.slot,
            at=frame.at,
            arrived=frame.arrived,
            contaminated=frame.contaminated,
            source_fps=frame.source_fps,
            faces=self._align(frame, step.tracked),
            started=step.started,
            ended=ended,
            overrun=overrun,
        )

    def close(self, reason: TrackEnd = TrackEnd.EPOCH_ENDED) -> tuple[EndedTrack, ...]:
        """End every track, forget what is in view, and return what ended."""
        self._forget_faces()
        return self._end(self._tracker.end(reason))

    def _forget_faces(self) -> None:
        self._faces: tuple[Face, ...] = ()
        self._since_detection: int | None = None  # None: the picture was never looked at
        self._since_tiles = 0
        self._missed = False

    def _look(self, image: Image) -> tuple[Face, ...]:
        """Return the faces that are large enough, found anew or followed, and remember them."""
        self._since_tiles += 1
        followed = self._finder.follow(image, self._faces) if self._may_follow() else None
        if followed is not None and len(followed) == len(self._faces):
            self._since_detection = (self._since_detection or 0) + 1
            faces = followed
        else:
            faces = self._detect(image)
        large = [face for face in faces if face.box.side >= self.settings.min_face_px]
        large.sort(key=lambda face: -face.box.area)
        self._faces = tuple(large[: self.settings.max_faces])
        return self._faces

    def _may_follow(self) -> bool:
        """Say whether this frame can do without a look at the whole picture."""
        since = self._since_detection
        if since is None:
            return False
        due = self.settings.detect_every
        if not self._faces or self._missed:
            due = min(due, self.settings.retry_every)
        return since + 1 < due

    def _detect(self, image: Image) -> tuple[Face, ...]:
        tiles = 0
        first = self._since_detection is None
        if first or self._since_tiles >= self.settings.tiles_every:
            tiles = self.settings.tiles
            self._since_tiles = 0
        faces = self._finder.find(image, tiles, self._faces)
        # A face that was in view and is not found: look again soon rather than in its turn.
        self._missed = len(faces) < len(self._faces)
        self._since_detection = 0
        self.detections += 1
        return faces

    def _align(self, frame: Frame, tracked: Sequence[TrackedFace]) -> tuple[AlignedFace, ...]:
        aligned = []
        for face in tracked:
            done = self._aligner.align(
                frame.image, face, frame.at, self._anchorings.get(face.track)
            )
            if done is not None:
                crop, self._anchorings[face.track] = done
                aligned.append(crop)
        return tuple(aligned)

    def _end(self, ended: Sequence[tuple[int, TrackEnd]]) -> tuple[EndedTrack, ...]:
        for track, _ in ended:
            self._anchorings.pop(track, None)
        return tuple(EndedTrack(track, reason) for track, reason in ended)
