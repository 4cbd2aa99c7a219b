"""`styleflow store`: looked at, copied, brought back and deleted from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from typer.testing import CliRunner, Result

from cli.main import app
from stream.evidence import records as evidence_records
from stream.evidence.records import EvidenceRow
from stream.incident import Evidence, EvidenceState
from stream.incidents import records as incident_records
from stream.store import audit
from stream.store.database import HEAD, Database, open_database
from stream.store.tables import audit as audit_table
from stream.store.tables import score_seconds
from tests.support import past
from tests.support.incidents import incident


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The configured store, with five hundred seconds of a stream."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("STYLEFLOW__STORE__URL", url)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    opened = open_database(url, tmp_path)
    with opened.writing() as connection:
        past.stream(connection)
        past.seconds(connection, [(s, 1, 0.5, 4) for s in range(500)])
    return opened


def run(*arguments: str, code: int = 0) -> Result:
    """Run a command and check how it ends."""
    result = CliRunner().invoke(app, ["store", *arguments])
    assert result.exit_code == code, result.output
    return result


def seconds(database: Database) -> int:
    """Return how many seconds are stored."""
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(score_seconds)).scalar_one())


def test_info_says_what_there_is(database: Database) -> None:
    said = run("info").output
    assert "500" in said
    assert "2026-03-01" in said
    assert "0 entries, whole" in said


def test_info_finds_an_audit_log_that_was_tampered_with(database: Database) -> None:
    run("purge", "--stream", "lobby", "--yes")
    with database.writing() as connection:
        connection.execute(update(audit_table).values(by="somebody else"))
    assert "entry 1 was changed" in " ".join(run("info", code=1).output.split())


def test_a_backup_is_written_while_the_store_is_in_use_and_restored(
    database: Database, tmp_path: Path
) -> None:
    target = str(tmp_path / "backup.db")
    assert "key" in run("backup", target).output
    run("purge", "--stream", "lobby", "--yes")
    assert seconds(database) == 0
    run("restore", target, "--yes")
    assert seconds(database) == 500
    with database.reading() as connection:
        assert [entry.action for entry in audit.entries(connection)] == ["store.restored"]


def test_nothing_is_deleted_or_replaced_without_a_yes(database: Database, tmp_path: Path) -> None:
    run("backup", str(tmp_path / "backup.db"))
    run("purge", "--stream", "lobby", code=1)
    run("restore", str(tmp_path / "backup.db"), code=1)
    assert seconds(database) == 500


def test_purge_deletes_a_stretch_of_time(database: Database) -> None:
    run("purge", "--from", "2026-03-01T12:01:00", "--to", "2026-03-01T13:02:00+01:00", "--yes")
    assert seconds(database) == 500 - 61


def test_purge_leaves_no_picture_of_a_face_in_the_evidence_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    """Beside a clip lie a picture and what is known of its packets; the folder can be anywhere."""
    folder = tmp_path / "elsewhere"
    monkeypatch.setenv("STYLEFLOW__EVIDENCE__FOLDER", str(folder))
    kept = Evidence(EvidenceState.KEPT, bytes=4, sha256="ab" * 32)
    files = ("clip.mp4", "packets.json", "picture.jpg")
    for name in ("i-1", "i-2"):
        (folder / name).mkdir(parents=True)
        for file in files:
            (folder / name / file).write_bytes(b"face")
        with database.writing() as connection:
            incident_records.save(connection, incident(name))
            evidence_records.save(connection, EvidenceRow(name, kept, f"{name}/clip.mp4"))
    run("purge", "--incident", "i-1", "--yes")
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert left == {"i-2", *(f"i-2/{file}" for file in files)}


@pytest.mark.parametrize(
    "arguments",
    [(), ("--incident", "i", "--stream", "s"), ("--from", "yesterday")],
)
def test_a_purge_that_says_too_little_or_too_much_is_refused(
    database: Database, arguments: tuple[str, ...]
) -> None:
    run("purge", *arguments, "--yes", code=2)


def test_a_stream_that_is_not_there_is_named(database: Database) -> None:
    run("purge", "--stream", "hall", "--yes", code=1)


def test_migrate_says_from_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    assert "up to date" in run("migrate").output
    monkeypatch.setenv("STYLEFLOW__STORE__URL", f"sqlite:///{tmp_path / 'new.db'}")
    assert f"nothing to {HEAD}" in " ".join(run("migrate").output.split())
