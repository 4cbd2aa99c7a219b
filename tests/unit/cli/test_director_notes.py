"""Notes of a director in the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.director_notes import StoredNotes, notes_of
from stream.store.database import Database
from stream.store.errors import StoreError
from stream.store.owners import Ownership
from stream.store.settings import StoreSettings


def notes_in(database: Database) -> StoredNotes:
    """Return notes in a database."""
    return StoredNotes(StoreSettings(url=SecretStr(database.engine.url.render_as_string(False))))


async def test_who_is_drained_is_read_by_the_next_director(database: Database) -> None:
    await notes_in(database).keep({"worker-1": "", "worker-2": "upgrade"})
    assert await notes_in(database).drained() == {"worker-1": "", "worker-2": "upgrade"}
    await notes_in(database).keep({"worker-2": "upgrade"})
    assert await notes_in(database).drained() == {"worker-2": "upgrade"}
    notes_in(database).forget()
    assert await notes_in(database).drained() == {}


async def test_the_newest_generations_are_those_of_the_fence(database: Database) -> None:
    ownership = Ownership()
    ownership.owns("gate", 2000)
    ownership.owns("door", 1500)
    ownership.tell(database)
    assert await notes_in(database).newest() == {"gate": 2000, "door": 1500}


async def test_a_store_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = StoredNotes(StoreSettings(url=SecretStr(f"sqlite:///{tmp_path}/file/store.db")))
    with pytest.raises(StoreError):
        await broken.drained()


def test_without_a_store_there_are_no_notes() -> None:
    assert notes_of(StoreSettings(enabled=False)) is None
