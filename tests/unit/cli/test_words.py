from __future__ import annotations

import pytest

from cli import words
from stream.events import Verdict
from stream.publish.schema import STATE_RANK


@pytest.mark.parametrize("state", STATE_RANK)
def test_every_state_of_the_wire_has_a_word_and_a_look(state: str) -> None:
    assert words.of_state(state, ["blurred"]) in words.STYLES


def test_ok_and_pending_stay_on_the_wire() -> None:
    said = {words.of_state(state, []) for state in STATE_RANK}
    said |= {words.of_verdict(verdict.value) for verdict in Verdict}
    said |= {words.of_outcome(verdict) for verdict in Verdict}
    assert said == {"suspect", "clear", "undecided", "none yet"}


def test_a_word_of_a_later_release_stands_for_itself() -> None:
    assert words.of_state("puzzled", []) == "puzzled"


def test_a_score_near_even_odds_is_undecided_and_a_hindered_one_is_not() -> None:
    assert words.of_state("abstain", ["undecided"]) == "undecided"
    assert words.of_state("warming", []) == "undecided"
    assert words.of_state("abstain", ["blurred", "undecided"]) == "none yet"
