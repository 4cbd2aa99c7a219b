"""Laws of the judge of canaries: what is like what was learned is well, and memory is bounded."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.canaries.judge import LEAST_GAP, LOGIT_TOLERANCE, Judge, Learned
from stream.canaries.records import FindingKind, RoundResult, State
from tests.support.canaries import FAKE, REAL, pair
from tests.support.wire import CARD

ROUNDS = 5
logits = st.floats(-5.0, 5.0)
gaps = st.floats(LEAST_GAP + 0.05, 5.0)
shifts = st.floats(-0.99, 0.99).map(lambda share: share * LOGIT_TOLERANCE.absolute)


def judge() -> Judge:
    learned = Learned()
    learned.renew({CARD.name: "one"}, {REAL.id: "1", FAKE.id: "1"})
    return Judge(learned, ROUNDS, latency_s=3.0)


def installed(logit: float, gap: float) -> Judge:
    made = judge()
    for _ in range(ROUNDS):
        made.take(pair(logit, gap))
    return made


@given(logits, gaps, st.lists(shifts, max_size=20))
def test_a_real_clip_that_stays_within_the_tolerance_is_never_told(
    logit: float, gap: float, moves: list[float]
) -> None:
    made = installed(logit, gap)
    assert {made.take(pair(logit + move, gap)).state for move in moves} <= {State.OK}


@given(logits, gaps, st.floats(0.31, 5.0), st.sampled_from((-1, 1)))
def test_a_real_clip_that_leaves_its_range_is_told_in_two_rounds(
    logit: float, gap: float, move: float, side: int
) -> None:
    made = installed(logit, gap)
    wrong = pair(logit + side * move, gap)
    assert [made.take(wrong).state for _ in range(2)] == [State.DOUBTFUL, State.FAILING]


@given(logits, gaps, st.floats(-5.0, 0.49))
def test_a_fake_at_less_than_half_its_distance_is_told(
    logit: float, gap: float, share: float
) -> None:
    found = installed(logit, gap).take(pair(logit, gap * share)).findings
    assert FindingKind.NOT_TOLD_APART in {finding.kind for finding in found}


@given(st.lists(st.tuples(logits, st.floats(-1.0, 2.0)), min_size=1, max_size=40))
@settings(max_examples=50)
def test_memory_is_bounded_and_learns_only_from_rounds_without_findings(
    rounds: list[tuple[float, float]],
) -> None:
    made = judge()
    learned = 0
    for logit, gap in rounds:
        outcome = made.take(pair(logit, gap))
        learned += outcome.result is RoundResult.LEARNING
        assert (outcome.findings == ()) is (outcome.result is not RoundResult.FINDINGS)
    kept = [values for known in made.learned.figures.values() for values in known.values()]
    assert all(len(values) == min(learned, ROUNDS) for values in kept)
    assert made.rounds_learned() == min(learned, ROUNDS)
