"""Incidents in the store: as they were, found again, in order; on SQLite and PostgreSQL."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta

import pytest

from stream.errors import CursorInvalid
from stream.incident import (
    Evidence,
    EvidenceState,
    IncidentStatus,
    Label,
    Mark,
    Severity,
    Snooze,
)
from stream.incidents import records
from stream.incidents.records import Cursor, Note, Wanted
from stream.store.database import Database
from tests.support.incidents import NIGHT, incident

FULL = incident(
    "20260301-023000-ff",
    severity=Severity.HIGH,
    tracks=(3, 9),
    suspect_s=12.25,
    acknowledged=Mark("ann", NIGHT),
    label=Label.TRUE,
    labelled=Mark("ann", NIGHT),
    notes=1,
    evidence=Evidence(EvidenceState.KEPT, NIGHT, NIGHT, 4096, "cd" * 32),
    notice="uncalibrated",
)


def test_an_incident_comes_back_as_it_was(database: Database) -> None:
    with database.writing() as connection:
        records.save(connection, replace(FULL, notes=0))
        records.save(connection, FULL)
    with database.reading() as connection:
        assert records.load(connection, FULL.id) == FULL
        assert records.load(connection, "nobody") is None


def test_incidents_are_listed_newest_first_and_page_by_page(database: Database) -> None:
    made = [incident(f"i-{n}", opened=NIGHT + timedelta(seconds=n // 2)) for n in range(7)]
    with database.writing() as connection:
        for each in made:
            records.save(connection, each)
    with database.reading() as connection:
        first = records.search(connection, Wanted(), 4)
        rest = records.search(connection, Wanted(), 4, Cursor.behind(first[-1]))
        others = records.search(connection, Wanted(), 9, without=("i-6", "i-0"))
    assert [each.id for each in (*first, *rest)] == [f"i-{n}" for n in (6, 5, 4, 3, 2, 1, 0)]
    assert [each.id for each in others] == ["i-5", "i-4", "i-3", "i-2", "i-1"]


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(stream="yard"),
        Wanted(status=IncidentStatus.OPEN),
        Wanted(severity=Severity.HIGH),
        Wanted(label=Label.TRUE),
        Wanted(acknowledged=True),
        Wanted(acknowledged=False),
        Wanted(since=NIGHT + timedelta(seconds=5)),
        Wanted(until=NIGHT + timedelta(seconds=5)),
        Wanted(stream="lobby", label=Label.TRUE, acknowledged=True),
    ],
)
def test_the_database_filters_as_memory_does(database: Database, wanted: Wanted) -> None:
    later = NIGHT + timedelta(seconds=10)
    made = [
        FULL,
        incident("a", stream="yard"),
        incident("b", status=IncidentStatus.OPEN, closed=None),
        incident("c", opened=later, last_at=later, closed=later),
    ]
    with database.writing() as connection:
        for each in made:
            records.save(connection, each)
    with database.reading() as connection:
        found = {each.id for each in records.search(connection, wanted, 100)}
    assert found == {each.id for each in made if wanted.matches(each)}


def test_comments_and_snoozes_are_kept_in_order(database: Database) -> None:
    notes = [Note(NIGHT, "ann", "a mask?"), Note(NIGHT, "bob", "no: = 'quoted' ☂")]
    snooze = Snooze("lobby", "cleaning", Mark("ann", NIGHT), NIGHT + timedelta(hours=1))
    with database.writing() as connection:
        records.save(connection, FULL)
        for note in notes:
            records.add_note(connection, FULL.id, note)
        records.save_snooze(connection, replace(snooze, reason="older"))
        records.save_snooze(connection, snooze)
    with database.reading() as connection:
        assert records.notes(connection, FULL.id) == tuple(notes)
        assert records.load_snoozes(connection) == (snooze,)


@pytest.mark.parametrize("text", ["", "!", "bm9wZQ==", "🙂", "a" * 999])
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        Cursor.parse(text)


@pytest.mark.parametrize("place", ["9" * 30 + ":i-1", "-1:i-1", "1:a\0b", "1:", "1:" + "i" * 65])
def test_a_place_that_no_database_can_hold_is_refused(place: str) -> None:
    with pytest.raises(CursorInvalid):
        Cursor.parse(base64.urlsafe_b64encode(place.encode()).decode())


def test_a_cursor_comes_back_as_it_was() -> None:
    assert Cursor.parse(Cursor(17, "i-1").text) == Cursor(17, "i-1")
