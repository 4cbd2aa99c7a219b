"""Opening a database: by its URL, for its owner alone, with errors that tell no password."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import QueuePool

from stream.store.database import (
    FILE,
    HEAD,
    REVISIONS,
    Database,
    connect,
    open_database,
    revision,
    shown_url,
)
from stream.store.errors import StoreTooNew, StoreUnavailable, StoreUrlInvalid
from stream.store.tables import streams
from tests.support.databases import EmptyDatabase, Postgres

ROOT = Path(__file__).resolve().parents[4]


def test_nothing_needs_to_be_set_up(tmp_path: Path) -> None:
    """No URL: a file in the user's data directory, which is made for its owner alone."""
    folder = tmp_path / "share" / "styleflow"
    database = open_database("", folder)
    assert database.file == folder / FILE
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000
    database.close()


def test_a_database_is_found_as_it_was_left(empty_database: EmptyDatabase) -> None:
    for _ in range(2):
        database = empty_database.open()
        with database.writing() as connection:
            assert revision(connection) == HEAD
            if not connection.execute(select(streams)).all():
                connection.execute(insert(streams).values(id="lobby", wanted=True, changed=0))
        database.close()
    with empty_database.open().reading() as connection:
        assert connection.execute(select(streams.c.id)).scalars().all() == ["lobby"]


def test_what_fails_half_way_is_not_written(database: Database) -> None:
    def fail() -> None:
        with database.writing() as connection:
            connection.execute(insert(streams).values(id="lobby", wanted=True, changed=0))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with database.reading() as connection:
        assert connection.execute(select(streams)).all() == []


def test_references_are_checked(database: Database) -> None:
    note = text(
        """INSERT INTO incident_notes (incident, at, "by", text) VALUES ('none', 0, 'a', 'b')"""
    )
    with pytest.raises(IntegrityError), database.writing() as connection:
        connection.execute(note)


def test_two_processes_open_an_empty_database_together(empty_database: EmptyDatabase) -> None:
    """Both find the tables made once, whoever was first."""
    program = (
        "import sys; from pathlib import Path; from stream.store.database import open_database\n"
        "open_database(sys.argv[1], Path(sys.argv[2])).close(); print('good')"
    )
    command = [sys.executable, "-c", program, empty_database.url, str(empty_database.folder)]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) for _ in range(3)
    ]
    assert [child.communicate(timeout=100)[0].strip() for child in children] == ["good"] * 3


def test_tables_of_a_newer_version_are_left_alone(database: Database, tmp_path: Path) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreTooNew, match="9999"):
        open_database(str(database.engine.url.render_as_string(hide_password=False)), tmp_path)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://user:hunter2@host/name", "neither sqlite"),
        ("oracle+nothing://user:hunter2@host/name", "neither sqlite"),
        ("not a url", "no URL"),
        ("postgresql://user:hunter2@host:port/name", "no URL"),
        ("sqlite://", "no file"),
        ("sqlite:///:memory:", "no file"),
    ],
)
def test_a_url_that_names_no_database(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUrlInvalid, match=said) as caught:
        connect(url, tmp_path)
    assert "hunter2" not in str(caught.value)


def test_a_server_that_is_away_is_told_without_the_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreUnavailable) as caught:
        open_database("postgresql://user:hunter2@127.0.0.1:1/name", tmp_path)
    assert "hunter2" not in str(caught.value)
    assert "user:***@127.0.0.1:1" in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=r"styleflow\.db: Not a directory"):
        open_database("", tmp_path / "file" / "styleflow")


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / FILE
    other.write_text("a letter to a friend, which is longer than a header " * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        open_database("", tmp_path)
    assert other.read_text().startswith("a letter to a friend")


def test_the_size_grows_with_what_is_in_it(database: Database) -> None:
    before = database.size()
    with database.writing() as connection:
        rows = [
            {"id": f"s{n}", "wanted": False, "source": "x" * 500, "changed": n} for n in range(2000)
        ]
        connection.execute(insert(streams), rows)
    assert database.size() > before + 500_000


def test_urls_are_shown_without_a_password() -> None:
    assert shown_url("") == ""
    assert shown_url("postgresql://u:hunter2@h/n") == "postgresql+psycopg://u:***@h/n"
    assert "hunter2" not in shown_url("nothing://u:hunter2@h/n")


def test_a_url_may_say_how_it_is_spoken_with(postgres: Postgres, tmp_path: Path) -> None:
    """What it does not say has defaults: nobody waits for ever for a server that is gone."""
    url = f"{postgres.migrated()}?application_name=other&connect_timeout=60"
    with open_database(url, tmp_path).reading() as connection:
        show = (text(f"SHOW {name}") for name in ("application_name", "lock_timeout"))
        assert [connection.execute(one).scalar() for one in show] == ["other", "30s"]


def test_a_reader_that_gets_no_connection_is_told_so(
    database: Database,
) -> None:
    pool = create_engine(
        database.engine.url, pool_size=1, max_overflow=0, pool_timeout=0.05, poolclass=QueuePool
    )
    narrow = replace(database, engine=pool)
    with narrow.reading(), pytest.raises(StoreUnavailable, match="all connections are in use"):
        with narrow.reading():
            pass
    pool.dispose()


def test_the_newest_revision_is_known() -> None:
    assert REVISIONS[-1] == HEAD


def test_a_folder_that_may_not_be_written() -> None:
    """Root may write everywhere, so it is somebody else for a moment."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        was = os.geteuid()
        if was == 0:
            os.seteuid(pwd.getpwnam("nobody").pw_uid)
        try:
            with pytest.raises(StoreUnavailable, match="Permission denied"):
                open_database("", folder)
        finally:
            os.seteuid(was)


def test_the_journal_of_sqlite_gives_its_room_back(tmp_path: Path) -> None:
    """On a full disk that may be what the next commit needs."""
    database = open_database("", tmp_path)
    with database.writing() as connection:
        connection.execute(insert(streams).values(id="lobby", wanted=True, changed=0))
    journal = tmp_path / f"{FILE}-wal"
    assert journal.stat().st_size > 0
    database.relieve()
    assert journal.stat().st_size == 0
    with database.reading() as connection:
        assert connection.execute(select(streams.c.id)).scalars().all() == ["lobby"]
    database.close()
