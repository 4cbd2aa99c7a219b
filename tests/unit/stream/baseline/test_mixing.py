"""The null between all known real video and a camera's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stream.baseline.mixing import mixed, weight
from styleflow.decisions import Ranks, Trial
from tests.support.baselines import HORIZON, baseline, table


def noise(count: int, level: float) -> list[float]:
    return list(np.random.default_rng(2).normal(level, 0.1, size=count))


def test_as_many_effective_trials_as_sources_weigh_half() -> None:
    found = baseline(noise(39, -1.0)).statistics
    assert weight(found, round(found.effective)) == pytest.approx(0.5, abs=0.02)


def test_more_video_moves_the_null_further() -> None:
    little, much = (mixed(table(), baseline(noise(n, -1.0)).statistics) for n in (40, 900))
    assert np.mean(much.reals) < np.mean(little.reals) < np.mean(table().reals)
    assert np.mean(much.reals) == pytest.approx(-1.0, abs=0.3)


def test_stakes_and_fakes_stay_what_they_were() -> None:
    found = mixed(table(), baseline(noise(200, -1.0)).statistics)
    assert found.finest == table().finest
    assert found.fakes == table().fakes
    assert found.horizon == table().horizon


def test_a_camera_that_runs_low_has_the_same_face_look_rarer_and_one_that_runs_high_commoner() -> (
    None
):
    trial = Trial(HORIZON)
    for _ in range(8):
        trial.add(1.5, 0.5)
    general = table()
    low = mixed(general, baseline(noise(400, -1.0)).statistics)
    high = mixed(general, baseline(noise(400, 3.0)).statistics)
    assert low.as_high(trial) < general.as_high(trial) < high.as_high(trial)


@pytest.mark.parametrize("count", [16, 41, 200])
@pytest.mark.parametrize("level", [-1.0, 0.0, 1.0, 2.5])
def test_a_stake_holds_for_new_trials_of_a_camera_wherever_its_level_lies(level, count) -> None:
    rng = np.random.default_rng(5)
    general = replace(table(), reals=tuple(rng.normal(0.0, 0.65, size=39)))
    alarms = trials = 0
    for _ in range(40):
        null = mixed(general, baseline(list(rng.normal(level, 0.1, size=count))).statistics)
        ranks = Ranks(null.reals)
        shares = [ranks.share_at_least(value) for value in rng.normal(level, 0.1, size=100)]
        alarms += sum(share <= null.finest + 1e-9 for share in shares)
        trials += len(shares)
    assert alarms / trials <= null.finest


def test_the_highest_value_is_no_lower_than_the_camera_s_own_highest_by_its_share() -> None:
    found = baseline(noise(200, 1.0)).statistics
    own = weight(found, 39)
    highest = (1 - own) * max(table().reals) + own * found.percentiles[-1]
    assert max(mixed(table(), found).reals) == pytest.approx(highest)
