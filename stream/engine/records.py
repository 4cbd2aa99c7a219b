"""Records of one engine: the tracks it follows, and what the answers to its plans will need."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.engine.looks import LookClock
from stream.engine.verdict import Evidence
from stream.engine.window import TrackWindow
from stream.events import AbstainReason, CaptureConditions
from styleflow.calibration import Calibration
from styleflow.cards import TrainingStatus
from styleflow.clips import ClipSpec
from styleflow.faces.face import Box, FaceQuality


@dataclass(frozen=True, slots=True)
class Subject:
    """The stream and the scoring model that one engine is about.

    Attributes:
        stream: id of the stream.
        detector: name of the model behind the scores.
        clip: cadence and length that the model was trained on.
        calibration: the model's.
        status: how far the model's scores may be trusted.
    """

    stream: str
    detector: str
    clip: ClipSpec
    calibration: Calibration
    status: TrainingStatus


@dataclass(slots=True, eq=False)
class FollowedTrack:
    """One followed face. `window` belongs to `step`; `evidence` belongs to `resolve`.

    Attributes:
        number: of the track.
        epoch: in which it is seen.
        seen_slot: slot of the newest frame that it was seen in.
        seen_at: media time of that frame.
        window: what has been pushed.
        evidence: what the ratings say so far.
        looks: which of its frames are looked at; both tell it something.
        reasons: why there is no verdict, as of the newest answer.
        refused: the device had no slot for it, and that has been told.
        unsettled: what the device knows of it is unknown, until it starts anew.
    """

    number: int
    epoch: int
    seen_slot: int
    seen_at: float
    window: TrackWindow
    evidence: Evidence
    looks: LookClock = field(default_factory=LookClock)
    reasons: tuple[AbstainReason, ...] = (AbstainReason.WARMING,)
    refused: bool = False
    unsettled: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """State of a track when its rating was asked for."""

    slot: int
    start: float
    frames: int
    hop_frames: int
    missing: int
    reasons: tuple[AbstainReason, ...]
    quality: FaceQuality
    box: Box
    capture: CaptureConditions


@dataclass(frozen=True, slots=True)
class Mark:
    """Consequences of one plan for one track."""

    track: int
    pushed: bool
    fresh: bool = False
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """Everything that the answer to one plan will need."""

    at: float
    arrived: float
    contaminated: bool
    marks: tuple[Mark, ...]
