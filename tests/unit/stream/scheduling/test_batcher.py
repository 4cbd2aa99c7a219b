"""Which frames run together: earliest due first, fair, bounded and never waiting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import SettingInvalid
from stream.scheduling.batcher import Batcher, BatcherSettings


def test_the_item_that_is_due_first_comes_first() -> None:
    batcher: Batcher[str] = Batcher(BatcherSettings())
    batcher.offer("a", "relaxed", 0.0, deadline=0.4)
    batcher.offer("b", "urgent", 0.1, deadline=0.2)
    assert [item.value for item in batcher.take(0.1)] == ["urgent", "relaxed"]


def test_a_batch_takes_a_share_of_each_stream_and_then_no_more() -> None:
    batcher: Batcher[int] = Batcher(BatcherSettings(max_batch=4, per_stream=2, capacity=8))
    for n in range(6):
        batcher.offer("busy", n, n / 100)
    batcher.offer("calm", 100, 0.06)
    assert [(item.stream, item.value) for item in batcher.take(0.1)] == [
        ("busy", 0),
        ("busy", 1),
        ("calm", 100),
    ]
    assert [item.value for item in batcher.take(0.1)] == [2, 3]


def test_a_batch_goes_out_with_whatever_is_there() -> None:
    batcher: Batcher[int] = Batcher(BatcherSettings(max_batch=16))
    assert batcher.take(0.0) == []
    batcher.offer("a", 1, 0.0)
    assert len(batcher.take(0.0)) == 1
    assert batcher.stats.batches == 1
    assert batcher.stats.fill == pytest.approx(1 / 16)


def test_a_full_queue_lets_its_oldest_go_and_tells_the_next_one() -> None:
    batcher: Batcher[int] = Batcher(BatcherSettings(capacity=2))
    kept = [batcher.offer("a", n, n / 100) for n in range(5)]
    assert kept == [True, True, False, False, False]
    first, second = batcher.take(0.1)
    assert (first.value, first.overrun) == (3, 3)
    assert (second.value, second.overrun) == (4, 0)
    assert batcher.stats.crowded == 3


def test_what_is_withheld_is_told_with_the_next_item_and_counted() -> None:
    batcher: Batcher[int] = Batcher(BatcherSettings())
    for _ in range(3):
        batcher.withhold("a")
    assert batcher.take(0.0) == []
    batcher.offer("a", 1, 0.0)
    batcher.offer("a", 2, 0.1)
    assert [(item.withheld, item.overrun) for item in batcher.take(0.1)] == [(3, 0), (0, 0)]
    assert batcher.stats.withheld == 3


def test_what_has_become_too_old_is_let_go_and_counted() -> None:
    batcher: Batcher[int] = Batcher(BatcherSettings(max_age_s=1.5))
    batcher.offer("a", 0, 0.0)
    batcher.offer("a", 1, 1.0)
    (item,) = batcher.take(2.0)
    assert (item.value, item.overrun) == (1, 1)
    assert batcher.stats.stale == 1


def test_a_stream_keeps_its_place_when_its_first_item_gave_way() -> None:
    batcher: Batcher[str] = Batcher(BatcherSettings(max_batch=1, capacity=1))
    batcher.offer("early", "old", 0.0)
    batcher.offer("late", "other", 0.01)
    batcher.offer("early", "new", 0.02)
    assert batcher.take(0.03)[0].value == "new"


def test_a_forgotten_stream_leaves_nothing() -> None:
    batcher: Batcher[int] = Batcher(BatcherSettings())
    batcher.offer("a", 1, 0.0)
    batcher.offer("a", 2, 0.0)
    assert batcher.forget("a") == 2
    assert batcher.forget("a") == 0
    assert batcher.take(0.0) == []
    assert batcher.stats.waiting == 0


@pytest.mark.parametrize("key", ["max_batch", "per_stream", "capacity", "budget_s", "max_age_s"])
def test_a_senseless_setting_names_its_key(key: str) -> None:
    with pytest.raises(SettingInvalid, match=key):
        BatcherSettings(**{key: 0})


ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        st.floats(0.0, 0.3),
        st.none() | st.floats(-1.0, 5.0),
        st.booleans(),
    ),
    max_size=120,
)
"""Stream, seconds since the previous arrival, deadline relative to it, whether to take then."""

SETTINGS = st.builds(
    BatcherSettings,
    max_batch=st.integers(1, 6),
    per_stream=st.integers(1, 3),
    capacity=st.integers(1, 4),
)


@given(ARRIVALS, SETTINGS)
def test_batches_are_bounded_young_and_in_order(
    arrivals: list[tuple[str, float, float | None, bool]], settings: BatcherSettings
) -> None:
    """No batch or queue outgrows its limits; nothing old, doubled, reordered or uncounted."""
    batcher: Batcher[int] = Batcher(settings)
    now, out, gone = 0.0, [], 0
    for number, (stream, pause, deadline, take) in enumerate(arrivals):
        now += pause
        batcher.offer(stream, number, now, None if deadline is None else now + deadline)
        for batch in [batcher.take(now)] if take else []:
            assert len(batch) <= settings.max_batch
            for name in "abcde":
                mine = [item.value for item in batch if item.stream == name]
                assert len(mine) <= settings.per_stream
            assert all(now - item.arrived <= settings.max_age_s for item in batch)
            out += batch
        assert batcher.stats.waiting <= 5 * settings.capacity
    gone = batcher.stats.crowded + batcher.stats.stale
    assert len(out) + gone + batcher.stats.waiting == len(arrivals)
    for name in "abcde":
        mine = [item.value for item in out if item.stream == name]
        assert mine == sorted(set(mine))
    assert sum(item.overrun for item in out) <= gone


@given(
    st.lists(st.sampled_from([0.04, 0.08, 0.2]), min_size=2, max_size=8),
    st.floats(0.0, 2.0),
    SETTINGS,
)
def test_no_stream_starves_under_overload(
    periods: list[float], pressing: float, settings: BatcherSettings
) -> None:
    """However crowded it is and however pressing some say they are, everybody gets a turn."""
    batcher: Batcher[int] = Batcher(settings)
    waits: dict[str, int] = dict.fromkeys(map(str, range(len(periods))), 0)
    worst = 0
    due = [0.0] * len(periods)
    for tick in range(200):
        now = tick * 0.04
        for index, period in enumerate(periods):
            while due[index] <= now:
                # The even ones always claim to be due at once; the odd ones are patient.
                deadline = due[index] + (0.0 if index % 2 == 0 else pressing)
                batcher.offer(str(index), tick, due[index], deadline)
                due[index] += period
        served = {item.stream for item in batcher.take(now)}
        for stream in waits:
            waits[stream] = 0 if stream in served else waits[stream] + 1
            worst = max(worst, waits[stream])
    patience_ticks = settings.patience_s / 0.04
    slowest_period = 0.2 / 0.04
    backlog = len(periods) * (settings.capacity + 1)
    assert worst <= patience_ticks + slowest_period + backlog


def _worked_off(streams: int, seconds: float = 30.0) -> tuple[list[float], float]:
    """Return at what ages a device is done with items, and the share that gave way.

    Every stream has an item each 80 ms; a batch takes 4 ms, and 5.5 ms for each of its items.
    """
    batcher: Batcher[int] = Batcher(BatcherSettings())
    coming = sorted(
        (0.08 * (number + place / streams), f"camera-{place}")
        for number in range(round(seconds / 0.08))
        for place in range(streams)
    )
    now, at, ages = 0.0, 0, list[float]()
    while at < len(coming):
        now = max(now, coming[at][0])
        while at < len(coming) and coming[at][0] <= now:
            batcher.offer(coming[at][1], at, coming[at][0])
            at += 1
        while at < len(coming) and (batch := batcher.take(now)):
            now += 0.004 + 0.0055 * len(batch)
            ages += [now - item.arrived for item in batch]
            while at < len(coming) and coming[at][0] <= now:
                batcher.offer(coming[at][1], at, coming[at][0])
                at += 1
    stats = batcher.stats
    return sorted(ages), (stats.crowded + stats.stale) / len(coming)


def test_one_stream_too_many_does_not_make_every_item_late_by_a_full_queue() -> None:
    holding, none_lost = _worked_off(13)
    ages, lost = _worked_off(15)
    assert none_lost == 0
    excess = 1 - 13.9 / 15  # what comes beyond what the device can do, give or take a batch
    assert lost == pytest.approx(excess, abs=0.02)
    p95 = ages[int(0.95 * len(ages))]
    assert p95 < 4 * holding[int(0.95 * len(holding))]


def test_a_burst_is_worked_off_and_nothing_of_it_lost() -> None:
    batcher: Batcher[int] = Batcher(BatcherSettings(max_batch=8))
    for number in range(4):
        for stream in range(8):
            batcher.offer(f"camera-{stream}", number, number * 0.08)
    taken = [item for turn in range(4) for item in batcher.take(0.35 + 0.1 * turn)]
    assert len(taken) == 32
    assert not any(item.overrun for item in taken)


def test_queues_that_stood_are_worked_off_as_ever_once_the_load_is_gone() -> None:
    batcher: Batcher[int] = Batcher(BatcherSettings(max_batch=1))
    for turn in range(20):  # two come for one that is taken
        for stream in ("a", "b"):
            batcher.offer(stream, turn, turn * 0.08)
        batcher.take(turn * 0.08 + 0.01)
    assert batcher.stats.crowded > 0
    while batcher.take(1.7):
        pass
    batcher.take(4.0)
    before = batcher.stats.crowded
    for number in range(4):
        batcher.offer("a", number, 4.0 + number * 0.08)
    assert [batcher.take(4.35)[0].value for _ in range(4)] == [0, 1, 2, 3]
    assert batcher.stats.crowded == before
