"""Drawing: everything is drawn, the chosen task is among it, and nothing follows itself."""

from itertools import pairwise
from random import Random

import pytest

from stream.challenge.drawing import colour_words, draw, draw_colours, words_of
from stream.challenge.settings import ChallengeSettings
from stream.compliance import Action, Task

SETTINGS = ChallengeSettings()


def test_a_random_task_is_any_pair_in_any_order() -> None:
    drawn = {draw(Task.RANDOM, SETTINGS, Random(seed)) for seed in range(1000)}
    assert {len(actions) for actions in drawn} == {2}
    turns = {Action.TURN_LEFT, Action.TURN_RIGHT}
    assert not any(set(actions) == turns for actions in drawn)
    assert len(drawn) == 18  # 5 actions and another each, but for a turn and the other one


@pytest.mark.parametrize(
    ("task", "of"),
    [
        (Task.TURN, {Action.TURN_LEFT, Action.TURN_RIGHT}),
        (Task.LOOK_UP, {Action.LOOK_UP}),
        (Task.CLOSER, {Action.CLOSER}),
        (Task.COVER, {Action.COVER}),
    ],
)
def test_a_chosen_task_is_asked_among_something_random(task: Task, of: set[Action]) -> None:
    drawn = {draw(task, SETTINGS, Random(seed)) for seed in range(200)}
    assert all(set(actions) & of for actions in drawn)
    assert {bool({actions[0]} & of) for actions in drawn} == {True, False}


def test_the_flash_stands_alone() -> None:
    assert draw(Task.FLASH, SETTINGS, Random(1)) == (Action.FLASH,)


def test_no_colour_follows_itself() -> None:
    drawn = {draw_colours(6, Random(seed)) for seed in range(500)}
    assert len(drawn) > 480
    assert all(a != b for colours in drawn for a, b in pairwise(colours))
    assert colour_words([(1, 0, 1), (0, 1, 0)]) == ("#ff00ff", "#00ff00")


def test_every_action_has_words() -> None:
    assert len({words_of(action) for action in Action}) == len(Action)
