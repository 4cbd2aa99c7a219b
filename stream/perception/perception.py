"""Perception of one stream: from one sampled frame to tracked, aligned faces.

`search.py` decides when faces are detected and when followed. A face that moves fast can leave its
landmarks behind: they then lie across chin and collar, and what lies under them looks like another
face. So before a track ends because its identity is uncertain, the same picture is searched once
more, trusting no landmarks. Only the face that this re-detection finds can end it.

A caller's pictures may change their size in the middle of an epoch. What is known of a face is then
mapped onto the new size and the picture is searched anew, so the face keeps its track.

Several detectors may watch one stream. Faces are found and tracked once, in the frames that at
least one of them wants; each detector's clip then gets its own crops on its own cadence. All
cadences lie on one common grid.

This is a plain object, stepped frame by frame; what finds faces is passed in.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from stream.events import EndedTrack, Frame, Perceived
from stream.perception.grid import Grid
from stream.perception.requests import Finder, find_all
from stream.perception.search import FaceSearch
from stream.perception.settings import PerceptionSettings
from stream.perception.view import DetectorView
from styleflow.clips import ClipSpec
from styleflow.faces.appearance import Appearance, describe
from styleflow.faces.device_picture import Pixels
from styleflow.faces.face import Face, FaceRequest, TrackEnd
from styleflow.faces.track import FaceTracker

Views = tuple[Perceived | None, ...]
"""The view of one frame for each clip; None where no frame is due."""

Perceiving = Generator[FaceRequest, tuple[Face, ...], Views]
"""One frame on its way: yields requests, is sent the faces of each, returns the views."""

_Identities = list[Appearance | None]
_Observed = tuple[tuple[Face, ...], _Identities, tuple[tuple[int, TrackEnd], ...]]


class Perception:
    """The faces that one stream has in view.

    Args:
        finder: finds and follows faces; may be shared by streams, it holds nothing of theirs.
        clips: what each detector was trained on: its cadence, and its crops' size and framing.
        settings: how often and how closely to search.

    Raises:
        SettingInvalid: the clips' cadences have no common grid.
    """

    def __init__(
        self,
        finder: Finder,
        clips: Sequence[ClipSpec],
        settings: PerceptionSettings | None = None,
    ) -> None:
        self.settings = settings or PerceptionSettings()
        self.waiting = 0  # faces of the newest frame that are not followed
        self.redetections = 0  # detections because an identity was uncertain
        self.finder = finder
        self.views = tuple(
            DetectorView(clip, stride, self.settings.anchor)
            for clip, stride in zip(clips, Grid.common(clips).strides, strict=True)
        )
        self._tracker = FaceTracker(self.settings.tracker)
        self._epoch: int | None = None
        self._size: tuple[int, int] = (0, 0)
        self._search = FaceSearch(self.settings)
        self._described: list[tuple[Face, Appearance | None]] = []  # of the newest frame

    @property
    def detections(self) -> int:
        """Detections in the whole picture so far, `redetections` among them."""
        return self._search.detections

    @property
    def detect_factor(self) -> int:
        """How many times as rare detections are under overload; 1 without."""
        return self._search.factor

    @detect_factor.setter
    def detect_factor(self, factor: int) -> None:
        self._search.factor = factor

    def perceive(self, frame: Frame, overrun: int = 0) -> Views:
        """Return what each clip sees of one sampled frame, apart from all other streams."""
        steps = self.perceiving(frame, overrun)
        try:
            request = next(steps)
            while True:
                (found,) = find_all(self.finder, [request])
                request = steps.send(found)
        except StopIteration as done:
            views: Views = done.value
            return views

    def perceiving(self, frame: Frame, overrun: int = 0) -> Perceiving:
        """Return what each clip sees of one sampled frame, asking for the faces that it needs.

        Nothing else of this stream may happen before the last answer.

        A clip whose frame is missing takes the next one there is. The first frame of a new epoch
        ends all earlier tracks. A contaminated frame is searched like any other and its faces are
        delivered; but no track begins with it and none ends for the appearance of a face in it.

        Args:
            frame: the newest frame, sampled on the clips' common grid, in order.
            overrun: sampled frames dropped before it because the analyzer was too slow.
        """
        if not any(view.wants(frame) for view in self.views):
            for view in self.views:
                view.note((), (), overrun)
            return (None,) * len(self.views)
        ended: tuple[EndedTrack, ...] = ()
        if frame.epoch != self._epoch:
            ended = self._end(TrackEnd.EPOCH_ENDED)
            self._epoch = frame.epoch
        self._fit(frame.image)
        faces, identities, over = yield from self._observe(frame)
        step = self._tracker.step(frame.at, faces, identities, damaged=frame.capture.contaminated)
        ended += _named(over + step.ended)
        self.waiting = self._search.waiting + step.ignored
        for view in self.views:
            view.note(step.started, ended, overrun)
        return tuple(view.see(frame, step.tracked, self.waiting) for view in self.views)

    def close(self, reason: TrackEnd = TrackEnd.EPOCH_ENDED) -> tuple[EndedTrack, ...]:
        """End every track, forget what is in view, and return what ended."""
        ended = self._end(reason)
        for view in self.views:
            view.note((), ended, 0)
        return ended

    def _end(self, reason: TrackEnd) -> tuple[EndedTrack, ...]:
        self._search.forget()
        return _named(self._tracker.end(reason))

    @property
    def epoch(self) -> int | None:
        """The epoch of the newest frame; None before the first."""
        return self._epoch

    def _fit(self, image: Pixels) -> None:
        """Map what is known onto pictures of this size, if it is another than before."""
        size = (image.shape[1], image.shape[0])
        if size == self._size:
            return
        x = y = 1.0
        if all(self._size):
            x, y = size[0] / self._size[0], size[1] / self._size[1]
            self._tracker.rescale(x, y)
            for view in self.views:
                view.rescale(x, y)
        self._size = size
        self._search.rescale(x, y)

    def _observe(self, frame: Frame) -> Generator[FaceRequest, tuple[Face, ...], _Observed]:
        """Return the faces to follow, each with its appearance, and the tracks that gave way."""
        search, image = self._search, frame.image
        known, may_redetect = search.known, search.may_redetect
        faces = yield from search.search(image, frame.at, damaged=frame.capture.contaminated)
        identities = self._describe(image, faces)
        over = self._relieve(frame)
        # Nothing is decided on a damaged picture, so there is nothing to be certain of.
        checked = known and may_redetect and not frame.capture.contaminated
        if checked and self._tracker.is_uncertain(frame.at, faces, identities):
            self.redetections += 1
            blind = [_without_landmarks(face) for face in known]
            faces = yield from search.detect(image, frame.at, blind)
            identities = [describe(image, face) for face in faces]
        search.known = faces
        self._described = list(zip(faces, identities, strict=True))
        return faces, identities, over

    def _describe(self, image: Pixels, faces: Sequence[Face]) -> _Identities:
        """Return the appearance of each face; one in which nothing moved looks as it did."""
        before = {id(face.mesh): seen for face, seen in self._described}
        return [
            before[id(face.mesh)]
            if face.sight is not None and face.sight.reused and id(face.mesh) in before
            else describe(image, face)
            for face in faces
        ]

    def _relieve(self, frame: Frame) -> tuple[tuple[int, TrackEnd], ...]:
        """End the tracks of the faces that make room for others in this frame."""
        faces = self._search.relieved
        if not faces:
            return ()
        return self._tracker.relieve(frame.at, faces, [describe(frame.image, f) for f in faces])


def _without_landmarks(face: Face) -> Face:
    """Return a face whose landmarks are not to be trusted: only roughly where it was."""
    return replace(face, mesh=None)


def _named(ended: Sequence[tuple[int, TrackEnd]]) -> tuple[EndedTrack, ...]:
    return tuple(EndedTrack(track, reason) for track, reason in ended)


__all__ = ["Grid", "Perceiving", "Perception", "PerceptionSettings", "Views"]
