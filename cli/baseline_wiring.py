"""Wiring of baselines: where they are kept, and who looks after them while the analyzer runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from platformdirs import user_data_path

from stream.baseline.book import BaselineBook
from stream.baseline.making import Rated
from stream.baseline.service import Baselines
from stream.baseline.settings import BaselineSettings
from stream.baseline.shelf import BaselineShelf
from stream.clock import Clock
from stream.event_log.event_log import EventLog
from stream.store.access import StoreAccess

BASELINES = "baselines"
"""Name of the folder in the user's data directory."""


def baseline_folder(settings: BaselineSettings) -> Path:
    """Return where baselines are kept."""
    return (settings.folder or user_data_path("styleflow") / BASELINES).expanduser().resolve()


@asynccontextmanager
async def baselines_kept(
    book: BaselineBook,
    rated: Rated,
    events: EventLog,
    clock: Clock,
    settings: BaselineSettings,
    store: StoreAccess | None,
) -> AsyncIterator[Baselines]:
    """Have baselines looked after, from before the first stream to the last."""
    shelf = BaselineShelf(baseline_folder(settings))
    baselines = Baselines(book, shelf, rated, clock, settings, store)
    events.attach(baselines.recent)
    await baselines.look()
    task = asyncio.create_task(baselines.run(), name="baselines")
    try:
        yield baselines
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
