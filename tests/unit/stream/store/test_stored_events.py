"""Stored events: pages that miss nothing and repeat nothing, on both databases."""

from __future__ import annotations

import json

import pytest

from stream.store.database import Database
from stream.store.stored_events import EventFilter, after, count_after, find
from tests.support import past
from tests.support.past import BEGAN


@pytest.fixture
def filled(database: Database) -> Database:
    """A database with even numbers of the lobby and odd ones of the lift."""
    with database.writing() as connection:
        past.stream(connection)
        past.stream(connection, "lift", 2)
        past.verdicts(connection, range(2, 22, 2))
        past.verdicts(connection, range(3, 23, 2), "lift", 2)
    return database


def pages(database: Database, wanted: EventFilter, limit: int) -> list[list[int]]:
    """Return the numbers of every page."""
    found, below = [], None
    with database.reading() as connection:
        while True:
            page = find(connection, wanted, below, limit)
            found.append([json.loads(message)["seq"] for message in page.messages])
            below = page.next
            if below is None:
                return found


def test_pages_hold_everything_once_newest_first(filled: Database) -> None:
    found = pages(filled, EventFilter(), 7)
    assert [len(page) for page in found] == [7, 7, 6]
    assert [seq for page in found for seq in page] == list(range(21, 1, -1))


def test_a_page_that_is_just_full_is_the_last(filled: Database) -> None:
    assert [len(page) for page in pages(filled, EventFilter("lobby"), 10)] == [10]


def test_events_are_found_by_stream_kind_and_time(filled: Database) -> None:
    us = 1_000_000
    within = EventFilter("lobby", "verdict_changed", (BEGAN + 2) * us, (BEGAN + 4) * us)
    assert pages(filled, within, 5) == [[8, 6]]
    assert pages(filled, EventFilter(kind="track_ended"), 5) == [[]]
    assert pages(filled, EventFilter(stream="hall"), 5) == [[]]


def test_what_comes_after_a_number_is_counted_and_read_in_order(filled: Database) -> None:
    with filled.reading() as connection:
        assert count_after(connection, "lobby", 11, 100) == 5
        assert count_after(connection, "lobby", 11, 3) == 3
        assert [seq for seq, _ in after(connection, "lobby", 11, 3)] == [12, 14, 16]
        assert [seq for seq, _ in after(connection, "lobby", 16, 3)] == [18, 20]


def test_nothing_is_promised_of_numbers_from_before_the_oldest_event(filled: Database) -> None:
    with filled.reading() as connection:
        assert count_after(connection, "lobby", 1, 100) is None
        assert count_after(connection, "lobby", 2, 100) == 9


def test_an_empty_store_promises_nothing(database: Database) -> None:
    with database.reading() as connection:
        assert count_after(connection, "lobby", 5, 100) is None
