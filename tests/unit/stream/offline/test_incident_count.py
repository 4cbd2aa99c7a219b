"""False incidents of recorded clips: what the incident machine opens when they are played to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.engine.budget import Budget
from stream.engine.decision_settings import DecisionSettings
from stream.engine.settings import EngineSettings
from stream.incidents.settings import IncidentSettings
from stream.offline.incident_count import IncidentCount, count_incidents
from styleflow.cards import TrainingStatus
from styleflow.decisions import DecisionTable, Horizon
from styleflow.evaluation.record import ClipRecord, Rating
from tests.support.records import record
from tests.support.wire import CARD

ENGINE = EngineSettings(hop_s=0.5)
KNOWN = tuple(i / 10 for i in range(40))
TABLE = DecisionTable(CARD.name, "", "", Horizon(), KNOWN, KNOWN)


def clip(name: str, verdicts: str, logit: float = 0.0, track: int = 1) -> ClipRecord:
    """Return a clip whose ratings have these verdicts, one each half second; `s` is suspect."""
    words = {"s": "suspect", "c": "clear", "p": "pending"}
    ratings = [
        Rating(track, 0.5 * (n + 1), n + 1, logit, 0.9, words[each])
        for n, each in enumerate(verdicts)
    ]
    return record(name, 0, 0.5, ratings=ratings, duration_s=36.0)


def count(*clips: ClipRecord, budget: Budget | None = None, **settings: float) -> IncidentCount:
    return count_incidents(clips, CARD, IncidentSettings(**settings), ENGINE, budget)


def test_an_incident_is_counted_once_however_often_its_face_turns_suspect() -> None:
    one = clip("a", "pssccss")
    assert one.alarms == 2
    assert count(one) == IncidentCount(1, pytest.approx(0.01))


def test_clips_do_not_share_an_incident() -> None:
    assert count(clip("a", "ss"), clip("b", "ss"), clip("c", "cc")).incidents == 2


def test_a_face_that_is_suspect_again_after_a_while_is_another_incident() -> None:
    late = [Rating(1, 30.0 + 0.5 * n, n + 1, 0.0, 0.9, "suspect") for n in range(3)]
    early = clip("a", "sscccc")
    both = replace(early, ratings=(*early.ratings, *late))
    assert count(both, merge_s=5.0, quiet_s=5.0).incidents == 2
    assert count(both).incidents == 1


def test_a_model_that_opens_no_incidents_has_none() -> None:
    untrained = replace(CARD, status=TrainingStatus.UNTRAINED)
    made = count_incidents([clip("a", "ss")], untrained, IncidentSettings(), ENGINE)
    assert made.incidents == 0


def test_a_budget_decides_anew_and_its_account_lasts_from_clip_to_clip() -> None:
    clips = [clip(str(n), "s" * 20, logit=9.0) for n in range(6)]
    assert count(*clips).incidents == 6
    poor = Budget(TABLE, DecisionSettings(by="budget", false_alarms="1 per 100 h"))
    assert count(*clips, budget=poor).incidents == 1  # what an account begins with
    rich = Budget(TABLE, DecisionSettings(by="budget", false_alarms="60 per h"))
    assert count(*clips, budget=rich).incidents == 6
    quiet = [clip(str(n), "s" * 20, logit=1.0) for n in range(6)]
    assert count(*quiet, budget=rich).incidents == 0
