"""Smoothing, the interval and hysteresis."""

from __future__ import annotations

import pytest

from stream.engine.engine import EngineSettings
from stream.engine.verdict import LOGIT_LIMIT, Evidence, Hysteresis, Smoother
from stream.events import AbstainReason, Verdict
from styleflow.calibration import Calibration

SETTINGS = EngineSettings(enter=0.7, leave=0.4, dwell_s=1.0, half_life_s=2.0)


def evidence() -> Evidence:
    return Evidence(Calibration(), clip_frames=32, step_s=0.08)


def test_a_constant_logit_is_its_own_mean() -> None:
    smoother = Smoother()
    for _ in range(50):
        smoother.decay(0.24, 2.0)
        smoother.add(1.5, 3)
    assert smoother.mean == pytest.approx(1.5)


def test_after_one_half_life_an_old_logit_weighs_half() -> None:
    smoother = Smoother()
    smoother.add(0.0, 3)
    smoother.decay(2.0, 2.0)
    smoother.add(3.0, 3)
    assert smoother.mean == pytest.approx(2.0)  # weights 1 to 2


def test_one_absurd_logit_does_not_outlast_the_others() -> None:
    smoother = Smoother()
    smoother.add(1e300, 3)
    assert smoother.mean == LOGIT_LIMIT
    for _ in range(100):
        smoother.decay(0.24, 2.0)
        smoother.add(-1.0, 3)
    assert smoother.mean == pytest.approx(-1.0, abs=0.01)


def test_a_verdict_needs_its_threshold_for_the_whole_dwell() -> None:
    hysteresis = Hysteresis()
    shown = [hysteresis.update(0.9, 0.25, SETTINGS) for _ in range(6)]
    assert shown == [Verdict.PENDING] * 4 + [Verdict.SUSPECT] * 2


def test_a_score_between_the_thresholds_changes_nothing_and_restarts_the_dwell() -> None:
    hysteresis = Hysteresis()
    for _ in range(4):
        hysteresis.update(0.9, 0.25, SETTINGS)
    assert hysteresis.update(0.55, 0.25, SETTINGS) is Verdict.PENDING
    for _ in range(4):
        assert hysteresis.update(0.9, 0.25, SETTINGS) is Verdict.PENDING
    assert hysteresis.update(0.9, 0.25, SETTINGS) is Verdict.SUSPECT
    for _ in range(100):
        assert hysteresis.update(0.41, 0.25, SETTINGS) is Verdict.SUSPECT


def test_a_suspect_becomes_clear_only_low_and_for_long() -> None:
    hysteresis = Hysteresis(held=Verdict.SUSPECT)
    shown = [hysteresis.update(0.3, 0.5, SETTINGS) for _ in range(3)]
    assert shown == [Verdict.SUSPECT, Verdict.SUSPECT, Verdict.CLEAR]


def test_without_a_dwell_the_first_score_decides() -> None:
    assert Hysteresis().update(0.9, 0.0, EngineSettings(dwell_s=0.0)) is Verdict.SUSPECT


def test_abstaining_keeps_the_score_and_stops_the_watch() -> None:
    track = evidence()
    track.rate(2.0, 0, 3, (), SETTINGS)
    score = track.score
    for slot in range(3, 60, 3):
        track.rate(8.0, slot, 3, (AbstainReason.BLURRED,), SETTINGS)
        assert track.score == score
        assert track.shown is Verdict.PENDING
    track.rate(2.0, 60, 3, (), SETTINGS)
    assert track.shown is Verdict.PENDING


def test_a_verdict_survives_a_pause_underneath() -> None:
    track = evidence()
    for slot in range(0, 60, 3):
        track.rate(3.0, slot, 3, (), SETTINGS)
    assert track.shown is Verdict.SUSPECT
    track.rate(3.0, 60, 3, (AbstainReason.DARK,), SETTINGS)
    assert track.shown is Verdict.PENDING
    track.rate(3.0, 63, 3, (), SETTINGS)
    assert track.shown is Verdict.SUSPECT


def test_an_untrained_score_moves_but_yields_no_verdict() -> None:
    track = evidence()
    for slot in range(0, 300, 3):
        track.rate(3.0, slot, 3, (AbstainReason.UNTRAINED,), SETTINGS)
    assert track.score == pytest.approx(Calibration().probability(3.0))
    assert track.shown is Verdict.PENDING


def test_unseen_time_does_not_count_towards_the_dwell() -> None:
    track = evidence()
    track.rate(3.0, 0, 3, (), SETTINGS)
    for slot in (11, 22, 33, 44):  # 0.88 s apart, one frame each
        track.rate(3.0, slot, 1, (), SETTINGS)
    assert track.shown is Verdict.PENDING


def test_the_interval_narrows_with_evidence_and_widens_while_nothing_is_learnt() -> None:
    track = evidence()
    widths = []
    for slot in range(0, 90, 3):
        track.rate(1.0, slot, 3, (), SETTINGS)
        estimate = track.estimate(1.0, slot + 1)
        assert estimate.low <= estimate.score <= estimate.high
        widths.append(estimate.high - estimate.low)
    assert widths == sorted(widths, reverse=True)
    track.rate(1.0, 150, 3, (AbstainReason.BLURRED,), SETTINGS)
    later = track.estimate(1.0, 150)
    assert later.high - later.low > widths[-1]


def test_before_anything_counts_the_newest_logit_is_shown() -> None:
    track = evidence()
    track.rate(-2.0, 3, 4, (AbstainReason.WARMING,), SETTINGS)
    assert track.estimate(-2.0, 4).score == pytest.approx(Calibration().probability(-2.0))


def test_a_score_near_even_odds_is_undecided_and_no_verdict() -> None:
    """Below `leave`, and still no sign of anything: it was `clear`."""
    track = Evidence(Calibration(undecided=0.8), clip_frames=32, step_s=0.08)
    for slot in range(0, 60, 3):
        track.rate(-0.5, slot, 3, (), SETTINGS)
    assert track.score < SETTINGS.leave
    assert track.shown is Verdict.PENDING
    assert track.undecided
    assert not evidence().undecided


def test_a_verdict_that_drifts_near_even_odds_is_given_up_after_the_dwell() -> None:
    track = Evidence(Calibration(undecided=0.8), clip_frames=32, step_s=0.08)
    for slot in range(0, 60, 3):
        track.rate(3.0, slot, 3, (), SETTINGS)
    assert track.shown is Verdict.SUSPECT
    shown = []
    for slot in range(60, 300, 3):
        track.rate(0.0, slot, 3, (), SETTINGS)
        shown.append(track.shown)
    assert shown[0] is Verdict.SUSPECT
    assert shown[-1] is Verdict.PENDING
    assert track.undecided
