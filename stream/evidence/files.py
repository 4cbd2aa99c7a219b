"""Files of evidence, for whoever only reads: the rows say what is kept, the folder has it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

from stream.errors import EvidenceMissing
from stream.evidence import records
from stream.evidence.records import EvidenceRow
from stream.evidence.shelf import Shelf
from stream.incident import EvidenceState
from stream.store.access import StoreAccess

Which = Literal["clip", "picture"]


class EvidenceFiles:
    """The files of incidents, as the store knows them.

    Args:
        store: has the rows.
        shelf: has the files.
    """

    def __init__(self, store: StoreAccess, shelf: Shelf) -> None:
        self._store = store
        self._shelf = shelf

    async def row(self, incident: str) -> EvidenceRow:
        """Return what is kept of an incident. Raises EvidenceMissing, StoreUnavailable."""
        row = await asyncio.to_thread(self._find, incident)
        if row is None:
            raise EvidenceMissing(incident, "nothing is known of it")
        return row

    async def file(self, incident: str, which: Which) -> Path:
        """Return the clip of an incident, or the picture of its peak.

        Raises:
            EvidenceMissing: there is none, or the folder is not the one that it is in.
            StoreUnavailable: nobody knows now.
        """
        return await self.path(await self.row(incident), which)

    async def path(self, row: EvidenceRow, which: Which) -> Path:
        """Return where a file of a row is. Raises EvidenceMissing."""
        if row.evidence.state is not EvidenceState.KEPT:
            raise EvidenceMissing(row.incident, f"its evidence is {row.evidence.state.value}")
        name = "" if which == "clip" else str(row.details["picture"]) or "picture.none"
        path = await asyncio.to_thread(self._shelf.path, row, name)
        if path is None:
            raise EvidenceMissing(row.incident, f"its {which} is not in the folder")
        return path

    def _find(self, incident: str) -> EvidenceRow | None:
        with self._store.reading() as connection:
            return records.find(connection, incident)
