"""The outbox: bounded, in order, and the event loop is woken once for many events."""

from __future__ import annotations

import asyncio

from stream.analyzer.outbox import Outbox
from stream.clock import ManualClock
from stream.events import Event
from tests.support.wire import track_started


def test_events_come_out_in_order_and_the_oldest_give_way() -> None:
    clock, taken, waited = ManualClock(), [], []
    outbox = Outbox(3, clock, taken.append, waited.append)
    outbox.put(track_started(track=n) for n in range(5))
    clock.advance(0.5)
    outbox.drain()
    assert taken == [track_started(track=n) for n in (2, 3, 4)]
    assert waited == [0.5] * 3
    assert outbox.dropped == 2


async def test_the_event_loop_is_woken() -> None:
    taken: list[Event] = []
    outbox = Outbox(8, ManualClock(), taken.append, lambda seconds: None)
    outbox.open(asyncio.get_running_loop())
    outbox.put([track_started(), track_started()])
    assert taken == []
    await asyncio.sleep(0)
    assert len(taken) == 2


def test_a_loop_that_has_closed_is_nobody_s_problem() -> None:
    loop = asyncio.new_event_loop()
    outbox = Outbox(8, ManualClock(), lambda event: None, lambda seconds: None)
    outbox.open(loop)
    loop.close()
    outbox.put([track_started()])
    outbox.drain()
