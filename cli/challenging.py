"""Wiring of challenges: people in streams may be asked for something for as long as it serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stream.analyzer.analyzer import Analyzer
from stream.challenge.service import Challenges
from stream.challenge.settings import ChallengeSettings
from stream.clock import Clock
from stream.event_log.event_log import EventLog
from stream.store.access import StoreAccess


@asynccontextmanager
async def challenging(
    settings: ChallengeSettings,
    events: EventLog,
    clock: Clock,
    store: StoreAccess | None,
    analyzer: Analyzer,
) -> AsyncIterator[Challenges | None]:
    """Look after challenges, from the first stream to the last; None when none are allowed."""
    if not settings.enabled:
        yield None
        return
    challenges = Challenges(events, clock, analyzer.watch, analyzer, settings, store)
    challenges.attach()
    task = asyncio.create_task(challenges.run(), name="challenges")
    try:
        yield challenges
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
