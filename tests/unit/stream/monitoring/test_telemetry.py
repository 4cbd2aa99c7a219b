"""What is counted elsewhere arrives in the metrics, each thing once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry

from stream.clock import SystemClock
from stream.events import ConnectionState, StreamChanged, Verdict, VerdictChanged
from stream.explain.pictures import Pictures
from stream.monitoring.metrics import Metrics
from stream.monitoring.telemetry import Telemetry
from stream.publish.hub import Hub
from stream.scheduling.degradation import Degradation


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def telemetry(registry: CollectorRegistry) -> Telemetry:
    return Telemetry(Metrics(registry))


def test_a_stream_is_in_one_state(telemetry: Telemetry, registry: CollectorRegistry) -> None:
    for state in (ConnectionState.LIVE, ConnectionState.STALLED):
        telemetry.event(StreamChanged("a", 1, state), 0.0)
        up = registry.get_sample_value("styleflow_stream_up", {"stream": "a"})
        assert up == (state is ConnectionState.LIVE)
        for possible in ConnectionState:
            labels = {"stream": "a", "state": possible.value}
            said = registry.get_sample_value("styleflow_stream_state", labels)
            assert said == (possible is state)


def test_only_a_turn_to_suspect_is_an_alarm(
    telemetry: Telemetry, registry: CollectorRegistry
) -> None:
    turns = (Verdict.PENDING, Verdict.CLEAR, Verdict.SUSPECT, Verdict.CLEAR, Verdict.SUSPECT)
    for before, after in pairwise(turns):
        telemetry.event(VerdictChanged("a", 1, 0, 0.0, before, after, 0.5, "caddm"), 0.0)
    labels = {"stream": "a", "detector": "caddm"}
    assert registry.get_sample_value("styleflow_alarms_total", labels) == 2


def test_totals_are_copied_once_however_often_they_are_looked_at(
    telemetry: Telemetry, registry: CollectorRegistry
) -> None:
    hub, pictures = Hub(SystemClock()), Pictures()
    for explained in (3, 3, 5):
        pictures.explained = explained
        telemetry.viewers(hub, pictures)
        found = registry.get_sample_value("styleflow_explained_pictures_total")
        assert found == explained


def test_a_rung_is_counted_when_it_changes(
    telemetry: Telemetry, registry: CollectorRegistry
) -> None:
    degradation = Degradation()
    labels = {"state": degradation.level.word}
    telemetry.overload(degradation, changed=False)
    assert not registry.get_sample_value("styleflow_overload_changes_total", labels)
    telemetry.overload(degradation, changed=True)
    assert registry.get_sample_value("styleflow_overload_changes_total", labels) == 1
