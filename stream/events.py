"""Values that travel between the parts of `stream`: frames in, events out. No behaviour.

Three times appear here and are never mixed: `at` is media time (seconds, from PTS, within one
epoch), `arrived` is the monotonic time at which the packet came in, and `published` is stamped by
whoever sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import TYPE_CHECKING

from stream.baseline_mark import BaselineMark
from stream.compliance import Challenge
from stream.incident import Incident, IncidentStep
from styleflow.cards import ModelCard, TrainingStatus
from styleflow.faces.face import AlignedFace, Box, FaceQuality
from styleflow.faces.face import TrackEnd as TrackEnd

if TYPE_CHECKING:
    from styleflow.faces.device_picture import Pixels


class ConnectionState(Enum):
    """Where a stream's connection stands."""

    CONNECTING = "connecting"
    WAITING_FOR_KEYFRAME = "waiting_for_keyframe"
    LIVE = "live"
    STALLED = "stalled"
    BACKING_OFF = "backing_off"
    FAILED = "failed"
    ENDED = "ended"  # a file or demo has played to its end, or a call is over


class ReasonCode(StrEnum):
    """Why a connection is not live. A closed list: dashboards and alerts switch on it."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    TLS = "tls"
    CODEC = "codec"
    ENDED = "ended"
    CORRUPT = "corrupt"


class SourceKind(StrEnum):
    """Kind of a source, as a person tells them apart."""

    CAMERA = "camera"
    CALL = "call"
    FILE = "file"
    DEMO = "demo"

    @classmethod
    def of(cls, source: str) -> SourceKind:
        """Return the kind of a source by its URL or path, which may be redacted."""
        scheme, found, _ = source.partition("://")
        return _KINDS.get(scheme.lower(), cls.FILE) if found else cls.FILE


_KINDS = {
    "rtsp": SourceKind.CAMERA,
    "rtsps": SourceKind.CAMERA,
    "whip": SourceKind.CALL,
    "demo": SourceKind.DEMO,
}


class EpochCause(Enum):
    """Why media time started anew."""

    CONNECTED = "connected"
    PTS_JUMP = "pts_jump"
    PTS_BACKWARD = "pts_backward"
    SIZE_CHANGED = "size_changed"
    CODEC_CHANGED = "codec_changed"


class AbstainReason(Enum):
    """Why no verdict is given. A closed list, most fundamental first."""

    UNTRAINED = "untrained"
    WARMING = "warming"
    NO_FACE = "no_face"
    FACE_SMALL = "face_small"
    BLURRED = "blurred"
    DARK = "dark"
    PROFILE = "profile"
    LOW_FPS = "low_fps"
    PACKET_LOSS = "packet_loss"
    CONTAMINATED = "contaminated"
    OVERLOADED = "overloaded"
    FACES_WAITING = "faces_waiting"
    UNDECIDED = "undecided"


class Notice(StrEnum):
    """Fact about a stream that is worth knowing and takes away no verdict. A closed list."""

    CAMERA_CLOCK = "camera_clock"
    SMALL_LAYER = "small_layer"
    DRIFTED = "drifted"


class DegradationLevel(IntEnum):
    """How much work an analyzer leaves out because there is too much of it.

    Each level leaves out what those below it do; see `stream/scheduling/degradation.py`.
    """

    NONE = 0
    DETECT_LESS = 1
    LONGER_HOP = 2
    SAMPLED_WINDOWS = 3
    REFUSE_STREAMS = 4

    @property
    def word(self) -> str:
        """The name that messages and metrics use."""
        return self.name.lower()


class Verdict(Enum):
    """What the evidence says about one track so far."""

    PENDING = "pending"
    CLEAR = "clear"
    SUSPECT = "suspect"


@dataclass(frozen=True, slots=True)
class Layer:
    """One of several sizes in which a sender gives its video (simulcast), as it arrives.

    Attributes:
        width: of its pictures.
        height: of its pictures.
        of: how many sizes are offered.
    """

    width: int
    height: int
    of: int


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """How pictures arrive: the name of their codec, and their size in pixels."""

    codec: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class CaptureConditions:
    """Conditions under which a picture was captured and received, beside the picture itself.

    Frames and views carry this value whole, so a further figure touches two files: it is declared
    here and measured in `stream/ingest/conditions.py`. The engine alone weighs the figures: in
    `stream/engine/reasons.py` (when to abstain) and `stream/engine/evidence_weight.py`.

    Attributes:
        contaminated: decoded after a loss and before the next keyframe, so no evidence.
        source_fps: decoded source frames per media second, measured over the last seconds; 0 while
            it is unknown.
        link_loss: share of packets lately lost on the way, repaired or not; 0 where it is unknown.
        bits_per_pixel: compressed bits per source pixel, measured over the last seconds; 0 where
            it is unknown.
        camera_clock: the source's stamps are no clock, so arrival or decoding tells the time.
        lossless: nothing is lost on the way, as from a file; what is missing was never made.
        simulcast_layer: which of its sizes a sender gives; None when it has only one.
        picture_format: codec and size of the picture; None where they are unknown. Baselines weigh
            it, and nobody else.
    """

    contaminated: bool = False
    source_fps: float = 0.0
    link_loss: float = 0.0
    bits_per_pixel: float = 0.0
    camera_clock: bool = False
    lossless: bool = False
    simulcast_layer: Layer | None = None
    picture_format: PictureFormat | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture of one stream, sampled on the cadence grid.

    Attributes:
        stream: id of the stream.
        epoch: counts the stretches of continuous media time of this stream.
        slot: index on the cadence grid of this epoch; a jump of more than one is a gap.
        at: media seconds since the epoch began.
        arrived: monotonic seconds at which its packet arrived.
        image: RGB picture, `(H, W, 3)` uint8, in memory or on the device that scores it.
        capture: the conditions under which it was captured.
    """

    stream: str
    epoch: int
    slot: int
    at: float
    arrived: float
    image: Pixels
    capture: CaptureConditions = CaptureConditions()


@dataclass(frozen=True, slots=True)
class EndedTrack:
    """A track that perception has closed, and why."""

    track: int
    reason: TrackEnd


@dataclass(frozen=True, slots=True, eq=False)
class Perceived:
    """What one detector's clip sees of one sampled frame: all that its engine is ever told.

    Attributes:
        stream: id of the stream.
        epoch: the frame's epoch.
        slot: the frame's index on the cadence grid.
        at: media seconds since the epoch began.
        arrived: monotonic arrival of the frame's packet.
        capture: the conditions under which the frame was captured.
        faces: aligned faces, one per track that was seen in this frame.
        started: tracks whose first frame this is.
        ended: tracks that are closed; none of them is in `faces`.
        overrun: sampled frames dropped since the previous one because the analyzer was too slow.
        waiting: faces in this frame that are not followed, because too many others are.
    """

    stream: str
    epoch: int
    slot: int
    at: float
    arrived: float
    capture: CaptureConditions
    faces: tuple[AlignedFace, ...]
    started: tuple[int, ...] = ()
    ended: tuple[EndedTrack, ...] = ()
    overrun: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class ScoringModel:
    """One of the models that score a stream.

    Attributes:
        model: what is known of it.
        calibrated: whether its calibration was fitted to validation data.
    """

    model: ModelCard
    calibrated: bool


@dataclass(frozen=True, slots=True)
class StreamAdded:
    """A stream can be followed from now on, or what is known of it was replaced.

    Attributes:
        name: what people call it.
        models: the models that score it, the first one first; at least one.
        demo: whether it is a demo source.
        source: where its video comes from, without credentials.
        detail: what it waits for before its source says anything.
        tags: what people sort it by, the most important first.
        second_look: the heavier detector that its faces are shown to now and then, if any.
    """

    stream: str
    epoch: int
    name: str
    models: tuple[ScoringModel, ...]
    demo: bool = False
    source: str = ""
    detail: str = ""
    tags: tuple[str, ...] = ()
    second_look: ScoringModel | None = None


@dataclass(frozen=True, slots=True)
class StreamDescribed:
    """People call a stream something else, or sort it otherwise; its video goes on.

    Attributes:
        name: what people call it now.
        tags: what they sort it by now, the most important first.
    """

    stream: str
    epoch: int
    name: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamRemoved:
    """A stream is gone; its id may be given to another one.

    Attributes:
        moved: it goes on in another process, so it is gone for this one's parts alone: people are
            not told, and the store does not hear of it.
    """

    stream: str
    epoch: int
    moved: bool = False


@dataclass(frozen=True, slots=True)
class StreamChanged:
    """A connection entered another state."""

    stream: str
    epoch: int
    state: ConnectionState
    code: ReasonCode | None = None
    detail: str = ""
    retry_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class EpochStarted:
    """Media time of a stream started anew; every earlier track has ended."""

    stream: str
    epoch: int
    cause: EpochCause


@dataclass(frozen=True, slots=True)
class TrackStarted:
    """A face appeared."""

    stream: str
    epoch: int
    track: int
    at: float


@dataclass(frozen=True, slots=True)
class TrackEnded:
    """A face's history is closed; its id is never used again."""

    stream: str
    epoch: int
    track: int
    at: float
    reason: TrackEnd


@dataclass(frozen=True, slots=True)
class CapacityReached:
    """Faces that are not looked at: too many are in view, or the device has no slot for one.

    Attributes:
        track: the face that is not scored; 0 when faces wait that have no track.
        slots: how many faces are looked at.
        detector: whose scores they miss.
        faces_waiting: faces of the stream that are not looked at now.
    """

    stream: str
    epoch: int
    track: int
    slots: int
    detector: str
    faces_waiting: int = 1


@dataclass(frozen=True, slots=True)
class VerdictChanged:
    """What one detector says of a track changed; never dropped on the way to a subscriber."""

    stream: str
    epoch: int
    track: int
    at: float
    previous: Verdict
    verdict: Verdict
    score: float
    detector: str


@dataclass(frozen=True, slots=True)
class Decision:
    """How a face was decided against a budget of false alarms, or how far it is from that.

    Attributes:
        verdict: held now.
        evidence: how far the present trial has come towards an alarm, 0..1; 1 is an alarm.
        as_high: share of known real sources, the face among them, that reach as high; 1 before
            there is anything to compare.
        as_low: share of known fake sources, the face among them, that reach as low.
        stake: chance of a false alarm that the trial is held to; 0 when nothing is staked on it.
        needs_s: media seconds until this trial is over or, when nothing is staked on it, until one
            can be; None once the face is suspect.
        gave_up: so much evidence brought no verdict that none is expected.
    """

    verdict: Verdict
    evidence: float
    as_high: float
    as_low: float
    stake: float
    needs_s: float | None
    gave_up: bool


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What a heavier detector said of a face when it was last shown it.

    Attributes:
        detector: its name.
        score: its calibrated probability: 1 leans fake.
        at: media time of the newest frame that it was shown.
        agrees: whether it and the score beside it lean to the same side; None when one of them
            leans to neither, or when the detector is untrained.
        status: how far its scores may be trusted.
    """

    detector: str
    score: float
    at: float
    agrees: bool | None
    status: TrainingStatus


@dataclass(frozen=True, slots=True)
class Score:
    """One detector's rolling score of one track: 1 leans fake. Evidence, not proof.

    Attributes:
        start: media time of the first frame behind this score.
        end: media time of the newest frame behind this score.
        frames: sampled frames behind this score.
        missing: grid slots between `start` and `end` that held no usable frame.
        logit: the model's raw output at `end`.
        probability: calibrated from `logit`.
        score: smoothed probability, the published number.
        low: lower end of the score's interval.
        high: upper end of the score's interval.
        reasons: why there is no verdict; empty when there is one.
        box: where the face is in source pixels at `end`.
        arrived: monotonic arrival of the newest packet behind this score.
        detector: name of the model whose score it is.
        evidence_weight: of a frame of the newest hop, above 0 and at most 1; the interval is made
            of it.
        decision: how its verdict came about, where a budget of false alarms decides; else None.
        capture: conditions of the frames behind it.
        baseline: known-real video of the stream that its trial is compared with; None without one.
        strangeness: how far the rating lies beyond the clips that calibration saw, in their
            spreads; 0 among them.
        second_look: what a heavier detector last said of this face; None before it was shown it.
    """

    stream: str
    epoch: int
    track: int
    start: float
    end: float
    frames: int
    missing: int
    logit: float
    probability: float
    score: float
    low: float
    high: float
    verdict: Verdict
    reasons: tuple[AbstainReason, ...]
    quality: FaceQuality
    box: Box
    arrived: float
    detector: str
    evidence_weight: float = 1.0
    decision: Decision | None = None
    capture: CaptureConditions = CaptureConditions()
    baseline: BaselineMark | None = None
    strangeness: float = 0.0
    second_look: SecondLook | None = None


@dataclass(frozen=True, slots=True)
class LinkQuality:
    """How well a peer's packets arrive, measured over the last second or two.

    Attributes:
        loss: share of packets lost on the way, 0..1; most of them are repaired by sending again.
        jitter_s: how unevenly packets arrive (RFC 3550).
        rtt_s: time there and back; None before it is known.
        kbps: kilobits received per second.
    """

    loss: float
    jitter_s: float
    rtt_s: float | None
    kbps: float


@dataclass(frozen=True, slots=True)
class StreamReport:
    """How a stream is doing, once a second and at every change of its reasons.

    Attributes:
        fps: decoded source frames per media second, lately; None while it is unknown.
        loss: share of media time lately lost to gaps and contamination, 0..1; None before the first
            frame.
        tracks: faces followed now.
        reasons: why the stream as a whole yields no scores (for example no face).
        age_s: seconds since the newest frame arrived; None before the first.
        link: how well packets arrive; None where nobody knows.
        overload: how much work the analyzer leaves out.
        faces_waiting: faces in view that are not looked at now; while there are any, the stream as
            a whole is not clear, whatever the others' verdicts are.
        notices: what is worth knowing of the stream beside.
        layer: which of its sizes the sender gives; None when it has only one.
        baseline: known-real video of the stream; None without one.
        drift: what has changed against its own last seven days, a sentence each.
    """

    stream: str
    epoch: int
    fps: float | None
    loss: float | None
    tracks: int
    reasons: tuple[AbstainReason, ...]
    age_s: float | None
    link: LinkQuality | None = None
    overload: DegradationLevel = DegradationLevel.NONE
    faces_waiting: int = 0
    notices: tuple[Notice, ...] = ()
    layer: Layer | None = None
    baseline: BaselineMark | None = None
    drift: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IncidentChanged:
    """An incident was opened, went on, was closed, or somebody said something of it.

    The stream may be gone by then: an operator can label last week's incident.

    Attributes:
        incident: as it is now.
        step: what changed.
        by: whose doing; empty when the analyzer's own.
        text: the comment, when it is one.
    """

    stream: str
    epoch: int
    incident: Incident
    step: IncidentStep
    by: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ChallengeChanged:
    """The person in a stream is asked for something, or what was seen of it is known.

    Attributes:
        challenge: as it is now.
    """

    stream: str
    epoch: int
    challenge: Challenge


Event = (
    StreamAdded
    | StreamDescribed
    | StreamRemoved
    | StreamChanged
    | EpochStarted
    | TrackStarted
    | TrackEnded
    | CapacityReached
    | VerdictChanged
    | Score
    | StreamReport
    | IncidentChanged
    | ChallengeChanged
)
"""Everything that the analyzer tells the outside world."""
