"""Statistics of known-real video."""

from __future__ import annotations

import numpy as np
import pytest

from stream.baseline.statistics import MAX_TRIALS, Band, effective_number, summarised, thinned
from tests.support.baselines import trial, trials


def test_independent_values_are_worth_their_number_and_repeated_ones_a_fraction() -> None:
    values = np.random.default_rng(1).normal(size=400)
    assert effective_number([values]) == pytest.approx(400, rel=0.15)
    repeated = np.repeat(values[:40], 10)
    assert effective_number([repeated]) == pytest.approx(40, rel=0.5)
    drifting = np.linspace(0.0, 1.0, 400)
    assert effective_number([drifting]) < 5


def test_values_that_do_not_differ_are_worth_one() -> None:
    assert effective_number([[0.5] * 100]) == 1.0
    assert effective_number([[0.5]]) == 1.0


def test_statistics_say_how_trials_spread_and_under_which_conditions() -> None:
    found = summarised([trial(n / 100, brightness=100.0 + n) for n in range(101)])
    assert found.trials == 101
    assert found.seconds == 404.0
    assert found.quantile(0.5) == pytest.approx(0.5)
    assert found.quantile(1.0) == pytest.approx(1.0)
    assert found.conditions.brightness == Band(105.0, 150.0, 195.0)
    assert found.conditions.codecs == ("h264",)
    assert found.conditions.sizes == ((1280, 720),)


def test_a_rare_size_is_not_one_of_the_video_s() -> None:
    found = summarised([*(trial() for _ in range(99)), trial(size=(320, 180), codec="vp8")])
    assert found.conditions.sizes == ((1280, 720),)
    assert found.conditions.codecs == ("h264",)


def test_what_is_not_known_is_not_in_the_conditions() -> None:
    plain = {"brightness": None, "codec": "", "size": (0, 0), "bits_per_pixel": None}
    found = summarised([trial(**plain) for _ in range(10)]).conditions
    assert (found.codecs, found.sizes, found.brightness, found.bits_per_pixel) == (
        (),
        (),
        None,
        None,
    )
    assert found.sharpness is not None


def test_no_more_trials_are_used_than_the_limit_however_many_faces_there_are() -> None:
    one = [trials([0.0] * (3 * MAX_TRIALS))]
    many = [trials([0.0], face) for face in range(3 * MAX_TRIALS)]
    for runs in (one, many):
        kept = thinned(runs)
        assert MAX_TRIALS / 3 <= sum(len(run) for run in kept) <= MAX_TRIALS
