"""Migrations lead from every earlier schema to today's tables, on both databases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from stream.store.database import (
    HEAD,
    REVISIONS,
    Database,
    connect,
    open_database,
    prepare,
    revision,
)
from stream.store.migrate import scripts, upgrade
from stream.store.tables import metadata
from tests.support.databases import EmptyDatabase


def test_the_database_knows_every_revision() -> None:
    """Newest last: what `open_database` compares with is what Alembic would run."""
    found = [one.revision for one in scripts().walk_revisions()]
    assert tuple(reversed(found)) == REVISIONS
    assert scripts().get_current_head() == HEAD


def test_the_tables_are_those_of_the_code(database: Database) -> None:
    """Nothing is missing and nothing left over, types, keys, defaults and indexes included."""
    with database.reading() as connection:
        options = {"compare_type": True, "compare_server_default": database.file is None}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_sqlite_makes_the_very_same_tables(tmp_path: Path) -> None:
    """The comparison does not see SQLite's defaults, nor what it alone has: WITHOUT ROWID."""
    migrated = f"sqlite:///{tmp_path / 'migrated.db'}"
    open_database(migrated, tmp_path).close()

    def tables(url: str, *, make: bool) -> dict[str, str]:
        engine = create_engine(url)
        if make:
            metadata.create_all(engine)
        with engine.connect() as connection:
            rows = connection.exec_driver_sql(
                "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
            ).all()
        return {name: re.sub(r"\s+", "", sql) for name, sql in rows if "alembic" not in name}

    fresh = f"sqlite:///{tmp_path / 'fresh.db'}"
    assert tables(migrated, make=False) == tables(fresh, make=True)


@pytest.mark.parametrize("start", [None, *REVISIONS])
def test_every_earlier_schema_is_brought_up_to_date(
    empty_database: EmptyDatabase, start: str | None
) -> None:
    database = connect(empty_database.url, empty_database.folder)
    if start is not None:
        with database.writing() as connection:
            upgrade(connection, start)
    prepare(database)
    with database.reading() as connection:
        assert revision(connection) == HEAD
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


def test_a_migration_that_fails_leaves_everything_as_it_was(
    empty_database: EmptyDatabase,
) -> None:
    """Tables are made in one transaction, on SQLite, too."""
    database = connect(empty_database.url, empty_database.folder)

    def fail() -> None:
        with database.writing() as connection:
            upgrade(connection)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with database.reading() as connection:
        assert revision(connection) is None
    database.close()
