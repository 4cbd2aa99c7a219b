"""Backup and restore of the store, while it is in use: one consistent file.

SQLite copies pages through its own backup interface. PostgreSQL's programs `pg_dump` and
`pg_restore` do it for PostgreSQL. The key of stored credentials is not in a backup.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from stream.store.database import REVISIONS, Database, prepare
from stream.store.errors import BackupFailed


def backup(database: Database, target: Path, env: Mapping[str, str]) -> None:
    """Write the store to a file, which must not be there yet.

    Args:
        database: what is copied.
        target: the file; readable by its owner alone.
        env: environment of PostgreSQL's programs.

    Raises:
        BackupFailed: it cannot be written, or is there.
    """
    if target.exists():
        raise BackupFailed(f"{target} is there already")
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        if database.file is not None:
            _copy(database.file, part)
        else:
            _run(database, ["pg_dump", "--format=custom", "--file", str(part)], env)
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"{target}: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def restore(database: Database, source: Path, env: Mapping[str, str]) -> None:
    """Put a backup in place of what the store holds, and bring its tables up to date.

    Args:
        database: what is replaced; nobody else may write it meanwhile.
        source: a file that `backup` has written.
        env: environment of PostgreSQL's programs.

    Raises:
        BackupFailed: the file is no backup of such a store, or is of a newer version.
    """
    try:
        if database.file is not None:
            _check(source)
            _copy(source, database.file)
        else:
            options = ["--clean", "--if-exists", "--single-transaction", "--no-owner"]
            _run(database, ["pg_restore", *options, str(source)], env)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"{source}: {error}") from error
    prepare(database)


def _check(source: Path) -> None:
    """Raise unless a file is a whole SQLite store that this version can use."""
    if not source.is_file():
        raise BackupFailed(f"{source} is not there")
    with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as made:
        if made.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise BackupFailed(f"{source} is damaged")
        tables = {row[0] for row in made.execute("SELECT name FROM sqlite_master")}
        if not {"alembic_version", "score_seconds"} <= tables:
            raise BackupFailed(f"{source} is no backup of a store")
        (found,) = made.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
    if found not in REVISIONS:
        raise BackupFailed(f"{source} is of another version: {found!r}")


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new, pages=4096)


def _run(database: Database, command: Sequence[str], env: Mapping[str, str]) -> None:
    """Run one of PostgreSQL's programs; the password goes by its environment."""
    program = shutil.which(command[0], path=f"{env.get('PATH', '')}:/usr/lib/postgresql/15/bin")
    if program is None:
        raise BackupFailed(f"{command[0]} is not installed")
    url = database.engine.url
    where = ["--host", url.host or "", "--port", str(url.port or 5432)]
    where += ["--username", url.username or "", "--no-password", "--dbname", url.database or ""]
    secret = {"PGPASSWORD": str(url.password)} if url.password else {}
    done = subprocess.run(
        [program, *where, *command[1:]],
        env={**env, **secret},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise BackupFailed(f"{command[0]}: {lines[0] if lines else done.returncode}")
