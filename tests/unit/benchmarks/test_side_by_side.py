"""Promises of the side-by-side benchmark: what is read, compared, and believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.side_by_side import Load, Reading, cost, environment, held, order

METRICS = """
# TYPE styleflow_frames_sampled counter
styleflow_frames_sampled_total{stream="a"} 100.0
styleflow_frames_sampled_total{stream="b"} 50.0
# TYPE styleflow_frames_dropped counter
styleflow_frames_dropped_total{reason="overrun",stream="a"} 3.0
# TYPE styleflow_score_latency_seconds histogram
styleflow_score_latency_seconds_bucket{detector="d",le="0.2",segment="packet_to_score"} 5.0
styleflow_score_latency_seconds_bucket{detector="d",le="0.3",segment="packet_to_score"} 8.0
styleflow_score_latency_seconds_bucket{detector="d",le="+Inf",segment="packet_to_score"} 10.0
styleflow_score_latency_seconds_count{detector="d",segment="packet_to_score"} 10.0
styleflow_score_latency_seconds_bucket{detector="d",le="0.3",segment="device_to_score"} 1.0
styleflow_score_latency_seconds_count{detector="d",segment="device_to_score"} 77.0
"""


def load(streams: int = 4, **figures: float) -> Load:
    chosen = {"cpu": 0.1, "sampled_hz": 12.5, "lost": 0.0, "late": 0.0, "scores_hz": 4.0}
    return Load("here", streams, **{**chosen, **figures})


def test_a_reading_adds_up_streams_and_keeps_to_the_way_from_packet_to_score() -> None:
    assert Reading.of(1.0, 2.0, METRICS) == Reading(1.0, 2.0, 150.0, 3.0, 10.0, 2.0)


def test_a_load_is_what_happened_between_two_readings_per_stream() -> None:
    before = Reading(10.0, 5.0, 100.0, 0.0, 10.0, 0.0)
    after = Reading(20.0, 9.0, 600.0, 5.0, 210.0, 20.0)
    assert Load.between("other", 4, before, after) == Load("other", 4, 0.1, 12.5, 0.01, 0.1, 5.0)


def test_a_load_without_a_frame_is_lost_and_late() -> None:
    still = Reading(10.0, 5.0, 100.0, 0.0, 10.0, 0.0)
    found = Load.between("here", 1, still, Reading(20.0, 5.0, 100.0, 0.0, 10.0, 0.0))
    assert (found.lost, found.late, found.holds) == (1.0, 1.0, False)


@pytest.mark.parametrize(
    ("one", "holds"),
    [
        (load(), True),
        (load(late=0.05), True),
        (load(late=0.06), False),
        (load(lost=0.01), False),
        (load(scores_hz=0.0), False),
    ],
)
def test_a_load_holds_within_both_limits(one: Load, holds: bool) -> None:
    assert one.holds is holds


@pytest.mark.parametrize("capacity", [0, 1, 3, 5, 9, 12])
def test_the_streams_held_are_found_from_below_and_from_above(capacity: int) -> None:
    def measured(streams: int) -> Load:
        return load(streams, late=0.0 if streams <= capacity else 1.0)

    found, tried = held(measured, 5, most=12)
    assert found == capacity
    assert len({one.streams for one in tried}) == len(tried)


def test_rounds_alternate_who_comes_first_and_the_median_counts() -> None:
    assert [order(("here", "other"), n) for n in range(2)] == [["here", "other"], ["other", "here"]]
    assert cost([load(cpu=0.1), load(cpu=0.4), load(cpu=0.2)], "here") == 0.2


def test_a_checkout_is_given_only_the_settings_that_its_manual_knows(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "default.yaml").write_text("overload:\n  enabled: true\nstore:\n")
    given = {"PATH": "/bin", "STYLEFLOW__WEB__PORT": "1", "PYTHONPATH": "/elsewhere"}
    made = environment(tmp_path, given, "/data")
    assert made["STYLEFLOW__OVERLOAD__ENABLED"] == "false"
    assert not {"STYLEFLOW__STORE__ENABLED", "STYLEFLOW__WEB__PORT"} & made.keys()
    assert (made["PATH"], made["PYTHONPATH"], made["XDG_DATA_HOME"]) == (
        "/bin",
        str(tmp_path),
        "/data",
    )
