"""The database behind the store: opened by its URL, checked, and brought to today's tables.

SQLite runs in WAL mode, so that readers and the writer do not wait for each other, and writes to
disk at checkpoints (`synchronous=NORMAL`): a process that is killed loses what was not committed, a
machine that loses power may lose the last commits, and neither loses the file. Transactions of
SQLite are begun by hand, because the driver's own leave the changes of tables out of them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, event, func, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    NotSupportedError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as NoConnection

from stream.event_log.ids import CLOCK_BLOCKS
from stream.store import figures
from stream.store.access import WRITING
from stream.store.errors import (
    StoreDriverMissing,
    StoreNotWritable,
    StoreTooNew,
    StoreUnavailable,
    StoreUrlInvalid,
)
from stream.store.tables import events

FILE = "styleflow.db"
"""Name of the SQLite file in the user's data directory."""

HEAD = "0004"
"""Newest revision of the tables."""

REVISIONS = ("0001", "0002", "0003", "0004")
"""Every revision that this version can bring up to date, oldest first."""

_BARE = "styleflow_bare"
"""Execution option of connections that begin no transaction."""

OF_A_ROW = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""Errors of what was asked of a database, which is itself well."""

BUSY_MS = 5000
CONNECT_S = 5
LOCK_S = 30.0

POOL_S = 10.0
"""How long somebody waits for a connection."""

JOURNAL_BYTES = 64 * 2**20
"""To what size SQLite cuts its journal after it has grown beyond."""

_PATIENCE = {
    "connect_timeout": str(CONNECT_S),
    "tcp_user_timeout": "15000",  # milliseconds without an answer: the server is gone
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "options": " ".join(
        f"-c {name}={value}"
        for name, value in {
            "lock_timeout": "30s",
            "tcp_user_timeout": "10s",  # the server gives us up, too, with all that we have locked
            "tcp_keepalives_idle": "4s",
            "tcp_keepalives_interval": "2s",
            "tcp_keepalives_count": "3",
        }.items()
    ),
}
"""What libpq and the server are told, unless the URL tells them otherwise."""

_IDLE = "SET LOCAL idle_in_transaction_session_timeout = '10s'"
"""What a writer tells the server: one that is held up in a transaction gives up its locks, which
the next owner of its streams waits for."""

_VERSION = "alembic_version"
_MIGRATING = 0x5374_796C  # any number that nobody else locks with
_POSTGRES = "postgresql+psycopg"


@dataclass(frozen=True, eq=False)
class Database:
    """An open database with today's tables.

    Attributes:
        engine: gives connections; all of them may be used by any one thread at a time.
        shown: its URL without a password.
        file: the SQLite file; None for other databases.
    """

    engine: Engine
    shown: str
    file: Path | None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Return a connection to read with.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        with self.telling(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Return a connection in a transaction, which is committed at the end.

        Raises:
            StoreUnavailable: the database cannot be written.
        """
        engine = self.engine.execution_options(**{WRITING: True})
        with self.telling(), engine.begin() as connection:
            if self.file is None:
                connection.exec_driver_sql(_IDLE)
            yield connection

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell errors of the database as `StoreUnavailable`, those of a row or statement apart."""
        try:
            yield
        except OF_A_ROW:
            raise
        except DBAPIError as error:
            raise StoreUnavailable(self.shown, reason_of(error)) from error
        except NoConnection:
            raise StoreUnavailable(self.shown, "all connections are in use") from None

    def size(self) -> int:
        """Return how many bytes hold something: free pages of a file do not count."""
        with self.reading() as connection:
            return figures.size(connection)

    def relieve(self) -> None:
        """Give back the room that SQLite's journal takes, as far as a full disk lets us.

        Raises:
            StoreUnavailable: not even that can be done.
        """
        if self.file is None:
            return
        bare = self.engine.execution_options(**{_BARE: True})
        with self.telling(), bare.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def open_database(url: str, folder: Path) -> Database:
    """Open a database and bring its tables up to date.

    Args:
        url: where it is; empty means the SQLite file in `folder`.
        folder: the user's data directory.

    Raises:
        StoreUrlInvalid: the URL names no database that is known.
        StoreDriverMissing: the package that speaks with it is not installed.
        StoreUnavailable: it cannot be reached, read or written; StoreNotWritable: nor will it be.
        StoreTooNew: a newer version has written it.
    """
    database = connect(url, folder)
    try:
        prepare(database)
    except BaseException:
        database.close()
        raise
    return database


def connect(url: str, folder: Path) -> Database:
    """Return a database that nobody has looked into yet; see `open_database` and `prepare`."""
    parsed = _parsed(url or f"sqlite:///{folder / FILE}")
    shown = parsed.render_as_string(hide_password=True)
    if parsed.drivername == "sqlite":
        patience = {"timeout": BUSY_MS / 1000}
        engine = create_engine(parsed, pool_timeout=POOL_S, connect_args=patience)
        _tune(engine)
        return Database(engine, shown, Path(str(parsed.database)))
    arguments = {**_PATIENCE, "application_name": "styleflow", **parsed.query}
    try:
        engine = create_engine(
            parsed, pool_pre_ping=True, pool_timeout=POOL_S, connect_args=arguments
        )
    except ImportError:
        raise StoreDriverMissing(shown) from None
    return Database(engine, shown, None)


def prepare(database: Database) -> None:
    """Bring a database's tables up to date; two processes may do so at the same time.

    Raises:
        StoreUnavailable: it cannot be reached, read or written.
        StoreTooNew: a newer version has written it.
    """
    if database.file is None:
        with database.writing() as connection:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATING})"))
            _migrate(connection, database.shown)
        return
    try:
        _make_folder(database.file.parent)
        with FileLock(f"{database.file}.lock", timeout=LOCK_S, mode=0o600):
            _make_file(database.file)
            bare = database.engine.execution_options(**{_BARE: True})
            with database.telling(), bare.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            with database.writing() as connection:
                _migrate(connection, database.shown)
    except Timeout:
        raise StoreUnavailable(database.shown, "another process keeps it locked") from None
    except OSError as error:
        why = f"{database.file}: {error.strerror or type(error).__name__}"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind = StoreUnavailable if full else StoreNotWritable
        raise kind(database.shown, why) from None


def newest_event(database: Database) -> int:
    """Return the greatest number of a stored event that was counted; 0 without one.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    counted = select(func.max(events.c.seq)).where(events.c.seq < CLOCK_BLOCKS)
    with database.reading() as connection:
        return int(connection.execute(counted).scalar_one() or 0)


def revision(connection: Connection) -> str | None:
    """Return the revision of a database's tables; None when it has none of ours."""
    if not inspect(connection).has_table(_VERSION):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {_VERSION}")).scalar_one_or_none()
    return None if found is None else str(found)


def check_url(url: str) -> None:
    """Raise StoreUrlInvalid when a URL names no database that is known; an empty one is fine."""
    if url:
        _parsed(url)


def shown_url(url: str) -> str:
    """Return a database's URL without a password; empty stays empty."""
    if not url:
        return ""
    try:
        return _parsed(url).render_as_string(hide_password=True)
    except StoreUrlInvalid as error:
        return error.shown


def reason_of(error: DBAPIError) -> str:
    """Return what a database says of an error: one line, without values of the statement."""
    lines = str(error.orig).strip().splitlines()
    return lines[0][:200] if lines else type(error.orig).__name__


def _parsed(url: str) -> URL:
    """Return a URL of one of the two databases, with the driver that is used."""
    try:
        parsed = make_url(url)
        name = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise StoreUrlInvalid(_hidden(url), "it is no URL of a database") from None
    shown = parsed.render_as_string(hide_password=True)
    if name in ("postgresql", "postgres"):
        return parsed.set(drivername=_POSTGRES)
    if name != "sqlite":
        raise StoreUrlInvalid(shown, "it begins with neither sqlite:/// nor postgresql://")
    if not parsed.database or parsed.database.startswith((":memory:", "file:")):
        raise StoreUrlInvalid(shown, "it names no file")
    return parsed.set(drivername="sqlite", query={})


def _hidden(url: str) -> str:
    """Return what may be shown of a URL that cannot be read: what follows its last @."""
    return url.rpartition("@")[2][:100]


def _make_folder(folder: Path) -> None:
    """Make the folder of a file, for its owner alone; one that is there stays as it is."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


def _make_file(file: Path) -> None:
    """Make the file readable for its owner alone, from its first moment on."""
    handle = os.open(file, os.O_CREAT | os.O_RDWR, stat.S_IRUSR | stat.S_IWUSR)
    os.close(handle)


def _tune(engine: Engine) -> None:
    """Have SQLite's connections wait for others, check references, and begin as they are told."""

    @event.listens_for(engine, "connect")
    def connected(driver: Any, _: object) -> None:  # Any: a connection of sqlite3
        driver.isolation_level = None
        driver.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        driver.execute("PRAGMA synchronous=NORMAL")
        driver.execute("PRAGMA foreign_keys=ON")
        driver.execute(f"PRAGMA journal_size_limit={JOURNAL_BYTES}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get(_BARE):
            how = "BEGIN IMMEDIATE" if options.get(WRITING) else "BEGIN"
            connection.exec_driver_sql(how)


def _migrate(connection: Connection, shown: str) -> None:
    found = revision(connection)
    if found == HEAD:
        return
    if found is not None and found not in REVISIONS:
        raise StoreTooNew(shown, found)
    from stream.store.migrate import upgrade  # here: it loads Alembic, seldom needed

    upgrade(connection)
