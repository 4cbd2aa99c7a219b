"""The last minutes of a stream: thinned, bounded, and honest about what is not known."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from stream.errors import StreamUnknown
from stream.event_log.event_log import StampedEvent
from stream.events import StreamReport, Verdict
from stream.publish.history import History, HistorySettings, StreamHistories
from tests.support.wire import added, removed, report, score, stamped


def test_scores_are_thinned_but_a_change_of_state_is_kept() -> None:
    history = History()
    for step in range(10):
        history.note_score(score(value=0.2), 100 + step * 0.1)
    history.note_score(score(value=0.9, verdict=Verdict.SUSPECT), 100.95)
    assert [(round(p.t, 2), p.state) for p in history.points()] == [
        (100.0, "ok"),
        (100.5, "ok"),
        (100.95, "suspect"),
    ]


def test_faces_epochs_and_detectors_are_thinned_apart() -> None:
    history = History()
    history.note_score(score(track=1), 100.0)
    history.note_score(score(track=1, detector="ensemble"), 100.0)
    history.note_score(score(track=2), 100.1)
    history.note_score(score(track=1, epoch=2), 100.2)
    assert [(p.track, p.epoch) for p in history.points()] == [(1, 1), (1, 1), (2, 1), (1, 2)]


def test_what_is_too_old_or_too_much_gives_way() -> None:
    history = History(HistorySettings(span_s=10, step_s=0, points=5, pulses=3))
    for second in range(100):
        history.note_score(score(track=second), float(second))
        history.note_report(StreamReport("lobby", 1, 25.0, 0.0, 1, (), 0.1), float(second))
    assert [p.t for p in history.points()] == [95, 96, 97, 98, 99]
    assert [p.t for p in history.pulses()] == [97, 98, 99]
    history.note_report(StreamReport("lobby", 1, 25.0, 0.0, 0, (), 0.1), 107.5)
    assert [p.t for p in history.points()] == [98, 99]
    assert [p.t for p in history.points(98.5)] == [99]


def test_what_is_no_number_is_none() -> None:
    history = History()
    history.note_score(score(value=math.nan), 1.0)
    history.note_report(StreamReport("lobby", 1, math.inf, 0.0, 0, (), None), 1.0)
    assert history.points()[0].p is None
    assert history.pulses()[0].fps is None


def test_every_stream_has_a_history_from_its_beginning_to_its_end() -> None:
    histories = StreamHistories()
    for event in (added("a"), added("b"), score("a", arrived=1.0), report("a"), score("b")):
        histories.accept(stamped(event, now=3.0))
    (point,) = histories.of("a").points()
    assert point.t == stamped(score()).utc.timestamp() + 1.0
    assert len(histories.of("a").pulses()) == 1
    assert histories.of("b").pulses() == ()
    histories.accept(stamped(removed("a")))
    with pytest.raises(StreamUnknown):
        histories.of("a")


@pytest.mark.parametrize("step_s", [-86_400.0, -3600.0, -1.0, 1.0, 3600.0, 86_400.0])
def test_a_wall_clock_that_is_set_neither_drops_nor_freezes_the_history(step_s: float) -> None:
    """Set back, thinning waited for the old time to come again; set forth, everything was old."""
    histories, begin = StreamHistories(), datetime(2026, 1, 1, tzinfo=UTC)
    histories.accept(stamped(added("a")))
    for second in range(20):
        utc = begin + timedelta(seconds=second + (step_s if second >= 10 else 0))
        for event in (score("a", arrived=float(second)), report("a")):
            histories.accept(StampedEvent(second, float(second), utc, event))
    times = [point.t for point in histories.of("a").points()]
    assert [later - earlier for earlier, later in pairwise(times)] == [1.0] * 19
    assert len(histories.of("a").pulses()) == 20
    assert len(histories.of("a").points(histories.steady(19.0) - 5.0)) == 6
