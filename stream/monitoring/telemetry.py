"""Telemetry: a sink of the event log that counts what happens in Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterable

from stream.event_log.event_log import StampedEvent
from stream.events import (
    AbstainReason,
    ConnectionState,
    DegradationLevel,
    Score,
    StreamAdded,
    StreamChanged,
    StreamRemoved,
    StreamReport,
    TrackEnd,
    TrackEnded,
    Verdict,
    VerdictChanged,
)
from stream.monitoring.metrics import Metrics


class Telemetry:
    """Counts events, once each; every series begins at 0, so that the first event is a rise.

    Args:
        metrics: where figures go.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        for level in DegradationLevel:
            metrics.overload_changes.labels(level.word)
        metrics.frame_age.labels("perceive")
        metrics.batch_size.labels("frames")

    def accept(self, stamped: StampedEvent) -> None:
        """Count an event; a removed stream leaves no series."""
        event, metrics = stamped.event, self._metrics
        match event:
            case StreamAdded():
                self._begin(event.stream, [scorer.model.name for scorer in event.models])
            case StreamChanged():
                self._state(event)
            case Score():
                self._score(event, stamped.now)
            case TrackEnded():
                metrics.tracks_ended.labels(event.stream, event.reason.value).inc()
            case VerdictChanged(verdict=Verdict.SUSPECT):
                metrics.alarms.labels(event.stream, event.detector).inc()
            case StreamReport():
                metrics.tracks_active.labels(event.stream).set(event.tracks)
            case StreamRemoved():
                metrics.forget(event.stream)
            case _:
                pass

    def overload(self, level: DegradationLevel) -> None:
        """Count that a degradation level was entered."""
        self._metrics.overload_changes.labels(level.word).inc()

    def _begin(self, stream: str, detectors: Iterable[str]) -> None:
        """Make every series that a stream may come to have; naming one begins it at 0."""
        metrics = self._metrics
        metrics.stream_up.labels(stream)
        metrics.tracks_active.labels(stream)
        for end in TrackEnd:
            metrics.tracks_ended.labels(stream, end.value)
        for detector in detectors:
            metrics.alarms.labels(stream, detector)
            metrics.score_latency.labels("packet_to_score", detector)
            for verdict in Verdict:
                metrics.scores.labels(stream, verdict.value, detector)
            for reason in AbstainReason:
                metrics.abstain.labels(stream, reason.value, detector)

    def _score(self, score: Score, now: float) -> None:
        whose, metrics = score.detector, self._metrics
        metrics.scores.labels(score.stream, score.verdict.value, whose).inc()
        for reason in score.reasons:
            metrics.abstain.labels(score.stream, reason.value, whose).inc()
        age = max(now - score.arrived, 0.0)
        metrics.score_latency.labels("packet_to_score", whose).observe(age)

    def _state(self, change: StreamChanged) -> None:
        stream, state = change.stream, change.state
        self._metrics.stream_up.labels(stream).set(state is ConnectionState.LIVE)
        for possible in ConnectionState:
            self._metrics.stream_state.labels(stream, possible.value).set(possible is state)
