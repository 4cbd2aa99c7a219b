"""Decisions against a budget of false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.engine.budget import MOST_STAKE, AlarmAccount, BudgetDecider
from stream.events import Verdict
from styleflow.decisions import DecisionTable, Horizon

HOP_S = 0.5
FINEST = 1 / 40


def table(reals: int = 39, fakes: int = 39) -> DecisionTable:
    return DecisionTable(
        "toy",
        "",
        "",
        Horizon(trial_s=4.0, least_s=1.5),
        tuple(i / 10 for i in range(reals)),
        tuple(i / 10 for i in range(fakes)),
    )


def account(per_hour: float = 1.0) -> AlarmAccount:
    return AlarmAccount(per_hour, FINEST)


def decider(money: AlarmAccount, miss: float = 0.2, again_s: float = 60.0) -> BudgetDecider:
    return BudgetDecider(table(), money, miss=miss, give_up_s=30.0, again_s=again_s)


def rate(one: BudgetDecider, logit: float, seconds: float) -> Verdict:
    verdict = Verdict.PENDING
    for _ in range(round(seconds / HOP_S)):
        verdict = one.rate(logit, HOP_S)
    return verdict


def test_a_face_beyond_every_known_real_one_is_suspect():
    one = decider(account())
    assert rate(one, 9.0, 1.0) is Verdict.PENDING
    assert rate(one, 9.0, 0.5) is Verdict.SUSPECT
    assert one.decision().evidence == 1.0
    assert one.decision().needs_s is None


def test_a_face_among_the_real_ones_is_no_alarm_and_says_how_far_it_came():
    one = decider(account())
    rate(one, 3.5, 3.0)
    decision = one.decision()
    assert decision.verdict is Verdict.PENDING
    assert decision.as_high == pytest.approx((1 + 4) / 40)
    assert 0.0 < decision.evidence < 1.0
    assert decision.needs_s == pytest.approx(1.0)


def test_a_face_below_nearly_every_known_fake_is_clear():
    one = decider(account())
    assert rate(one, 0.0, 2.0) is Verdict.CLEAR


def test_without_budget_there_is_no_alarm_and_the_wait_is_told():
    money = account(per_hour=0.1)
    money.stake(newcomer=True)
    one = decider(money)
    assert rate(one, 9.0, 3.0) is Verdict.PENDING
    decision = one.decision()
    assert decision.stake == 0.0
    assert decision.needs_s == pytest.approx(FINEST / 0.1 * 3600, rel=0.01)


def test_a_suspect_face_is_given_up_when_a_whole_trial_contradicts_it():
    one = decider(account())
    rate(one, 9.0, 4.0)
    assert rate(one, 0.5, 4.0) is Verdict.SUSPECT  # the contradiction is not whole before its end
    assert rate(one, 0.5, 0.5) is Verdict.PENDING


def test_a_clear_face_that_turns_is_found():
    money = account()
    one = decider(money, again_s=8.0)
    assert rate(one, 0.0, 4.0) is Verdict.CLEAR
    money.earn(3600.0)
    assert rate(one, 9.0, 12.0) is Verdict.SUSPECT


def test_one_face_is_staked_on_again_only_after_a_while():
    money = account(per_hour=10.0)
    one = decider(money, again_s=60.0)
    rate(one, 2.0, 4.0)
    after_one = money.staked
    money.earn(360.0)
    rate(one, 2.0, 40.0)
    assert money.staked == after_one
    rate(one, 2.0, 30.0)
    assert money.staked > after_one


def test_an_interruption_begins_a_trial_and_keeps_the_spent_stake():
    money = account()
    one = decider(money)
    rate(one, 9.0, 2.0)
    one.restart()
    assert one.decision().verdict is Verdict.PENDING
    assert money.staked > 0.0


def test_giving_up_is_said():
    one = decider(account())
    rate(one, 2.0, 29.0)
    assert not one.decision().gave_up
    rate(one, 2.0, 2.0)
    assert one.decision().gave_up


def test_old_faces_leave_a_trial_for_a_newcomer():
    money = account()
    assert money.stake(newcomer=False) == 0.0
    assert money.stake(newcomer=True) == pytest.approx(FINEST)


@given(
    st.floats(0.001, 20.0),
    st.lists(st.tuples(st.floats(0.0, 5000.0), st.booleans()), max_size=200),
)
def test_never_more_is_staked_than_was_earned(per_hour, moves):
    money = AlarmAccount(per_hour, FINEST)
    seconds = 0.0
    for earned, newcomer in moves:
        money.earn(earned)
        seconds += earned
        stake = money.stake(newcomer=newcomer)
        assert stake <= max(MOST_STAKE, FINEST) + 1e-9
        assert stake / FINEST == pytest.approx(round(stake / FINEST))
        assert money.balance >= -1e-9
        assert money.staked <= FINEST + per_hour * seconds / 3600.0 + 1e-6


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=8), st.floats(0.0, 3.0))
def test_more_suspicion_never_makes_less_evidence(logits, more):
    lower, higher = decider(account()), decider(account())
    for logit in logits:
        lower.rate(logit, HOP_S)
        higher.rate(logit + more, HOP_S)
    assert higher.decision().evidence >= lower.decision().evidence - 1e-9
    assert higher.decision().as_high <= lower.decision().as_high + 1e-9


def test_a_real_source_alarms_no_more_often_than_it_was_paid_for():
    """Sources differ far more than the ratings of one, as on real clips; faces come back."""
    rng = np.random.default_rng(2)
    alarms, staked = 0, 0.0
    for _ in range(150):
        known = rng.normal(size=39)
        drawn = DecisionTable(
            "toy",
            "",
            "",
            Horizon(),
            tuple(float(x) for x in known),
            (0.0,) * 10,
        )
        money = AlarmAccount(4.0, drawn.finest)
        for source in rng.normal(size=8):
            one = BudgetDecider(drawn, money, miss=0.0, give_up_s=30.0, again_s=30.0)
            held = Verdict.PENDING
            for noise in 0.05 * rng.normal(size=240):
                money.earn(HOP_S)
                before, held = held, one.rate(float(source + noise), HOP_S)
                alarms += held is Verdict.SUSPECT and before is not Verdict.SUSPECT
        staked += money.staked
    assert alarms <= staked + 3 * np.sqrt(staked)
    assert alarms > staked / 8  # and the test can fail: it does alarm
