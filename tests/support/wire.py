"""Events and stream infos for tests of publishing: plain makers and Hypothesis strategies."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from stream.clock import ManualClock
from stream.event_log.event_log import EventLog, StampedEvent
from stream.event_log.ids import EventIds
from stream.events import (
    AbstainReason,
    CapacityReached,
    ConnectionState,
    EpochCause,
    EpochStarted,
    Event,
    ReasonCode,
    Score,
    SecondLook,
    StreamAdded,
    StreamChanged,
    StreamRemoved,
    StreamReport,
    TrackEnd,
    TrackEnded,
    TrackStarted,
    Verdict,
    VerdictChanged,
)
from stream.publish.hub import Hub, HubSettings, StreamInfo, Subscription
from styleflow.detectors.protocol import ModelCard, TemporalMode, TrainingStatus
from styleflow.faces.face import Box, FaceQuality

CARD = ModelCard("styleflow-live", "0.1", TemporalMode.CAUSAL, TrainingStatus.TRAINED, "ab" * 32)
UNTRAINED = replace(CARD, status=TrainingStatus.UNTRAINED)
INFO = StreamInfo(name="Lobby", model=CARD, calibrated=True, demo=False)
UNTRAINED_DEMO = StreamInfo(name="Demo", model=UNTRAINED, calibrated=False, demo=True)


def score(stream: str = "lobby", track: int = 1, value: float = 0.25, **changes: Any) -> Score:
    """Return a score with a clear verdict."""
    made = Score(
        stream=stream,
        epoch=1,
        track=track,
        start=0.0,
        end=1.28,
        frames=32,
        missing=0,
        logit=-1.1,
        probability=value,
        score=value,
        low=value / 2,
        high=(1 + value) / 2,
        verdict=Verdict.CLEAR,
        reasons=(),
        quality=FaceQuality(face_px=140.0, sharpness=90.0, brightness=120.0, yaw_deg=4.0),
        box=Box(10.0, 20.0, 150.0, 160.0),
        arrived=0.0,
        detector=CARD.name,
    )
    return replace(made, **changes)


def added(stream: str = "lobby", info: StreamInfo = INFO) -> StreamAdded:
    """Return the beginning of a stream."""
    return StreamAdded(stream, 0, info.name, info.models, info.demo)


def report(stream: str = "lobby") -> StreamReport:
    """Return how a stream with one face is doing."""
    return StreamReport(stream, 1, 25.0, 0.0, 1, (), 0.04)


def removed(stream: str = "lobby") -> StreamRemoved:
    """Return the end of a stream."""
    return StreamRemoved(stream, 0)


def verdict_changed(stream: str = "lobby", track: int = 1) -> VerdictChanged:
    """Return a change to suspect."""
    return VerdictChanged(stream, 1, track, 2.0, Verdict.CLEAR, Verdict.SUSPECT, 0.9, CARD.name)


def track_started(stream: str = "lobby", track: int = 1) -> TrackStarted:
    """Return the beginning of a track."""
    return TrackStarted(stream, 1, track, 0.5)


def track_ended(stream: str = "lobby", track: int = 1) -> TrackEnded:
    """Return the end of a track."""
    return TrackEnded(stream, 1, track, 3.0, TrackEnd.LOST)


def stamped(event: Event, id: int = 1, now: float = 0.0) -> StampedEvent:
    """Return an event as the event log hands it to its sinks."""
    return StampedEvent(id, now, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=now), event)


class HubRig:
    """A hub with a clock that stands still until it is told otherwise, and readers."""

    def __init__(
        self,
        settings: HubSettings | None = None,
        streams: tuple[str, ...] = ("lobby",),
        ids: EventIds | None = None,
    ) -> None:
        self.clock = ManualClock(start=100.0)
        self.hub = Hub(self.clock, settings)
        self.log = EventLog(self.clock, ids)
        self.log.attach(self.hub)
        self.publish(*(added(stream) for stream in streams))

    def publish(self, *events: Event) -> None:
        """Publish events at the clock's time."""
        for event in events:
            self.log.append(event)
        assert self.log.failures == 0

    def read(self, subscription: Subscription) -> list[dict[str, Any]]:
        """Take everything that is due."""
        taken = []
        while (text := subscription.take(self.clock.monotonic())) is not None:
            taken.append(json.loads(text))
        return taken


streams = st.sampled_from(["lobby", "cam-1", "Tür.2"])
tracks = st.integers(min_value=0, max_value=2**31)
epochs = st.integers(min_value=0, max_value=10_000)
numbers = st.floats(allow_nan=True, allow_infinity=True)
shares = st.one_of(st.floats(min_value=0.0, max_value=1.0), numbers)
reasons = st.lists(st.sampled_from(AbstainReason), max_size=4).map(tuple)
verdicts = st.sampled_from(Verdict)
texts = st.text(max_size=40)
detectors = st.sampled_from(["styleflow-live", "caddm-resnet34", "ensemble"])

infos = st.builds(
    StreamInfo,
    name=texts,
    model=st.builds(
        ModelCard,
        name=texts,
        version=texts,
        mode=st.sampled_from(TemporalMode),
        status=st.sampled_from(TrainingStatus),
        sha256=texts,
    ),
    calibrated=st.booleans(),
    demo=st.booleans(),
)

scores = st.builds(
    Score,
    stream=streams,
    epoch=epochs,
    track=tracks,
    start=numbers,
    end=numbers,
    frames=st.integers(0, 10_000),
    missing=st.integers(0, 10_000),
    logit=numbers,
    probability=shares,
    score=shares,
    low=shares,
    high=shares,
    verdict=verdicts,
    reasons=reasons,
    quality=st.builds(FaceQuality, numbers, numbers, numbers, numbers),
    box=st.builds(Box, numbers, numbers, numbers, numbers),
    arrived=numbers,
    detector=detectors,
    second_look=st.none()
    | st.builds(
        SecondLook,
        detectors,
        shares,
        numbers,
        st.none() | st.booleans(),
        st.sampled_from(TrainingStatus),
    ),
)

changes = st.builds(
    StreamChanged,
    stream=streams,
    epoch=epochs,
    state=st.sampled_from(ConnectionState),
    code=st.none() | st.sampled_from(ReasonCode),
    detail=texts,
    retry_in_s=st.none() | numbers,
)

events = st.one_of(
    scores,
    changes,
    st.builds(EpochStarted, streams, epochs, st.sampled_from(EpochCause)),
    st.builds(TrackStarted, streams, epochs, tracks, numbers),
    st.builds(TrackEnded, streams, epochs, tracks, numbers, st.sampled_from(TrackEnd)),
    st.builds(CapacityReached, streams, epochs, tracks, st.integers(0, 4096), detectors),
    st.builds(
        VerdictChanged, streams, epochs, tracks, numbers, verdicts, verdicts, shares, detectors
    ),
    st.builds(
        StreamReport,
        stream=streams,
        epoch=epochs,
        fps=numbers,
        loss=shares,
        tracks=st.integers(0, 100),
        reasons=reasons,
        age_s=st.none() | numbers,
    ),
)
