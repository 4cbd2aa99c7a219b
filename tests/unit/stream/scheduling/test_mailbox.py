"""Mailbox: bounded, with a named overflow policy and counters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.scheduling.mailbox import Mailbox, Overflow


def test_drop_oldest_keeps_the_newest_and_counts() -> None:
    box: Mailbox[int] = Mailbox(2, Overflow.DROP_OLDEST)
    assert [box.put(i) for i in range(4)] == [True, True, False, False]
    assert [box.take(), box.take(), box.take()] == [2, 3, None]
    assert (box.dropped, box.accepted) == (2, 4)


def test_refuse_keeps_what_it_has_and_counts() -> None:
    box: Mailbox[int] = Mailbox(2, Overflow.REFUSE)
    assert [box.put(i) for i in range(3)] == [True, True, False]
    assert [box.take(), box.take(), box.take()] == [0, 1, None]
    assert (box.dropped, box.accepted) == (1, 2)


def test_the_reader_is_woken_by_accepted_values_only() -> None:
    woken: list[int] = []
    box: Mailbox[int] = Mailbox(1, Overflow.REFUSE, wake=lambda: woken.append(1))
    box.put(1)
    box.put(2)
    assert len(woken) == 1


def test_peek_and_clear() -> None:
    box: Mailbox[int] = Mailbox(3, Overflow.REFUSE)
    box.put(7)
    box.put(8)
    assert box.peek() == 7
    assert len(box) == 2
    assert box.clear() == 2
    assert box.peek() is None


def test_a_mailbox_holds_something() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Mailbox(0, Overflow.REFUSE)


@given(st.integers(1, 5), st.sampled_from(Overflow), st.lists(st.booleans(), max_size=60))
def test_nothing_is_lost_uncounted(capacity: int, overflow: Overflow, script: list[bool]) -> None:
    """Whatever was put is taken, waiting or counted as dropped; order is kept."""
    box: Mailbox[int] = Mailbox(capacity, overflow)
    put = 0
    taken: list[int] = []
    for is_put in script:
        if is_put:
            box.put(put)
            put += 1
        elif (value := box.take()) is not None:
            taken.append(value)
        assert len(box) <= capacity
    assert put == len(taken) + len(box) + box.dropped
    assert taken == sorted(taken)
