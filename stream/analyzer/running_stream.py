"""A running stream: its settings, its ingest worker and what is known of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from stream.analyzer.ingest_worker import IngestWorker
from stream.analyzer.status import connection_of, status_of
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
        engine: thresholds of its own, if it has any.
        leaving: set when it is gone; None while nobody removes it.
    """

    spec: StreamSpec
    worker: IngestWorker
    state: StreamState
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
        return status_of(self.spec, self.state, models, overload)

    @property
    def _connection(self) -> ConnectionState:
        return connection_of(self.state)
