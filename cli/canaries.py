"""Canaries of a running analyzer: the settings in, what sends them and judges them out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from platformdirs import user_data_path

from stream.analyzer.analyzer import Analyzer
from stream.canaries.clips import clips
from stream.canaries.learned_file import FILE, LearnedFile
from stream.canaries.service import Canaries
from stream.canaries.settings import CanarySettings
from stream.clock import Clock
from stream.event_log.event_log import EventLog


@asynccontextmanager
async def canaries(
    settings: CanarySettings,
    events: EventLog,
    clock: Clock,
    analyzer: Analyzer,
    *,
    remember: bool = True,
    worker: str = "",
) -> AsyncIterator[Canaries | None]:
    """Have canaries sent for as long as this is not left; None when none are wanted.

    Args:
        settings: which, and how often.
        events: tells what comes of them.
        clock: where time comes from.
        analyzer: they are sent to.
        remember: keep what was learned beyond a restart.
        worker: whose they are, where several of a cluster share the user's data directory.

    Raises:
        OSError: a clip's file is not there.
    """
    if not settings.enabled:
        yield None
        return
    name = f"{worker}-{FILE}" if worker else FILE
    file = LearnedFile(user_data_path("styleflow") / name if remember else None)
    made = Canaries(settings, clips(settings), analyzer, clock, file)
    events.attach(made, canaries=True)
    analyzer.remark(made.health)
    task = asyncio.create_task(made.run(), name="canaries")
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
