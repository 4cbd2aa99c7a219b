"""Reads for requests: few at a time, some waiting, the rest refused."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from stream.store.access import DirectStore
from stream.store.errors import StoreOff
from web.errors import StoreBusy
from web.store_reads import ReadPlaces, StoreReads


@pytest.fixture
def store(tmp_path: Path) -> DirectStore:
    """An empty database."""
    return DirectStore(create_engine(f"sqlite:///{tmp_path / 'store.db'}"))


def one(connection: Connection) -> int:
    """Ask the database for a number."""
    return int(connection.execute(text("SELECT 1")).scalar_one())


async def when_there_is_room(reads: StoreReads) -> int:
    """Ask until nobody refuses."""
    while True:
        try:
            return await reads.read(one)
        except StoreBusy:
            await asyncio.sleep(0.001)


async def test_without_a_store_that_is_said() -> None:
    with pytest.raises(StoreOff):
        await StoreReads(None).read(one)


async def test_more_than_may_wait_are_refused_and_counted(store: DirectStore) -> None:
    reads, go = StoreReads(store, at_once=1, waiting=1), threading.Event()
    running = threading.Semaphore(0)

    def held(connection: Connection) -> int:
        running.release()
        go.wait(30)
        return one(connection)

    first = asyncio.ensure_future(reads.read(held))
    second = asyncio.ensure_future(reads.read(held))
    await asyncio.to_thread(running.acquire)
    with pytest.raises(StoreBusy):
        await reads.read(one)
    assert not running.acquire(blocking=False)  # the second has not begun
    go.set()
    assert await asyncio.gather(first, second) == [1, 1]
    await asyncio.sleep(0)
    assert (reads.taken, reads.refused) == (0, 1)


async def test_whoever_leaves_gives_the_place_back_once_the_thread_has_ended(
    store: DirectStore,
) -> None:
    reads, go = StoreReads(store, at_once=1, waiting=0), threading.Event()
    running = threading.Event()

    def held(connection: Connection) -> int:
        running.set()
        go.wait(30)
        return one(connection)

    asked = asyncio.ensure_future(reads.read(held))
    await asyncio.to_thread(running.wait)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    with pytest.raises(StoreBusy):
        await reads.read(one)
    go.set()
    assert await when_there_is_room(reads) == 1


async def test_an_error_of_a_read_is_its_askers(store: DirectStore) -> None:
    reads = StoreReads(store, at_once=1, waiting=0)

    def wrong(connection: Connection) -> int:
        raise LookupError

    with pytest.raises(LookupError):
        await reads.read(wrong)
    await asyncio.sleep(0)
    assert await reads.read(one) == 1


async def test_refused_reads_are_told_by_why_they_were_made(store: DirectStore) -> None:
    places, go = ReadPlaces(StoreReads(store, 1, 0), StoreReads(store, 1, 0)), threading.Event()
    running = asyncio.create_task(places.resuming.read(lambda connection: go.wait(10)))
    await asyncio.sleep(0)
    with pytest.raises(StoreBusy):
        await places.resuming.read(one)
    go.set()
    await running
    assert {(f.name, f.labels): f.value for f in places.figures()} == {
        ("store_reads_refused_total", ("request",)): 0,
        ("store_reads_refused_total", ("resume",)): 1,
    }
