"""Promises of the listening client: what counts as a score, and how much video went by."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from benchmarks.score_listener import Received, pace, understood

HOP_S = 0.24


def scores(stream: str, until: float, *, speed: float = 1.0, epoch: int = 1) -> list[Received]:
    """Return the scores of a stream that began at 0 and goes on, each 50 ms old."""
    count = int(until / HOP_S)
    return [
        Received(stream, epoch, n * HOP_S * speed, n * HOP_S, n * HOP_S + 0.05)
        for n in range(count)
    ]


def test_streams_that_keep_up_count_one_each() -> None:
    both = scores("a", 20) + scores("b", 20)
    assert pace(both, 5.03, 15.17) == pytest.approx(2.0)


def test_a_stream_whose_scores_stop_counts_as_far_as_they_went() -> None:
    assert pace(scores("a", 10), 5, 15) == pytest.approx(0.5, abs=0.06)
    assert pace(scores("a", 3), 5, 15) == 0.0


def test_a_video_that_is_read_too_slowly_counts_less() -> None:
    assert pace(scores("a", 20, speed=0.8), 5, 15) == pytest.approx(0.8, abs=0.03)


def test_a_stream_that_begins_anew_is_counted_in_both_its_epochs() -> None:
    again = [
        Received("a", 2, one.pts, one.captured + 10, one.at + 10)
        for one in scores("a", 10, epoch=2)
    ]
    assert pace(scores("a", 10) + again, 5, 15) == pytest.approx(1.0, abs=0.06)


def test_only_scores_that_know_their_packet_tell_a_time() -> None:
    captured = datetime(2026, 11, 30, 12, 0, 0, 250_000, tzinfo=UTC)
    message = {
        "type": "score",
        "stream": "lobby",
        "epoch": 2,
        "ts_capture": captured.isoformat().replace("+00:00", "Z"),
        "data": {"window": {"pts_end": 13.68}},
    }
    found = understood(message, captured.timestamp() + 0.06)
    assert found is not None
    assert found.age_s == pytest.approx(0.06)
    assert (found.stream, found.epoch, found.pts) == ("lobby", 2, 13.68)
    assert understood({**message, "ts_capture": None}, 0.0) is None
    assert understood({**message, "type": "snapshot"}, 0.0) is None
