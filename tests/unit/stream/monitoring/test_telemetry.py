"""What is counted elsewhere arrives in the metrics, each thing once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from stream.events import (
    AbstainReason,
    ConnectionState,
    DegradationLevel,
    StreamChanged,
    TrackEnd,
    Verdict,
    VerdictChanged,
)
from stream.monitoring.metrics import Metrics
from stream.monitoring.telemetry import Telemetry
from tests.support.wire import CARD, added, removed, stamped, verdict_changed


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


def test_the_first_alarm_of_a_stream_is_a_rise(
    telemetry: Telemetry, registry: CollectorRegistry
) -> None:
    """`increase()` sees no rise in a series that begins with 1."""
    labels = {"stream": "lobby", "detector": CARD.name}
    telemetry.accept(stamped(added()))
    assert registry.get_sample_value("styleflow_alarms_total", labels) == 0
    telemetry.accept(stamped(verdict_changed()))
    assert registry.get_sample_value("styleflow_alarms_total", labels) == 1


def test_every_series_of_a_stream_is_there_from_its_beginning(
    telemetry: Telemetry, registry: CollectorRegistry
) -> None:
    telemetry.accept(stamped(added()))
    scorer = {"stream": "lobby", "detector": CARD.name}
    wanted = [
        ("stream_up", {"stream": "lobby"}),
        ("tracks_active", {"stream": "lobby"}),
        *(("tracks_ended_total", {"stream": "lobby", "reason": end.value}) for end in TrackEnd),
        *(("scores_total", {**scorer, "verdict": verdict.value}) for verdict in Verdict),
        *(("abstain_total", {**scorer, "reason": reason.value}) for reason in AbstainReason),
        *(("overload_changes_total", {"state": level.word}) for level in DegradationLevel),
    ]
    found = {
        (name, *labels.values()): registry.get_sample_value(f"styleflow_{name}", labels)
        for name, labels in wanted
    }
    assert set(found.values()) == {0}, found
