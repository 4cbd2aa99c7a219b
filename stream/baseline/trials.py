"""Whole trials of known-real video, with the conditions under which each was taken. Pure.

A baseline is made of the values that a budget compares (`styleflow.decisions.Trial`): how far the
running mean of four seconds of one face's evidence reached. So ratings of a file, of the last
minutes and of the store become `RealTrial`s here, and nothing but these is kept of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from stream.events import AbstainReason, Score
from styleflow.decisions import Horizon, Trial

HOP_S = 0.24
"""Seconds that a face's first rating speaks for; as `engine.hop_s`."""

MAX_STEP_S = 0.5
"""Seconds that one rating speaks for at most, so that time without evidence counts for nobody."""

MAX_GAP_S = 1.0
"""Media seconds without a rating after which a face's trial begins anew; as `engine.max_gap_s`."""

MAX_FACES = 64
"""Faces whose trial is under way at a time; the one that was rated longest ago gives way."""

_STILL_EVIDENCE = frozenset({AbstainReason.UNTRAINED, AbstainReason.UNDECIDED})


@dataclass(frozen=True, slots=True)
class Look:
    """One rating as a baseline sees it; a figure that is not known is None.

    Attributes:
        face: whose, unlike any other face's of the same video.
        end: seconds of the newest frame behind it, on any scale that is steady for one face.
        logit: raw; what is not finite is no evidence.
        counts: whether it is evidence.
        brightness: mean luma of the face, 0..255.
        sharpness: of the face.
        face_px: side of the face in source pixels.
        bits_per_pixel: compressed bits per source pixel.
        codec: name of the codec; empty where it is unknown.
        size: width and height of the picture; zeros where they are unknown.
    """

    face: tuple[int, int]
    end: float
    logit: float
    counts: bool
    brightness: float | None = None
    sharpness: float | None = None
    face_px: float | None = None
    bits_per_pixel: float | None = None
    codec: str = ""
    size: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, score: Score) -> Look:
        """Return what a published score says."""
        quality, capture = score.quality, score.capture
        pictures = capture.picture_format
        return cls(
            face=(score.epoch, score.track),
            end=score.end,
            logit=score.logit,
            counts=_STILL_EVIDENCE.issuperset(score.reasons),
            brightness=quality.brightness,
            sharpness=quality.sharpness,
            face_px=quality.face_px,
            bits_per_pixel=capture.bits_per_pixel or None,
            codec=pictures.codec if pictures else "",
            size=(pictures.width, pictures.height) if pictures else (0, 0),
        )


@dataclass(frozen=True, slots=True)
class RealTrial:
    """One whole trial, and the mean conditions of it.

    Attributes:
        face: whose.
        highest: how far its running mean reached.
        seconds: of evidence.
        brightness: mean luma; None where it is unknown, as the others.
        sharpness: of the face.
        face_px: side of the face.
        bits_per_pixel: compressed bits per source pixel.
        codec: at its end.
        size: of the picture at its end.
    """

    face: tuple[int, int]
    highest: float
    seconds: float
    brightness: float | None = None
    sharpness: float | None = None
    face_px: float | None = None
    bits_per_pixel: float | None = None
    codec: str = ""
    size: tuple[int, int] = (0, 0)


_FIGURES = ("brightness", "sharpness", "face_px", "bits_per_pixel")


@dataclass(slots=True)
class _Face:
    """The trial of one face that is under way."""

    trial: Trial
    end: float | None = None  # of its newest rating, evidence or not
    counted: float | None = None  # end of its newest evidence
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def note(self, look: Look) -> None:
        """Take in the conditions of a rating."""
        for name in _FIGURES:
            value = getattr(look, name)
            if value is not None:
                self.sums[name] = self.sums.get(name, 0.0) + value
                self.counts[name] = self.counts.get(name, 0) + 1

    def mean(self, name: str) -> float | None:
        """Return the mean of a figure, None without any."""
        count = self.counts.get(name, 0)
        return self.sums[name] / count if count else None


class TrialMaker:
    """Makes whole trials of ratings as they come. Memory is bounded by `MAX_FACES`.

    Args:
        horizon: times of a trial.
    """

    def __init__(self, horizon: Horizon) -> None:
        self._horizon = horizon
        self._faces: dict[tuple[int, int], _Face] = {}

    def add(self, look: Look) -> RealTrial | None:
        """Take in a rating, and return the trial that it completes, if it does."""
        face = self._faces.pop(look.face, None)
        gone = face is not None and face.end is not None and look.end - face.end > MAX_GAP_S
        if face is None or gone:
            face = _Face(Trial(self._horizon))
        self._faces[look.face] = face
        if len(self._faces) > MAX_FACES:
            del self._faces[next(iter(self._faces))]
        face.end = look.end
        if not look.counts or not abs(look.logit) < 1e6:
            return None
        since = HOP_S if face.counted is None else look.end - face.counted
        face.counted = look.end
        if since <= 0:
            return None
        face.trial.add(look.logit, min(since, MAX_STEP_S))
        face.note(look)
        return self._whole(look, face) if face.trial.over else None

    def _whole(self, look: Look, face: _Face) -> RealTrial:
        """Return a trial that is over; the face's next one begins."""
        self._faces[look.face] = _Face(Trial(self._horizon), look.end, look.end)
        assert face.trial.highest is not None
        return RealTrial(
            face=look.face,
            highest=face.trial.highest,
            seconds=face.trial.seen_s,
            brightness=face.mean("brightness"),
            sharpness=face.mean("sharpness"),
            face_px=face.mean("face_px"),
            bits_per_pixel=face.mean("bits_per_pixel"),
            codec=look.codec,
            size=look.size,
        )


def whole_trials(looks: Iterable[Look], horizon: Horizon) -> Iterator[RealTrial]:
    """Yield the whole trials of ratings, each face's in their order."""
    maker = TrialMaker(horizon)
    for look in looks:
        trial = maker.add(look)
        if trial is not None:
            yield trial
