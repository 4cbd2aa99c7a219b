"""Past events for those who come back: bounded, and complete as far as the store knows."""

from __future__ import annotations

import json
from concurrent.futures import Future
from typing import Any

import pytest

from stream.store.access import DirectStore
from stream.store.database import Database
from tests.support import past
from tests.support.store import StoreRig
from tests.support.wire import added, track_started
from web.store_reads import StoreReads
from web.stored_past import PAGE, StoredPast


def stored_past(store: Any) -> StoredPast:
    """Return the past in a store."""
    return StoredPast(store, StoreReads(store))


@pytest.fixture
def filled(database: Database) -> Database:
    """A database in which the lobby has more events than one may catch up with, the lift few."""
    with database.writing() as connection:
        past.stream(connection)
        past.stream(connection, "lift", 2)
        past.verdicts(connection, range(10, 20_020, 2))
        past.verdicts(connection, range(11, 111, 2), "lift", 2)
    return database


async def test_what_can_be_caught_up_with_is_bounded_over_all_streams(filled: Database) -> None:
    found = stored_past(DirectStore(filled.engine))
    assert await found.reachable({"lobby": 120, "lift": 20}) == {"lobby", "lift"}
    assert await found.reachable({"lobby": 20, "lift": 109}) == {"lobby", "lift"}
    assert await found.reachable({"lobby": 20, "lift": 11}) == {"lobby"}
    assert await found.reachable({"lobby": 10, "lift": 11}) == {"lift"}


async def test_a_point_from_before_the_store_cannot_be_reached(filled: Database) -> None:
    assert await stored_past(DirectStore(filled.engine)).reachable({"lobby": 9}) == set()


async def test_pages_follow_one_another(filled: Database) -> None:
    found = stored_past(DirectStore(filled.engine))
    first = await found.after("lobby", 10)
    second = await found.after("lobby", first[-1][0])
    assert [seq for seq, _ in first] == list(range(12, 12 + 2 * PAGE, 2))
    assert second[0][0] == first[-1][0] + 2
    assert json.loads(first[0][1])["seq"] == 12
    assert await found.after("lobby", 20_018) == []


async def test_what_is_not_committed_yet_is_waited_for(database: Database) -> None:
    """An empty page is the last word, so the writer has its turn before."""
    rig = StoreRig(database)
    rig.publish(added("lobby"))
    rig.turn(3)
    *_, newest = rig.publish(track_started())

    class TurningStore(DirectStore):
        def submit(self, write: Any) -> Future[Any]:
            future = rig.writer.submit(write)
            rig.turn(1)
            return future

    found = stored_past(TurningStore(database.engine))
    assert [seq for seq, _ in await found.after("lobby", newest - 1)] == [newest]
