"""Slots, gaps and hops."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.engine.window import Admission, Coverage, TrackWindow
from styleflow.faces.face import FaceQuality
from tests.support.engine import GOOD


def test_passed_slots_are_lost_or_overrun_but_never_both() -> None:
    coverage = Coverage(10)
    coverage.advance(0, 0, contaminated=False)
    coverage.advance(5, 3, contaminated=False)  # four slots passed, three for lack of time
    assert coverage.loss == pytest.approx(1 / 6)
    assert coverage.overrun == pytest.approx(3 / 6)


def test_overrun_beyond_the_passed_slots_is_not_believed() -> None:
    coverage = Coverage(10)
    coverage.advance(0, 99, contaminated=False)
    coverage.advance(1, 99, contaminated=False)
    coverage.advance(2, -5, contaminated=False)
    assert coverage.overrun == 0.0


def test_old_slots_leave_the_measure() -> None:
    coverage = Coverage(4)
    coverage.advance(0, 0, contaminated=True)
    assert coverage.loss == 1.0
    for slot in range(1, 5):
        coverage.advance(slot, 0, contaminated=False)
    assert coverage.loss == 0.0


def test_a_huge_jump_costs_no_memory() -> None:
    coverage = Coverage(4)
    coverage.advance(0, 0, contaminated=False)
    coverage.advance(10**15, 0, contaminated=False)
    assert coverage.loss == pytest.approx(3 / 4)


def test_resizing_keeps_the_newest_slots() -> None:
    coverage = Coverage(4)
    for slot, contaminated in enumerate([True, True, False, True]):
        coverage.advance(slot, 0, contaminated=contaminated)
    coverage.resize(2)
    assert coverage.loss == pytest.approx(1 / 2)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(-1, 9), st.booleans()), max_size=40),
    st.integers(1, 6),
    st.integers(1, 6),
)
def test_shares_are_those_of_the_remembered_slots(
    frames: list[tuple[int, int, bool]], before: int, after: int
) -> None:
    coverage, fates, slot = Coverage(before), list[str](), -1
    for number, (step, overrun, contaminated) in enumerate(frames):
        if number == 20:
            coverage.resize(after)
            fates = fates[-after:]
        slot += 1 if number == 0 else step
        passed = 0 if number == 0 else step - 1
        skipped = min(max(overrun, 0), passed)
        fates += ["missing"] * (passed - skipped) + ["overrun"] * skipped
        fates.append("contaminated" if contaminated else "usable")
        fates = fates[-(before if number < 20 else after) :]
        coverage.advance(slot, overrun, contaminated=contaminated)
        lost = fates.count("missing") + fates.count("contaminated")
        assert coverage.loss == lost / len(fates)
        assert coverage.overrun == fates.count("overrun") / len(fates)


def test_an_epoch_starts_with_a_clean_sheet() -> None:
    coverage = Coverage(4)
    coverage.advance(7, 0, contaminated=True)
    coverage.restart()
    assert (coverage.newest, coverage.loss, coverage.contaminated) == (None, 0.0, False)


def test_the_first_frame_is_fresh_and_later_ones_count_what_is_missing() -> None:
    window = TrackWindow()
    assert window.admit(3, 0.24, GOOD, gap_slots=12) == Admission(missing=0, fresh=True)
    assert window.admit(4, 0.32, GOOD, gap_slots=12) == Admission(missing=0, fresh=False)
    assert window.admit(8, 0.64, GOOD, gap_slots=12) == Admission(missing=3, fresh=False)
    assert (window.start, window.frames, window.missing) == (0.24, 3, 3)


def test_a_gap_is_bridged_up_to_its_limit_and_not_beyond() -> None:
    window = TrackWindow()
    window.admit(0, 0.0, GOOD, gap_slots=12)
    assert window.admit(12, 0.96, GOOD, gap_slots=12) == Admission(missing=11, fresh=False)
    assert window.admit(25, 2.0, GOOD, gap_slots=12) == Admission(missing=0, fresh=True)
    assert (window.start, window.frames, window.missing) == (2.0, 1, 0)


def test_a_restart_makes_the_next_frame_fresh_once() -> None:
    window = TrackWindow()
    window.admit(0, 0.0, GOOD, gap_slots=12)
    window.restart()
    assert window.admit(1, 0.08, GOOD, gap_slots=12).fresh
    assert not window.admit(2, 0.16, GOOD, gap_slots=12).fresh


def test_a_hop_is_due_after_its_slots_and_averages_what_was_seen() -> None:
    window = TrackWindow()
    dark = FaceQuality(face_px=80.0, sharpness=100.0, brightness=20.0, yaw_deg=30.0)
    window.admit(0, 0.0, GOOD, gap_slots=12)
    assert not window.due(2)
    window.admit(1, 0.08, GOOD, gap_slots=12)
    window.taint()
    window.admit(2, 0.16, dark, gap_slots=12)
    assert window.due(2)
    hop = window.close_hop()
    assert (hop.frames, hop.contaminated) == (3, True)
    assert hop.quality.brightness == pytest.approx((120 + 120 + 20) / 3)
    assert not window.due(2)
    window.admit(4, 0.32, GOOD, gap_slots=12)
    second = window.close_hop()
    assert (second.frames, second.contaminated) == (1, False)


def test_a_quality_that_is_no_number_stays_visible_in_the_mean() -> None:
    window = TrackWindow()
    window.admit(0, 0.0, FaceQuality(math.nan, 1.0, 1.0, 0.0), gap_slots=12)
    assert math.isnan(window.close_hop().quality.face_px)
