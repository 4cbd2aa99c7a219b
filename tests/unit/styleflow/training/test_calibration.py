"""A calibration finds the line that made the labels; where there is none, it fits nothing."""

import numpy as np
import pytest

from styleflow.calibration import Calibration
from styleflow.cards import TrainingStatus
from styleflow.training.calibration import (
    cross_fitted,
    fit_calibration,
    near_chance_figures,
    with_widths,
)


@pytest.mark.parametrize(
    ("labels", "logits"),
    [
        ([0, 0, 0], [-1.0, 0.0, 1.0]),
        ([1, 1], [0.5, 2.0]),
        ([0, 1, 0, 1], [0.3, 0.3, 0.3, 0.3]),
        ([0, 1], [0.0, float("nan")]),
    ],
    ids=["only real", "only fake", "all equal", "no number"],
)
def test_nothing_is_fitted_to_ratings_that_say_nothing(labels: list[int], logits: list[float]):
    found = fit_calibration(labels, logits, prior=0.1)
    assert found == Calibration()
    assert not found.fitted


def test_two_clips_that_differ_are_enough():
    assert fit_calibration([0, 1], [-1.0, 1.0]).fitted


@pytest.mark.parametrize(
    ("calibrated", "status"),
    [(True, TrainingStatus.TRAINED), (False, TrainingStatus.UNCALIBRATED)],
)
def test_the_status_says_whether_it_was(calibrated: bool, status: TrainingStatus):
    assert TrainingStatus.after_training(calibrated=calibrated) is status


def test_calibration_finds_the_line_that_made_the_labels():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 4000)
    labels = rng.random(4000) < 1 / (1 + np.exp(-(1.5 * logits)))
    found = fit_calibration(labels, logits)
    assert found.scale == pytest.approx(1.5, rel=0.1)
    assert found.bias == pytest.approx(0, abs=0.15)
    assert found.fitted
    assert found.spread > 0


def test_the_prior_moves_the_balance_point():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=200), rng.integers(0, 2, 200)
    even, rare = (fit_calibration(labels, logits, prior) for prior in (0.5, 0.1))
    assert rare.scale == even.scale
    assert even.bias - rare.bias == pytest.approx(np.log(9))


def test_labels_weigh_the_same_however_many_there_are():
    logits = np.r_[np.full(10, -1.0), np.full(90, 1.0)]
    assert fit_calibration(logits > 0, logits).probability(0.0) == pytest.approx(0.5, abs=0.05)


def test_conformal_intervals_hold_their_share_of_clips_in_every_bucket_of_sharpness():
    rng = np.random.default_rng(2)
    labels, sharp = rng.integers(0, 2, 900), rng.uniform(0, 300, 900)
    # Blurred clips scatter three times as much: one width would hold too few of them.
    logits = 2.0 * labels + rng.normal(size=900) * np.where(sharp < 100, 3.0, 1.0)
    groups = [str(number // 3) for number in range(900)]
    fitted = with_widths(fit_calibration(labels, logits), labels, logits, sharp)
    assert fitted.widths[0].sharpness == 0
    assert fitted.widths[0].half > 2 * fitted.widths[2].half
    held = cross_fitted(labels, logits, sharp, groups)
    assert held is not None
    assert held.covered == pytest.approx(2 / 3, abs=0.05)
    assert held.covered_by_sharpness == pytest.approx((2 / 3,) * 3, abs=0.07)
    assert held.error < 0.15


def test_what_is_fitted_to_nothing_gets_no_widths():
    assert with_widths(Calibration(), [0, 1], [0.0, 0.0], [1.0, 2.0]) == Calibration()
    assert cross_fitted([0, 0], [0.0, 1.0], [1.0, 2.0], ["a", "b"]) is None


def test_abstaining_near_even_odds_leaves_out_the_worst_clips():
    labels = np.array([0, 0, 1, 1, 0, 1])
    logits = np.array([-2.0, -2.0, 2.0, 2.0, 0.1, -0.1])
    found = near_chance_figures(labels, logits, Calibration(fitted=True, undecided=0.4))
    assert found["answered"] == pytest.approx(4 / 6)
    assert found["error_of_all"] == pytest.approx(1 / 3)
    assert found["error_of_answered"] == 0
    assert found["error_of_others"] == 1
