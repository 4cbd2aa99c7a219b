"""Promises of the soak: what it reads from metrics, and when memory is said to grow."""

import csv
from dataclasses import replace

import pytest

from benchmarks.hardware import hardware
from benchmarks.soak import BLOCK_S, SAMPLE_EVERY_S, Sample, chart, slope, total, write_csv

FIRST = Sample(0.0, 480.0, 11, 12, 3.0, 2, 2, 2, 0, 0, 0, 0, 0, 2, 0, 0, 0)


def samples(minutes: int, mb_per_hour: float, wobble_mb: float = 2.0) -> list[Sample]:
    """Return samples of a process that grows, with a wobble that has no trend."""
    count = round(minutes * BLOCK_S / SAMPLE_EVERY_S)
    found = []
    for index in range(count):
        at = index * SAMPLE_EVERY_S
        rss = 480.0 + mb_per_hour * at / 3600 + wobble_mb * ((index * 7919) % 13 - 6) / 6
        found.append(replace(FIRST, at=at, rss_mb=rss))
    return found


def test_a_leak_is_seen_through_the_wobble() -> None:
    found = slope(samples(10, mb_per_hour=60.0), 120)
    assert found is not None
    assert found.mb_per_hour == pytest.approx(60, abs=3 * found.error + 1)
    assert found.verdict == "grows"
    assert found.blocks == 8


@pytest.mark.parametrize("mb_per_hour", [0.0, -60.0])
def test_wobbling_and_shrinking_are_no_growth(mb_per_hour: float) -> None:
    found = slope(samples(10, mb_per_hour), 120)
    assert found is not None
    assert found.verdict == "does not grow"
    assert found.least_mb <= found.first_mb <= found.most_mb


def test_the_warm_up_does_not_count() -> None:
    steep = [replace(one, rss_mb=one.at) for one in samples(2, 0.0)]
    later = [replace(one, at=one.at + 120) for one in samples(8, 0.0)]
    assert slope(steep + later, 120) == slope(later, 120)


def test_two_minutes_are_too_short_to_say() -> None:
    assert slope(samples(2, 60.0), 0) is None
    assert slope([], 0) is None


def test_a_metric_is_summed_over_its_labels_and_no_other() -> None:
    text = (
        "# HELP styleflow_scores_total Scores published, by verdict.\n"
        'styleflow_scores_total{stream="a",verdict="clear"} 3.0\n'
        'styleflow_scores_total{stream="b",verdict="clear"} 4.0\n'
        "styleflow_scores_total_more 100.0\n"
        "styleflow_slots_used 2.0\n"
    )
    assert total(text, "scores_total") == 7
    assert total(text, "scores_total", 'stream="b"') == 4
    assert total(text, "slots_used") == 2
    assert total(text, "tracks_active") == 0


def test_samples_become_lines_and_a_chart(tmp_path) -> None:
    taken = samples(4, 10.0)
    write_csv(taken, tmp_path / "soak.csv")
    with (tmp_path / "soak.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(taken)
    assert float(lines[-1]["rss_mb"]) == pytest.approx(taken[-1].rss_mb)
    chart(taken, slope(taken, 0), 0, hardware(), tmp_path / "soak.png")
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")
