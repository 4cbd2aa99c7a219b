"""Laws of the second look: its share of the time is kept, and streams take turns."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.engine.plan import TrackKey
from stream.second_look.account import ComputeAccount
from stream.second_look.scheduler import LookScheduler
from stream.second_look.settings import SecondLookSettings
from tests.support.second_look import SecondLookRig

SHARES = st.floats(0.01, 0.9)


@given(
    SHARES,
    st.lists(st.tuples(st.floats(0, 30), st.floats(0.001, 20), st.floats(0, 1)), max_size=60),
)
def test_no_stretch_of_time_costs_more_than_it_earned(
    share: float, wishes: list[tuple[float, float, float]]
) -> None:
    """Looks that cost what was set aside: over every window, and strictly from the start."""
    account, now, dearest = ComputeAccount(share, 0.0), 0.0, 0.0
    spent: list[tuple[float, float]] = [(0.0, 0.0)]
    for pause, price, part in wishes:
        now += pause
        account.earn(now)
        account.allow(price)
        dearest = max(dearest, price)
        if account.reserve(price):
            account.spend(price * part)
            account.release(price)
            spent.append((now, price * part))
    most = max(share * 60.0, dearest)
    sums = list(accumulate(cost for _, cost in spent))
    for first, (since, cost) in enumerate(spent):
        for (until, _), total in zip(spent[first:], sums[first:], strict=True):
            assert total - sums[first] + cost <= share * (until - since) + most + 1e-6
    for (until, _), total in zip(spent, sums, strict=True):
        assert total <= share * until + 1e-6
    assert account.used(now) <= max(share, sums[-1] / 60.0) + most / 60.0 + 1e-6


@given(
    SHARES,
    st.integers(1, 4),
    st.integers(1, 3),
    st.lists(st.floats(0.001, 0.4), min_size=1, max_size=12),
)
def test_the_share_is_never_exceeded_whatever_frames_cost(
    share: float, streams: int, at_once: int, costs: list[float]
) -> None:
    """By no more than the difference of one frame that was dearer than all lately."""
    turn = iter(range(10**9))
    rig = SecondLookRig(
        SecondLookSettings(when=0, every_s=1, share=share, frames=3, at_once=at_once),
        cost=lambda: costs[next(turn) % len(costs)],
    )
    began = rig.clock.monotonic()
    for _ in range(150):
        rig.step({f"s{n}": 0.9 for n in range(streams)})
    total = 0.0
    for at, cost in rig.device.spent:
        total += cost
        assert total <= share * (at - began) + max(costs)
    if len(set(costs)) == 1:  # nothing is dearer than expected
        assert total <= share * (rig.clock.monotonic() - began) + 1e-9
    assert rig.looks.stats.spent_s == pytest.approx(total)


@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=6),
    st.lists(st.integers(0, 10), min_size=1, max_size=80),
)
def test_streams_take_turns_however_many_faces_they_have(
    faces: list[int], waits: list[int]
) -> None:
    """Streams that always have a face that is due get looks whose numbers differ by one at most."""
    scheduler = LookScheduler(SecondLookSettings(when=0, every_s=0.5))
    granted: Counter[str] = Counter({f"s{n}": 0 for n in range(len(faces))})
    now = 0.0
    for wait in waits:
        now += 1.0 + wait
        for stream, count in enumerate(faces):
            for track in range(count):
                scheduler.note(TrackKey(f"s{stream}", track), 0.9 if track % 2 else 0.5, now)
        key = scheduler.next()
        if key is not None:
            scheduler.grant(key, now)
            granted[key.stream] += 1
    assert max(granted.values()) - min(granted.values()) <= 1


@given(st.lists(st.floats(0, 1), max_size=40), st.floats(0, 1))
def test_a_face_that_leans_to_one_side_is_looked_at_once(scores: list[float], when: float) -> None:
    """Without a rate, a new look takes another side."""
    scheduler, key = LookScheduler(SecondLookSettings(when=when, every_s=0)), TrackKey("s", 1)
    sides: list[bool] = []
    for now, score in enumerate(scores):
        scheduler.note(key, score, float(now))
        if scheduler.next() is not None:
            scheduler.grant(key, float(now))
            sides.append(score > 0.5)
    assert all(a != b for a, b in pairwise(sides))
