"""Wiring of evidence: video of incidents is kept behind the event log, for as long as it serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

import structlog

from cli.incidents import evidence_folder
from stream.analyzer.analyzer import Analyzer
from stream.clock import Clock
from stream.event_log.event_log import EventLog
from stream.evidence.explained import ExplainedMoments
from stream.evidence.recorder import EvidenceRecorder
from stream.evidence.settings import EvidenceSettings
from stream.evidence.shelf import Shelf
from stream.incidents.service import Incidents
from stream.ingest.source import Packet
from stream.store.access import StoreAccess

log = structlog.get_logger(__name__)


@asynccontextmanager
async def recording(
    settings: EvidenceSettings,
    events: EventLog,
    clock: Clock,
    store: StoreAccess | None,
    incidents: Incidents,
    analyzer: Analyzer,
    *,
    alone: bool = True,
) -> AsyncIterator[EvidenceRecorder | None]:
    """Have video of incidents kept, from the first stream to the last; None when none is."""
    if not settings.enabled or store is None:
        if settings.enabled:
            log.warning("no video of incidents is kept: there is no store")
        yield None
        return

    def packets(stream: str) -> Sequence[Packet]:
        return analyzer.packets(stream).snapshot()

    def kind(stream: str) -> str:
        url = analyzer.spec(stream).source.url
        if url.is_call:
            return "call"
        return "rtsp" if url.scheme in ("rtsp", "rtsps") else "file"

    shelf = Shelf(evidence_folder(settings))
    recorder = EvidenceRecorder(
        packets,
        kind,
        incidents.evidence_changed,
        store,
        shelf,
        clock,
        settings,
        analyzer.looked_at,
        lambda stream: asdict(analyzer.judged_by(stream)),
        alone=alone,
    )
    events.attach(recorder)
    task = asyncio.create_task(recorder.run(), name="evidence")
    try:
        yield recorder
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await recorder.close()


@asynccontextmanager
async def explaining(
    settings: EvidenceSettings,
    events: EventLog,
    clock: Clock,
    store: StoreAccess | None,
    analyzer: Analyzer,
) -> AsyncIterator[ExplainedMoments]:
    """Have a frame of every incident explained; to be entered before `recording`, and left after.

    Where no video is kept, the newest ones are in memory.
    """
    kept = settings.enabled and store is not None
    moments = ExplainedMoments(analyzer, clock, evidence_folder(settings) if kept else None)
    events.attach(moments)
    task = asyncio.create_task(moments.run(), name="explained moments")
    try:
        yield moments
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await moments.close()
