"""Encoding: what a score is called on the wire, and what goes with it."""

from __future__ import annotations

import math

import pytest

from stream.events import AbstainReason, Verdict
from stream.publish.encode import final_state, state_of, summary
from stream.publish.schema import State
from tests.support.wire import score


@pytest.mark.parametrize(
    ("verdict", "reasons", "state"),
    [
        (Verdict.CLEAR, (), "ok"),
        (Verdict.SUSPECT, (), "suspect"),
        (Verdict.PENDING, (), "warming"),
        (Verdict.PENDING, (AbstainReason.WARMING,), "warming"),
        (Verdict.PENDING, (AbstainReason.BLURRED,), "abstain"),
        (Verdict.PENDING, (AbstainReason.BLURRED, AbstainReason.WARMING), "warming"),
    ],
)
def test_a_live_score_has_one_state(
    verdict: Verdict, reasons: tuple[AbstainReason, ...], state: State
) -> None:
    """The engine's `clear` is the wire's `ok`; without a verdict the reasons decide."""
    assert state_of(score(verdict=verdict, reasons=reasons)) == state


@pytest.mark.parametrize("value", [math.nan, -0.1, 1.1])
@pytest.mark.parametrize("verdict", Verdict)
def test_no_number_is_no_verdict(value: float, verdict: Verdict) -> None:
    """Nothing is called clear or suspect by a score that cannot be one."""
    assert state_of(score(score=value, verdict=verdict)) == "abstain"
    assert final_state(value, verdict) == "abstain"


@pytest.mark.parametrize(
    ("p", "verdict", "state"),
    [
        (0.1, Verdict.CLEAR, "ok"),
        (0.9, Verdict.SUSPECT, "suspect"),
        (0.5, Verdict.PENDING, "abstain"),
        (None, Verdict.PENDING, "abstain"),
    ],
)
def test_a_finished_video_is_never_warming(p: float | None, verdict: Verdict, state: State) -> None:
    assert final_state(p, verdict) == state


def test_a_summary_says_state_and_reasons() -> None:
    assert summary("abstain", (AbstainReason.BLURRED,)) == "none yet: the face is blurred"
    assert summary("ok", ()) == "clear: no sign of synthesis"
    assert summary("suspect", ()) == "suspect: looks synthesised"
    assert summary("warming", ()) == "undecided: the score lies between the thresholds"
