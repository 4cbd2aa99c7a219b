"""`GET /api/v1/streams/{id}/history`: the last minutes of one stream, in columns."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from stream.clock import Clock
from stream.publish.history import Point, Pulse, StreamHistories
from stream.publish.hub import Hub
from stream.publish.schema import EventMessage, Number, Share, State
from web.problem_responses import documented_problems
from web.routes.streams import StreamId
from web.security.auth import Scope
from web.security.scopes import ScopeCheck

MAX_EVENTS = 512


class ScoreColumns(BaseModel):
    """Scores, oldest first; the n-th entries of all columns belong together."""

    t: tuple[float, ...] = Field(description="wall-clock seconds since 1970")
    epoch: tuple[int, ...]
    track: tuple[int, ...]
    detector: tuple[str, ...]
    p: tuple[Share, ...]
    lo: tuple[Share, ...]
    hi: tuple[Share, ...]
    state: tuple[State, ...]
    face_px: tuple[Number, ...]
    sharpness: tuple[Number, ...]


class PulseColumns(BaseModel):
    """Reports about the stream as a whole, oldest first, about once a second."""

    t: tuple[float, ...]
    epoch: tuple[int, ...]
    fps: tuple[Number, ...]
    loss: tuple[Share, ...]
    tracks: tuple[int, ...]


class HistoryView(BaseModel):
    """The last minutes of one stream."""

    stream: str
    now: float = Field(description="wall-clock seconds since 1970 at which this was made")
    scores: ScoreColumns
    pulses: PulseColumns
    events: tuple[EventMessage, ...] = Field(description="as on the WebSocket, oldest first")


def routes(hub: Hub, histories: StreamHistories, scopes: ScopeCheck, clock: Clock) -> APIRouter:
    """Return the route.

    Args:
        hub: remembers the newest events.
        histories: remember scores and reports.
        scopes: checks that the caller may read.
        clock: says what "the last" means.
    """
    router = APIRouter(prefix="/api/v1/streams", tags=["streams"])

    @router.get(
        "/{id}/history",
        dependencies=[Depends(scopes.require(Scope.READ))],
        responses=documented_problems(401, 404),
    )
    async def history(
        id: StreamId,
        seconds: Annotated[float, Query(gt=0, le=3600)] = 600.0,
        events: Annotated[int, Query(ge=0, le=MAX_EVENTS)] = MAX_EVENTS,
    ) -> HistoryView:
        """Return what was published about a stream lately: thinned scores, and every event."""
        past = histories.of(id)
        now, steady = clock.utc().timestamp(), histories.steady(clock.monotonic())
        ahead, since = now - steady, steady - seconds
        messages = tuple(EventMessage.model_validate_json(t) for t in hub.events(id, events))
        return HistoryView(
            stream=id,
            now=now,
            scores=_scores(past.points(since), ahead),
            pulses=_pulses(past.pulses(since), ahead),
            events=messages,
        )

    return router


def _scores(points: tuple[Point, ...], ahead: float) -> ScoreColumns:
    """Return columns; `ahead` is how far the wall clock is before steady seconds."""
    return ScoreColumns(
        t=tuple(round(point.t + ahead, 3) for point in points),
        epoch=tuple(point.epoch for point in points),
        track=tuple(point.track for point in points),
        detector=tuple(point.detector for point in points),
        p=tuple(point.p for point in points),
        lo=tuple(point.lo for point in points),
        hi=tuple(point.hi for point in points),
        state=tuple(point.state for point in points),
        face_px=tuple(point.face_px for point in points),
        sharpness=tuple(point.sharpness for point in points),
    )


def _pulses(pulses: tuple[Pulse, ...], ahead: float) -> PulseColumns:
    return PulseColumns(
        t=tuple(round(pulse.t + ahead, 3) for pulse in pulses),
        epoch=tuple(pulse.epoch for pulse in pulses),
        fps=tuple(pulse.fps for pulse in pulses),
        loss=tuple(pulse.loss for pulse in pulses),
        tracks=tuple(pulse.tracks for pulse in pulses),
    )
