"""The wire format `styleflow.v1.json`: events become text here, and the schema is these models.

Every message is one JSON object in the same envelope: `v`, `type`, `stream`, `epoch`, `seq`,
`ts_capture`, `ts_emit` and `data`. What is not known is null, never left out; a number that is
not finite is null as well, because JSON has no word for it. Everything that carries a score also
carries the model, whether the source is a demo, and a `notice` in plain words when the score must
not be taken for a finding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from stream.events import (
    AbstainReason,
    CapacityReached,
    ConnectionState,
    DegradationLevel,
    EpochCause,
    EpochStarted,
    Event,
    LinkQuality,
    ReasonCode,
    Score,
    StreamChanged,
    StreamReport,
    TrackEnd,
    TrackEnded,
    TrackStarted,
    Verdict,
    VerdictChanged,
)
from stream.problems import DEGRADATION_WORDS, REASON_WORDS, SOURCE_HINTS, STATE_WORDS, notice
from styleflow.detectors.protocol import ModelCard, TemporalMode, TrainingStatus
from styleflow.faces.face import Box, FaceQuality

SUBPROTOCOL = "styleflow.v1.json"
"""What a WebSocket client names in Sec-WebSocket-Protocol."""

VERSION: Literal[1] = 1

DEFAULT_HZ = 4.0
MAX_HZ = 60.0
MAX_PATTERNS = 64


class CloseCode(IntEnum):
    """Why the server closes a WebSocket."""

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
class StreamInfo:
    """What every message about a stream says besides the event itself.

    Attributes:
        name: what people call the stream.
        model: the model behind its scores, or the first of several.
        calibrated: whether that model's calibration was fitted to validation data.
        demo: whether it is a demo source.
        others: further models that score it side by side.
    """

    name: str
    model: ModelCard
    calibrated: bool
    demo: bool
    others: tuple[ScoringModel, ...] = ()

    @property
    def scoring_models(self) -> tuple[ScoringModel, ...]:
        """Every model that scores the stream, the first one first."""
        return (ScoringModel(self.model, self.calibrated), *self.others)

    def scoring_model(self, detector: str) -> ScoringModel:
        """Return the model of a name; the first one when there is none of that name."""
        return next(
            (v for v in self.scoring_models if v.model.name == detector), self.scoring_models[0]
        )

    @property
    def notice(self) -> str:
        """What must stand beside the first model's scores; empty when nothing must."""
        return self.notice_of(self.scoring_models[0])

    def notice_of(self, scoring_model: ScoringModel) -> str:
        """Return what must stand beside every score of a model; empty when nothing must."""
        said = notice(scoring_model.model, demo=self.demo)
        doubted = (TrainingStatus.UNTRAINED, TrainingStatus.UNCALIBRATED)
        if scoring_model.calibrated or scoring_model.model.status in doubted:
            return said
        uncalibrated = "uncalibrated: compare scores, do not read them as probabilities"
        return f"{said}; {uncalibrated}" if said else uncalibrated


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that encoding needs besides the event.

    Attributes:
        info: what is known of the stream.
        seq: the message's number within its stream.
        now: monotonic seconds at which it is sent.
        utc: wall clock at which it is sent.
        change: the newest connection event of the stream, for its status.
    """

    info: StreamInfo
    seq: int
    now: float
    utc: datetime
    change: StreamChanged | None = None


# --- building blocks ------------------------------------------------------------------------


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _share(value: float | None) -> float | None:
    return value if value is not None and 0.0 <= value <= 1.0 else None


Number = Annotated[float | None, BeforeValidator(_finite)]
"""A finite number, or null when there is none."""

Share = Annotated[Annotated[float, Field(ge=0.0, le=1.0)] | None, BeforeValidator(_share)]
"""A number in [0, 1], or null when there is none."""


class _Model(BaseModel):
    """Base of what the server sends: immutable; a later version may add fields."""

    model_config = ConfigDict(
        frozen=True, protected_namespaces=(), json_schema_serialization_defaults_required=True
    )


class _FromClient(BaseModel):
    """Base of what clients send: a field that is not known is a mistake, not a wish."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(_Model):
    """The media time behind a score."""

    pts_start: Number = Field(description="media seconds of the first frame, within the epoch")
    pts_end: Number = Field(description="media seconds of the newest frame")
    frames: int = Field(description="sampled frames behind the score")
    missing: int = Field(description="sampling slots that held no usable frame")


class Quality(_Model):
    """What limits the evidence of one face."""

    face_px: Number = Field(description="side of the face in source pixels")
    sharpness: Number
    brightness: Number = Field(description="mean luma, 0 to 255")
    yaw_deg: Number = Field(description="head turn, 0 is frontal")


class FaceBox(_Model):
    """Where the face is, in source pixels."""

    x0: Number
    y0: Number
    x1: Number
    y1: Number


class Model(_Model):
    """Which weights are behind a score, and how far they may be trusted."""

    name: str
    version: str
    mode: TemporalMode
    status: TrainingStatus
    sha256: str


class CalibrationData(_Model):
    """Whether `p` may be read as a probability."""

    fitted: bool


DetectorName = Annotated[str, Field(min_length=1, max_length=128)]
"""Which of a stream's models speaks: the `name` of its `model`, or `ensemble`."""

State = Literal["warming", "abstain", "ok", "suspect"]

STATE_RANK: dict[str, int] = {"warming": 0, "abstain": 1, "ok": 2, "suspect": 3}
"""Order of the states for `min_state`."""


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


class LinkData(_Model):
    """How a caller's packets arrive."""

    loss: Share = Field(description="share of packets lost on the way, repaired ones too")
    jitter_ms: Number
    rtt_ms: Number = Field(description="time there and back")
    kbps: Number = Field(description="kilobits received per second")


class StatusData(_Model):
    """How a stream is doing."""

    name: str
    state: ConnectionState
    code: ReasonCode | None = Field(description="why it is not live")
    detail: str
    retry_in_s: Number
    fps: Number = Field(description="decoded source frames per media second, lately")
    loss: Share = Field(description="share of media time lately lost")
    tracks: int = Field(description="faces followed now")
    reasons: tuple[AbstainReason, ...] = Field(description="why it yields no scores")
    age_s: Number = Field(description="seconds since the newest frame arrived")
    link: LinkData | None = Field(description="how a caller's packets arrive; else null")
    overload: str = Field(
        json_schema_extra={"enum": [level.word for level in DegradationLevel]},
        description="how much work the analyzer leaves out; each includes those before it",
    )
    summary: str = Field(description="the same in plain words")
    hint: str = Field(description="what to do when it is not live; empty when nothing")
    demo: bool
    notice: str


class StreamAddedData(_Model):
    """A stream that can be subscribed to from now on."""

    kind: Literal["stream_added"] = "stream_added"
    id: str
    name: str
    model: Model
    models: tuple[Model, ...] = Field(description="every model that scores it, `model` first")
    demo: bool
    notice: str


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
    """A face is not scored, because all slots of the device are taken."""

    kind: Literal["capacity_reached"] = "capacity_reached"
    id: str
    track: int
    detector: DetectorName
    slots: int


class VerdictChangedData(_Model):
    """What the evidence says about a face has changed."""

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


EventData = Annotated[
    StreamAddedData
    | StreamRemovedData
    | StreamChangedData
    | EpochStartedData
    | TrackStartedData
    | TrackEndedData
    | CapacityReachedData
    | VerdictChangedData,
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
    """Something the client asked for was not possible; with 4409 the connection stays open."""

    code: int
    title: str
    detail: str
    hint: str


# --- server messages ------------------------------------------------------------------------


class _Envelope(_Model):
    """What every message of the server begins with."""

    v: Literal[1] = VERSION
    type: str
    stream: str | None = None
    epoch: int | None = Field(default=None, description="counts stretches of continuous media time")
    seq: int | None = Field(
        default=None, description="rises with every message of a stream, by one or more"
    )
    ts_capture: datetime | None = Field(default=None, description="when the packet arrived, UTC")
    ts_emit: datetime


class ScoreMessage(_Envelope):
    """A newer score of one face."""

    type: Literal["score"] = "score"
    data: ScoreData


class EventMessage(_Envelope):
    """Something happened; kept in the log for resuming."""

    type: Literal["event"] = "event"
    data: EventData


class StatusMessage(_Envelope):
    """How a stream is doing."""

    type: Literal["status"] = "status"
    data: StatusData


class SnapshotMessage(_Envelope):
    """Where one stream stands when a subscription begins."""

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


# --- client messages ------------------------------------------------------------------------


class Hello(_FromClient):
    """The first message of a client, within five seconds."""

    type: Literal["hello"]
    token: str | None = Field(default=None, max_length=512, repr=False)
    client: str = Field(default="", max_length=128, description="what the client calls itself")


class ResumePoint(_FromClient):
    """The `epoch` and `seq` of the last message that a client has seen of one stream."""

    epoch: int = Field(ge=0)
    seq: int = Field(ge=0)


StreamType = Literal["score", "event", "status"]


class Subscribe(_FromClient):
    """Ask for messages; the answer is `subscribed`, then snapshots, then what happens."""

    type: Literal["subscribe"]
    id: Annotated[str, Field(min_length=1, max_length=64)]
    streams: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128)], ...],
        Field(min_length=1, max_length=MAX_PATTERNS),
    ] = ("*",)
    types: Annotated[tuple[StreamType, ...], Field(min_length=1)] = ("score", "event", "status")
    max_hz: float = Field(default=DEFAULT_HZ, gt=0, le=MAX_HZ)
    min_state: State = "warming"
    resume: ResumePoint | Annotated[dict[str, ResumePoint], Field(max_length=1024)] = Field(
        default_factory=dict,
        description="where to go on, by stream; a bare point when exactly one stream is named",
    )

    @model_validator(mode="after")
    def _bare_resume_names_its_stream(self) -> Self:
        if isinstance(self.resume, ResumePoint) and not self._names_one_stream():
            raise ValueError("a bare resume point needs exactly one stream, and no pattern")
        return self

    @property
    def resume_points(self) -> dict[str, ResumePoint]:
        """Where to go on, by stream."""
        if isinstance(self.resume, ResumePoint):
            return {self.streams[0]: self.resume}
        return self.resume

    def _names_one_stream(self) -> bool:
        return len(self.streams) == 1 and not is_pattern(self.streams[0])


class Unsubscribe(_FromClient):
    """End a subscription."""

    type: Literal["unsubscribe"]
    id: str


ClientMessage = Annotated[Hello | Subscribe | Unsubscribe, Field(discriminator="type")]
"""Everything that a client sends."""

_CLIENT: TypeAdapter[Hello | Subscribe | Unsubscribe] = TypeAdapter(ClientMessage)


def parse_client(text: str | bytes) -> Hello | Subscribe | Unsubscribe:
    """Return the client message in a text frame.

    Raises:
        pydantic.ValidationError: it is not JSON, not a known message, or breaks a limit.
    """
    return _CLIENT.validate_json(text)


def is_pattern(stream: str) -> bool:
    """Return whether a name in `subscribe.streams` is a glob rather than one stream's id."""
    return any(sign in stream for sign in "*?[")


# --- from events to messages ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class View:
    """What a snapshot is made of: the newest values of one stream."""

    report: StreamReport
    scores: tuple[Score, ...] = field(default=())


def encode(event: Event, context: Context) -> str:
    """Return the message that tells subscribers about an event.

    Scores become `score`, reports `status`, everything else `event`.
    """
    return message(event, context).model_dump_json()


def message(event: Event, context: Context) -> ScoreMessage | StatusMessage | EventMessage:
    """Return the message about an event, before it becomes text."""
    stream, epoch, seq, utc = event.stream, event.epoch, context.seq, context.utc
    if isinstance(event, Score):
        return ScoreMessage(
            stream=stream,
            epoch=epoch,
            seq=seq,
            ts_emit=utc,
            ts_capture=_captured(event.arrived, context),
            data=score_data(event, context.info, context.now),
        )
    if isinstance(event, StreamReport):
        data = status_data(event, context)
        return StatusMessage(stream=stream, epoch=epoch, seq=seq, ts_emit=utc, data=data)
    return EventMessage(
        stream=stream, epoch=epoch, seq=seq, ts_emit=utc, data=_event_data(event, context)
    )


def encode_snapshot(stream: str, view: View, context: Context) -> str:
    """Return the message that says where a stream stands."""
    info = context.info
    data = SnapshotData(
        name=info.name,
        model=model_data(info.model),
        models=tuple(model_data(scoring_model.model) for scoring_model in info.scoring_models),
        calibration=CalibrationData(fitted=info.calibrated),
        demo=info.demo,
        notice=info.notice,
        status=status_data(view.report, context),
        scores=tuple(score_data(score, info, context.now) for score in view.scores),
    )
    return SnapshotMessage(
        stream=stream,
        epoch=view.report.epoch,
        seq=context.seq,
        ts_emit=context.utc,
        data=data,
    ).model_dump_json()


def encode_added(stream: str, epoch: int, context: Context) -> str:
    """Return the message that says that a stream can be subscribed to."""
    info = context.info
    data = StreamAddedData(
        id=event_id(stream, context.seq),
        name=info.name,
        model=model_data(info.model),
        models=tuple(model_data(scoring_model.model) for scoring_model in info.scoring_models),
        demo=info.demo,
        notice=info.notice,
    )
    return EventMessage(
        stream=stream, epoch=epoch, seq=context.seq, ts_emit=context.utc, data=data
    ).model_dump_json()


def encode_removed(stream: str, epoch: int, context: Context) -> str:
    """Return the message that says that a stream is gone."""
    data = StreamRemovedData(id=event_id(stream, context.seq))
    return EventMessage(
        stream=stream, epoch=epoch, seq=context.seq, ts_emit=context.utc, data=data
    ).model_dump_json()


def encode_lagged(stream: str, epoch: int, data: LaggedData, utc: datetime) -> str:
    """Return the message that tells a client which events it missed."""
    return LaggedMessage(stream=stream, epoch=epoch, ts_emit=utc, data=data).model_dump_json()


def encode_subscribed(data: SubscribedData, utc: datetime) -> str:
    """Return the answer to `subscribe`."""
    return SubscribedMessage(ts_emit=utc, data=data).model_dump_json()


def encode_unsubscribed(subscription: str, utc: datetime) -> str:
    """Return the answer to `unsubscribe`."""
    data = UnsubscribedData(id=subscription)
    return UnsubscribedMessage(ts_emit=utc, data=data).model_dump_json()


def encode_error(data: ErrorData, utc: datetime, stream: str | None = None) -> str:
    """Return the message that says what was not possible."""
    return ErrorMessage(stream=stream, ts_emit=utc, data=data).model_dump_json()


def event_id(stream: str, seq: int) -> str:
    """Return the durable name of an event."""
    return f"{stream}/{seq}"


def state_of(score: Score) -> State:
    """Return the one word that a score's verdict and reasons amount to."""
    if _share(score.score) is None:
        return "abstain"
    if score.verdict is Verdict.SUSPECT:
        return "suspect"
    if score.verdict is Verdict.CLEAR:
        return "ok"
    if not score.reasons or AbstainReason.WARMING in score.reasons:
        return "warming"
    return "abstain"


def score_data(score: Score, info: StreamInfo, now: float) -> ScoreData:
    """Return what the wire says about a score."""
    state = state_of(score)
    scoring_model = info.scoring_model(score.detector)
    return ScoreData(
        track=score.track,
        detector=score.detector,
        window=Window(
            pts_start=score.start, pts_end=score.end, frames=score.frames, missing=score.missing
        ),
        p=score.score,
        lo=score.low,
        hi=score.high,
        raw=score.logit,
        probability=score.probability,
        state=state,
        reasons=score.reasons,
        summary=summary(state, score.reasons),
        quality=_quality(score.quality),
        box=_box(score.box),
        model=model_data(scoring_model.model),
        calibration=CalibrationData(fitted=scoring_model.calibrated),
        latency_ms=round(max(now - score.arrived, 0.0) * 1000.0, 3),
        demo=info.demo,
        notice=info.notice_of(scoring_model),
    )


_STATE_WORDS: dict[State, str] = {
    "warming": "no verdict yet",
    "abstain": "no verdict",
    "ok": "no sign of synthesis",
    "suspect": "looks synthesised",
}


def summary(state: State, reasons: Sequence[AbstainReason]) -> str:
    """Return a state and its reasons in plain words."""
    why = ", ".join(REASON_WORDS[reason] for reason in reasons)
    return f"{_STATE_WORDS[state]}: {why}" if why else _STATE_WORDS[state]


def status_data(report: StreamReport, context: Context) -> StatusData:
    """Return what the wire says about how a stream is doing."""
    change = context.change
    state = change.state if change else ConnectionState.CONNECTING
    words = [STATE_WORDS[state], *(REASON_WORDS[reason] for reason in report.reasons)]
    if report.overload:
        words.append(DEGRADATION_WORDS[report.overload])
    return StatusData(
        name=context.info.name,
        state=state,
        code=change.code if change else None,
        detail=change.detail if change else "",
        retry_in_s=change.retry_in_s if change else None,
        fps=report.fps,
        loss=report.loss,
        tracks=report.tracks,
        reasons=report.reasons,
        age_s=report.age_s,
        link=link_data(report.link),
        overload=report.overload.word,
        summary=", ".join(words),
        hint=SOURCE_HINTS[change.code] if change and change.code else "",
        demo=context.info.demo,
        notice=context.info.notice,
    )


def link_data(link: LinkQuality | None) -> LinkData | None:
    """Return what the wire says about how packets arrive."""
    if link is None:
        return None
    return LinkData(
        loss=link.loss,
        jitter_ms=link.jitter_s * 1000,
        rtt_ms=None if link.rtt_s is None else link.rtt_s * 1000,
        kbps=link.kbps,
    )


def model_data(card: ModelCard) -> Model:
    """Return what the wire says about a model."""
    return Model(
        name=card.name,
        version=card.version,
        mode=card.mode,
        status=card.status,
        sha256=card.sha256,
    )


def _event_data(event: Event, context: Context) -> EventData:
    name = event_id(event.stream, context.seq)
    match event:
        case StreamChanged():
            return StreamChangedData(
                id=name,
                state=event.state,
                code=event.code,
                detail=event.detail,
                retry_in_s=event.retry_in_s,
                summary=STATE_WORDS[event.state],
            )
        case EpochStarted():
            return EpochStartedData(id=name, cause=event.cause)
        case TrackStarted():
            return TrackStartedData(id=name, track=event.track, at=event.at)
        case TrackEnded():
            return TrackEndedData(id=name, track=event.track, at=event.at, reason=event.reason)
        case CapacityReached():
            return CapacityReachedData(
                id=name, track=event.track, detector=event.detector, slots=event.slots
            )
        case VerdictChanged():
            scoring_model = context.info.scoring_model(event.detector)
            return VerdictChangedData(
                id=name,
                track=event.track,
                detector=event.detector,
                at=event.at,
                previous=event.previous,
                verdict=event.verdict,
                score=event.score,
                model=model_data(scoring_model.model),
                demo=context.info.demo,
                notice=context.info.notice_of(scoring_model),
            )
        case Score() | StreamReport():
            raise TypeError(f"{type(event).__name__} is state, not an event")


def _quality(quality: FaceQuality) -> Quality:
    return Quality(
        face_px=quality.face_px,
        sharpness=quality.sharpness,
        brightness=quality.brightness,
        yaw_deg=quality.yaw_deg,
    )


def _box(box: Box) -> FaceBox:
    return FaceBox(x0=box.x0, y0=box.y0, x1=box.x1, y1=box.y1)


def _captured(arrived: float, context: Context) -> datetime | None:
    age = context.now - arrived
    if not math.isfinite(age) or abs(age) > 1e6:
        return None
    return (context.utc - timedelta(seconds=age)).astimezone(UTC)
