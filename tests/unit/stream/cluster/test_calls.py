"""Calls that a gateway has passed on, and when it ends them."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

from stream.clock import ManualClock
from stream.cluster.calls import MAX_CALLS, Calls, portable
from stream.errors import CallUnknown
from stream.webrtc.calls import Publisher


def test_a_publisher_crosses_without_what_ends_it() -> None:
    caller = Publisher("ann", 3, valid_at=lambda _: False, manages=True)
    crossed = pickle.loads(pickle.dumps(portable(caller)))
    assert (crossed.credential, crossed.max_streams, crossed.manages) == ("ann", 3, True)
    assert crossed.valid_at(datetime(2026, 1, 1, tzinfo=UTC))


async def test_a_call_ends_once_with_its_credential() -> None:
    calls, ended = Calls(ManualClock()), []

    async def hang_up(stream: str, session: str, publisher: Publisher) -> None:
        ended.append((stream, session))
        raise CallUnknown

    good = [True]
    calls.began("a", "one", "worker-1", Publisher("ann", valid_at=lambda _: good[0]))
    calls.began("b", "two", "worker-2", Publisher("bob"))
    await calls.check(hang_up)
    assert ended == []
    good[0] = False
    await calls.check(hang_up)
    await calls.check(hang_up)
    assert ended == [("a", "one")]
    assert (calls.worker("a", "one"), calls.worker("b", "two")) == ("", "worker-2")
    assert calls.worker("a", "two") == ""


def test_so_many_calls_are_looked_after() -> None:
    calls = Calls(ManualClock())
    for number in range(MAX_CALLS + 2):
        calls.began("a", str(number), "worker-1", Publisher())
    assert len(calls) == MAX_CALLS
    assert calls.worker("a", "1") == ""
    assert calls.worker("a", "2") == "worker-1"
