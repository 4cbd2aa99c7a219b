"""Encoding: events and the state of streams become messages of the wire format, and text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from stream.baseline_mark import BaselineMark
from stream.events import (
    AbstainReason,
    CapacityReached,
    ChallengeChanged,
    ConnectionState,
    Decision,
    EpochStarted,
    Event,
    IncidentChanged,
    LinkQuality,
    Notice,
    Score,
    ScoringModel,
    SecondLook,
    SourceKind,
    StreamAdded,
    StreamChanged,
    StreamDescribed,
    StreamRemoved,
    StreamReport,
    TrackEnded,
    TrackStarted,
    Verdict,
    VerdictChanged,
)
from stream.problems import (
    DEGRADATION_WORDS,
    NOTICE_WORDS,
    REASON_WORDS,
    SOURCE_HINTS,
    UNDECIDED,
    connection_words,
    layer_hint,
    notice,
)
from stream.publish.challenges import challenge_changed_data
from stream.publish.incidents import incident_changed_data
from stream.publish.schema import (
    BaselineData,
    CalibrationData,
    CapacityReachedData,
    DecisionData,
    EpochStartedData,
    ErrorData,
    ErrorMessage,
    EventData,
    EventMessage,
    FaceBox,
    LaggedData,
    LaggedMessage,
    LinkData,
    Model,
    Quality,
    ScoreData,
    ScoreMessage,
    SecondLookData,
    SnapshotData,
    SnapshotMessage,
    State,
    StatusData,
    StatusMessage,
    StreamAddedData,
    StreamChangedData,
    StreamDescribedData,
    StreamRemovedData,
    SubscribedData,
    SubscribedMessage,
    TrackEndedData,
    TrackStartedData,
    UnsubscribedData,
    UnsubscribedMessage,
    VerdictChangedData,
    Window,
    share_or_none,
)
from styleflow.detectors.protocol import ModelCard, TrainingStatus
from styleflow.faces.face import Box, FaceQuality


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Facts about a stream that go with every message about it.

    Attributes:
        name: what people call the stream.
        model: the model behind its scores, or the first of several.
        calibrated: whether that model's calibration was fitted to validation data.
        demo: whether it is a demo source.
        others: further models that score it side by side.
        source: what kind of source its video comes from.
        tags: what people sort it by, the most important first.
    """

    name: str
    model: ModelCard
    calibrated: bool
    demo: bool
    others: tuple[ScoringModel, ...] = ()
    source: SourceKind = SourceKind.CAMERA
    tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, added: StreamAdded) -> StreamInfo:
        """Return what an added stream says about itself."""
        first, *others = added.models
        return cls(
            added.name,
            first.model,
            first.calibrated,
            added.demo,
            tuple(others),
            SourceKind.DEMO if added.demo else SourceKind.of(added.source),
            added.tags,
        )

    def described(self, event: StreamDescribed) -> StreamInfo:
        """Return the same, as people describe the stream now."""
        return replace(self, name=event.name, tags=event.tags)

    @property
    def models(self) -> tuple[ScoringModel, ...]:
        """Every model that scores the stream, the first one first."""
        return (ScoringModel(self.model, self.calibrated), *self.others)

    def model_of(self, detector: str) -> ScoringModel:
        """Return the model of a name; the first one when there is none of that name."""
        return next((m for m in self.models if m.model.name == detector), self.models[0])

    @property
    def notice(self) -> str:
        """What must stand beside the first model's scores; empty when nothing must."""
        return self.notice_of(self.models[0])

    def notice_of(self, scoring: ScoringModel) -> str:
        """Return what must stand beside every score of a model; empty when nothing must."""
        said = notice(scoring.model, demo=self.demo)
        doubted = (TrainingStatus.UNTRAINED, TrainingStatus.UNCALIBRATED)
        if scoring.calibrated or scoring.model.status in doubted:
            return said
        uncalibrated = "uncalibrated: compare scores, do not read them as probabilities"
        return f"{said}; {uncalibrated}" if said else uncalibrated


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that encoding needs besides the event itself.

    Attributes:
        info: what is known of the stream.
        seq: number of the event behind the message.
        now: monotonic seconds at which it is sent.
        utc: wall clock at which it is sent.
        change: the newest connection event of the stream, for its status.
    """

    info: StreamInfo
    seq: int
    now: float
    utc: datetime
    change: StreamChanged | None = None


@dataclass(frozen=True, slots=True)
class View:
    """Newest values of one stream, of which a snapshot is made."""

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
        models=tuple(model_data(scoring.model) for scoring in info.models),
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


_DECIDED: dict[Verdict, State] = {Verdict.CLEAR: "ok", Verdict.SUSPECT: "suspect"}
"""State on the wire of each verdict that is one: version 1 says `ok` for the engine's `clear`."""


def state_of(score: Score) -> State:
    """Return the state on the wire that a live score's verdict and reasons amount to."""
    warming = not score.reasons or AbstainReason.WARMING in score.reasons
    return _state(score.score, score.verdict, pending="warming" if warming else "abstain")


def final_state(p: float | None, verdict: Verdict) -> State:
    """Return the state of a finished video or face: with nothing to come, pending is abstain.

    Args:
        p: the published score; None without one.
        verdict: what the evidence says.
    """
    return _state(p, verdict, pending="abstain")


def _state(p: float | None, verdict: Verdict, pending: State) -> State:
    return "abstain" if share_or_none(p) is None else _DECIDED.get(verdict, pending)


def score_data(score: Score, info: StreamInfo, now: float) -> ScoreData:
    """Return the wire's form of a score."""
    state = state_of(score)
    scoring = info.model_of(score.detector)
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
        model=model_data(scoring.model),
        calibration=CalibrationData(fitted=scoring.calibrated),
        latency_ms=round(max(now - score.arrived, 0.0) * 1000.0, 3),
        demo=info.demo,
        notice=info.notice_of(scoring),
        decision=_decision(score.decision),
        baseline=baseline_data(score.baseline),
        second_look=_second_look(score.second_look),
    )


def baseline_data(mark: BaselineMark | None) -> BaselineData | None:
    """Return the wire's form of what is told of a baseline."""
    if mark is None:
        return None
    return BaselineData(
        name=mark.name,
        minutes=round(mark.minutes, 1),
        made=mark.made,
        state=mark.state,
        reason=mark.reason,
    )


def _second_look(look: SecondLook | None) -> SecondLookData | None:
    if look is None:
        return None
    return SecondLookData(
        detector=look.detector,
        status=look.status,
        score=look.score,
        at=look.at,
        agrees=look.agrees,
    )


def _decision(decision: Decision | None) -> DecisionData | None:
    if decision is None:
        return None
    return DecisionData(
        evidence=decision.evidence,
        as_high=decision.as_high,
        as_low=decision.as_low,
        stake=decision.stake,
        needs_s=decision.needs_s,
        gave_up=decision.gave_up,
    )


_VERDICT_WORDS: dict[State, str] = {
    "warming": "none yet",
    "abstain": "none yet",
    "ok": "clear",
    "suspect": "suspect",
}
_MEANINGS: dict[State, str] = {
    "warming": UNDECIDED,
    "ok": "no sign of synthesis",
    "suspect": "looks synthesised",
}


def summary(state: State, reasons: Sequence[AbstainReason]) -> str:
    """Return the verdict that a state stands for, in the glossary's words, and its reasons."""
    leaning = state in ("warming", "abstain") and set(reasons) <= {AbstainReason.UNDECIDED}
    neither = leaning and (state == "warming" or bool(reasons))
    verdict = "undecided" if neither else _VERDICT_WORDS[state]
    why = ", ".join(REASON_WORDS[reason] for reason in reasons) or _MEANINGS.get(state, "")
    return f"{verdict}: {why}" if why else verdict


def status_data(report: StreamReport, context: Context) -> StatusData:
    """Return the wire's form of a report on a stream."""
    change = context.change
    state = change.state if change else ConnectionState.CONNECTING
    connection = connection_words(
        state,
        change.code if change else None,
        call=context.info.source is SourceKind.CALL,
        reached=report.age_s is not None,
    )
    words = [connection, *(REASON_WORDS[reason] for reason in report.reasons)]
    words += [NOTICE_WORDS[notice] for notice in report.notices]
    if report.overload:
        words.append(DEGRADATION_WORDS[report.overload])
    return StatusData(
        name=context.info.name,
        source=context.info.source,
        state=state,
        code=change.code if change else None,
        detail=change.detail if change else "",
        retry_in_s=change.retry_in_s if change else None,
        fps=report.fps,
        loss=report.loss,
        tracks=report.tracks,
        faces_waiting=report.faces_waiting,
        reasons=report.reasons,
        notices=report.notices,
        drift=report.drift,
        age_s=report.age_s,
        link=link_data(report.link),
        overload=report.overload.word,
        summary=", ".join(words),
        hint=_hint(report, change),
        demo=context.info.demo,
        notice=context.info.notice,
        tags=context.info.tags,
        baseline=baseline_data(report.baseline),
    )


def _hint(report: StreamReport, change: StreamChanged | None) -> str:
    """Return what to do about a stream that is not live, or small; empty when nothing."""
    if change is not None and change.code is not None:
        return SOURCE_HINTS[change.code]
    if Notice.SMALL_LAYER in report.notices and report.layer is not None:
        return layer_hint(report.layer)
    return ""


def link_data(link: LinkQuality | None) -> LinkData | None:
    """Return the wire's form of a call's link quality."""
    if link is None:
        return None
    return LinkData(
        loss=link.loss,
        jitter_ms=link.jitter_s * 1000,
        rtt_ms=None if link.rtt_s is None else link.rtt_s * 1000,
        kbps=link.kbps,
    )


def model_data(card: ModelCard) -> Model:
    """Return the wire's form of a model."""
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
        case StreamAdded():
            info = context.info
            return StreamAddedData(
                id=name,
                name=info.name,
                model=model_data(info.model),
                models=tuple(model_data(scored.model) for scored in info.models),
                demo=info.demo,
                notice=info.notice,
                tags=info.tags,
            )
        case StreamDescribed():
            return StreamDescribedData(id=name, name=event.name, tags=event.tags)
        case StreamRemoved():
            return StreamRemovedData(id=name)
        case StreamChanged():
            return StreamChangedData(
                id=name,
                state=event.state,
                code=event.code,
                detail=event.detail,
                retry_in_s=event.retry_in_s,
                summary=connection_words(
                    event.state, event.code, call=context.info.source is SourceKind.CALL
                ),
            )
        case EpochStarted():
            return EpochStartedData(id=name, cause=event.cause)
        case TrackStarted():
            return TrackStartedData(id=name, track=event.track, at=event.at)
        case TrackEnded():
            return TrackEndedData(id=name, track=event.track, at=event.at, reason=event.reason)
        case CapacityReached():
            return CapacityReachedData(
                id=name,
                track=event.track,
                detector=event.detector,
                slots=event.slots,
                faces_waiting=event.faces_waiting,
            )
        case VerdictChanged():
            scoring = context.info.model_of(event.detector)
            return VerdictChangedData(
                id=name,
                track=event.track,
                detector=event.detector,
                at=event.at,
                previous=event.previous,
                verdict=event.verdict,
                score=event.score,
                model=model_data(scoring.model),
                demo=context.info.demo,
                notice=context.info.notice_of(scoring),
            )
        case IncidentChanged():
            return incident_changed_data(name, event)
        case ChallengeChanged():
            return challenge_changed_data(name, event)
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
