"""Every Prometheus name of the analyzer, in one list.

Labels are limited to stream id, detector, stage, reason, state, verdict and code: never URLs, track
ids, clients or addresses. Detectors are those of the configuration, and the ensemble; where a
figure is no single detector's, the label is empty. The series of a removed stream are removed with
it.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The analyzer's metrics, registered once in the registry that is passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._per_stream: list[Counter | Gauge] = []

        def counter(name: str, text: str, *labels: str) -> Counter:
            metric = Counter(f"styleflow_{name}", text, labels, registry=registry)
            if "stream" in labels:
                self._per_stream.append(metric)
            return metric

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            metric = Gauge(f"styleflow_{name}", text, labels, registry=registry)
            if "stream" in labels:
                self._per_stream.append(metric)
            return metric

        def histogram(
            name: str, text: str, *labels: str, buckets: tuple[float, ...] = _SECONDS
        ) -> Histogram:
            return Histogram(f"styleflow_{name}", text, labels, registry=registry, buckets=buckets)

        self.build_info = gauge(
            "build_info", "Always 1; says what runs.", "version", "model", "status"
        )
        self.streams = gauge("streams", "Streams that are configured.")
        self.stream_up = gauge("stream_up", "1 while the stream is live.", "stream")
        self.stream_state = gauge(
            "stream_state", "1 for the state the connection is in.", "stream", "state"
        )
        self.reconnects = counter(
            "reconnects_total", "Connections lost, by reason.", "stream", "reason"
        )
        self.packets = counter("packets_received_total", "Compressed packets.", "stream")
        self.frames_decoded = counter("frames_decoded_total", "Decoded frames.", "stream")
        self.frames_sampled = counter(
            "frames_sampled_total", "Frames chosen on the cadence grid.", "stream"
        )
        self.frames_dropped = counter(
            "frames_dropped_total",
            "Sampled frames that were never scored, by reason.",
            "stream",
            "reason",
        )
        self.frames_contaminated = counter(
            "frames_contaminated_total", "Frames that are no evidence, by cause.", "stream", "cause"
        )
        self.frames_missing = counter(
            "frames_missing_total", "Source frames that the PTS say were lost.", "stream"
        )
        self.decode_errors = counter(
            "decode_errors_total", "Packets that the decoder refused.", "stream"
        )
        self.last_frame = gauge(
            "last_frame_timestamp_seconds", "UTC at which the newest frame arrived.", "stream"
        )
        self.frame_age = histogram(
            "frame_age_seconds", "Age of a frame when it enters a stage.", "stage"
        )
        self.stage_seconds = histogram(
            "stage_seconds", "Time that a stage takes.", "stage", "detector"
        )
        self.score_latency = histogram(
            "score_latency_seconds",
            "Time from one point of the path to another.",
            "segment",
            "detector",
        )
        self.batch_size = histogram(
            "batch_size", "Items per batch.", "stage", buckets=(1, 2, 4, 8, 16, 32, 64)
        )
        self.batch_fill = gauge("batch_fill_ratio", "Mean share of max_batch that was used.")
        self.tracks_active = gauge("tracks_active", "Faces followed now.", "stream")
        self.tracks_ended = counter("tracks_ended_total", "Tracks ended.", "stream", "reason")
        self.slots_used = gauge("slots_used", "Device slots in use.", "detector")
        self.slots = gauge("slots", "Device slots in all.", "detector")
        self.slots_refused = counter(
            "slots_refused_total", "Frames refused for want of a slot.", "detector"
        )
        self.scores = counter(
            "scores_total", "Scores published, by verdict.", "stream", "verdict", "detector"
        )
        self.abstain = counter(
            "abstain_total",
            "Scores that came without a verdict, by reason.",
            "stream",
            "reason",
            "detector",
        )
        self.alarms = counter("alarms_total", "Verdicts that turned suspect.", "stream", "detector")
        self.explained = counter(
            "explained_pictures_total",
            "Pictures kept with what a detector points at.",
        )
        self.overlays_refused = counter(
            "overlays_refused_total",
            "Requests to see what a detector points at that were one too many.",
        )
        self.overload_rung = gauge(
            "overload_rung", "How much work is left out, 0 (none) to 4 (new streams are refused)."
        )
        self.overload_changes = counter(
            "overload_changes_total",
            "Times that a degradation level was reached, from above or below.",
            "state",
        )
        self.device_busy = gauge(
            "device_busy_ratio", "Share of time that the device thread computes."
        )
        self.streams_refused = counter(
            "streams_refused_total", "Streams refused because of overload."
        )
        self.calls = gauge("calls", "WebRTC calls now.")
        self.calls_ended = counter("calls_ended_total", "WebRTC calls over, by reason.", "reason")
        self.call_losses = counter(
            "call_losses_total", "Times that a part of a call's video was lost for good.", "stream"
        )
        self.keyframes_asked = counter(
            "keyframes_asked_total", "Keyframes asked of WebRTC peers.", "stream"
        )
        self.link_loss = gauge(
            "link_loss_ratio", "Packets of a call lately lost, repaired ones too.", "stream"
        )
        self.link_jitter = gauge(
            "link_jitter_seconds", "How unevenly a call's packets arrive.", "stream"
        )
        self.link_rtt = gauge("link_rtt_seconds", "Time to a WebRTC peer and back.", "stream")
        self.ws_clients = gauge("ws_clients", "WebSocket subscribers now.")
        self.ws_coalesced = counter(
            "ws_coalesced_total", "Score messages replaced by a newer one before they were sent."
        )
        self.ws_lagged = counter(
            "ws_lagged_total", "Events that subscribers were too slow for and were told so."
        )
        self.ws_disconnects = counter(
            "ws_disconnects_total", "WebSocket subscribers gone, by close code.", "code"
        )

    def forget(self, stream: str) -> None:
        """Remove every series of a stream that has been removed."""
        for metric in self._per_stream:
            metric.remove_by_labels({"stream": stream})


class CounterCopy:
    """Advances Prometheus counters to totals that are counted elsewhere."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, tuple[str, ...]], int] = {}

    def advance(self, counter: Counter, total: int, *labels: str) -> None:
        """Add to a counter what a total has grown by since the last call."""
        key = (id(counter), labels)
        grown = total - self._seen.get(key, 0)
        if grown > 0:
            (counter.labels(*labels) if labels else counter).inc(grown)
            self._seen[key] = total
