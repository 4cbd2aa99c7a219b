"""The engine where a budget of false alarms decides."""

from __future__ import annotations

import pytest

from stream.engine.budget import Budget
from stream.engine.decision_settings import DecisionSettings
from stream.events import Score, Verdict, VerdictChanged
from styleflow.cards import TrainingStatus
from styleflow.decisions import DecisionTable, Horizon
from tests.support.engine import FakeDevice, engine, face, play, seen


def budget(false_alarms: str = "1 per 1 h") -> Budget:
    table = DecisionTable(
        "styleflow-live",
        "",
        "made up",
        Horizon(trial_s=4.0, least_s=1.5),
        tuple(i / 20 for i in range(39)),
        tuple(i / 20 for i in range(39)),
    )
    return Budget(table, DecisionSettings(by="budget", false_alarms=false_alarms))


def watched(logit: float, seconds: float = 6.0, deciders: Budget | None = None, **rest):
    core = engine(deciders=deciders or budget(), **rest)
    slots = range(round(seconds * 12.5))
    frames = (seen(slot, face(1, logit), started=(1,) if slot == 0 else ()) for slot in slots)
    return play(core, FakeDevice(), frames)


def test_a_face_beyond_all_known_reals_becomes_suspect_by_its_trial():
    events = watched(5.0)
    assert [e.verdict for e in events if isinstance(e, VerdictChanged)] == [Verdict.SUSPECT]
    scores = [e for e in events if isinstance(e, Score)]
    first = next(score for score in scores if score.verdict is Verdict.SUSPECT)
    assert first.decision is not None
    assert first.decision.evidence == 1.0
    assert first.decision.as_high == pytest.approx(1 / 40)


def test_a_smoothed_score_beyond_the_threshold_is_no_alarm_while_reals_reach_as_high():
    events = watched(1.4)  # a probability of 0.8, above `enter`; a quarter of known reals have it
    assert not [e for e in events if isinstance(e, VerdictChanged)]


def test_frames_that_are_no_evidence_are_in_no_trial():
    core = engine(deciders=budget())
    frames = (
        seen(slot, face(1, 5.0), started=(1,) if slot == 0 else (), contaminated=slot > 12)
        for slot in range(75)
    )
    events = play(core, FakeDevice(), frames)
    assert not [e for e in events if isinstance(e, VerdictChanged)]


def test_an_untrained_model_decides_nothing():
    events = watched(5.0, status=TrainingStatus.UNTRAINED)
    assert not [e for e in events if isinstance(e, VerdictChanged)]


def test_a_stream_earns_while_it_is_watched():
    deciders = budget("60 per 1 h")
    before = deciders.account.balance
    core = engine(deciders=deciders)
    play(core, FakeDevice(), (seen(slot) for slot in range(125)))
    assert deciders.account.balance == pytest.approx(before + 10.0 / 60.0)
