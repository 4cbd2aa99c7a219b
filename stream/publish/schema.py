"""Schema of the wire format `styleflow.v1.json`: one model per server message and its parts.

Every message is one JSON object in the same envelope: `v`, `type`, `stream`, `epoch`, `seq`,
`ts_capture`, `ts_emit` and `data`. What is not known is null, never left out; a number that is
not finite is null as well, because JSON has no word for it. Everything that carries a score also
carries the model, whether the source is a demo, and a `notice` in plain words when the score must
not be taken for a finding. Clients' own messages are in `client_messages`; `encode` makes messages
of events.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Annotated, Literal

from pydantic import Field

from stream.baseline_mark import BaselineState
from stream.events import (
    AbstainReason,
    ConnectionState,
    DegradationLevel,
    EpochCause,
    Notice,
    ReasonCode,
    SourceKind,
    TrackEnd,
    Verdict,
)
from stream.incident import EvidenceState, IncidentStatus, IncidentStep, Label
from stream.publish.challenge_schema import ChallengeChangedData as ChallengeChangedData
from stream.publish.wire import Number as Number
from stream.publish.wire import Share as Share
from stream.publish.wire import WireModel as _Model
from stream.publish.wire import finite_or_none as finite_or_none
from stream.publish.wire import share_or_none as share_or_none
from styleflow.detectors.protocol import TemporalMode, TrainingStatus

SUBPROTOCOL = "styleflow.v1.json"
"""What a WebSocket client names in Sec-WebSocket-Protocol."""

VERSION: Literal[1] = 1


class CloseCode(IntEnum):
    """Close code of a WebSocket, sent by the server."""

    GOING_AWAY = 1001  # the analyzer stops for good
    FORBIDDEN = 1008  # no token, a wrong one, or one without the scope
    TOO_BIG = 1009  # a client message above the limit
    RESTARTING = 1012  # the server stops or restarts: connect again
    TOO_SLOW = 1013  # the client reads too slowly, or the server has no room: try again later
    BAD_MESSAGE = 4400
    TOKEN_EXPIRED = 4401
    UNKNOWN_STREAM = 4404


RESUME_GAP = 4409
"""Code of the `error` message that says a resume point is too old; the connection stays open."""


# --- building blocks ------------------------------------------------------------------------


class Window(_Model):
    """The media time behind a score."""

    pts_start: Number = Field(description="media seconds of the first frame, within the epoch")
    pts_end: Number = Field(description="media seconds of the newest frame")
    frames: int = Field(description="sampled frames behind the score")
    missing: int = Field(description="sampling slots that held no usable frame")


class Quality(_Model):
    """Quality of one face, which limits its evidence."""

    face_px: Number = Field(description="side of the face in source pixels")
    sharpness: Number
    brightness: Number = Field(description="mean luma, 0 to 255")
    yaw_deg: Number = Field(description="head turn, 0 is frontal")


class FaceBox(_Model):
    """Box of a face, in source pixels."""

    x0: Number
    y0: Number
    x1: Number
    y1: Number


class Model(_Model):
    """Model behind a score: its weights, and how far they may be trusted."""

    name: str
    version: str
    mode: TemporalMode
    status: TrainingStatus
    sha256: str


class CalibrationData(_Model):
    """Whether `p` may be read as a probability."""

    fitted: bool


DetectorName = Annotated[str, Field(min_length=1, max_length=128)]
"""Detector that a score is of: the `name` of its `model`, or `ensemble`."""

SeverityWord = Literal["hint", "low", "medium", "high"]

State = Literal["warming", "abstain", "ok", "suspect"]

STATE_RANK: dict[str, int] = {"warming": 0, "abstain": 1, "ok": 2, "suspect": 3}
"""Order of the states for `min_state`."""


class DecisionData(_Model):
    """How a face was decided against a budget of false alarms, or how far it is from that."""

    evidence: Share = Field(description="how far this trial has come towards an alarm; 1 is one")
    as_high: Share = Field(description="share of known real sources that reach as high")
    as_low: Share = Field(description="share of known fake sources that reach as low")
    stake: Share = Field(
        description="chance of a false alarm that this trial is held to; 0 when none is paid for"
    )
    needs_s: Number = Field(
        description="seconds until this trial is over, or until one can be paid for; null when"
        " suspect"
    )
    gave_up: bool = Field(description="so much evidence brought no verdict that none is expected")


class BaselineData(_Model):
    """Known-real video of a stream, which trials are compared with; it never changes `p`."""

    name: str = Field(description="what people call it")
    minutes: Number = Field(description="minutes of evidence that it was made of")
    made: datetime
    state: BaselineState = Field(
        description="`active`: trials are compared with it; else with all known real video"
    )
    reason: str = Field(description="why not, in words; empty while it is active")


class SecondLookData(_Model):
    """What a heavier detector said of a face when it was last shown it."""

    detector: str
    status: TrainingStatus = Field(description="how far the heavier detector may be trusted")
    score: Share = Field(description="its calibrated probability that the face is fake")
    at: Number = Field(description="media seconds of the newest frame that it was shown")
    agrees: bool | None = Field(
        description="whether it and `p` lean to the same side; null when one leans to neither, or"
        " when the heavier detector is untrained"
    )


class ScoreData(_Model):
    """The rolling score of one face: 1 leans fake. Evidence, not proof."""

    track: int = Field(description="number of the face within its stream, never used twice")
    detector: DetectorName = Field(description="whose score it is; a face has one per detector")
    window: Window
    p: Share = Field(description="the published score: smoothed probability that it is fake")
    lo: Share = Field(description="lower end of the interval around p")
    hi: Share = Field(description="upper end of the interval around p")
    raw: Number = Field(description="the model's logit at the end of the window")
    probability: Share = Field(description="the logit, calibrated but not smoothed")
    state: State
    reasons: tuple[AbstainReason, ...] = Field(description="why there is no verdict")
    summary: str = Field(description="state and reasons in plain words")
    quality: Quality
    box: FaceBox
    model: Model
    calibration: CalibrationData
    latency_ms: Number = Field(description="from the arrival of the newest packet to sending")
    demo: bool = Field(description="the source is a built-in demo, not a camera")
    notice: str = Field(description="what must stand beside this score; empty when nothing")
    decision: DecisionData | None = Field(
        default=None, description="where a budget of false alarms decides; else null"
    )
    baseline: BaselineData | None = Field(
        default=None, description="the stream's own known-real video; null without any"
    )
    second_look: SecondLookData | None = Field(
        default=None, description="of a heavier detector; null before it was shown this face"
    )


class LinkData(_Model):
    """Link quality of a call: how the caller's packets arrive."""

    loss: Share = Field(description="share of packets lost on the way, repaired ones too")
    jitter_ms: Number
    rtt_ms: Number = Field(description="time there and back")
    kbps: Number = Field(description="kilobits received per second")


class StatusData(_Model):
    """State of a stream: its connection, frame rate, loss and faces."""

    name: str
    source: SourceKind = Field(
        default=SourceKind.CAMERA, description="what kind of source its video comes from"
    )
    state: ConnectionState
    code: ReasonCode | None = Field(description="why it is not live")
    detail: str
    retry_in_s: Number
    fps: Number = Field(description="decoded source frames per media second, lately")
    loss: Share = Field(description="share of media time lately lost")
    tracks: int = Field(description="faces followed now")
    faces_waiting: int = Field(
        description="faces in view that are not looked at now; while any are, no `ok` of the others"
        " speaks for the stream"
    )
    reasons: tuple[AbstainReason, ...] = Field(description="why it yields no scores")
    notices: tuple[Notice, ...] = Field(
        default=(), description="what is worth knowing of it and takes away no verdict"
    )
    drift: tuple[str, ...] = Field(
        default=(), description="what has changed against its own last seven days, a sentence each"
    )
    age_s: Number = Field(description="seconds since the newest frame arrived")
    link: LinkData | None = Field(description="how a caller's packets arrive; else null")
    overload: str = Field(
        json_schema_extra={"enum": [level.word for level in DegradationLevel]},
        description="how much work the analyzer leaves out; each includes those before it",
    )
    summary: str = Field(description="the same in plain words")
    hint: str = Field(
        description="what to do when it is not live, or gives small pictures; empty when nothing"
    )
    demo: bool
    notice: str
    tags: tuple[str, ...] = Field(
        default=(), description="what people sort it by, the most important first"
    )
    baseline: BaselineData | None = Field(
        default=None, description="the stream's own known-real video; null without any"
    )


class StreamAddedData(_Model):
    """A stream that can be subscribed to from now on."""

    kind: Literal["stream_added"] = "stream_added"
    id: str
    name: str
    model: Model
    models: tuple[Model, ...] = Field(description="every model that scores it, `model` first")
    demo: bool
    notice: str
    tags: tuple[str, ...] = Field(
        default=(), description="what people sort it by, the most important first"
    )


class StreamDescribedData(_Model):
    """A stream that people call something else or sort otherwise; its video goes on."""

    kind: Literal["stream_described"] = "stream_described"
    id: str
    name: str
    tags: tuple[str, ...]


class StreamRemovedData(_Model):
    """A stream that is gone; its id may be given to another one later."""

    kind: Literal["stream_removed"] = "stream_removed"
    id: str


class StreamChangedData(_Model):
    """A connection entered another state."""

    kind: Literal["stream_changed"] = "stream_changed"
    id: str
    state: ConnectionState
    code: ReasonCode | None
    detail: str
    retry_in_s: Number
    summary: str


class EpochStartedData(_Model):
    """Media time started anew; every earlier face of the stream has ended."""

    kind: Literal["epoch_started"] = "epoch_started"
    id: str
    cause: EpochCause


class TrackStartedData(_Model):
    """A face appeared."""

    kind: Literal["track_started"] = "track_started"
    id: str
    track: int
    at: Number


class TrackEndedData(_Model):
    """A face is gone; its number is never used again."""

    kind: Literal["track_ended"] = "track_ended"
    id: str
    track: int
    at: Number
    reason: TrackEnd


class CapacityReachedData(_Model):
    """Faces are not looked at: too many are in view, or all slots of the device are taken."""

    kind: Literal["capacity_reached"] = "capacity_reached"
    id: str
    track: int = Field(description="the face without a slot; 0 when faces wait for their turn")
    detector: DetectorName
    slots: int = Field(description="how many faces are looked at")
    faces_waiting: int = Field(description="faces of the stream that are not looked at now")


class VerdictChangedData(_Model):
    """The verdict on a face has changed."""

    kind: Literal["verdict_changed"] = "verdict_changed"
    id: str
    track: int
    detector: DetectorName
    at: Number
    previous: Verdict
    verdict: Verdict
    score: Share
    model: Model
    demo: bool
    notice: str


class MarkData(_Model):
    """Somebody did something at some time."""

    by: str = Field(description="name of the token, `local` without tokens")
    at: datetime


class PeakData(_Model):
    """The highest score of an incident."""

    p: Share
    lo: Share
    hi: Share
    at: datetime


class EvidenceData(_Model):
    """What is kept of an incident's video."""

    state: EvidenceState
    start: datetime | None
    end: datetime | None
    bytes: int
    sha256: str


class IncidentData(_Model):
    """One face of one stream that looked synthesised for a while."""

    id: str
    stream: str
    name: str
    epoch: int
    tracks: tuple[int, ...]
    model: Model
    severity: SeverityWord
    status: IncidentStatus
    opened: datetime
    last_at: datetime
    closed: datetime | None
    suspect_s: Number
    peak: PeakData
    acknowledged: MarkData | None
    label: Label | None
    labelled: MarkData | None
    notes: int
    evidence: EvidenceData
    summary: str = Field(description="the same in plain words")
    notice: str
    second_look: SecondLookData | None = Field(
        default=None, description="of a heavier detector; null when it was shown none of its faces"
    )


class IncidentChangedData(_Model):
    """An incident was opened, went on, was closed, or somebody said something of it."""

    kind: Literal["incident_changed"] = "incident_changed"
    id: str
    step: IncidentStep
    by: str = Field(description="whose doing; empty when the analyzer's own")
    text: str = Field(description="the comment, when it is one")
    incident: IncidentData


class EventsLostData(_Model):
    """Events that happened and were never stored; only in what is read of the store."""

    kind: Literal["events_lost"] = "events_lost"
    id: str
    count: int = Field(description="how many, of all streams together; of this one perhaps none")
    since: datetime | None = Field(description="the last event before them; null when not known")
    until: datetime = Field(description="the first event after them")


EventData = Annotated[
    StreamAddedData
    | StreamDescribedData
    | StreamRemovedData
    | StreamChangedData
    | EpochStartedData
    | TrackStartedData
    | TrackEndedData
    | CapacityReachedData
    | VerdictChangedData
    | IncidentChangedData
    | ChallengeChangedData
    | EventsLostData,
    Field(discriminator="kind"),
]


class SnapshotData(_Model):
    """Everything that is known of one stream at this moment."""

    name: str
    model: Model
    models: tuple[Model, ...] = Field(description="every model that scores it, `model` first")
    calibration: CalibrationData
    demo: bool
    notice: str
    status: StatusData
    scores: tuple[ScoreData, ...] = Field(
        description="the newest score of every live face, one per detector"
    )


class SubscribedData(_Model):
    """The answer to `subscribe`; what follows belongs to it."""

    id: str
    snapshot: bool = Field(description="a snapshot of every stream follows, except of `resumed`")
    streams: tuple[str, ...] = Field(description="streams that match now; later ones join")
    resumed: tuple[str, ...] = Field(description="streams whose missed events follow")


class UnsubscribedData(_Model):
    """The answer to `unsubscribe`."""

    id: str


class LaggedData(_Model):
    """Events that this client was too slow for; none was a verdict change or the end of a track."""

    subscription: str
    dropped: int = Field(ge=1)
    from_seq: int = Field(description="first number that may be missing")
    to_seq: int = Field(description="last number that may be missing")


class ErrorData(_Model):
    """Something the client asked for was not possible; the connection stays open."""

    code: int = Field(description="4409: a resume point is too old; below 1000: an HTTP status")
    title: str
    detail: str
    hint: str


# --- server messages ------------------------------------------------------------------------


class _Envelope(_Model):
    """Envelope of every message of the server."""

    v: Literal[1] = VERSION
    type: str
    stream: str | None = None
    epoch: int | None = Field(default=None, description="counts stretches of continuous media time")
    seq: int | None = Field(
        default=None, description="rises with every message of a stream, by one or more"
    )
    ts_capture: datetime | None = Field(default=None, description="when the packet arrived, UTC")
    ts_emit: datetime


class _StreamEnvelope(_Envelope):
    """Envelope of every message about one stream, which is always named, numbered and dated."""

    stream: str
    epoch: int = Field(description="counts stretches of continuous media time")
    seq: int = Field(
        description="number of the event behind the message; rises by one or more, across restarts"
    )


class ScoreMessage(_StreamEnvelope):
    """A newer score of one face."""

    type: Literal["score"] = "score"
    data: ScoreData


class EventMessage(_StreamEnvelope):
    """Something happened; kept in the log for resuming."""

    type: Literal["event"] = "event"
    data: EventData


class StatusMessage(_StreamEnvelope):
    """State of one stream, about once a second."""

    type: Literal["status"] = "status"
    data: StatusData


class SnapshotMessage(_StreamEnvelope):
    """State and newest scores of one stream, when a subscription begins."""

    type: Literal["snapshot"] = "snapshot"
    data: SnapshotData


class SubscribedMessage(_Envelope):
    """A subscription begins."""

    type: Literal["subscribed"] = "subscribed"
    data: SubscribedData


class UnsubscribedMessage(_Envelope):
    """A subscription has ended."""

    type: Literal["unsubscribed"] = "unsubscribed"
    data: UnsubscribedData


class LaggedMessage(_Envelope):
    """This client missed events."""

    type: Literal["lagged"] = "lagged"
    stream: str
    epoch: int
    data: LaggedData


class ErrorMessage(_Envelope):
    """Something was not possible."""

    type: Literal["error"] = "error"
    data: ErrorData


ServerMessage = Annotated[
    ScoreMessage
    | EventMessage
    | StatusMessage
    | SnapshotMessage
    | SubscribedMessage
    | UnsubscribedMessage
    | LaggedMessage
    | ErrorMessage,
    Field(discriminator="type"),
]
"""Everything that the server sends."""
