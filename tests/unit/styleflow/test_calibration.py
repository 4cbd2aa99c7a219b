"""Promises of the way from a logit to a probability."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styleflow.calibration import Calibration, Width

logits = st.floats(-1e6, 1e6)
calibrations = st.builds(
    Calibration, st.floats(0.01, 10), st.floats(-10, 10), st.floats(0.01, 10), st.booleans()
)


def test_an_unfitted_calibration_is_the_plain_sigmoid():
    calibration = Calibration()
    assert not calibration.fitted
    assert calibration.probability(0.0) == 0.5
    assert calibration.probability(2.0) == pytest.approx(1 / (1 + math.exp(-2)))


def test_scale_and_bias_are_applied_in_this_order():
    assert Calibration(scale=2.0, bias=-3.0).probability(1.5) == 0.5


def test_a_logit_among_the_clips_of_the_fit_is_not_strange():
    """Two equal bells: the labels' means lie `spread` spreads apart, here at 0 and 0.8."""
    calibration = Calibration(scale=0.5, bias=-1.0, spread=0.8, fitted=True)
    assert calibration.strangeness(0.0) == 0.0
    assert calibration.strangeness(0.8 * 0.8 / 0.5) == pytest.approx(0.0, abs=1e-12)
    assert calibration.strangeness(3.8 * 0.8 / 0.5) == pytest.approx(3.0)
    assert calibration.strangeness(-3.8 * 0.8 / 0.5) == pytest.approx(3.0)


@given(calibrations, logits)
def test_a_probability_lies_between_0_and_1(calibration, logit):
    assert 0.0 <= calibration.probability(logit) <= 1.0


@given(calibrations, logits, logits)
def test_a_higher_logit_never_lowers_the_probability(calibration, a, b):
    low, high = sorted((a, b))
    assert calibration.probability(low) <= calibration.probability(high)


@given(calibrations, logits, st.floats(0, 100))
def test_the_interval_holds_the_probability(calibration, logit, evidence):
    low, high = calibration.interval(logit, evidence)
    assert 0.0 <= low <= calibration.probability(logit) <= high <= 1.0


@given(calibrations, st.floats(-5, 5), st.floats(0.01, 50), st.floats(1.1, 10))
def test_more_evidence_never_widens_the_interval(calibration, logit, evidence, times):
    wide = calibration.interval(logit, evidence)
    narrow = calibration.interval(logit, evidence * times)
    assert wide[0] <= narrow[0]
    assert narrow[1] <= wide[1]


def test_a_score_near_even_odds_is_near_chance_whatever_the_prior():
    scale, shift = 2.0, math.log(1 / 2)
    calibration = Calibration(scale, shift, fitted=True, prior=1 / 3, undecided=0.4)
    assert calibration.near_chance(0.19)
    assert calibration.near_chance(-0.19)
    assert not calibration.near_chance(0.21)
    assert not Calibration(scale, shift, fitted=True, prior=1 / 3).near_chance(0.0)


def test_an_interval_is_as_wide_as_its_bucket_of_sharpness_says():
    widths = (Width(0.0, 2.0), Width(50.0, 1.0))
    calibration = Calibration(spread=1.5, fitted=True, widths=widths)
    blurred, sharp, unknown = (
        math.log(high / (1 - high))
        for _, high in (calibration.interval(0.0, 1.0, s) for s in (49.9, 50.0, None))
    )
    assert (blurred, sharp, unknown) == pytest.approx((2.0, 1.0, 1.5))


def test_a_long_clip_s_conformal_interval_is_no_narrower_than_what_clips_scatter_by():
    """It was divided by the root of the windows seen and held its label's mean too seldom."""
    calibration = Calibration(fitted=True, widths=(Width(0.0, 1.0),))
    assert calibration.interval(0.0, 4.0, 80.0) == calibration.interval(0.0, 1.0, 80.0)
    assert calibration.interval(0.0, 0.25, 80.0) < calibration.interval(0.0, 1.0, 80.0)


@given(calibrations, st.floats(-30, 30), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_a_prior_moves_the_odds_by_bayes_rule_and_can_be_taken_back(calibration, logit, one, other):
    moved = calibration.at_prior(one)
    assert moved.prior == one
    assert moved.scale * logit + moved.bias == pytest.approx(
        calibration.scale * logit + calibration.bias + math.log(one / (1 - one)), abs=1e-6
    )
    back = moved.at_prior(other).at_prior(0.5)
    assert back.bias == pytest.approx(calibration.bias, abs=1e-6)
    assert (back.scale, back.spread, back.widths) == (
        calibration.scale,
        calibration.spread,
        calibration.widths,
    )


def test_a_prior_makes_no_rating_firmer():
    """What is told apart badly is so however common fakes are."""
    calibration = Calibration(fitted=True, undecided=0.4)
    for logit in (-1.0, -0.3, 0.3, 1.0):
        assert calibration.at_prior(0.01).near_chance(logit) == calibration.near_chance(logit)


def test_a_score_of_nine_tenths_is_one_of_eight_hundredths_where_one_in_a_hundred_is_fake():
    calibration = Calibration(fitted=True)
    assert calibration.at_prior(0.01).probability(math.log(9)) == pytest.approx(0.0833, abs=1e-3)
