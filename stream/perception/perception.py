"""From one sampled frame to tracked, straightened faces: the state of one stream's eyes.

Looking at the whole picture is dear, laying the mesh over a known face is cheap. So the detector
runs at every n-th frame and at once when a face is missing; in between, the faces of the previous
frame are followed. Now and then the picture is searched in tiles for small faces.

A face that moves fast can leave its landmarks behind: they then lie across chin and collar, and
what lies under them looks like another face. So before a track ends for what a face derived from
earlier landmarks looks like, the same picture is looked at once more, trusting no landmarks. Only
the face that is found then can end it.

A caller's pictures may change their size in the middle of an epoch. What is known of a face is then
mapped onto the new size and the picture is looked at anew, so the face keeps its track.

Several detectors may look at one stream. Faces are found and tracked once, in the frames that at
least one of them wants; each detector's clip then gets its own crops on its own cadence. All
cadences lie on one common grid.

This is a plain object, stepped frame by frame; what finds faces is passed in.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from stream.errors import SettingInvalid
from stream.events import EndedTrack, Frame, Perceived
from stream.perception.settings import PerceptionSettings
from styleflow.clips import ClipSpec
from styleflow.faces.align import Anchoring
from styleflow.faces.appearance import Appearance, describe
from styleflow.faces.crops.framing import framer
from styleflow.faces.face import AlignedFace, Face, Image, Look, TrackedFace, TrackEnd
from styleflow.faces.settings import AnchorSettings
from styleflow.faces.track import FaceTracker

MAX_GRID_HZ = 60.0
"""No camera here is faster, so a finer common grid of several cadences would be empty."""


class Finder(Protocol):
    """What perception needs of a face finder. It holds nothing of anyone's."""

    def find(self, image: Image, tiles: int = 0, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        """Return the faces in a picture, most confident first."""
        ...

    def follow(self, image: Image, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Return where the faces of the previous frame are now."""
        ...


@runtime_checkable
class ManyFinder(Finder, Protocol):
    """A finder for which many looks at once are cheaper; `FaceFinder` is one."""

    def look(self, looks: Sequence[Look]) -> list[tuple[Face, ...]]:
        """Return what each look sees, as `find` or `follow` would."""
        ...


Views = tuple[Perceived | None, ...]
"""What each clip sees of one frame; None where none is due."""

Perceiving = Generator[Look, tuple[Face, ...], Views]
"""One frame on its way: yields what it wants to know, is sent what was seen, returns the views."""


def look_all(finder: Finder, looks: Sequence[Look]) -> list[tuple[Face, ...]]:
    """Return what each look sees; none depends on its neighbours."""
    if isinstance(finder, ManyFinder):
        return finder.look(looks)
    return [
        finder.find(look.image, look.tiles, look.known)
        if look.anew
        else finder.follow(look.image, look.known)
        for look in looks
    ]


@dataclass(frozen=True, slots=True)
class Grid:
    """The slots that all clips of one stream have in common.

    Attributes:
        cadence_hz: slots per second of media time.
        strides: slots from one frame of each clip to its next.
    """

    cadence_hz: float
    strides: tuple[int, ...]

    @classmethod
    def common(cls, clips: Sequence[ClipSpec]) -> Grid:
        """Return the coarsest grid on which every clip's frames lie.

        Raises:
            SettingInvalid: there is none up to `MAX_GRID_HZ`.
        """
        fastest = max(clip.cadence_hz for clip in clips)
        finer = 1
        while finer == 1 or fastest * finer <= MAX_GRID_HZ:
            strides = [fastest * finer / clip.cadence_hz for clip in clips]
            if all(abs(stride - round(stride)) < 1e-6 * stride for stride in strides):
                return cls(fastest * finer, tuple(round(stride) for stride in strides))
            finer += 1
        rates = ", ".join(f"{clip.cadence_hz:g}" for clip in clips)
        rule = f"must have a common multiple up to {MAX_GRID_HZ:g} Hz to look side by side"
        raise SettingInvalid("cadences", rates, rule)


_Looking = Generator[Look, tuple[Face, ...], tuple[Face, ...]]
_Looks = list[Appearance | None]


class _View:
    """What one detector's clip gets to see of a stream.

    Args:
        clip: how its crops are cut out.
        stride: slots of the stream's grid from one of its frames to the next.
        anchor: when a track's crop is framed anew.
    """

    def __init__(self, clip: ClipSpec, stride: int, anchor: AnchorSettings) -> None:
        self._framer = framer(clip, anchor)
        self._stride = stride
        self._anchorings: dict[int, Anchoring] = {}
        self._place: tuple[int, int] | None = None  # epoch and slot of its newest frame
        self._started: tuple[int, ...] = ()
        self._ended: tuple[EndedTrack, ...] = ()
        self._overrun = 0

    def wants(self, frame: Frame) -> bool:
        """Say whether the clip's next frame is due, and this is it."""
        return (frame.epoch, frame.slot // self._stride) != self._place

    def note(self, started: Sequence[int], ended: Sequence[EndedTrack], overrun: int) -> None:
        """Keep what happened until the next frame of this clip is due."""
        self.forget(ended)
        gone = {each.track for each in ended}
        # A track that came and went between two frames of this clip was never there for it.
        unseen = gone.intersection((*self._started, *started))
        self._started = tuple(t for t in (*self._started, *started) if t not in unseen)
        self._ended += tuple(each for each in ended if each.track not in unseen)
        self._overrun += overrun

    def see(self, frame: Frame, tracked: Sequence[TrackedFace]) -> Perceived | None:
        """Return what the clip sees of a frame; None when its next frame is not due yet."""
        if not self.wants(frame):
            return None
        place = self._place = (frame.epoch, frame.slot // self._stride)
        overrun, self._overrun = divmod(self._overrun, self._stride)
        seen = Perceived(
            stream=frame.stream,
            epoch=frame.epoch,
            slot=place[1],
            at=frame.at,
            arrived=frame.arrived,
            capture=frame.capture,
            faces=self._align(frame, tracked),
            started=self._started,
            ended=self._ended,
            overrun=overrun,
        )
        self._started, self._ended = (), ()
        return seen

    def rescale(self, x: float, y: float) -> None:
        """Map what is remembered onto pictures `x` times as wide and `y` times as high."""
        self._anchorings = {n: a.rescaled(x, y) for n, a in self._anchorings.items()}

    def forget(self, ended: Sequence[EndedTrack]) -> None:
        """Drop what is remembered of tracks that have ended."""
        for each in ended:
            self._anchorings.pop(each.track, None)

    def _align(self, frame: Frame, tracked: Sequence[TrackedFace]) -> tuple[AlignedFace, ...]:
        aligned = []
        for face in tracked:
            before = self._anchorings.get(face.track)
            done = self._framer.align(frame.image, face, frame.at, before)
            if done is not None:
                crop, after = done
                if after is not None:
                    self._anchorings[face.track] = after
                aligned.append(crop)
        return tuple(aligned)


class Perception:
    """What one stream has in view.

    Args:
        finder: finds and follows faces; may be shared by streams, it holds nothing of theirs.
        clips: what each detector was trained on: its cadence, and its crops' size and framing.
        settings: how closely to look.

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
        self.ignored_faces = 0  # faces that found no free track
        self.detections = 0  # looks at the whole picture
        self.second_looks = 0  # of those, how many were taken for doubt
        self.finder = finder
        self.detect_factor = 1  # how many times as rare they are while there is too much to do
        self._views = tuple(
            _View(clip, stride, self.settings.anchor)
            for clip, stride in zip(clips, Grid.common(clips).strides, strict=True)
        )
        self._tracker = FaceTracker(self.settings.tracker)
        self._epoch: int | None = None
        self._size: tuple[int, int] = (0, 0)
        self._forget_faces()

    def perceive(self, frame: Frame, overrun: int = 0) -> Views:
        """Return what each clip sees of one sampled frame, with nobody else's looks beside it."""
        steps = self.perceiving(frame, overrun)
        try:
            look = next(steps)
            while True:
                (seen,) = look_all(self.finder, [look])
                look = steps.send(seen)
        except StopIteration as done:
            views: Views = done.value
            return views

    def perceiving(self, frame: Frame, overrun: int = 0) -> Perceiving:
        """Return what each clip sees of one sampled frame, asking for the looks that it needs.

        Nothing else of this stream may happen before the last answer.

        A clip whose frame is missing takes the next one there is. The first frame of a new epoch
        ends all earlier tracks. A contaminated frame is looked at like any other and its faces are
        delivered; but no track begins with it and none ends because a face looks different in it.

        Args:
            frame: the newest frame, sampled on the clips' common grid, in order.
            overrun: sampled frames dropped before it because the analyzer was too slow.
        """
        if not any(view.wants(frame) for view in self._views):
            for view in self._views:
                view.note((), (), overrun)
            return (None,) * len(self._views)
        ended: tuple[EndedTrack, ...] = ()
        if frame.epoch != self._epoch:
            ended = self._end(TrackEnd.EPOCH_ENDED)
            self._epoch = frame.epoch
        self._fit(frame.image)
        faces, looks = yield from self._look(frame)
        step = self._tracker.step(frame.at, faces, looks, damaged=frame.capture.contaminated)
        ended += _named(step.ended)
        self.ignored_faces += step.ignored
        for view in self._views:
            view.note(step.started, ended, overrun)
        return tuple(view.see(frame, step.tracked) for view in self._views)

    def close(self, reason: TrackEnd = TrackEnd.EPOCH_ENDED) -> tuple[EndedTrack, ...]:
        """End every track, forget what is in view, and return what ended."""
        ended = self._end(reason)
        for view in self._views:
            view.note((), ended, 0)
        return ended

    def _end(self, reason: TrackEnd) -> tuple[EndedTrack, ...]:
        self._forget_faces()
        return _named(self._tracker.end(reason))

    @property
    def epoch(self) -> int | None:
        """The epoch of the newest frame; None before the first."""
        return self._epoch

    def _fit(self, image: Image) -> None:
        """Map what is known onto pictures of this size, if it is another than before."""
        size = (image.shape[1], image.shape[0])
        if size == self._size:
            return
        if self._tracker and all(self._size):
            x, y = size[0] / self._size[0], size[1] / self._size[1]
            self._tracker.rescale(x, y)
            for view in self._views:
                view.rescale(x, y)
        self._size = size
        self._forget_faces()

    def _forget_faces(self) -> None:
        self._faces: tuple[Face, ...] = ()
        self._since_detection: int | None = None  # None: the picture was never looked at
        self._since_tiles = 0
        self._missed = False

    def _look(
        self, frame: Frame
    ) -> Generator[Look, tuple[Face, ...], tuple[tuple[Face, ...], _Looks]]:
        """Return the faces that are large enough, what each looks like, and remember the faces."""
        known, may_doubt = self._faces, self._may_doubt()
        faces = yield from self._glance(frame.image)
        looks = [describe(frame.image, face) for face in faces]
        # Nothing is decided on a damaged picture, so there is nothing to be sure of.
        doubtful = known and may_doubt and not frame.capture.contaminated
        if doubtful and self._tracker.parts(frame.at, faces, looks):
            self.second_looks += 1
            faces = yield from self._detect(frame.image, [_bare(face) for face in known])
            looks = [describe(frame.image, face) for face in faces]
        self._faces = faces
        return faces, looks

    def _glance(self, image: Image) -> _Looking:
        """Return the faces in a picture, followed or found anew as it is due."""
        self._since_tiles += 1
        if self._may_follow():
            # Whoever has nothing to follow need not ask.
            followed = (yield Look(image, self._faces)) if self._faces else ()
            if len(followed) == len(self._faces):
                self._since_detection = (self._since_detection or 0) + 1
                return self._chosen(followed)
        return (yield from self._detect(image, self._faces))

    def _may_follow(self) -> bool:
        """Say whether this frame can do without a look at the whole picture."""
        since = self._since_detection
        if since is None:
            return False
        due = self.settings.detect_every * self.detect_factor
        if not self._faces or self._missed:
            due = min(due, self.settings.retry_every)
        return since + 1 < due

    def _may_doubt(self) -> bool:
        """Say whether this frame may be looked at once more than it is due."""
        since = self._since_detection
        return since is not None and since + 1 >= self.settings.doubt_every * self.detect_factor

    def _detect(self, image: Image, known: Sequence[Face]) -> _Looking:
        """Return the faces in a whole picture, searched with what is known of the previous one."""
        tiles = 0
        first = self._since_detection is None
        closely = not self._since_tiles  # so it was a moment ago; a second look must not see less
        if first or closely or self._since_tiles >= self.settings.tiles_every:
            tiles = self.settings.tiles
            self._since_tiles = 0
        faces = yield Look(image, tuple(known), anew=True, tiles=tiles)
        # A face that was in view and is not found: look again soon rather than in its turn.
        self._missed = len(faces) < len(known)
        self._since_detection = 0
        self.detections += 1
        return self._chosen(faces)

    def _chosen(self, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Return the faces that are large enough, the largest first and no more than allowed."""
        large = [face for face in faces if face.box.side >= self.settings.min_face_px]
        large.sort(key=lambda face: -face.box.area)
        return tuple(large[: self.settings.max_faces])


def perceive_together(
    frames: Sequence[tuple[Perception, Frame, int]],
) -> list[Views | Exception]:
    """Return what each perception sees of its frame, or how it failed; looks go out together.

    All ask for what they can know already, are answered at once, and ask again. A fault is its
    perception's own: when looks fail together they are tried one by one.

    Args:
        frames: perception, frame and overrun as for `perceive`; each perception at most once.
    """
    going = [perception.perceiving(frame, overrun) for perception, frame, overrun in frames]
    done: dict[int, Views | Exception] = {}
    answers: dict[int, tuple[Face, ...] | Exception | None] = dict.fromkeys(range(len(going)))
    while answers:
        looks: dict[int, Look] = {}
        for number, answer in answers.items():
            asked = _go_on(going[number], answer)
            if isinstance(asked, Look):
                looks[number] = asked
            else:
                done[number] = asked
        answers = {}
        for finder in {id(frames[n][0].finder): frames[n][0].finder for n in looks}.values():
            mine = [n for n in looks if frames[n][0].finder is finder]
            answers.update(zip(mine, _look_safely(finder, [looks[n] for n in mine]), strict=True))
    return [done[number] for number in range(len(going))]


def _go_on(
    steps: Perceiving, answer: tuple[Face, ...] | Exception | None
) -> Look | Views | Exception:
    """Return what a frame wants to know next, its views once it is done, or how it failed."""
    try:
        if isinstance(answer, Exception):
            return steps.throw(answer)
        return next(steps) if answer is None else steps.send(answer)
    except StopIteration as done:
        views: Views = done.value
        return views
    except Exception as error:
        return error


def _look_safely(finder: Finder, looks: Sequence[Look]) -> Sequence[tuple[Face, ...] | Exception]:
    try:
        return look_all(finder, looks)
    except Exception as error:
        if len(looks) == 1:
            return [error]
        return [answer for look in looks for answer in _look_safely(finder, [look])]


def _bare(face: Face) -> Face:
    """Return a face whose landmarks are not to be trusted: only roughly where it was."""
    return replace(face, mesh=None)


def _named(ended: Sequence[tuple[int, TrackEnd]]) -> tuple[EndedTrack, ...]:
    return tuple(EndedTrack(track, reason) for track, reason in ended)
