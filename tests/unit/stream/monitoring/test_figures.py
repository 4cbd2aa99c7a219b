"""Figures: what the parts count arrives under its metric's name, and every family is fed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import create_engine

from cli.memory import store_figures
from stream.alerts.alerts import Alerts
from stream.alerts.settings import AlertsSettings
from stream.challenge.service import Challenges
from stream.challenge.watch import Watch
from stream.clock import ManualClock
from stream.cluster.figures import relay_figures
from stream.cluster.relay import RelayCounts
from stream.compliance import Outcome
from stream.drift.settings import DriftSettings
from stream.drift.watch import DriftWatch
from stream.event_log.event_log import EventLog
from stream.events import LinkQuality, ReasonCode
from stream.evidence.explained import ExplainedMoments
from stream.evidence.recorder import LEFT_OUT, EvidenceRecorder
from stream.explain.pictures import Pictures
from stream.incidents.service import Incidents
from stream.ingest.counters import IngestCounters, Tally
from stream.ingest.packets import PacketLogCounters
from stream.ingest.sockets import SocketEnd
from stream.ingest.timeline import Damage, Discard
from stream.monitoring import figures
from stream.monitoring.metrics import SCRAPED, Figure, Metrics
from stream.publish.hub import Hub
from stream.publish.schema import CloseCode
from stream.scheduling.batcher import Batcher, BatcherSettings
from stream.scheduling.degradation import Degradation
from stream.second_look.scheduler import Refusal
from stream.second_look.second_looks import Outcome as LookOutcome
from stream.store.access import DirectStore
from stream.store.database import connect
from stream.store.settings import StoreSettings
from stream.store.writer import StoreWriter
from stream.webrtc.calls import WebRtcSettings
from stream.webrtc.datagrams import DatagramRefusal
from stream.webrtc.sessions import Sessions, StreamTotals
from styleflow.graph_pool import GraphPool
from styleflow.pictures.fallback import Fallback
from tests.support.alerts import PlayedChannel, rule
from tests.support.canaries import pair, played_canaries
from tests.support.evidence import EvidenceRig
from tests.support.machines import PlayedMachines, table, worker
from tests.support.path import toy_pipeline
from tests.support.second_look import SecondLookRig
from tests.support.wire import added
from web.connection_figures import connection_figures
from web.connection_limits import ConnectionLimits
from web.settings import ConnectionSettings
from web.waiting_room import WaitingRoom

DONE = IngestCounters(
    packets=100, bytes=5000, decoded=90, sampled=45, missing=2, refused=1, before_keyframe=7,
    attempts=3, discarded={next(iter(Discard)): 4}, contaminated={next(iter(Damage)): 5},
    ends={ReasonCode.TIMEOUT: 2}, log=PacketLogCounters(10, 500, 0, 0), newest=99.0,
    on_gpu=80, fallbacks={Fallback.BROKEN: 1},
)  # fmt: skip
NOWHERE = connect("sqlite:////nowhere/file.db", Path("/nowhere"))
NOBODY = Hub(ManualClock())
UNUSED = DirectStore(create_engine("sqlite://"))
UTC_NOW = datetime.fromtimestamp(5000.0, UTC)
REFUSED = Counter({DatagramRefusal.STRANGER: 9})
LINK = LinkQuality(loss=0.1, jitter_s=0.02, rtt_s=0.05, kbps=900.0)


NOBODY_LOOKS: Any = None
NOBODY_ANSWERS: Any = None
NOBODY_ASKED = Challenges(EventLog(ManualClock()), ManualClock(), Watch(), NOBODY_ANSWERS)


def never(seconds: float, function: object) -> None:
    """Do nothing later."""


def everything() -> list[Figure]:
    clock = ManualClock()
    hub = Hub(clock)
    hub.disconnects[1013] += 1
    sessions = Sessions(WebRtcSettings(), hub, clock, lambda seconds, function: None)
    sessions.ends[ReasonCode.ENDED] += 1
    return [
        Figure("streams", 1),
        *figures.ingest_figures("a", DONE),
        *figures.age_figures("a", DONE.newest, 100.0, UTC_NOW),
        *figures.socket_figures({SocketEnd.MOVED: 11}),
        *figures.dropped_figures("a", {"overrun": 3}),
        *figures.device_figures(Batcher(BatcherSettings()).stats, toy_pipeline(slots=4).devices),
        *figures.graph_figures(GraphPool().counts),
        *figures.degradation_figures(Degradation()),
        *figures.second_look_figures(SecondLookRig().looks),
        *figures.viewer_figures(hub, Pictures()),
        *connection_figures(ConnectionLimits(ConnectionSettings()), WaitingRoom(1)),
        *store_figures(StoreWriter(NOWHERE, StoreSettings(), clock)),
        *figures.incident_figures(Incidents(EventLog(clock), clock)),
        *figures.drift_figures(drift(clock)),
        *figures.challenge_figures(NOBODY_ASKED),
        *figures.session_figures(sessions),
        *figures.call_figures("a", StreamTotals(6, 7, 8, REFUSED, LINK)),
        *figures.alert_figures(alerts(clock)),
        *figures.canary_figures(replace(played_canaries(clock).report(), sights=pair()), 12.0),
        *figures.evidence_figures(recorder()),
        *figures.explained_figures(ExplainedMoments(NOBODY_LOOKS, clock, None)),
        *PlayedMachines(table(worker("worker-1"))).figures(),
        *relay_figures(RelayCounts(), 0),
    ]


def drift(clock: ManualClock) -> DriftWatch:
    """Return a watch over one stream, of which nothing is known."""
    watch = DriftWatch(DriftSettings(), clock, None)
    log = EventLog(clock)
    log.attach(watch)
    log.append(added("a"))
    return watch


def recorder() -> EvidenceRecorder:
    """Return a recorder that has left out one packet."""
    made = EvidenceRig(Path("/nowhere"), store=DirectStore(create_engine("sqlite://"))).recorder
    made.left_out["too_large"] += 1
    return made


def alerts(clock: ManualClock) -> Alerts:
    """Return alerts with one channel, through which nothing was sent."""
    settings = AlertsSettings(rules=(rule(),))
    return Alerts([PlayedChannel()], settings, DirectStore(create_engine("sqlite://")), clock)


def test_what_becomes_of_alerts_is_counted_from_the_start() -> None:
    """A series that appears with the first failure has no rise that could be alarmed on."""
    found = {(f.name, f.labels): f.value for f in figures.alert_figures(alerts(ManualClock()))}
    outcomes = ("delivered", "failed", "given_up", "dropped")
    assert all(found["alerts_total", ("hook", outcome)] == 0 for outcome in outcomes)
    assert found["alerts_waiting", ("hook",)] == 0
    assert found["alerts_held_back_total", ("quiet",)] == 0


def test_every_scraped_family_is_fed_with_its_labels() -> None:
    labels = {family.name: len(family.labels) for family in SCRAPED}
    found = everything()
    assert {figure.name for figure in found} == set(labels)
    assert all(len(figure.labels) == labels[figure.name] for figure in found)


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("packets_received_total", {"stream": "a"}, 100),
        ("last_frame_timestamp_seconds", {"stream": "a"}, 4999.0),
        ("camera_connections_cut_total", {"reason": "moved"}, 11),
        ("reconnects_total", {"stream": "a", "reason": "timeout"}, 2),
        ("packets_decoded_on_gpu_total", {"stream": "a"}, 80),
        ("decoder_fallbacks_total", {"stream": "a", "reason": "broken"}, 1),
        ("decoder_fallbacks_total", {"stream": "a", "reason": "device"}, 0),
        ("frames_dropped_total", {"stream": "a", "reason": "overrun"}, 3),
        ("frames_dropped_total", {"stream": "a", "reason": "feed_full"}, 6),
        ("call_losses_total", {"stream": "a"}, 7),
        ("call_datagrams_refused_total", {"stream": "a", "reason": "stranger"}, 9),
        ("link_rtt_seconds", {"stream": "a"}, 0.05),
        ("slots", {"detector": "styleflow-live"}, 4),
        ("ws_disconnects_total", {"code": "1013"}, 1),
        ("overload_rung", {}, 0),
        ("incidents_total", {"severity": "high"}, 0),
        ("incidents_refused_total", {"reason": "stream_full"}, 0),
        ("canary_score", {"canary": ".canary.demo.fake", "detector": "styleflow-live"}, 0.4),
        ("canary_rounds_total", {"result": "skipped"}, 0),
        ("canary_age_seconds", {}, 12.0),
        ("canary_state", {"state": "waiting"}, 1),
        ("canary_state", {"state": "failing"}, 0),
        ("second_looks_total", {"outcome": "disagrees"}, 0),
        ("second_looks_refused_total", {"reason": "share"}, 0),
        ("second_look_share", {}, 0),
    ],
)
def test_what_is_counted_is_scraped(name: str, labels: dict[str, str], value: float) -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.scraped.attach(everything)
    assert metrics.registry.get_sample_value(f"styleflow_{name}", labels) == value


def test_a_stream_without_a_picture_has_no_time_of_its_newest() -> None:
    assert list(figures.age_figures("a", None, 100.0, UTC_NOW)) == []


def test_what_has_not_happened_is_counted_as_0() -> None:
    """A series that appears with the first loss has no rise that could be alarmed on."""
    begun = [
        *figures.ingest_figures("a", Tally().counters(PacketLogCounters(0, 0, 0, 0))),
        *figures.call_figures("a", StreamTotals()),
        *figures.session_figures(Sessions(WebRtcSettings(), NOBODY, ManualClock(), never)),
        *figures.viewer_figures(NOBODY, Pictures()),
        *figures.challenge_figures(NOBODY_ASKED),
        *figures.evidence_figures(EvidenceRig(Path("/nowhere"), store=UNUSED).recorder),
        *figures.drift_figures(drift(ManualClock())),
        *figures.second_look_figures(SecondLookRig().looks),
    ]
    assert {figure.value for figure in begun} == {0}
    labels = {(figure.name, figure.labels[-1]) for figure in begun if figure.labels}
    assert labels >= {
        *(("reconnects_total", code.value) for code in ReasonCode),
        *(("frames_contaminated_total", damage.value) for damage in Damage),
        *(("frames_dropped_total", discard.value) for discard in Discard),
        *(("call_datagrams_refused_total", refusal.value) for refusal in DatagramRefusal),
        *(("calls_ended_total", code.value) for code in ReasonCode),
        *(("ws_disconnects_total", str(int(code))) for code in CloseCode),
        *(("evidence_left_out_packets_total", reason) for reason in LEFT_OUT),
        *(("second_looks_total", outcome.value) for outcome in LookOutcome),
        *(("second_looks_refused_total", refusal.value) for refusal in Refusal),
        *(("challenges_total", outcome.value) for outcome in Outcome),
    }


def test_a_stream_that_takes_no_calls_has_no_figures_of_calls() -> None:
    assert list(figures.call_figures("a", None)) == []
