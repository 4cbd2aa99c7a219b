"""Every Prometheus name of the analyzer, in one list.

Labels are limited to stream id, detector, stage, reason, state, verdict, severity, code, name of a
worker, and channel and outcome of alerts: never URLs, track ids, clients or addresses. Detectors
are those of the configuration, and the ensemble; where a figure is no single detector's, the label
is empty. The series of a removed stream are removed with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Family:
    """A metric whose figures are read when Prometheus asks.

    Attributes:
        kind: whether it only grows.
        name: without our prefix.
        text: what it says about itself.
        labels: names of its labels.
    """

    kind: Literal["counter", "gauge"]
    name: str
    text: str
    labels: tuple[str, ...] = ()

    def empty(self) -> CounterMetricFamily | GaugeMetricFamily:
        """Return the family without any figure."""
        made = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        return made(f"styleflow_{self.name}", self.text, labels=self.labels)


SCRAPED = (
    Family("gauge", "streams", "Streams that are configured."),
    Family("counter", "reconnects_total", "Connections lost, by reason.", ("stream", "reason")),
    Family(
        "counter",
        "camera_connections_cut_total",
        "Connections to cameras that this process ended by itself, by reason.",
        ("reason",),
    ),
    Family(
        "gauge",
        "last_frame_timestamp_seconds",
        "UTC at which the newest frame arrived.",
        ("stream",),
    ),
    Family("counter", "packets_received_total", "Compressed packets.", ("stream",)),
    Family("counter", "frames_decoded_total", "Decoded frames.", ("stream",)),
    Family("counter", "frames_sampled_total", "Frames chosen on the cadence grid.", ("stream",)),
    Family(
        "counter",
        "frames_dropped_total",
        "Sampled frames that were never scored, by reason.",
        ("stream", "reason"),
    ),
    Family(
        "counter",
        "frames_contaminated_total",
        "Frames that are no evidence, by cause.",
        ("stream", "cause"),
    ),
    Family(
        "counter", "frames_missing_total", "Source frames that the PTS say were lost.", ("stream",)
    ),
    Family("counter", "decode_errors_total", "Packets that the decoder refused.", ("stream",)),
    Family(
        "counter",
        "packets_decoded_on_gpu_total",
        "Packets that a GPU's decoder was given.",
        ("stream",),
    ),
    Family(
        "counter",
        "decoder_fallbacks_total",
        "Decoders that were meant to be a GPU's and are the processor's, by reason.",
        ("stream", "reason"),
    ),
    Family("gauge", "batch_fill_ratio", "Mean share of max_batch that was used."),
    Family("gauge", "slots_used", "Device slots in use.", ("detector",)),
    Family("gauge", "slots", "Device slots in all.", ("detector",)),
    Family("counter", "slots_refused_total", "Frames refused for want of a slot.", ("detector",)),
    Family("gauge", "graphs", "Calls of networks that are recorded for the GPU."),
    Family("counter", "graphs_captured_total", "Calls of networks that were ever recorded."),
    Family("counter", "graph_replays_total", "Batches that a recorded call has answered."),
    Family(
        "counter",
        "graph_fallbacks_total",
        "Batches on a GPU that were answered without a recorded call, by reason.",
        ("reason",),
    ),
    Family("counter", "device_transfers_total", "Copies of logits to the host.", ("detector",)),
    Family("counter", "explained_pictures_total", "Pictures kept with what a detector points at."),
    Family(
        "counter",
        "overlays_refused_total",
        "Requests to see what a detector points at that were one too many.",
    ),
    Family(
        "gauge",
        "overload_rung",
        "How much work is left out, 0 (none) to 4 (new streams are refused).",
    ),
    Family("gauge", "device_busy_ratio", "Share of time that the device thread computes."),
    Family(
        "counter",
        "second_looks_total",
        "Second looks that are over, by what came of them.",
        ("outcome",),
    ),
    Family(
        "counter",
        "second_looks_refused_total",
        "Second looks that were due and had to wait, by reason.",
        ("reason",),
    ),
    Family("gauge", "second_looks_going", "Faces that are looked at a second time now."),
    Family(
        "counter",
        "second_look_seconds_total",
        "Time of the device thread that second looks took.",
    ),
    Family("gauge", "second_look_share", "Share of the last minute that second looks took."),
    Family("gauge", "second_look_frame_seconds", "Time that a frame of a second look should take."),
    Family("gauge", "calls", "WebRTC calls now."),
    Family("counter", "calls_ended_total", "WebRTC calls over, by reason.", ("reason",)),
    Family(
        "counter",
        "call_losses_total",
        "Times that a part of a call's video was lost for good.",
        ("stream",),
    ),
    Family("counter", "keyframes_asked_total", "Keyframes asked of WebRTC peers.", ("stream",)),
    Family(
        "counter",
        "call_datagrams_refused_total",
        "Datagrams at a call's ports that were let go unread, by reason.",
        ("stream", "reason"),
    ),
    Family(
        "gauge", "link_loss_ratio", "Packets of a call lately lost, repaired ones too.", ("stream",)
    ),
    Family("gauge", "link_jitter_seconds", "How unevenly a call's packets arrive.", ("stream",)),
    Family("gauge", "link_rtt_seconds", "Time to a WebRTC peer and back.", ("stream",)),
    Family("gauge", "store_up", "1 while the store can be written."),
    Family("counter", "store_rows_total", "Rows that were written into the store."),
    Family("counter", "store_rows_deleted_total", "Rows of the store that were too old."),
    Family("counter", "store_events_lost_total", "Events that were never stored."),
    Family("counter", "store_writes_refused_total", "Other writes that the store did not take."),
    Family(
        "counter",
        "store_rows_fenced_total",
        "Rows not stored because their stream had a newer owner.",
    ),
    Family("counter", "store_failures_total", "Commits of the store that failed."),
    Family("gauge", "store_waiting", "Events that wait to be stored."),
    Family("gauge", "store_commit_seconds", "Time that the last commit of the store took."),
    Family(
        "counter",
        "incidents_total",
        "Incidents that have reached a severity, each counted once for each.",
        ("severity",),
    ),
    Family("gauge", "incidents_open", "Incidents that go on."),
    Family(
        "counter",
        "challenges_total",
        "Challenges that are over, by how far the video followed.",
        ("outcome",),
    ),
    Family("counter", "challenges_refused_total", "Challenges refused, by code.", ("code",)),
    Family("gauge", "challenges_running", "Challenges that are running."),
    Family(
        "counter",
        "challenge_observations_dropped_total",
        "Measures of a running challenge that gave way to newer ones.",
    ),
    Family("counter", "challenges_unaudited_total", "Challenges that the audit log did not take."),
    Family(
        "counter",
        "incidents_refused_total",
        "Suspect faces that got no incident, by reason.",
        ("reason",),
    ),
    Family("gauge", "incidents_unsaved", "Incidents whose newest state is not on disk."),
    Family(
        "counter",
        "incidents_lost_total",
        "States, comments and entries about incidents that were given up.",
    ),
    Family("gauge", "evidence_recording", "Incidents whose video is gathered now."),
    Family("gauge", "evidence_waiting", "Videos of incidents that wait to be written."),
    Family("gauge", "evidence_clips", "Videos of incidents that are there."),
    Family("gauge", "evidence_bytes", "Bytes of the videos of incidents."),
    Family("counter", "evidence_kept_total", "Videos of incidents that were written."),
    Family("counter", "evidence_pruned_total", "Videos of incidents that gave way."),
    Family(
        "counter",
        "evidence_lost_total",
        "Videos of incidents that were not kept, by reason.",
        ("reason",),
    ),
    Family(
        "counter",
        "evidence_left_out_packets_total",
        "Packets that are not in an incident's video, by reason.",
        ("reason",),
    ),
    Family("gauge", "evidence_explaining", "Incidents of which an explained frame is waited for."),
    Family(
        "counter",
        "evidence_explained_total",
        "Frames of incidents that their detector was to explain, by outcome.",
        ("outcome",),
    ),
    Family(
        "gauge",
        "stream_drifted",
        "1 while a stream's picture is not what it was in the last seven days.",
        ("stream",),
    ),
    Family("counter", "drift_compared_total", "Comparisons of streams with their own past."),
    Family("counter", "drift_noticed_total", "Times that a stream was found changed."),
    Family("counter", "drift_failed_total", "Turns of the watch over drift that failed."),
    Family("counter", "drift_lost_total", "Hours of figures that gave way unstored."),
    Family("gauge", "drift_waiting", "Hours of figures that wait to be stored."),
    Family("gauge", "connections", "Connections open now, WebSockets included."),
    Family("gauge", "connections_waiting", "Open connections whose client has still to send."),
    Family("gauge", "ws_before_hello", "WebSockets that have not said hello yet."),
    Family(
        "counter",
        "connections_refused_total",
        "Connections refused, or closed before they had asked for anything, by reason.",
        ("reason",),
    ),
    Family("gauge", "ws_clients", "WebSocket subscribers now."),
    Family(
        "counter",
        "ws_coalesced_total",
        "Score messages replaced by a newer one before they were sent.",
    ),
    Family(
        "counter", "ws_lagged_total", "Events that subscribers were too slow for and were told so."
    ),
    Family(
        "counter", "ws_disconnects_total", "WebSocket subscribers gone, by close code.", ("code",)
    ),
    Family(
        "counter",
        "alerts_total",
        "Alerts by channel and outcome; a failed attempt is repeated.",
        ("channel", "outcome"),
    ),
    Family("gauge", "alerts_waiting", "Alerts that wait for their channel.", ("channel",)),
    Family(
        "counter",
        "alerts_held_back_total",
        "Incidents that a rule did not tell at once, by reason.",
        ("reason",),
    ),
    Family(
        "gauge",
        "canary_score",
        "Last score of a clip that is known to be real or fake.",
        ("canary", "detector"),
    ),
    Family(
        "gauge",
        "canary_logit",
        "Mean rating of a known clip in the last round.",
        ("canary", "detector"),
    ),
    Family(
        "gauge",
        "canary_latency_seconds",
        "Median time from a known clip's pictures to their scores in the last round.",
        ("canary",),
    ),
    Family("counter", "canary_rounds_total", "Rounds of known clips, by result.", ("result",)),
    Family(
        "gauge",
        "canary_age_seconds",
        "Time since the last round of known clips that was judged, or since the start.",
    ),
    Family("gauge", "canary_state", "1 for how the detector fares with known clips.", ("state",)),
    Family("counter", "alerts_unstored_total", "Changes of alerts that the store did not take."),
    Family("gauge", "workers", "Workers of the cluster, by state.", ("state",)),
    Family("gauge", "streams_waiting", "Streams that no worker of the cluster has."),
    Family("counter", "stream_moves_total", "Streams moved from a living worker to another."),
    Family("counter", "worker_deaths_total", "Workers that were counted as dead."),
    Family(
        "counter",
        "streams_adopted_total",
        "Streams that a director found with a worker, rather than gave to it.",
    ),
    Family("counter", "placements_refused_total", "Times that a stream found no room."),
    Family(
        "counter",
        "worker_metrics_missed_total",
        "Scrapes in which a worker's metrics did not come in time.",
        ("worker",),
    ),
    Family(
        "counter",
        "fenced_events_total",
        "Events that were not passed on, because their stream had another owner by then.",
    ),
    Family("counter", "relay_events_total", "Events of workers that were passed on."),
    Family(
        "counter",
        "relay_events_strayed_total",
        "Events of workers that had been passed on already, or of no known stream.",
    ),
    Family("counter", "relay_failures_total", "Questions to workers that were not answered."),
    Family(
        "counter",
        "relay_events_lost_total",
        "Events of workers that a gateway fell behind by; the store has them.",
    ),
)
"""Every metric that parts of the analyzer count for themselves."""


class Figure(NamedTuple):
    """One figure of a scraped metric.

    Attributes:
        name: of its family, without our prefix.
        value: the total or the present value.
        labels: values of its labels, in the family's order.
    """

    name: str
    value: float
    labels: tuple[str, ...] = ()


Read = Callable[[], Iterable[Figure]]
"""Returns the figures of the moment."""


class ScrapedFigures(Collector):
    """Figures that are read from the parts that count them, when Prometheus asks."""

    def __init__(self) -> None:
        self._sources: list[Read] = []

    def attach(self, read: Read) -> None:
        """Have a source read at every scrape."""
        self._sources.append(read)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Return every family, with the figures of all sources."""
        families = {family.name: family.empty() for family in SCRAPED}
        for read in self._sources:
            for figure in read():
                families[figure.name].add_metric(figure.labels, figure.value)
        yield from families.values()


class Metrics:
    """The analyzer's metrics, registered once in the registry that is passed in.

    What happens is counted at once, in the attributes; what parts count for themselves is read
    from them through `scraped`.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.scraped = ScrapedFigures()
        registry.register(self.scraped)
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
        self.stream_up = gauge("stream_up", "1 while the stream is live.", "stream")
        self.stream_state = gauge(
            "stream_state", "1 for the state the connection is in.", "stream", "state"
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
        self.tracks_active = gauge("tracks_active", "Faces followed now.", "stream")
        self.tracks_ended = counter("tracks_ended_total", "Tracks ended.", "stream", "reason")
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
        self.overload_changes = counter(
            "overload_changes_total",
            "Times that a degradation level was reached, from above or below.",
            "state",
        )
        self.streams_refused = counter(
            "streams_refused_total", "Streams refused because of overload."
        )

    def forget(self, stream: str) -> None:
        """Remove every series of a stream that has been removed."""
        for metric in self._per_stream:
            metric.remove_by_labels({"stream": stream})
