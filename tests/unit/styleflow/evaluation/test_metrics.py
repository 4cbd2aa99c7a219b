"""Promises of the figures that detectors are judged by."""

import math

import numpy as np
import pytest

from styleflow.errors import ShapeMismatch
from styleflow.evaluation.metrics import (
    auc,
    average_precision,
    bootstrap,
    calibration_error,
    equal_error_rate,
    hit_rate_at,
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


def test_scores_and_groups_must_fit_labels():
    with pytest.raises(ShapeMismatch):
        auc([0, 1], [0.5])
    with pytest.raises(ShapeMismatch):
        bootstrap(auc, [0, 1], [0.1, 0.2], ["a"], np.random.default_rng(0))
