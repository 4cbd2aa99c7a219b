"""The engine where a budget of false alarms decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from stream.baseline_mark import BaselineMark, BaselineState
from stream.engine.budget import Budget
from stream.engine.decision_settings import DecisionSettings
from stream.events import CaptureConditions, Score, Verdict, VerdictChanged
from styleflow.cards import TrainingStatus
from styleflow.decisions import DecisionTable, Horizon
from styleflow.faces.face import FaceQuality
from tests.support.engine import FakeDevice, engine, face, play, seen

GENERAL = DecisionTable(
    "styleflow-live",
    "",
    "made up",
    Horizon(trial_s=4.0, least_s=1.5),
    tuple(i / 20 for i in range(39)),
    tuple(i / 20 for i in range(39)),
)


def budget(false_alarms: str = "1 per 1 h") -> Budget:
    return Budget(GENERAL, DecisionSettings(by="budget", false_alarms=false_alarms))


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


class PlayedCamera:
    """A camera whose null the test sets."""

    def __init__(self, own: DecisionTable | None = None) -> None:
        self.own = own
        self.observed: list[tuple[CaptureConditions, FaceQuality]] = []
        self.mark = BaselineMark(
            "lobby", 12.0, datetime(2026, 11, 30, tzinfo=UTC), BaselineState.ACTIVE
        )

    def observe(self, capture: CaptureConditions, quality: FaceQuality) -> None:
        self.observed.append((capture, quality))

    def table(self, general: DecisionTable) -> DecisionTable:
        return self.own or general


def test_a_face_that_is_common_among_all_known_reals_is_rare_in_front_of_its_own_camera():
    own = replace(GENERAL, reals=tuple(-0.5 - i / 100 for i in range(39)))
    plain, relative = watched(1.0), watched(1.0, camera=PlayedCamera(own))
    assert not [e for e in plain if isinstance(e, VerdictChanged)]
    assert [e.verdict for e in relative if isinstance(e, VerdictChanged)] == [Verdict.SUSPECT]
    before, after = (
        [(e.score, e.low, e.high, e.probability) for e in events if isinstance(e, Score)]
        for events in (plain, relative)
    )
    assert before == after  # what is published of the score itself is never relative


def test_a_face_that_is_rare_among_all_known_reals_is_common_in_front_of_a_camera_that_runs_high():
    own = replace(GENERAL, reals=tuple(4.0 + i / 10 for i in range(39)))
    assert not [e for e in watched(5.0, camera=PlayedCamera(own)) if isinstance(e, VerdictChanged)]


def test_a_trial_is_held_against_one_null_from_its_beginning_to_its_end():
    camera = PlayedCamera(replace(GENERAL, reals=tuple(4.0 + i / 10 for i in range(39))))
    rich = Budget(GENERAL, DecisionSettings(by="budget", false_alarms="60 per 1 h", again_s=0.0))
    core = engine(deciders=rich, camera=camera)
    device = FakeDevice()
    first = play(
        core, device, (seen(n, face(1, 5.0), started=(1,) if not n else ()) for n in range(38))
    )
    camera.own = None
    rest = play(core, device, (seen(n, face(1, 5.0)) for n in range(38, 46)))
    later = play(core, device, (seen(n, face(1, 5.0)) for n in range(46, 100)))
    assert not [e for e in (*first, *rest) if isinstance(e, VerdictChanged)]
    assert [e.verdict for e in later if isinstance(e, VerdictChanged)] == [Verdict.SUSPECT]


def test_conditions_go_to_the_camera_and_its_mark_is_told_with_every_score_and_report():
    camera = PlayedCamera()
    core = engine(deciders=budget(), camera=camera)
    events = play(
        core, FakeDevice(), (seen(n, face(1), started=(1,) if not n else ()) for n in range(25))
    )
    scores = [e for e in events if isinstance(e, Score)]
    assert len(camera.observed) == len(scores) > 0
    assert camera.observed[0][0].source_fps == 25.0
    assert {score.baseline for score in scores} == {camera.mark}
    assert core.report(0.0).baseline == camera.mark
    assert scores[0].capture == camera.observed[0][0]
