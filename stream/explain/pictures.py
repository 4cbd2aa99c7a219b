"""Still pictures of scored frames, kept for people who watch.

Theory of operation. Nobody pays for a picture that nobody looks at: a stream is *watched* for a few
seconds after somebody asked for its picture, and only then does the device thread hand over frames.
Handing over keeps a reference, at most one frame per stream and a few times a second; scaling and
JPEG happen later, in the worker thread of whoever asked, and are shared by all who watch.

Box and score belong to what is shown: a picture is the very frame behind the scores it comes with.
A frame that nobody rated takes its place only when the last rated one has grown old, so that a
stream without faces is still shown.

Whoever wants a detector's explanation watches a *view* of its own, named after the detector: its
pictures are frames which that detector has just explained. Explaining may cost as much as
another rating, so views are few, each asks only as often as it shows something new, and it ends
with its last viewer.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stream.errors import OverlaysBusy
from stream.events import Frame, Score
from stream.explain.overlay import Explanation, paint, strongest
from stream.explain.stills import ExplainedFace, Overlay, ShownFace, Still, encode_jpeg, step_for
from styleflow.faces.device_picture import host
from styleflow.faces.face import Box


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """How often pictures are kept, and for how long.

    Attributes:
        interval_s: least time from one picture of a stream to its next.
        unrated_s: age of a rated picture from which an unrated one may replace it.
        patience_s: how long a stream stays watched after somebody asked.
        quality: of the JPEG, 1..100.
        explained_s: least time from one explained picture of a view to its next.
        unexplained_s: age of an explained picture from which another frame may replace it.
        overlays: views with explanations that may be watched at a time, over all streams; a
            further one is refused.
    """

    interval_s: float = 0.22
    unrated_s: float = 0.6
    patience_s: float = 4.0
    quality: int = 80
    explained_s: float = 0.35
    unexplained_s: float = 3.0
    overlays: int = 8


@dataclass(slots=True, eq=False)
class _Kept:
    """The newest picture of one view and what was made of it so far."""

    frame: Frame
    faces: tuple[ShownFace, ...]
    rated: bool  # or explained, in a view with explanations
    kept_at: float
    overlay: Overlay | None = None
    stills: dict[tuple[int, bool], Still] = field(default_factory=dict)  # by step and drawn


_View = tuple[str, str | None]
"""A stream that somebody watches, and the detector whose explanation is shown, if any."""


class Pictures:
    """The newest picture of every stream that somebody watches; safe between threads.

    It holds at most one frame per view and, per width, one JPEG of it plain and one painted.
    """

    def __init__(self, settings: PictureSettings | None = None) -> None:
        self.settings = settings or PictureSettings()
        self.encoded = 0  # JPEGs made so far
        self.explained = 0  # pictures kept with an explanation
        self.refused = 0  # views refused because too many were watched
        self._lock = threading.Lock()
        self._watched_until: dict[_View, float] = {}
        self._kept: dict[_View, _Kept] = {}

    def watch(self, stream: str, now: float, overlay: str | None = None) -> None:
        """Have pictures of a stream kept for a while, from its next frame on.

        Args:
            stream: whose.
            now: monotonic seconds.
            overlay: the detector whose explanations are to be kept with them.

        Raises:
            OverlaysBusy: too many such views are watched already.
        """
        with self._lock:
            view = (stream, overlay)
            if overlay is not None and view not in self._watched_until:
                others = sum(detector is not None for _, detector in self._watched_until)
                if others >= self.settings.overlays:
                    self.refused += 1
                    raise OverlaysBusy(self.settings.overlays)
            self._watched_until[view] = now + self.settings.patience_s

    def watched(self, stream: str) -> bool:
        """Return whether plain pictures of a stream are kept; cheap enough for every frame."""
        return (stream, None) in self._watched_until

    def overlays(self, stream: str) -> tuple[str, ...]:
        """Return the detectors whose explanations somebody watches in a stream."""
        with self._lock:
            return tuple(d for s, d in self._watched_until if s == stream and d is not None)

    def due(self, stream: str, now: float) -> tuple[str, ...]:
        """Return the detectors that are to explain a stream's next frame.

        Cheap enough to ask for every frame.
        """
        return tuple(
            detector
            for detector in self.overlays(stream)
            if (kept := self._kept.get((stream, detector))) is None
            or not kept.rated
            or now - kept.kept_at >= self.settings.explained_s
        )

    def offer(
        self,
        frame: Frame,
        faces: Iterable[tuple[int, Box]],
        scores: Iterable[Score],
        now: float,
    ) -> bool:
        """Keep a frame if it is wanted; return whether it was.

        Args:
            frame: that was perceived.
            faces: tracks seen in it and where.
            scores: what it led to.
            now: monotonic seconds.
        """
        shown, rated = _shown(frame, faces, scores)
        with self._lock:
            before = self._kept.get((frame.stream, None))
            least = self.settings.interval_s
            if before is not None and before.rated and not rated:
                least = self.settings.unrated_s
            return self._keep((frame.stream, None), _Kept(frame, shown, rated, now), least)

    def offer_explained(
        self,
        frame: Frame,
        faces: Iterable[tuple[int, Box]],
        scores: Iterable[Score],
        now: float,
        overlay: str,
        explanations: Sequence[Explanation] | None,
    ) -> bool:
        """Keep a frame for those who watch a detector's explanations; return whether it was.

        Args:
            frame: that was perceived.
            faces: tracks seen in it and where.
            scores: what it led to.
            now: monotonic seconds.
            overlay: the detector.
            explanations: of the faces in this very frame; None when it was not asked or did
                not rate this frame, which is then shown only once the last explained one is old.
        """
        shown, _ = _shown(frame, faces, scores)
        known = explanations is not None
        explanation = _overlay(overlay, explanations)
        with self._lock:
            view = (frame.stream, overlay)
            before = self._kept.get(view)
            least = self.settings.explained_s
            if not known:
                waits = before is not None and before.rated
                least = self.settings.unexplained_s if waits else self.settings.interval_s
            elif before is not None and not before.rated:
                least = 0.0
            kept = self._keep(view, _Kept(frame, shown, known, now, explanation), least)
            self.explained += kept and known
            return kept

    def ready(
        self, stream: str, width: int, overlay: str | None = None, *, drawn: bool = False
    ) -> Still | None:
        """Return the newest picture if it has been made already; see `still`."""
        with self._lock:
            kept = self._kept.get((stream, overlay))
            return None if kept is None else kept.stills.get((step_for(width), drawn))

    def still(
        self, stream: str, width: int, overlay: str | None = None, *, drawn: bool = False
    ) -> Still | None:
        """Return the newest picture, made now if need be; None when there is none yet.

        Encoding takes milliseconds: call it from a worker thread.

        Args:
            stream: whose picture.
            width: wanted in pixels; it never comes larger than the source.
            overlay: the detector whose explanation comes with it.
            drawn: paint that into the picture.
        """
        with self._lock:
            kept = self._kept.get((stream, overlay))
        if kept is None:
            return None
        made_for = (step_for(width), drawn and overlay is not None)
        done = kept.stills.get(made_for)
        if done is not None:
            return done
        made = self._encode(kept, *made_for)
        with self._lock:
            kept.stills[made_for] = made
            self.encoded += 1
        return made

    def prune(self, now: float) -> None:
        """Let go of the pictures that nobody has asked for lately."""
        with self._lock:
            for view in [view for view, until in self._watched_until.items() if until < now]:
                self._drop(view)

    def forget(self, stream: str) -> None:
        """Let go of a stream."""
        with self._lock:
            for view in [view for view in self._watched_until if view[0] == stream]:
                self._drop(view)

    def _drop(self, view: _View) -> None:
        del self._watched_until[view]
        self._kept.pop(view, None)

    def _keep(self, view: _View, new: _Kept, least_s: float) -> bool:
        """Keep a picture of a view unless the one before it is younger than allowed."""
        if view not in self._watched_until:
            return False
        before = self._kept.get(view)
        same_epoch = before is not None and before.frame.epoch == new.frame.epoch
        if before is not None and same_epoch and new.kept_at - before.kept_at < least_s:
            return False
        self._kept[view] = new
        return True

    def _encode(self, kept: _Kept, step: int, drawn: bool) -> Still:  # noqa: FBT001 - a key's half
        frame, image = kept.frame, host(kept.frame.image)
        height, width = image.shape[:2]
        if drawn and kept.overlay is not None:
            for face in kept.overlay.faces:
                image = paint(image, face.corners, face.regions)
        return Still(
            stream=frame.stream,
            epoch=frame.epoch,
            slot=frame.slot,
            at=frame.at,
            arrived=frame.arrived,
            width=width,
            height=height,
            faces=kept.faces,
            jpeg=encode_jpeg(image, step, self.settings.quality),
            step=step,
            overlay=kept.overlay,
            drawn=drawn,
        )


def _shown(
    frame: Frame, faces: Iterable[tuple[int, Box]], scores: Iterable[Score]
) -> tuple[tuple[ShownFace, ...], bool]:
    """Return a frame's faces with the scores that are its own, and whether there are any."""
    own = [s for s in scores if s.epoch == frame.epoch and s.end == frame.at]
    shown = tuple(
        ShownFace(track, box, tuple(s for s in own if s.track == track)) for track, box in faces
    )
    return shown, bool(own)


def _overlay(detector: str, explanations: Sequence[Explanation] | None) -> Overlay:
    if explanations is None:
        return Overlay(detector, explained=False)
    kept, left_out = strongest([each.regions for each in explanations])
    faces = tuple(
        ExplainedFace(each.track, each.corners, regions)
        for each, regions in zip(explanations, kept, strict=True)
    )
    return Overlay(detector, explained=True, faces=faces, left_out=left_out)
