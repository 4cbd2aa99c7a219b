"""What is counted elsewhere arrives in the metrics, each thing once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from stream.events import ConnectionState, DegradationLevel, StreamChanged, Verdict, VerdictChanged
from stream.monitoring.metrics import Metrics
from stream.monitoring.telemetry import Telemetry
from tests.support.wire import removed, stamped


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def telemetry(registry: CollectorRegistry) -> Telemetry:
    return Telemetry(Metrics(registry))


def test_a_stream_is_in_one_state(telemetry: Telemetry, registry: CollectorRegistry) -> None:
    for state in (ConnectionState.LIVE, ConnectionState.STALLED):
        telemetry.accept(stamped(StreamChanged("a", 1, state)))
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
        telemetry.accept(stamped(VerdictChanged("a", 1, 0, 0.0, before, after, 0.5, "caddm")))
    labels = {"stream": "a", "detector": "caddm"}
    assert registry.get_sample_value("styleflow_alarms_total", labels) == 2


def test_a_degradation_level_is_counted_when_it_is_entered(
    telemetry: Telemetry, registry: CollectorRegistry
) -> None:
    telemetry.overload(DegradationLevel.LONGER_HOP)
    labels = {"state": "longer_hop"}
    assert registry.get_sample_value("styleflow_overload_changes_total", labels) == 1


def test_a_removed_stream_leaves_no_series(
    telemetry: Telemetry, registry: CollectorRegistry
) -> None:
    telemetry.accept(stamped(StreamChanged("a", 1, ConnectionState.LIVE)))
    telemetry.accept(stamped(StreamChanged("b", 1, ConnectionState.LIVE)))
    telemetry.accept(stamped(removed("a")))
    text = generate_latest(registry).decode()
    assert 'stream="a"' not in text
    assert 'stream="b"' in text
