"""Decisions against a budget: no stream matters to another, more evidence never helps a face."""

from __future__ import annotations

import pickle
from itertools import chain

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.engine.budget import Budget, BudgetDecider
from stream.engine.decider import Smoothed
from stream.engine.decision_settings import DecisionSettings
from stream.engine.settings import EngineSettings
from stream.events import Verdict
from styleflow.decisions import Buckets, DecisionTable, Horizon, Quality, QualityFigure

HOP_S = 0.5
REALS = tuple(i / 10 for i in range(40))
TABLE = DecisionTable("toy", "", "", Horizon(), REALS, REALS)
BUCKETED = DecisionTable(
    *("toy", "", "", Horizon(), REALS, REALS),
    Buckets(QualityFigure.SHARPNESS, (50.0,), tuple(float(i % 2) * 100.0 for i in range(40))),
)
LOGITS = st.floats(-3.0, 6.0)


class Stream:
    """One stream with one face at a time."""

    def __init__(self, table: DecisionTable = TABLE) -> None:
        self.budget = Budget(table, DecisionSettings(by="budget", again_s=10.0))
        self.face = self.budget.face()
        self.said: list[object] = []

    def see(self, logit: float | None) -> None:
        """Take in a rating; None is the next face."""
        if logit is None:
            self.face = self.budget.face()
            return
        self.budget.earn(HOP_S)
        self.face.rate(logit, HOP_S)
        self.said.append(self.face.decision())


@given(
    st.lists(
        st.lists(st.one_of(st.none(), LOGITS), min_size=1, max_size=30), min_size=2, max_size=4
    ),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_the_order_of_streams_decides_nothing(ratings, random):
    """However the ratings of streams are interleaved, each stream's decisions are its own."""
    alone = [Stream() for _ in ratings]
    for stream, mine in zip(alone, ratings, strict=True):
        for logit in mine:
            stream.see(logit)
    turns = list(chain.from_iterable([n] * len(mine) for n, mine in enumerate(ratings)))
    random.shuffle(turns)
    together = [Stream() for _ in ratings]
    left = [iter(mine) for mine in ratings]
    for n in turns:
        together[n].see(next(left[n]))
    assert [one.said for one in together] == [one.said for one in alone]


@given(st.lists(LOGITS, min_size=3, max_size=8), st.floats(0.0, 3.0), st.floats(0.0, 100.0))
@settings(deadline=None)
def test_a_face_that_is_rated_higher_is_never_suspected_later(logits, more, sharpness):
    """Within a trial that is paid for, with buckets of quality or without."""
    for table in (TABLE, BUCKETED):
        lower, higher = Stream(table), Stream(table)
        for one in (lower, higher):
            one.budget.account.balance = 1.0
        for logit in logits:
            for one, rated in ((lower, logit), (higher, logit + more)):
                smoothed = Smoothed(
                    0.5, HOP_S, False, EngineSettings(), Quality(sharpness=sharpness)
                )
                one.face.rate(rated, HOP_S, smoothed)
            low, high = lower.face.decision(), higher.face.decision()
            assert high.evidence >= low.evidence - 1e-9
            if low.verdict is Verdict.SUSPECT:
                assert high.verdict is Verdict.SUSPECT
            if high.verdict is Verdict.CLEAR:
                assert low.verdict is not Verdict.PENDING


@given(st.lists(LOGITS, min_size=1, max_size=20))
@settings(deadline=None, max_examples=20)
def test_what_is_kept_of_a_face_and_its_stream_does_not_grow(logits):
    stream = Stream()

    def size() -> int:
        face: BudgetDecider = stream.face
        return len(pickle.dumps((face, stream.budget.account)))

    for logit in logits:
        stream.see(logit)
    stream.said.clear()
    before = size()
    for _ in range(60):
        for logit in logits:
            stream.see(logit)
        stream.said.clear()
    # Some figures are None at first, and a float of a pickle takes nine bytes.
    assert size() <= before + 9 * 10
