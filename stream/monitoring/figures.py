"""Figures that the parts count for themselves, under the names that Prometheus knows.

Each function reads one part and decides nothing. They are called at scrape time. What has not
happened yet is told as 0: a series that begins with 1 has no rise that could be alarmed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from stream.alerts.alerts import Alerts
from stream.canaries.records import Report, State
from stream.challenge.service import Challenges
from stream.compliance import Outcome
from stream.device.device import Device
from stream.drift.watch import DriftWatch
from stream.events import ReasonCode
from stream.evidence.explained import ExplainedMoments
from stream.evidence.recorder import EvidenceRecorder
from stream.explain.pictures import Pictures
from stream.incidents.service import Incidents
from stream.ingest.counters import IngestCounters
from stream.ingest.sockets import SocketEnd
from stream.ingest.timeline import Damage, Discard
from stream.monitoring.metrics import Figure
from stream.publish.hub import COUNTED_CODES, Hub
from stream.scheduling.batcher import BatcherStats
from stream.scheduling.degradation import Degradation
from stream.second_look.second_looks import SecondLooks
from stream.webrtc.datagrams import DatagramRefusal
from stream.webrtc.sessions import Sessions, StreamTotals
from styleflow.graph_pool import GraphCounts
from styleflow.pictures.fallback import Fallback


def ingest_figures(stream: str, done: IngestCounters) -> Iterator[Figure]:
    """Yield what a stream's ingest has read, decoded and sampled."""
    yield Figure("packets_received_total", done.packets, (stream,))
    yield Figure("frames_decoded_total", done.decoded, (stream,))
    yield Figure("frames_sampled_total", done.sampled, (stream,))
    yield Figure("frames_missing_total", done.missing, (stream,))
    yield Figure("decode_errors_total", done.refused, (stream,))
    yield Figure("packets_decoded_on_gpu_total", done.on_gpu, (stream,))
    for fallback in Fallback:
        count = done.fallbacks.get(fallback, 0)
        yield Figure("decoder_fallbacks_total", count, (stream, fallback.value))
    for code in ReasonCode:
        yield Figure("reconnects_total", done.ends.get(code, 0), (stream, code.value))
    for damage in Damage:
        count = done.contaminated.get(damage, 0)
        yield Figure("frames_contaminated_total", count, (stream, damage.value))
    for discard in Discard:
        count = done.discarded.get(discard, 0)
        yield Figure("frames_dropped_total", count, (stream, discard.value))


def age_figures(stream: str, newest: float | None, now: float, utc: datetime) -> Iterator[Figure]:
    """Yield when a stream's newest picture arrived; nothing before the first.

    Args:
        stream: id of the stream.
        newest: monotonic seconds of its arrival.
        now: monotonic seconds.
        utc: the wall clock's time then.
    """
    if newest is not None:
        at = utc.timestamp() - max(now - newest, 0.0)
        yield Figure("last_frame_timestamp_seconds", at, (stream,))


def socket_figures(ended: Mapping[SocketEnd, int]) -> Iterator[Figure]:
    """Yield how many connections to cameras were ended from outside, by why."""
    for why, count in ended.items():
        yield Figure("camera_connections_cut_total", count, (why.value,))


def dropped_figures(stream: str, dropped: Mapping[str, int]) -> Iterator[Figure]:
    """Yield how many sampled frames of a stream were never scored, by reason."""
    for reason, count in dropped.items():
        yield Figure("frames_dropped_total", count, (stream, reason))


def device_figures(batching: BatcherStats, devices: Sequence[Device]) -> Iterator[Figure]:
    """Yield how the device is shared."""
    yield Figure("batch_fill_ratio", batching.fill)
    for device in devices:
        name, stats = device.detector.card.name, device.stats
        yield Figure("slots", stats.slots, (name,))
        yield Figure("slots_used", stats.used, (name,))
        yield Figure("slots_refused_total", stats.refusals, (name,))
        yield Figure("device_transfers_total", stats.transfers, (name,))


def graph_figures(counts: GraphCounts) -> Iterator[Figure]:
    """Yield how many calls of networks are recorded for a GPU, and how often that served."""
    yield Figure("graphs", counts.held)
    yield Figure("graphs_captured_total", counts.captured)
    yield Figure("graph_replays_total", counts.replayed)
    for why, count in counts.fallen_back.items():
        yield Figure("graph_fallbacks_total", count, (why.value,))


def degradation_figures(degradation: Degradation) -> Iterator[Figure]:
    """Yield how busy the device thread is, and how much work is left out."""
    yield Figure("device_busy_ratio", degradation.busy)
    yield Figure("overload_rung", degradation.level)


def second_look_figures(second: SecondLooks) -> Iterator[Figure]:
    """Yield how often the heavier detector was shown a face, and what that cost."""
    stats = second.stats
    for outcome, count in stats.outcomes.items():
        yield Figure("second_looks_total", count, (outcome.value,))
    for reason, count in stats.refused.items():
        yield Figure("second_looks_refused_total", count, (reason.value,))
    yield Figure("second_looks_going", stats.going)
    yield Figure("second_look_seconds_total", stats.spent_s)
    yield Figure("second_look_share", stats.used)
    yield Figure("second_look_frame_seconds", stats.frame_s)


def viewer_figures(hub: Hub, pictures: Pictures) -> Iterator[Figure]:
    """Yield how subscribers and those who ask for pictures fare."""
    yield Figure("explained_pictures_total", pictures.explained)
    yield Figure("overlays_refused_total", pictures.refused)
    yield from subscriber_figures(hub)


def subscriber_figures(hub: Hub) -> Iterator[Figure]:
    """Yield how subscribers fare."""
    yield Figure("ws_clients", hub.clients)
    yield Figure("ws_coalesced_total", hub.coalesced)
    yield Figure("ws_lagged_total", hub.lagged)
    for code in sorted(COUNTED_CODES):
        yield Figure("ws_disconnects_total", hub.disconnects[code], (str(code),))


def incident_figures(incidents: Incidents) -> Iterator[Figure]:
    """Yield how many incidents there are and were, and what became of them on the way to disk."""
    machine, recorder = incidents.machine, incidents.recorder
    for severity, count in machine.reached.items():
        yield Figure("incidents_total", count, (severity.word,))
    yield Figure("incidents_open", len(machine))
    for reason, count in machine.refused.items():
        yield Figure("incidents_refused_total", count, (reason.value,))
    yield Figure("incidents_unsaved", len(recorder.unsaved) if recorder is not None else 0)
    lost = recorder.lost if recorder is not None else 0
    yield Figure("incidents_lost_total", lost + incidents.forgotten)


def challenge_figures(challenges: Challenges) -> Iterator[Figure]:
    """Yield how many people were asked for something, and what came of it."""
    for outcome in Outcome:
        yield Figure("challenges_total", challenges.outcomes[outcome], (outcome.value,))
    for code, count in challenges.refused.items():
        yield Figure("challenges_refused_total", count, (code,))
    yield Figure("challenges_running", challenges.running)
    yield Figure("challenge_observations_dropped_total", challenges.watch.dropped)
    yield Figure("challenges_unaudited_total", challenges.unaudited)


def evidence_figures(evidence: EvidenceRecorder) -> Iterator[Figure]:
    """Yield how much video is kept of incidents, and what was not."""
    yield Figure("evidence_recording", evidence.gathering)
    yield Figure("evidence_waiting", evidence.waiting)
    yield Figure("evidence_clips", evidence.shelved)
    yield Figure("evidence_bytes", evidence.shelved_bytes)
    yield Figure("evidence_kept_total", evidence.kept)
    yield Figure("evidence_pruned_total", evidence.pruned)
    for reason, count in evidence.lost.items():
        yield Figure("evidence_lost_total", count, (reason,))
    for reason, count in evidence.left_out.items():
        yield Figure("evidence_left_out_packets_total", count, (reason,))


def explained_figures(moments: ExplainedMoments) -> Iterator[Figure]:
    """Yield what became of explaining incidents."""
    yield Figure("evidence_explaining", moments.looking)
    for outcome, count in moments.outcomes.items():
        yield Figure("evidence_explained_total", count, (outcome,))


def canary_figures(report: Report, age_s: float) -> Iterator[Figure]:
    """Yield what became of known clips.

    Args:
        report: how the detector fares with them.
        age_s: seconds since the last round that was judged, or since the start.
    """
    for sight in report.sights:
        canary = sight.canary.id
        for detector, opinion in sight.opinions.items():
            yield Figure("canary_score", opinion.score, (canary, detector))
            yield Figure("canary_logit", opinion.logit, (canary, detector))
        if sight.latency_s is not None:
            yield Figure("canary_latency_seconds", sight.latency_s, (canary,))
    for result, count in report.rounds.items():
        yield Figure("canary_rounds_total", count, (result.value,))
    yield Figure("canary_age_seconds", age_s)
    for state in State:
        yield Figure("canary_state", state is report.state, (state.value,))


def alert_figures(alerts: Alerts) -> Iterator[Figure]:
    """Yield what became of alerts, channel by channel."""
    for channel in alerts.channels():
        for outcome, count in asdict(channel.counts).items():
            yield Figure("alerts_total", count, (channel.name, outcome))
        yield Figure("alerts_waiting", channel.waiting, (channel.name,))
    for why, count in alerts.held_back().items():
        yield Figure("alerts_held_back_total", count, (why.value,))
    yield Figure("alerts_unstored_total", alerts.outbox.unstored)


def drift_figures(watch: DriftWatch) -> Iterator[Figure]:
    """Yield which streams have changed against their past, and what the watch over that does."""
    drifted = set(watch.drifted)
    for stream in watch.streams:
        yield Figure("stream_drifted", float(stream in drifted), (stream,))
    yield Figure("drift_compared_total", watch.counts.compared)
    yield Figure("drift_noticed_total", watch.counts.noticed)
    yield Figure("drift_failed_total", watch.counts.failed)
    yield Figure("drift_lost_total", watch.counts.lost)
    yield Figure("drift_waiting", watch.waiting)


def session_figures(sessions: Sessions) -> Iterator[Figure]:
    """Yield how many calls there are, and why others are over."""
    yield Figure("calls", len(sessions))
    for reason in ReasonCode:
        yield Figure("calls_ended_total", sessions.ends[reason], (reason.value,))


def call_figures(stream: str, totals: StreamTotals | None) -> Iterator[Figure]:
    """Yield what the callers of a stream have sent; nothing if it takes no calls."""
    if totals is None:
        return
    yield Figure("call_losses_total", totals.losses, (stream,))
    yield Figure("keyframes_asked_total", totals.keyframes_asked, (stream,))
    yield Figure("frames_dropped_total", totals.dropped, (stream, "feed_full"))
    for refusal in DatagramRefusal:
        count = totals.refused[refusal]
        yield Figure("call_datagrams_refused_total", count, (stream, refusal.value))
    if (link := totals.link) is not None:
        yield Figure("link_loss_ratio", link.loss, (stream,))
        yield Figure("link_jitter_seconds", link.jitter_s, (stream,))
        if link.rtt_s is not None:
            yield Figure("link_rtt_seconds", link.rtt_s, (stream,))
