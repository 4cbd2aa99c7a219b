"""Laws of baselines, whatever the ratings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.baseline.mixing import mixed
from stream.baseline.statistics import effective_number, summarised
from stream.baseline.trials import Look, TrialMaker
from styleflow.decisions import Trial
from tests.support.baselines import HORIZON, table, trial, trials

VALUES = st.floats(-20.0, 20.0)
RUNS = st.lists(st.lists(VALUES, min_size=1, max_size=30), min_size=1, max_size=6)


@given(runs=RUNS, shuffled=st.randoms(use_true_random=False))
def test_the_order_of_faces_changes_nothing(runs, shuffled) -> None:
    faces = [trials(values, face) for face, values in enumerate(runs)]
    mixed_up = list(faces)
    shuffled.shuffle(mixed_up)
    one = summarised([each for face in faces for each in face])
    other = summarised([each for face in mixed_up for each in face])
    assert one.percentiles == other.percentiles
    assert one.conditions == other.conditions
    assert abs(one.effective - other.effective) < 1e-2


@given(runs=RUNS)
def test_the_effective_number_lies_between_one_and_all(runs) -> None:
    assert 1.0 <= effective_number(runs) <= sum(len(run) for run in runs)


@given(values=st.lists(VALUES, min_size=1, max_size=60), logits=st.lists(VALUES, min_size=8))
def test_a_mixed_null_is_monotone_in_evidence_and_lies_between_both(values, logits) -> None:
    found = summarised([trial(value) for value in values])
    null = mixed(table(), found)
    low = min(0.0, *found.percentiles)
    high = max(3.8, 1.9 + found.quantile(0.5), *found.percentiles)  # 1.9 from middle to highest
    assert all(low - 1e-6 <= value <= high + 1e-6 for value in null.reals)
    shares = []
    for logit in sorted(logits):
        one = Trial(HORIZON)
        for _ in range(8):
            one.add(logit, 0.5)
        shares.append(null.as_high(one))
    assert shares == sorted(shares, reverse=True)
    assert all(null.finest <= share <= 1.0 for share in shares)


@given(
    ratings=st.lists(
        st.tuples(
            st.integers(0, 500),
            st.floats(-10, 10),
            st.floats(allow_nan=True, allow_infinity=True),
            st.booleans(),
        ),
        max_size=200,
    )
)
def test_whatever_comes_makes_whole_finite_trials_and_no_more_than_there_was_time(ratings) -> None:
    maker = TrialMaker(HORIZON)
    at, made = 0.0, []
    for face, step, logit, counts in ratings:
        at += step
        found = maker.add(Look((0, face), at, logit, counts))
        if found is not None:
            made.append(found)
    assert all(abs(one.highest) < 1e6 for one in made)
    assert all(HORIZON.trial_s - 1e-3 <= one.seconds <= HORIZON.trial_s + 0.5 for one in made)
    assert len(made) * HORIZON.trial_s <= 0.5 * len(ratings) + 1e-6
