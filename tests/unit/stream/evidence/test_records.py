"""Rows of evidence: written, found and given way, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

from stream.evidence import records
from stream.evidence.records import EvidenceRow
from stream.incident import Evidence, EvidenceState, Label
from stream.incidents import records as incident_records
from stream.store.database import Database
from tests.support.incidents import NIGHT, incident

LATER = NIGHT + timedelta(seconds=9.25)
KEPT = Evidence(EvidenceState.KEPT, NIGHT, LATER, 5_000_000_000, "cd" * 32)
PENDING = Evidence(EvidenceState.PENDING)


def row(name: str, evidence: Evidence = KEPT) -> EvidenceRow:
    return EvidenceRow(name, evidence, f"{name}/clip.mp4", {"packets": 12, "codec": "h264"})


def test_a_row_comes_back_as_it_was_and_is_replaced(database: Database) -> None:
    with database.writing() as connection:
        records.save(connection, EvidenceRow("a", PENDING))
        records.save(connection, row("a"))
    with database.reading() as connection:
        assert records.find(connection, "a") == row("a")
        assert records.find(connection, "b") is None


def test_the_oldest_that_nobody_found_true_gives_way_first(database: Database) -> None:
    with database.writing() as connection:
        for name, hours, label in (("a", 2, None), ("b", 1, Label.TRUE), ("c", 3, Label.FALSE)):
            opened = NIGHT + timedelta(hours=hours)
            incident_records.save(connection, incident(name, opened=opened, label=label))
            records.save(connection, row(name))
        records.save(connection, EvidenceRow("d", PENDING))
    with database.writing() as connection:
        found = records.shelved(connection)
        records.mark_pruned(connection, {"a"})
    assert [(each.row.incident, each.is_true) for each in found] == [
        ("a", False),
        ("c", False),
        ("b", True),
    ]
    assert found[0].opened == NIGHT + timedelta(hours=2)
    with database.reading() as connection:
        gone = records.find(connection, "a")
        assert gone is not None
        assert (gone.file, gone.evidence.state) == ("", EvidenceState.PRUNED)
        assert (gone.evidence.sha256, gone.evidence.bytes) == (KEPT.sha256, KEPT.bytes)
        assert [each.row.incident for each in records.shelved(connection)] == ["c", "b"]


def test_what_an_earlier_run_left_is_found(database: Database) -> None:
    with database.writing() as connection:
        for name, said, kept in (
            ("a", PENDING, KEPT),
            ("b", PENDING, None),
            ("c", KEPT, KEPT),
            ("d", Evidence(), None),
        ):
            incident_records.save(connection, incident(name, evidence=said))
            if kept is not None:
                records.save(connection, row(name, kept))
        records.save(connection, EvidenceRow("e", PENDING))
    with database.reading() as connection:
        assert [each.incident for each in records.left_over(connection)] == ["e"]
        told = {each.incident: each.evidence.state for each in records.untold(connection)}
        assert told == {"a": EvidenceState.KEPT, "b": EvidenceState.NONE}
        assert records.states(connection, ["a", "e", "x"]) == {"a": "kept", "e": "pending"}
