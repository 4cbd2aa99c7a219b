"""Still pictures of what was scored, for people who look.

Theory of operation. Nobody pays for a picture that nobody looks at: a stream is *watched* for a few
seconds after somebody asked for its picture, and only then does the device thread hand over frames.
Handing over keeps a reference, at most one frame per stream and a few times a second; scaling and
JPEG happen later, in the worker thread of whoever asked, and are shared by all who look.

Box and score belong to what is shown: a picture is the very frame behind the scores it comes with.
A frame that nobody rated takes its place only when the last rated one has grown old, so that a
stream without faces is still shown.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from stream.events import Frame, Score
from styleflow.faces.face import Box, Image

WIDTHS = (160, 320, 640, 960, 1280)
"""Widths that pictures are made in; what is asked for is rounded up to one of them."""


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """How often pictures are kept, and for how long.

    Attributes:
        interval_s: least time from one picture of a stream to its next.
        unrated_s: age of a rated picture from which an unrated one may replace it.
        patience_s: how long a stream stays watched after somebody asked.
        quality: of the JPEG, 1..100.
    """

    interval_s: float = 0.22
    unrated_s: float = 0.6
    patience_s: float = 4.0
    quality: int = 80


@dataclass(frozen=True, slots=True)
class ShownFace:
    """One face in a picture, with the score that this very frame led to; None when unrated."""

    track: int
    box: Box
    score: Score | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One picture, encoded.

    Attributes:
        stream: whose it is.
        epoch: the frame's epoch.
        slot: the frame's place on the cadence grid.
        at: media seconds since the epoch began.
        arrived: monotonic seconds at which the frame arrived.
        width: width of the source, in whose pixels the boxes are.
        height: height of the source.
        faces: who is in it.
        jpeg: the picture, `step` pixels wide or as wide as the source.
        step: the entry of WIDTHS that it was made for.
    """

    stream: str
    epoch: int
    slot: int
    at: float
    arrived: float
    width: int
    height: int
    faces: tuple[ShownFace, ...]
    jpeg: bytes
    step: int

    @property
    def tag(self) -> str:
        """What tells it from every other picture of the stream."""
        return f"{self.epoch}.{self.slot}.{self.step}"


@dataclass(slots=True, eq=False)
class _Kept:
    """The newest picture of one watched stream and what was made of it so far."""

    frame: Frame
    faces: tuple[ShownFace, ...]
    rated: bool
    kept_at: float
    stills: dict[int, Still] = field(default_factory=dict)


class Pictures:
    """The newest picture of every stream that somebody watches; safe between threads.

    It holds at most one frame per watched stream and, per width, one JPEG of it.
    """

    def __init__(self, settings: PictureSettings | None = None) -> None:
        self.settings = settings or PictureSettings()
        self.encoded = 0  # JPEGs made so far
        self._lock = threading.Lock()
        self._watched_until: dict[str, float] = {}
        self._kept: dict[str, _Kept] = {}

    def watch(self, stream: str, now: float) -> None:
        """Have pictures of a stream kept for a while, from its next frame on."""
        with self._lock:
            self._watched_until[stream] = now + self.settings.patience_s

    def watched(self, stream: str) -> bool:
        """Return whether pictures of a stream are kept; cheap enough to ask for every frame."""
        return stream in self._watched_until

    def offer(
        self,
        frame: Frame,
        faces: Iterable[tuple[int, Box]],
        scores: Iterable[Score],
        now: float,
    ) -> bool:
        """Keep a frame if it is wanted; return whether it was.

        Args:
            frame: what was looked at.
            faces: tracks seen in it and where.
            scores: what it led to.
            now: monotonic seconds.
        """
        by_track = {
            score.track: score
            for score in reversed(list(scores))  # of several detectors the first one is shown
            if score.epoch == frame.epoch and score.end == frame.at
        }
        with self._lock:
            if frame.stream not in self._watched_until:
                return False
            before = self._kept.get(frame.stream)
            if before is not None and not self._replaces(before, frame, now, rated=bool(by_track)):
                return False
            shown = tuple(ShownFace(track, box, by_track.get(track)) for track, box in faces)
            self._kept[frame.stream] = _Kept(frame, shown, bool(by_track), now)
        return True

    def ready(self, stream: str, width: int) -> Still | None:
        """Return the newest picture if it has been made already in this width."""
        with self._lock:
            kept = self._kept.get(stream)
            return None if kept is None else kept.stills.get(step_for(width))

    def still(self, stream: str, width: int) -> Still | None:
        """Return the newest picture, made now if need be; None when there is none yet.

        Encoding takes milliseconds: call it from a worker thread.

        Args:
            stream: whose picture.
            width: wanted in pixels; it never comes larger than the source.
        """
        with self._lock:
            kept = self._kept.get(stream)
        if kept is None:
            return None
        step = step_for(width)
        done = kept.stills.get(step)
        if done is not None:
            return done
        made = self._encode(kept, step)
        with self._lock:
            kept.stills[step] = made
            self.encoded += 1
        return made

    def prune(self, now: float) -> None:
        """Let go of the pictures that nobody has asked for lately."""
        with self._lock:
            for stream in [s for s, until in self._watched_until.items() if until < now]:
                del self._watched_until[stream]
                self._kept.pop(stream, None)

    def forget(self, stream: str) -> None:
        """Let go of a stream."""
        with self._lock:
            self._watched_until.pop(stream, None)
            self._kept.pop(stream, None)

    def _replaces(self, before: _Kept, frame: Frame, now: float, *, rated: bool) -> bool:
        if frame.epoch != before.frame.epoch:
            return True
        age = now - before.kept_at
        if before.rated and not rated:
            return age >= self.settings.unrated_s
        return age >= self.settings.interval_s

    def _encode(self, kept: _Kept, step: int) -> Still:
        frame = kept.frame
        height, width = frame.image.shape[:2]
        return Still(
            stream=frame.stream,
            epoch=frame.epoch,
            slot=frame.slot,
            at=frame.at,
            arrived=frame.arrived,
            width=width,
            height=height,
            faces=kept.faces,
            jpeg=encode_jpeg(frame.image, step, self.settings.quality),
            step=step,
        )


def step_for(width: int) -> int:
    """Return the smallest of WIDTHS that is no smaller than a wanted width, or the largest."""
    return next((step for step in WIDTHS if step >= width), WIDTHS[-1])


def encode_jpeg(image: Image, width: int, quality: int) -> bytes:
    """Return an RGB picture as JPEG, scaled down to a width unless it is narrower already."""
    if image.shape[1] > width:
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
    assert done, "JPEG of an 8-bit picture cannot fail"
    return bytes(data)
