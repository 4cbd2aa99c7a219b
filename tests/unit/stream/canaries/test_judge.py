"""The judge: what is expected is learned from well rounds, and what is wrong is told in two."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stream.canaries.judge import Judge, Learned
from stream.canaries.records import FindingKind, Role, RoundResult, Sight, State
from tests.support.canaries import FAKE, REAL, WELL, pair
from tests.support.wire import CARD

MODELS = {CARD.name: "one"}
CLIPS = {REAL.id: "1", FAKE.id: "1"}


def judge(rounds: int = 3, learn_rounds: int = 3) -> Judge:
    """Return a judge that has seen some well rounds."""
    learned = Learned()
    learned.renew(MODELS, CLIPS)
    made = Judge(learned, learn_rounds, latency_s=3.0)
    for _ in range(rounds):
        made.take(pair())
    return made


def test_well_rounds_are_learned_from_and_then_well() -> None:
    made = judge(rounds=0)
    states = [made.take(pair()).state for _ in range(4)]
    assert states == [State.LEARNING, State.LEARNING, State.LEARNING, State.OK]
    assert made.rounds_learned() == 3
    assert made.expected(REAL.id)["fps"].holds(25.0)


def test_one_round_that_is_wrong_is_doubtful_and_two_are_failing() -> None:
    made = judge()
    assert made.take(pair(logit=2.0)).state is State.DOUBTFUL
    outcome = made.take(pair(logit=2.0))
    assert (outcome.state, outcome.result) == (State.FAILING, RoundResult.FINDINGS)
    assert made.take(pair()).state is State.OK


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"logit": -2.0}, "rates it -2.00"),
        ({"fps": 12.5}, "arrive at 12.5 a second"),
        ({"brightness": 158.0}, "158 of 255 bright"),
        ({"face_px": 150.0}, "150 pixels large"),
        ({"sharpness": 60.0}, "sharpness of 60"),
    ],
)
def test_a_figure_that_leaves_its_range_is_told_with_what_is_expected(
    figures: dict[str, Any], said: str
) -> None:
    found = judge().take(pair(**figures)).findings
    assert {finding.kind for finding in found} == {FindingKind.CHANGED}
    assert said in found[0].text
    assert "is expected" in found[0].text
    assert found[0].hint


def test_a_fake_that_comes_near_its_real_clip_is_no_longer_told_apart() -> None:
    found = judge().take(pair(gap=0.4)).findings
    assert [f.kind for f in found] == [FindingKind.NOT_TOLD_APART]
    assert found[0].canary == FAKE.id
    assert found[0].detector == CARD.name


def test_a_pair_that_was_never_told_apart_is_found_while_learning_and_not_learned() -> None:
    made = judge(rounds=0)
    assert made.take(pair(gap=0.0)).state is State.DOUBTFUL
    assert made.take(pair(gap=0.0)).state is State.FAILING
    assert made.rounds_learned() == 0


@pytest.mark.parametrize(
    "sight", [Sight(REAL), Sight(REAL, failure="no call"), replace(WELL, opinions={})]
)
def test_a_clip_without_a_score_is_missing(sight: Sight) -> None:
    found = judge(rounds=0).take((sight, pair()[1])).findings
    assert found[0].kind is FindingKind.MISSING
    assert found[0].canary == REAL.id


def test_a_detector_that_says_nothing_is_missing_beside_one_that_does() -> None:
    made = judge(rounds=0)
    made.learned.renew({**MODELS, "other": "two"}, CLIPS)
    found = made.take(pair()).findings
    assert {(f.kind, f.detector) for f in found} == {(FindingKind.MISSING, "other")}


def test_what_is_only_late_is_late() -> None:
    made = judge()
    made.take(pair(latency_s=4.0))
    outcome = made.take(pair(latency_s=4.0))
    assert outcome.state is State.LATE
    assert "came 4.0 s after their pictures, and 3 s is the bound" in outcome.findings[0].text


def test_the_gravest_comes_first() -> None:
    real, fake = pair(fps=12.0, latency_s=9.0)
    found = judge().take((replace(real, opinions={}), fake)).findings
    assert [f.kind for f in found] == [
        FindingKind.MISSING,
        FindingKind.CHANGED,
        FindingKind.LATE,
    ]


def test_another_model_is_learned_anew_and_the_path_stays_known() -> None:
    made = judge()
    why = made.learned.renew({CARD.name: "another"}, CLIPS)
    assert "other weights (one before, another now)" in why
    assert set(made.expected(REAL.id)) == {"fps", "face_px", "brightness", "sharpness"}
    assert made.take(pair(logit=3.0)).state is State.LEARNING
    assert made.take(pair(logit=3.0, fps=12.0)).state is State.DOUBTFUL


def test_a_wrong_model_file_is_not_learned_when_it_tells_nothing_apart() -> None:
    made = judge()
    made.learned.renew({CARD.name: "wrong"}, CLIPS)
    assert made.take(pair(logit=0.0, gap=0.05)).findings[0].kind is FindingKind.NOT_TOLD_APART


def test_another_clip_is_learned_anew_and_one_that_is_gone_is_forgotten() -> None:
    made = judge()
    assert made.learned.renew(MODELS, {REAL.id: "2"}) == f"{REAL.id} is another clip"
    assert made.learned.figures == {}


def test_a_detector_that_is_gone_is_forgotten() -> None:
    made = judge()
    assert made.learned.renew({}, CLIPS) == ""
    assert set(made.learned.figures[FAKE.id]) == {"fps", "face_px", "brightness", "sharpness"}


def test_the_same_models_and_clips_change_nothing() -> None:
    made = judge()
    before = made.learned.figures
    assert made.learned.renew(MODELS, CLIPS) == ""
    assert made.learned.figures == before


def test_a_fake_has_no_range_of_its_own_ratings() -> None:
    made = judge()
    assert not any(name.startswith(("logit", "gap")) for name in made.expected(FAKE.id))
    assert FAKE.role is Role.FAKE
