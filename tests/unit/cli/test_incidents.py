"""`styleflow incidents`: the list, one of them, and labels that the evaluation reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from cli.main import app
from stream.incident import Evidence, EvidenceState, Label, Mark
from stream.incidents import records
from stream.incidents.records import Note
from stream.store import audit
from stream.store.database import open_database
from stream.store.tables import evidence
from styleflow.data.datasets.catalogue import place_of
from styleflow.data.index import FAKE, REAL
from styleflow.data.partition import partition
from tests.support.incidents import NIGHT, incident

RUNNER = CliRunner()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four incidents in a store, two of them with a clip."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("STYLEFLOW__STORE__URL", url)
    database = open_database(url, tmp_path)
    kept = Evidence(EvidenceState.KEPT, NIGHT, NIGHT, 9, "ab" * 32)
    made = [
        incident("i-1", label=Label.TRUE, labelled=Mark("ann", NIGHT), evidence=kept, notes=1),
        incident("i-2", label=Label.FALSE, stream="yard", evidence=kept),
        incident("i-3", label=Label.UNCLEAR, evidence=kept),
        incident("i-4", label=Label.FALSE),
        incident("i-5"),
    ]
    with database.writing() as connection:
        for each in made:
            records.save(connection, each)
            state = each.evidence.state.value
            file = f"2026/{each.id}.mp4" if state == "kept" else ""
            row = {"incident": each.id, "state": state, "file": file, "sha256": ""}
            connection.execute(insert(evidence).values(row))
        records.add_note(connection, "i-1", Note(NIGHT, "ann", "a mask"))
        audit.append(connection, NIGHT, "ann", "incident.labelled", "incident/i-1", {})
    database.close()
    (tmp_path / "evidence" / "2026").mkdir(parents=True)
    for name in ("i-1", "i-2", "i-3"):
        (tmp_path / "evidence" / "2026" / f"{name}.mp4").write_bytes(b"clip")
    return tmp_path


def run(*words: str) -> Any:
    """Run a command of `incidents`, which must end well."""
    result = RUNNER.invoke(app, ["incidents", *words])
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.usefixtures("site")
def test_incidents_are_listed_and_filtered() -> None:
    assert [line.split()[0] for line in run("list").stdout.splitlines()] == [
        *("i-5", "i-4", "i-3", "i-2", "i-1")
    ]
    found = run("list", "--label", "false", "--stream", "yard", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in found] == ["i-2"]
    assert run("list", "--severity", "high").stdout.strip() == "no incidents"


@pytest.mark.usefixtures("site")
def test_one_incident_is_shown_with_what_was_said() -> None:
    shown = run("show", "i-1").stdout
    for said in ("Lobby", "at most 0.80", "true, by ann", "ann: a mask", "incident.labelled"):
        assert said in shown
    told = json.loads(run("show", "i-1", "--json").stdout)
    assert [note["text"] for note in told["notes"]] == ["a mask"]
    unknown = RUNNER.invoke(app, ["incidents", "show", "i-9"])
    assert unknown.exit_code == 1
    assert "i-9" in unknown.stderr


@pytest.mark.parametrize("where", ["labels.csv", "evidence/labels.csv"])
def test_labels_are_read_by_evaluation_and_training(site: Path, where: str) -> None:
    file = site / where
    said = run("export", str(file), "--evidence", str(site / "evidence")).stdout
    assert "1 real, 1 fake; left out: 1 unclear, 1 without a clip" in said
    index = place_of(str(file)).read()
    assert index.refusals == ()
    assert [(e.label, e.group) for e in index.entries] == [(FAKE, "lobby"), (REAL, "yard")]
    assert all(entry.path.read_bytes() == b"clip" for entry in index.entries)
    parts = partition(index)
    assert len(parts.training) + len(parts.validation) == 2


def test_labels_of_one_stream_make_one_split(site: Path) -> None:
    file = site / "labels.csv"
    run(
        *("export", str(file), "--evidence", str(site / "evidence")),
        "--split",
        "dev",
        "--stream",
        "yard",
    )
    index = place_of(str(file)).read()
    assert [entry.group for entry in index.of("dev")] == ["yard"]


def test_a_store_that_was_never_made_is_named_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLEFLOW__STORE__URL", f"sqlite:///{tmp_path / 'none.db'}")
    result = RUNNER.invoke(app, ["incidents", "list"])
    assert result.exit_code != 0
    assert "none.db" in result.stderr
    assert list(tmp_path.iterdir()) == []
