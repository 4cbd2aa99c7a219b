"""Another machine's monotonic seconds on this one: by the quickest way that was seen."""

from __future__ import annotations

from datetime import timedelta

from stream.clock import ManualClock
from stream.cluster.time_shift import DRIFT, TimeShift
from stream.event_log.event_log import StampedEvent
from tests.support.wire import score


def test_the_quickest_way_tells_the_shift() -> None:
    clock, shift = ManualClock(start=1000.0), TimeShift()
    for now, there in ((1000.0, 4.7), (1001.0, 5.99), (1002.0, 6.2)):
        shift.hear(now, there)
    clock.advance(2.0)
    stamped = StampedEvent(1, 6.2, clock.utc(), score())
    assert abs(shift.here(6.0, stamped, clock) - 1001.01) < 3 * DRIFT + 1e-9


def test_nothing_comes_out_of_the_future() -> None:
    clock, shift = ManualClock(start=1000.0), TimeShift()
    shift.hear(1000.0, 4.0)
    stamped = StampedEvent(1, 5.0, clock.utc(), score())
    assert shift.here(5.0, stamped, clock) == 1000.0


def test_before_anything_was_seen_wall_clocks_tell_an_event_s_age() -> None:
    clock, shift = ManualClock(start=1000.0), TimeShift()
    stamped = StampedEvent(1, 70.0, clock.utc() - timedelta(seconds=30), score())
    assert shift.here(69.5, stamped, clock) == 969.5
    assert shift.known(69.5, 1000.0) == 1000.0


def test_clocks_that_run_apart_are_followed() -> None:
    shift = TimeShift()
    for second in range(0, 100_000, 10):
        shift.hear(1000.0 + second * (1 + DRIFT / 2), float(second))
    assert abs(shift.least - (1000.0 + 99_990 * DRIFT / 2)) < 0.01
