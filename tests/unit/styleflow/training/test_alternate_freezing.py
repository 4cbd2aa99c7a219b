"""Promises of freezing in turns."""

import pytest
from torch import nn

from styleflow.training.alternate_freezing import Looks, Turns, schedule


def _looks(name):
    if name.startswith("0."):
        return Looks.SPACE
    return Looks.TIME if name.startswith("1.") else Looks.NEITHER


NETWORK = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(3)))


def test_space_and_time_learn_in_turns_and_the_rest_always():
    plan = schedule(NETWORK, _looks, Turns(time=2, space=1))
    held = [sorted(plan(step)) for step in range(6)]
    assert held == [["0.weight"], ["0.weight"], ["1.weight"]] * 2


def test_turns_begin_after_the_wait():
    plan = schedule(NETWORK, _looks, Turns(1, 1), lambda name: not name.startswith("2."), 2)
    assert plan(0) == plan(1) == {"0.weight", "1.weight"}
    assert plan(2) == {"0.weight"}
    assert plan(3) == {"1.weight"}


def test_without_turns_nothing_is_held():
    assert not schedule(NETWORK, _looks, None)(7)


@pytest.mark.parametrize("name", ["time", "space"])
def test_a_turn_that_never_comes_is_refused(name):
    with pytest.raises(ValueError, match=name):
        Turns(**{name: 0})
