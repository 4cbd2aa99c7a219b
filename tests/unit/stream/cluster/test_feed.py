"""The feed: every reader at its pace, and anew where it fell behind."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from stream.cluster.feed import Feed
from stream.event_log.event_log import StampedEvent
from stream.events import Event, StreamAdded, StreamRemoved, StreamReport

AT = datetime(2026, 11, 30, tzinfo=UTC)


class Rig:
    """A feed with room for four events of streams that have generation 7."""

    def __init__(self) -> None:
        self.feed = Feed("me", 4, lambda stream: 7 if stream == "a" else 0)
        self.number = 0

    def tell(self, *events: Event) -> None:
        """Tell events."""
        for event in events:
            self.number += 1
            self.feed.accept(StampedEvent(self.number, float(self.number), AT, event))

    async def ids(self, position: int) -> list[int]:
        """Return the numbers that a reader gets."""
        return [told.stamped.id for told in (await self.feed.read(position, "me", 0.0)).told]


def report(stream: str = "a") -> StreamReport:
    return StreamReport(stream, 0, None, None, 0, (), None)


ADDED = StreamAdded("a", 0, "Lobby", ())


async def test_readers_go_on_where_they_were() -> None:
    rig = Rig()
    rig.tell(ADDED, report())
    first = await rig.feed.read(0, "me", 0.0)
    assert [(t.generation, t.stamped.id) for t in first.told] == [(7, 1), (7, 2)]
    assert (first.position, first.fresh, first.lost) == (2, False, 0)
    rig.tell(report())
    assert await rig.ids(first.position) == [3]
    assert await rig.ids(0) == [1, 2, 3]


async def test_a_reader_without_a_position_is_told_a_recap() -> None:
    rig = Rig()
    rig.tell(ADDED, report(), report())
    batch = await rig.feed.read(None, "", 0.0)
    assert (batch.fresh, batch.position, batch.lost) == (True, 3, 0)
    assert [told.stamped.event for told in batch.told] == [ADDED, report()]
    assert {told.stamped.id for told in batch.told} == {3}


async def test_a_reader_that_fell_behind_begins_anew_and_knows_what_it_lost() -> None:
    rig = Rig()
    rig.tell(ADDED, *[report()] * 6)
    batch = await rig.feed.read(1, "me", 0.0)
    assert (batch.fresh, batch.lost, batch.position) == (True, 2, 7)
    assert rig.feed.lost == 2
    assert await rig.ids(3) == [4, 5, 6, 7]


async def test_positions_of_another_process_mean_nothing() -> None:
    rig = Rig()
    rig.tell(ADDED)
    assert (await rig.feed.read(1, "somebody else", 0.0)).fresh
    assert (await rig.feed.read(99, "me", 0.0)).fresh


async def test_every_reader_that_waits_is_woken_by_one_event() -> None:
    rig = Rig()
    waiting = [asyncio.create_task(rig.feed.read(0, "me", 60.0)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    rig.tell(ADDED)
    for batch in await asyncio.gather(*waiting):
        assert [told.stamped.event for told in batch.told] == [ADDED]


async def test_waiting_ends_with_nothing() -> None:
    batch = await Rig().feed.read(0, "me", 0.0)
    assert (batch.told, batch.position, batch.fresh) == ((), 0, False)


async def test_an_owner_s_removal_is_told_and_a_move_is_not() -> None:
    rig = Rig()
    rig.tell(ADDED, StreamRemoved("a", 0, moved=True))
    assert await rig.ids(0) == [1]
    assert (await rig.feed.read(None, "", 0.0)).told == ()
    rig.tell(ADDED, StreamRemoved("a", 0))
    assert await rig.ids(1) == [3, 4]


async def test_events_of_streams_that_are_not_owned_have_no_generation() -> None:
    rig = Rig()
    rig.tell(report("b"))
    (told,) = (await rig.feed.read(0, "me", 0.0)).told
    assert told.generation == 0
