"""A running stream: its settings, its ingest worker and what is known of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from stream.analyzer.ingest_worker import IngestWorker
from stream.analyzer.streams import StreamSpec, StreamStatus
from stream.engine.settings import EngineSettings
from stream.events import ConnectionState, DegradationLevel
from stream.stream_state import StreamState
from styleflow.cards import ModelCard


@dataclass(slots=True, eq=False)
class RunningStream:
    """One stream's parts; only the event loop touches it.

    Attributes:
        spec: as it was configured.
        worker: reads its source.
        state: what its events amount to.
        before: the number that its epochs follow.
        engine: thresholds of its own, if it has any.
        leaving: set when it is gone; None while nobody removes it.
    """

    spec: StreamSpec
    worker: IngestWorker
    state: StreamState
    before: int = 0
    engine: EngineSettings | None = None
    leaving: asyncio.Event | None = None

    @property
    def is_live(self) -> bool:
        """Whether pictures come in."""
        return self._connection is ConnectionState.LIVE

    @property
    def hangs_since(self) -> float | None:
        """Monotonic seconds since when its ingest may hang in the network; None if it does not.

        A peer that calls may be silent for as long as it likes.
        """
        if self._connection is not ConnectionState.STALLED or self.spec.source.url.is_call:
            return None
        return max(self.state.changed_at, self.worker.started_at)

    def status(self, models: tuple[ModelCard, ...], overload: DegradationLevel) -> StreamStatus:
        """Return how the stream stands, for people."""
        spec, state = self.spec, self.state
        added, change, report = state.added, state.change, state.report
        waiting = added.detail if added is not None else ""
        return StreamStatus(
            id=spec.id,
            name=spec.label,
            source=spec.source.url.redacted,
            demo=added is not None and added.demo,
            state=self._connection,
            code=change.code if change is not None else None,
            detail=change.detail if change is not None else waiting,
            retry_in_s=change.retry_in_s if change is not None else None,
            epoch=state.epoch,
            fps=report.fps,
            loss=report.loss,
            age_s=report.age_s,
            reconnects=state.reconnects,
            reasons=report.reasons,
            models=models,
            scores=tuple(state.scores.values()),
            link=report.link,
            priority=spec.priority,
            overload=overload,
            faces_waiting=report.faces_waiting,
            tags=spec.tags,
        )

    @property
    def _connection(self) -> ConnectionState:
        change = self.state.change
        return change.state if change is not None else ConnectionState.CONNECTING
