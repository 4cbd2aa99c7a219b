"""Promises of the figures that detectors are judged by."""

import math

import numpy as np
import pytest

from styleflow.errors import ShapeMismatch
from styleflow.evaluation.metrics import (
    auc,
    average_precision,
    bootstrap,
    brier,
    calibration_error,
    equal_error_rate,
    hit_rate_at,
    poisson_rate,
    reliability,
    resample,
    risk_area,
    risk_coverage,
    roc,
)

# seed, clips, rounded to ties; then scikit-learn 1.x: roc_auc_score, average_precision_score
RECORDED = [
    (0, 40, False, 0.8695652173913043, 0.8978967285584358),
    (1, 200, True, 0.7186498397435898, 0.6783250610520969),
    (2, 9, True, 0.9999999999999999, 1.0),
]


def _example(seed, clips, tied):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, clips)
    scores = rng.normal(size=clips) + labels * 0.8
    return labels, np.round(scores) if tied else scores


@pytest.mark.parametrize(("seed", "clips", "tied", "area", "precision"), RECORDED)
def test_figures_are_those_of_scikit_learn(seed, clips, tied, area, precision):
    labels, scores = _example(seed, clips, tied)
    assert auc(labels, scores) == pytest.approx(area, abs=1e-12)
    assert average_precision(labels, scores) == pytest.approx(precision, abs=1e-12)


# The same examples; from scikit-learn 1.9.1's roc_curve(drop_intermediate=False): the largest hit
# rate with at most 1 % and 5 % false alarms, and where the curve crosses false alarms = misses.
RECORDED_RATES = [
    (0, 40, False, 0.30434782608695654, 0.30434782608695654, 0.23529411764705882),
    (1, 200, True, 0.0, 0.04807692307692308, 0.3306979280261723),
    (2, 9, True, 1.0, 1.0, 0.0),
]

# The same, with probabilities 1 / (1 + exp(-score)); brier_score_loss, and the mean gap of
# calibration_curve(n_bins=10) weighted by clips. Ties lie on the bins' edges, which belong to the
# lower bin there and to the upper one here, so the tied example has no second figure.
RECORDED_PROBABILITIES = [
    (0, 40, False, 0.15593543534617224, 0.11303563994725845),
    (1, 200, True, 0.2148915308528126, None),
    (2, 9, True, 0.1897249216536413, None),
]


@pytest.mark.parametrize(("seed", "clips", "tied", "at_1", "at_5", "equal"), RECORDED_RATES)
def test_rates_are_those_of_scikit_learns_curve(seed, clips, tied, at_1, at_5, equal):
    labels, scores = _example(seed, clips, tied)
    assert hit_rate_at(labels, scores, 0.01) == pytest.approx(at_1, abs=1e-12)
    assert hit_rate_at(labels, scores, 0.05) == pytest.approx(at_5, abs=1e-12)
    assert equal_error_rate(labels, scores) == pytest.approx(equal, abs=1e-12)


@pytest.mark.parametrize(("seed", "clips", "tied", "squared", "gap"), RECORDED_PROBABILITIES)
def test_probabilities_are_judged_as_by_scikit_learn(seed, clips, tied, squared, gap):
    labels, scores = _example(seed, clips, tied)
    probabilities = 1 / (1 + np.exp(-scores))
    assert brier(labels, probabilities) == pytest.approx(squared, abs=1e-12)
    if gap is not None:
        assert calibration_error(labels, probabilities) == pytest.approx(gap, abs=1e-12)


def test_the_interval_is_that_of_a_bootstrap_with_scikit_learn():
    """4,000 draws of 40 groups, AUC by roc_auc_score, quantiles of 2.5 and 97.5 %."""
    labels, scores = _example(5, 120, False)
    groups = [str(i // 3) for i in range(120)]
    found = bootstrap(auc, labels, scores, groups, np.random.default_rng(1), rounds=2000)
    assert found.value == pytest.approx(0.7282094124199388, abs=1e-12)
    assert found.low == pytest.approx(0.6418, abs=0.01)
    assert found.high == pytest.approx(0.8076, abs=0.01)


def test_auc_is_the_share_of_pairs_in_order():
    labels, scores = _example(3, 30, True)
    fakes, reals = scores[labels == 1], scores[labels == 0]
    share = np.mean([(f > r) + 0.5 * (f == r) for f in fakes for r in reals])
    assert auc(labels, scores) == pytest.approx(share)


def test_one_label_alone_has_no_figure():
    for metric in (auc, equal_error_rate):
        assert math.isnan(metric([1, 1], [0.1, 0.2]))
        assert math.isnan(metric([0, 0], [0.1, 0.2]))
    assert math.isnan(hit_rate_at([0, 0], [0.1, 0.2], 0.5))


def test_the_roc_goes_from_none_to_all():
    false_alarms, hits = roc([0, 1, 0, 1], [1.0, 2.0, 2.0, 3.0])
    assert list(hits) == [0, 0.5, 1, 1]
    assert list(false_alarms) == [0, 0, 0.5, 1]


def test_hits_at_a_false_alarm_rate_use_the_best_threshold_allowed():
    labels, scores = [0, 0, 1, 1, 1], [0.1, 0.6, 0.5, 0.7, 0.8]
    assert hit_rate_at(labels, scores, 0.0) == pytest.approx(2 / 3)
    assert hit_rate_at(labels, scores, 0.5) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("labels", "scores", "rate"),
    [([0, 1], [0.0, 1.0], 0.0), ([0, 1], [1.0, 0.0], 1.0), ([0, 0, 1, 1], [0, 2, 1, 3], 0.5)],
)
def test_at_the_equal_error_rate_both_errors_are_alike(labels, scores, rate):
    assert equal_error_rate(labels, scores) == pytest.approx(rate)


def test_the_interval_comes_from_groups_and_not_from_clips():
    """A hundred copies of one person's clip say no more than the clip."""
    labels = np.tile([0, 1], 50)
    scores = np.tile([0.0, 1.0], 50) + np.repeat([0.0, 5.0], 50)
    rng = np.random.default_rng(0)
    alone = bootstrap(auc, labels, scores, [str(i) for i in range(100)], rng, rounds=200)
    together = bootstrap(auc, labels, scores, ["a"] * 50 + ["b"] * 50, rng, rounds=200)
    assert alone.value == together.value == pytest.approx(0.75)
    assert alone.high - alone.low < together.high - together.low
    assert alone.low <= alone.value <= alone.high


def test_the_interval_is_the_generators():
    labels, scores = _example(4, 40, False)
    groups = [str(i // 2) for i in range(40)]
    draw = [bootstrap(auc, labels, scores, groups, np.random.default_rng(7)) for _ in range(2)]
    assert draw[0] == draw[1]


def test_calibration_error_is_the_mean_gap():
    assert calibration_error([0, 1, 1, 1], [0.75, 0.75, 0.75, 0.75]) == pytest.approx(0.0)
    assert calibration_error([0, 0, 1, 1], [0.95, 0.95, 1.0, 1.0]) == pytest.approx(0.475)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Of 80 samples of 60 people, about nine in ten intervals hold the true AUC of two normals."""
    truth, held = 0.7602499, 0  # standard normal at 1 / sqrt(2)
    rng = np.random.default_rng(12)
    for _ in range(80):
        labels = np.repeat([0, 1], 30)
        scores = rng.normal(size=60) + labels
        groups = [str(i) for i in range(60)]
        found = bootstrap(auc, labels, scores, groups, rng, rounds=60, coverage=0.9)
        held += found.low <= truth <= found.high
    assert 62 <= held <= 79


def test_rows_without_groups_have_no_interval():
    found = resample(lambda rows: float("nan"), [], np.random.default_rng(0))
    assert math.isnan(found.value)
    assert math.isnan(found.low)


@pytest.mark.parametrize(
    ("count", "exposure", "low", "high"),
    [(0, 1.0, 0.0, 3.688879), (2, 1.0, 0.242209, 7.224688), (10, 2.0, 2.397694, 9.195178)],
)
def test_a_rate_of_events_has_the_interval_of_its_count(count, exposure, low, high):
    """From chi-square quantiles; no event at all still has an upper end."""
    found = poisson_rate(count, exposure)
    assert found.value == count / exposure
    assert found.low == pytest.approx(low, abs=1e-5)
    assert found.high == pytest.approx(high, abs=1e-5)


def test_nothing_watched_is_no_rate():
    assert math.isnan(poisson_rate(0, 0.0).value)


def test_bins_hold_every_clip_once():
    bins = reliability([0, 1, 1, 0], [0.0, 0.1, 0.999, 1.0], bins=10)
    assert [b.count for b in bins] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert bins[9].probability == pytest.approx(0.9995)
    assert bins[9].fakes == 0.5
    assert math.isnan(bins[5].fakes)


def test_abstaining_from_the_doubtful_lowers_the_risk():
    coverage, risk = risk_coverage([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4])
    assert list(coverage) == [0.25, 0.5, 0.75, 1.0]
    assert list(risk) == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert risk_area(coverage, risk) == pytest.approx((1 / 3 + 1 / 2) / 4)


def test_equal_doubt_is_answered_together():
    coverage, risk = risk_coverage([1, 0, 0], [0.5, 0.5, 0.9])
    assert list(coverage) == pytest.approx([2 / 3, 1.0])
    assert list(risk) == pytest.approx([1 / 2, 1 / 3])


def test_doubt_that_follows_mistakes_beats_doubt_that_does_not():
    rng = np.random.default_rng(0)
    wrong = rng.random(300) < 0.3
    knowing = risk_area(*risk_coverage(wrong, wrong + rng.random(300)))
    blind = risk_area(*risk_coverage(wrong, rng.random(300)))
    assert knowing < blind - 0.1


def test_figures_of_nothing_are_no_number():
    for metric in (brier, calibration_error):
        assert math.isnan(metric([], []))
    assert math.isnan(risk_area(*risk_coverage([], [])))


def test_scores_and_groups_must_fit_labels():
    with pytest.raises(ShapeMismatch):
        auc([0, 1], [0.5])
    with pytest.raises(ShapeMismatch):
        bootstrap(auc, [0, 1], [0.1, 0.2], ["a"], np.random.default_rng(0))
