"""Contents of a bundle: everything is paged through, what a limit leaves out is said."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from stream.evidence import contents, report
from stream.evidence.bundle import manifest
from stream.incidents import records
from stream.store import audit
from stream.store.access import to_us
from stream.store.database import Database
from stream.store.tables import events, scores
from tests.support import past
from tests.support.bundles import INCIDENT, MADE
from tests.support.incidents import NIGHT, incident

ROWS = 11


@pytest.fixture
def busy(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A store with eleven scores, events and entries of one incident, read four at a time."""
    monkeypatch.setattr(contents, "PAGE", 4)
    begin = to_us(NIGHT)
    with database.writing() as connection:
        opened = incident(INCIDENT, opened=NIGHT, last_at=NIGHT + timedelta(seconds=20))
        records.save(connection, opened)
        past.stream(connection)
        score = {"stream": 1, "epoch": 2, "track": 1, "model": 7, "state": 2, "p": 0.5}
        # Scores of the same moment stand on both sides of a page's end.
        connection.execute(
            insert(scores),
            [score | {"at": begin + n // 3 * 250_000, "seq": n} for n in range(ROWS)],
        )
        event = {"stream": 1, "epoch": 2, "kind": "x"}
        connection.execute(
            insert(events),
            [
                event | {"seq": n, "at": begin + n, "message": json.dumps({"n": n})}
                for n in range(ROWS)
            ],
        )
        for n in range(ROWS):
            audit.append(connection, NIGHT, "ann", f"a.{n}", f"incident/{INCIDENT}")
    return database


def told(database: Database, folder: Path) -> contents.Told:
    with database.reading() as connection:
        return contents.read(connection, INCIDENT, folder)


def test_everything_is_there_in_its_order(busy: Database, tmp_path: Path) -> None:
    found = told(busy, tmp_path)
    assert [row["seq"] for row in found.scores] == list(range(ROWS))
    assert [json.loads(each)["n"] for each in found.events] == list(range(ROWS))
    assert [entry.action for entry in found.entries] == [f"a.{n}" for n in range(ROWS)]
    assert {name: said["rows"] for name, said in found.left_out.items()} == {
        "scores": 0,
        "events": 0,
        "audit": 0,
    }
    made = contents.contents(found, {}, {"styleflow-live": "1"})
    assert json.loads(manifest(made, MADE, "1"))["left_out"]["events"]["rows"] == 0


def test_what_a_limit_leaves_out_is_said_in_manifest_and_report(
    busy: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit in (("MAX_SCORES", 9), ("MAX_EVENTS", 8), ("MAX_AUDIT", 6)):
        monkeypatch.setattr(contents, name, limit)
    found = told(busy, tmp_path)
    assert [len(part) for part in (found.scores, found.events, found.entries)] == [9, 8, 6]
    assert [entry.action for entry in found.entries][-1] == f"a.{ROWS - 1}"
    made = contents.contents(found, {}, {"styleflow-live": "1"})
    said = json.loads(manifest(made, MADE, "1"))["left_out"]
    assert said == {
        "scores": {"limit": 9, "rows": 2},
        "events": {"limit": 8, "rows": 3},
        "audit": {"limit": 6, "rows": 5},
    }
    page = report.render(contents.facts(found, 0.7, "1", "", MADE))
    assert "5 entries of the audit log beyond the limit of 6" in page
    assert "3 events beyond the limit of 8" in page


def test_whole_cards_are_taken_of_the_models_of_the_incident(
    busy: Database, tmp_path: Path
) -> None:
    found = told(busy, tmp_path)
    cards = [{"sha256": "ab", "text": "figures"}, {"sha256": "99", "text": "another"}]
    made = contents.contents(found, {}, {"styleflow-live": "1"}, cards)
    said = json.loads(next(part.data for part in made.parts if part.name == "model.json"))
    assert said["cards"] == [cards[0]]
    own = found.incident.model.sha256
    assert said["without_card"] == ([] if own in ("", "ab") else [own])
