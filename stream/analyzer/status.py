"""Status of a stream, for people: its settings and what its events amount to, in one value."""

from __future__ import annotations

from stream.analyzer.streams import StreamSpec, StreamStatus
from stream.events import ConnectionState, DegradationLevel
from stream.stream_state import StreamState
from styleflow.cards import ModelCard


def connection_of(state: StreamState) -> ConnectionState:
    """Return where a stream's connection stands; before its first event, it connects."""
    return state.change.state if state.change is not None else ConnectionState.CONNECTING


def status_of(
    spec: StreamSpec,
    state: StreamState,
    models: tuple[ModelCard, ...],
    overload: DegradationLevel,
) -> StreamStatus:
    """Return how a stream stands.

    Args:
        spec: as it was configured.
        state: what its events amount to.
        models: those that score it, the first one first.
        overload: how much work is left out where it is scored.
    """
    added, change, report = state.added, state.change, state.report
    waiting = added.detail if added is not None else ""
    return StreamStatus(
        id=spec.id,
        name=spec.label,
        source=spec.source.url.redacted,
        demo=added is not None and added.demo,
        state=connection_of(state),
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
        placement=spec.placement,
    )
