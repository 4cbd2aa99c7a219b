"""A slow sink behind its queue: bounded, counted, and told exactly what it missed."""

from __future__ import annotations

import pytest

from stream.event_log.event_log import StampedEvent
from stream.event_log.queued_sink import Gap, QueuedSink
from stream.scheduling.mailbox import Overflow
from tests.support.wire import score, stamped


class Slow:
    """A sink that remembers what it got and what it missed, in order."""

    def __init__(self) -> None:
        self.seen: list[int | Gap] = []

    def accept(self, stamped: StampedEvent) -> None:
        self.seen.append(stamped.id)

    def miss(self, gap: Gap) -> None:
        self.seen.append(gap)


def fed(overflow: Overflow, ids: range, capacity: int = 3) -> tuple[QueuedSink, Slow]:
    slow = Slow()
    queue = QueuedSink(slow, capacity, overflow)
    for id in ids:
        queue.accept(stamped(score(), id))
    return queue, slow


def drain(queue: QueuedSink) -> None:
    while queue.deliver():
        pass


def test_the_oldest_give_way_and_the_gap_comes_before_what_is_left() -> None:
    queue, slow = fed(Overflow.DROP_OLDEST, range(1, 8))
    assert (len(queue), queue.dropped) == (3, 4)
    drain(queue)
    assert slow.seen == [Gap(4, 1, 4), 5, 6, 7]


def test_the_newest_are_refused_and_the_gap_comes_where_they_would_have_been() -> None:
    queue, slow = fed(Overflow.REFUSE, range(1, 6))
    assert queue.deliver()
    queue.accept(stamped(score(), 6))
    queue.accept(stamped(score(), 7))
    drain(queue)
    assert slow.seen == [1, 2, 3, Gap(2, 4, 5), 6, Gap(1, 7, 7)]
    assert queue.dropped == 3


def test_a_queue_of_one_remembers_how_many_it_let_go() -> None:
    queue, slow = fed(Overflow.DROP_OLDEST, range(1, 5), capacity=1)
    drain(queue)
    assert slow.seen == [Gap(3, 1, 3), 4]


def test_whoever_delivers_is_woken_and_an_empty_queue_says_so() -> None:
    woken: list[bool] = []
    queue = QueuedSink(Slow(), 2, wake=lambda: woken.append(True))
    assert not queue.deliver()
    queue.accept(stamped(score()))
    assert woken == [True]


def test_a_queue_holds_something() -> None:
    with pytest.raises(ValueError, match="at least one"):
        QueuedSink(Slow(), 0)
