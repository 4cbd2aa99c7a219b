"""Encoding: what a score is called on the wire, and what goes with it."""

from __future__ import annotations

import math

import pytest

from stream.events import AbstainReason, SecondLook, Verdict
from stream.incident import SecondOpinion
from stream.publish.encode import final_state, score_data, state_of, summary
from stream.publish.incidents import incident_data, incident_of
from stream.publish.schema import State
from styleflow.cards import TrainingStatus
from tests.support.incidents import incident
from tests.support.wire import INFO, score


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


def test_a_second_look_is_told_beside_the_score_with_a_status_of_its_own() -> None:
    look = SecondLook("gend-pe-l", 0.81, 4.2, agrees=False, status=TrainingStatus.UNCALIBRATED)
    told = score_data(score(second_look=look), INFO, now=1.0).second_look
    assert told is not None
    assert told.model_dump(mode="json") == {
        "detector": "gend-pe-l",
        "status": "uncalibrated",
        "score": 0.81,
        "at": 4.2,
        "agrees": False,
    }
    assert score_data(score(), INFO, now=1.0).second_look is None


def test_a_second_look_at_an_incident_comes_back_from_its_wire_form() -> None:
    second = SecondOpinion("gend-pe-l", "trained", 0.9, 4.0, agrees=None)
    made = incident(second_look=second)
    assert incident_of(incident_data(made)) == made
