"""Cards, beats and specs of workers and streams, for tests of placement."""

from __future__ import annotations

from collections.abc import Mapping

from stream.analyzer.streams import Health, Priority, StreamSpec
from stream.cluster.protocol import Beat, WorkerCard
from stream.ingest.source import SourceSettings, SourceUrl


def spec(
    id: str,
    placement: Mapping[str, str] | None = None,
    *,
    url: str = "demo://authentic",
    priority: Priority = Priority.NORMAL,
) -> StreamSpec:
    """Return a stream's settings."""
    source = SourceSettings(SourceUrl.parse(url))
    return StreamSpec(id, source, priority=priority, placement=placement or {})


def card(
    name: str,
    incarnation: str = "",
    labels: Mapping[str, str] | None = None,
    max_streams: int = 16,
) -> WorkerCard:
    """Return a worker's card; its incarnation is named after it unless given."""
    return WorkerCard(
        name=name,
        node="machine",
        pid=1,
        version="1.0",
        labels=labels or {},
        device="cpu",
        max_streams=max_streams,
        models=(),
        incarnation=incarnation or f"{name}-1",
    )


def beat(
    of: WorkerCard,
    owned: Mapping[str, int] | None = None,
    busy: float = 0.0,
    *,
    refuses: bool = False,
    live: bool = True,
) -> Beat:
    """Return what a worker says of itself."""
    details = {"device": "computes" if live else "hangs"}
    return Beat(of.incarnation, busy, 0, refuses, owned or {}, Health(live, live, details), 0)
