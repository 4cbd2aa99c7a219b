"""Databases of tests: an SQLite file, or a database of a PostgreSQL that the tests start.

The server is the machine's own PostgreSQL 15 (`apt install postgresql-15`), started once for all
tests, as an unprivileged user, on a free port of the loopback interface.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from stream.store.database import Database, open_database
from tests.support.ports import free_port

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
KINDS = ("sqlite", "postgresql")
_USERS = ("postgres", "nobody")


def program(name: str) -> str:
    """Return one of PostgreSQL's programs, or skip the test."""
    found = shutil.which(name, path=f"{PROGRAMS}:{os.environ.get('PATH', '')}")
    if found is None:
        pytest.skip("there is no PostgreSQL here (apt install postgresql-15)")
    return found


class Postgres:
    """A PostgreSQL server with a data directory of its own; a context manager.

    Args:
        under: command that runs another one on its machine; empty on this one.
        address: where it listens; whoever is in its network, or on this machine, may come in.
    """

    def __init__(self, under: Sequence[str] = (), address: str = "127.0.0.1") -> None:
        self._server, self._initdb = program("postgres"), program("initdb")
        self._under, self._address = tuple(under), address
        self._user = _unprivileged()
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def __enter__(self) -> Postgres:
        self._folder = Path(tempfile.mkdtemp(prefix="styleflow-postgres-"))
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        made = [self._initdb, "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        subprocess.run(
            [*made, "--locale=C", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=self._folder,
            user=self._user,
            group=self._group,
            extra_groups=None if self._user is None else [],
        )
        with (self._folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {self._address}/24 trust\n")
        try:
            self.start()
            self._execute("CREATE DATABASE template_styleflow")
            open_database(self.url("template_styleflow"), self._folder).close()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        at = ["-h", self._address, "-p", str(self.port)]
        options = ["-D", "data", "-k", str(self._folder), *at]
        quick = ["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=50"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._under, *self._as_user, self._server, *options, *quick],
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        pause = threading.Event()
        for _ in range(600):
            if self._process.poll() is not None:
                break
            if self._answers():
                return
            pause.wait(0.05)
        raise RuntimeError((self._folder / "log").read_text(errors="replace")[-2000:])

    def stop(self) -> None:
        """Stop the server at once: connections are cut."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)
        self._process = None

    def url(self, name: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://postgres:hunter2@{self._address}:{self.port}/{name}"

    def empty(self) -> str:
        """Return the URL of a new database without tables."""
        return self._new("template0")

    def migrated(self) -> str:
        """Return the URL of a new database with today's tables."""
        return self._new("template_styleflow")

    def _new(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    @property
    def _as_user(self) -> tuple[str, ...]:
        """The command that runs another one as whom the server runs."""
        if self._user is None:
            return ()
        whom = f"--reuid={self._user}", f"--regid={self._group}"
        return ("setpriv", *whom, "--clear-groups")

    @property
    def _group(self) -> int | None:
        return None if self._user is None else pwd.getpwnam(self._user).pw_gid

    def _answers(self) -> bool:
        with socket.socket() as probe:
            if probe.connect_ex((self._address, self.port)) != 0:
                return False
        try:
            self._execute("SELECT 1")
        except Exception:  # it is starting up
            return False
        return True

    def _execute(self, statement: str) -> None:
        url = self.url().replace("postgresql:", "postgresql+psycopg:")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(statement))
        finally:
            engine.dispose()


def _unprivileged() -> str | None:
    """Return whom to run the server as; None for the present user. It refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    pytest.skip("PostgreSQL does not run as root, and there is no other user here")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL."""
    with Postgres() as server:
        yield server


@dataclass(frozen=True)
class EmptyDatabase:
    """A database without tables: where it is, and the folder for an empty URL."""

    url: str
    folder: Path

    def open(self) -> Database:
        """Open it, which makes the tables."""
        return open_database(self.url, self.folder)


@pytest.fixture(params=KINDS)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> EmptyDatabase:
    """A database of either kind without tables."""
    if request.param == "sqlite":
        return EmptyDatabase(f"sqlite:///{tmp_path / 'store.db'}", tmp_path)
    return EmptyDatabase(request.getfixturevalue("postgres").empty(), tmp_path)


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of either kind with today's tables, for one test alone."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'store.db'}"
    else:
        url = request.getfixturevalue("postgres").migrated()
    opened = open_database(url, tmp_path)
    yield opened
    opened.close()
