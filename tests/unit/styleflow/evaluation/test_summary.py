"""Promises of the summary of a track: every frame counts once."""

import pytest

from styleflow.evaluation.summary import Summary


def test_ratings_of_windows_count_alike():
    summary = Summary()
    assert summary.logit is None
    for logit in (1.0, 2.0, 6.0):
        summary.add(logit, 32)
    assert summary.logit == pytest.approx(3.0)


def test_of_ratings_that_sum_up_a_track_the_last_counts():
    summary = Summary(memory=100)
    for frames in range(5, 100, 5):
        summary.add(frames / 100, frames)
    assert summary.logit == pytest.approx(0.95)


def test_a_long_track_is_the_mean_of_its_stretches():
    summary = Summary(memory=100)
    for frames in range(10, 301, 10):
        summary.add(1.0 if frames <= 100 else 4.0, frames)
    assert summary.logit == pytest.approx((1 + 4 + 4) / 3)


def test_evidence_that_starts_anew_begins_another_stretch():
    summary = Summary(memory=100)
    summary.add(2.0, 50)
    summary.add(5.0, 25)
    assert summary.logit == pytest.approx((0.5 * 2 + 0.25 * 5) / 0.75)
