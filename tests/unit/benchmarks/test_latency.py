"""Promises of the latency benchmark: what it counts, and when."""

import math
from collections import Counter

import pytest
from prometheus_client import CollectorRegistry

from benchmarks.hardware import hardware
from benchmarks.latency import (
    END_TO_END,
    STAGES,
    Account,
    Load,
    Recorder,
    RecordingHub,
    Spread,
    chart,
    cpu_by_thread,
    summarise,
    table,
    totals,
)
from stream.clock import ManualClock
from stream.event_log.event_log import EventLog
from stream.monitoring.metrics import Metrics
from tests.support.wire import added, score


def account(at: float, cpu_s: float, sampled: float, **dropped: int) -> Account:
    return Account(at, cpu_s, {"device": cpu_s}, sampled, Counter(dropped))


def a_load(streams: int = 2) -> Load:
    recorder = Recorder()
    recorder.open = True
    for stage in STAGES:
        for milliseconds in range(1, 101):
            recorder(stage, milliseconds / 1e3)
    before = account(10.0, 5.0, 100, overrun=3)
    return summarise(streams, recorder, before, account(30.0, 9.0, 600, overrun=5, fault=1))


def test_percentiles_are_values_that_were_measured() -> None:
    spread = Spread.of(n / 1e3 for n in range(1, 101))
    assert (spread.count, spread.p50_ms, spread.p95_ms, spread.p99_ms) == (100, 50.0, 95.0, 99.0)
    assert Spread.of([0.25]) == Spread(1, 250.0, 250.0, 250.0)


def test_a_stage_without_measurements_is_not_zero() -> None:
    nothing = Spread.of([])
    assert nothing.count == 0
    assert math.isnan(nothing.p50_ms)


def test_warming_up_is_not_counted() -> None:
    recorder = Recorder()
    recorder("wait", 1.0)
    recorder.open = True
    recorder("wait", 2.0)
    recorder.open = False
    recorder("wait", 3.0)
    assert recorder.found["wait"] == [2.0]


def test_a_stage_that_nobody_knows_is_an_error() -> None:
    """A new stage must not be left out of the result in silence."""
    recorder = Recorder()
    recorder.open = True
    with pytest.raises(KeyError):
        recorder("nap", 1.0)


def test_end_to_end_runs_from_the_packet_to_the_published_score() -> None:
    clock, recorder = ManualClock(), Recorder()
    hub = RecordingHub(clock, recorder)
    events = EventLog(clock)
    events.attach(hub)
    events.append(added())
    recorder.open = True
    arrived = clock.advance(100.0)
    clock.advance(0.04)
    events.append(score(arrived=arrived))
    assert recorder.found[END_TO_END] == [pytest.approx(0.04)]
    assert recorder.found["publish"] == [0.0]
    assert hub.scored["lobby"] == 1


def test_a_load_is_the_difference_of_two_accounts_per_stream_and_second() -> None:
    found = a_load(streams=2)
    assert found.seconds == 20.0
    assert found.cpu == pytest.approx(4.0 / 20 / 2)
    assert found.cpu_by == {"device": pytest.approx(0.1)}
    assert found.sampled == 500
    assert found.dropped == {"fault": 1, "overrun": 2}
    assert found.scores == 100


def test_totals_add_up_over_streams() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.frames_dropped.labels("a", "overrun").inc(2)
    metrics.frames_dropped.labels("b", "overrun").inc(3)
    metrics.frames_dropped.labels("b", "fault").inc()
    name = "styleflow_frames_dropped_total"
    assert totals(metrics.registry, name, "reason") == {"overrun": 5, "fault": 1}
    assert totals(metrics.registry, name).total() == 6


def test_this_thread_has_used_processor_time() -> None:
    assert set(cpu_by_thread()) >= {"event loop"}


def test_loads_become_a_table_and_a_chart(tmp_path) -> None:
    found = [a_load(1), a_load(2)]
    shown = table(found)
    assert len(shown.columns) == 3
    assert shown.row_count == len(STAGES) + 5
    chart(found, hardware(), tmp_path / "latency.png")
    assert (tmp_path / "latency.png").read_bytes().startswith(b"\x89PNG")
