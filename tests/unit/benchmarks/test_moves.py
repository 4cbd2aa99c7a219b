"""Promises of the benchmark of moves: what it counts as a pause."""

from __future__ import annotations

from benchmarks.moves import Drained, Scores, table
from stream.clock import ManualClock


def test_a_pause_is_the_longest_time_without_a_score() -> None:
    scores = Scores(ManualClock())
    scores.at["camera"] = [1.0, 1.25, 3.0, 3.25]
    assert scores.longest("camera", 1.0, 3.5) == 1.75
    assert scores.longest("camera", 1.0, 9.25) == 6.0
    assert scores.longest("gone", 0.0, 5.0) == 5.0


def test_every_drain_is_shown() -> None:
    drains = [Drained(2, (0.4, 1.5), 0.25, 0.6, 0, 3)] * 3
    assert table(drains).row_count == 3
