"""From what the parts count to what Prometheus is told.

Most parts count for themselves, in plain numbers that only grow; here those are copied into the
names of `metrics.py`. Belongs to the event loop, starts nothing, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from stream.device.device import Device
from stream.events import (
    ConnectionState,
    Event,
    Score,
    StreamChanged,
    StreamReport,
    TrackEnded,
    Verdict,
    VerdictChanged,
)
from stream.explain.pictures import Pictures
from stream.ingest.ingest import IngestCounters
from stream.monitoring.metrics import CounterCopy, Metrics
from stream.publish.hub import Hub
from stream.scheduling.batcher import BatcherStats
from stream.scheduling.degradation import Degradation
from stream.webrtc.peer import PeerCounters
from stream.webrtc.sessions import Call, Switchboard


class Telemetry:
    """Tells metrics how things stand.

    Args:
        metrics: where figures go.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._copied = CounterCopy()

    def event(self, event: Event, now: float) -> None:
        """Count an event as it is published, at a monotonic time in seconds."""
        metrics = self._metrics
        match event:
            case StreamChanged():
                self._state(event)
            case Score():
                self._score(event, now)
            case TrackEnded():
                metrics.tracks_ended.labels(event.stream, event.reason.value).inc()
            case VerdictChanged(verdict=Verdict.SUSPECT):
                metrics.alarms.labels(event.stream, event.detector).inc()
            case StreamReport():
                metrics.tracks_active.labels(event.stream).set(event.tracks)
            case _:
                pass

    def ingest(self, stream: str, done: IngestCounters, copied: CounterCopy) -> None:
        """Advance a stream's counters to what its ingest has counted.

        Args:
            stream: whose.
            done: totals of this ingest.
            copied: how far they have been copied; a new ingest brings a new one.
        """
        metrics, advance = self._metrics, copied.advance
        advance(metrics.packets, done.packets, stream)
        advance(metrics.frames_decoded, done.decoded, stream)
        advance(metrics.frames_sampled, done.sampled, stream)
        advance(metrics.frames_missing, done.missing, stream)
        advance(metrics.decode_errors, done.refused, stream)
        for code, total in done.ends.items():
            advance(metrics.reconnects, total, stream, code.value)
        for damage, total in done.contaminated.items():
            advance(metrics.frames_contaminated, total, stream, damage.value)
        for discard, total in done.discarded.items():
            advance(metrics.frames_dropped, total, stream, discard.value)

    def device(self, batching: BatcherStats, devices: Sequence[Device]) -> None:
        """Copy how the device is shared."""
        metrics = self._metrics
        metrics.batch_fill.set(batching.fill)
        for device in devices:
            name, stats = device.detector.card.name, device.stats
            metrics.slots_used.labels(name).set(stats.used)
            self._copied.advance(metrics.slots_refused, stats.refusals, name)

    def overload(self, degradation: Degradation, *, changed: bool) -> None:
        """Copy how busy the device thread is, and count a change of level."""
        metrics = self._metrics
        metrics.device_busy.set(degradation.busy)
        if changed:
            metrics.overload_rung.set(degradation.level)
            metrics.overload_changes.labels(degradation.level.word).inc()

    def viewers(self, hub: Hub, pictures: Pictures) -> None:
        """Copy what those who look on cost, and what became of them."""
        metrics, advance = self._metrics, self._copied.advance
        advance(metrics.explained, pictures.explained)
        advance(metrics.overlays_refused, pictures.refused)
        metrics.ws_clients.set(hub.clients)
        advance(metrics.ws_coalesced, hub.coalesced)
        advance(metrics.ws_lagged, hub.lagged)
        for code, total in hub.disconnects.items():
            advance(metrics.ws_disconnects, total, str(int(code)))

    def calls(self, board: Switchboard, streams: Container[str]) -> None:
        """Copy what callers have sent, those of streams that are there."""
        metrics = self._metrics
        metrics.calls.set(len(board))
        for reason, total in board.ends.items():
            self._copied.advance(metrics.calls_ended, total, reason.value)
        for call, sent in board.counters():
            if call.stream in streams:
                self._call(call, sent)

    def _call(self, call: Call, sent: PeerCounters) -> None:
        metrics, stream, advance = self._metrics, call.stream, call.copied.advance
        advance(metrics.call_losses, sent.losses, stream)
        advance(metrics.keyframes_asked, sent.keyframes_asked, stream)
        advance(metrics.frames_dropped, sent.dropped, stream, "feed_full")
        quality = call.peer.quality
        if quality is not None:
            metrics.link_loss.labels(stream).set(quality.loss)
            metrics.link_jitter.labels(stream).set(quality.jitter_s)
            if quality.rtt_s is not None:
                metrics.link_rtt.labels(stream).set(quality.rtt_s)

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
