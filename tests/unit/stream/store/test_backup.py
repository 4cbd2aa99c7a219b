"""Backup and restore: what was there is there again, on both databases."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select

from stream.store.backup import backup, restore
from stream.store.database import Database
from stream.store.errors import BackupFailed
from stream.store.tables import score_seconds, streams
from tests.support import past


@pytest.fixture
def filled(database: Database) -> Database:
    """A database with a stream and its seconds."""
    with database.writing() as connection:
        past.stream(connection)
        past.seconds(connection, [(s, 1, 0.5, 4) for s in range(500)])
    return database


def seconds(database: Database) -> int:
    """Return how many seconds there are."""
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(score_seconds)).scalar_one())


def test_a_backup_brings_back_what_was_there(filled: Database, tmp_path: Path) -> None:
    target = tmp_path / "backup.styleflow"
    backup(filled, target, os.environ)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with filled.writing() as connection:
        connection.execute(delete(score_seconds))
        past.stream(connection, "lift", 2)
    restore(filled, target, os.environ)
    assert seconds(filled) == 500
    with filled.reading() as connection:
        assert connection.execute(select(streams.c.id)).scalars().all() == ["lobby"]


def test_a_backup_overwrites_nothing(filled: Database, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    with pytest.raises(BackupFailed, match="already"):
        backup(filled, target, os.environ)
    assert target.read_text() == "mine"


def test_a_backup_that_cannot_be_written_leaves_nothing(filled: Database, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed):
        backup(filled, tmp_path / "no" / "folder", os.environ)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("kind", ["missing", "text", "other", "newer"])
def test_what_is_no_backup_is_refused_and_nothing_lost(
    filled: Database, tmp_path: Path, kind: str
) -> None:
    source = tmp_path / "source"
    if kind == "text":
        source.write_text("not a database " * 100)
    elif kind == "other":
        with closing(sqlite3.connect(source)) as made:
            made.execute("CREATE TABLE mine (x)")
    elif kind == "newer":
        with closing(sqlite3.connect(source)) as made:
            made.execute("CREATE TABLE alembic_version (version_num)")
            made.execute("CREATE TABLE score_seconds (x)")
            made.execute("INSERT INTO alembic_version VALUES ('9999')")
            made.commit()
    with pytest.raises(BackupFailed):
        restore(filled, source, os.environ)
    assert seconds(filled) == 500


def test_a_program_that_is_missing_is_named(filled: Database, tmp_path: Path) -> None:
    if filled.file is not None:
        backup(filled, tmp_path / "fine", {})
        return
    with pytest.raises(BackupFailed, match="pg_"):
        restore(filled, tmp_path / "missing", {"PATH": ""})
