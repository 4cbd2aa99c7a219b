"""Telemetry: a sink of the event log that counts what happens in Prometheus metrics."""

from __future__ import annotations

from stream.event_log.event_log import StampedEvent
from stream.events import (
    ConnectionState,
    DegradationLevel,
    Score,
    StreamChanged,
    StreamRemoved,
    StreamReport,
    TrackEnded,
    Verdict,
    VerdictChanged,
)
from stream.monitoring.metrics import Metrics


class Telemetry:
    """Counts events, once each.

    Args:
        metrics: where figures go.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def accept(self, stamped: StampedEvent) -> None:
        """Count an event; a removed stream leaves no series."""
        event, metrics = stamped.event, self._metrics
        match event:
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
