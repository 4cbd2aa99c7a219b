"""Upgrade of a database's tables to the newest revision, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def scripts() -> ScriptDirectory:
    """Return the revisions."""
    folder = Path(__file__).with_name("migrations")
    return ScriptDirectory(str(folder), version_locations=[str(folder)])


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run every revision that a database has not had yet.

    Args:
        connection: in a transaction, which holds all of it.
        to: the last revision to run.
    """
    found = scripts()

    def steps(heads: Sequence[str], _: MigrationContext) -> Iterable[RevisionStep]:
        wanted = list(found.iterate_revisions(to, tuple(heads) or "base"))
        return [
            MigrationStep.upgrade_from_script(found.revision_map, one) for one in reversed(wanted)
        ]

    options: dict[str, Any] = {"connection": connection, "transactional_ddl": True}
    with EnvironmentContext(Config(), found, fn=steps) as environment:
        environment.configure(**options)
        environment.run_migrations()
