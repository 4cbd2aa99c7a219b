"""`GET /api/v1/streams/{id}/history`: the past of one stream, in columns.

Without a span it is what the analyzer has in memory of the last minutes; with one it is what the
store has, also of streams that are gone.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stream.clock import Clock
from stream.publish.history import Point, Pulse, StreamHistories
from stream.publish.hub import Hub
from stream.publish.schema import EventMessage, Number, Share, State
from stream.store import history as stored
from stream.store.access import to_us
from web import history_formats
from web.errors import RequestInvalid
from web.past_queries import moment
from web.problem_responses import documented_problems
from web.routes.streams import StreamId
from web.security.auth import Scope
from web.security.scopes import ScopeCheck
from web.store_reads import StoreReads

MAX_EVENTS = 512
USUAL_STEPS = 1000
"""About how many steps a span has when no resolution is named."""

_RESOLUTION = r"^(full|[1-9][0-9]{0,6})$"


class ScoreColumns(BaseModel):
    """Scores, oldest first; the n-th entries of all columns belong together."""

    t: tuple[float, ...] = Field(description="wall-clock seconds since 1970")
    epoch: tuple[int, ...]
    track: tuple[int, ...]
    detector: tuple[str, ...]
    p: tuple[Share, ...] = Field(description="with a resolution in seconds: the mean of a step")
    p_min: tuple[Share, ...] | None = Field(
        None, description="least of each step; null where nothing is stored"
    )
    p_max: tuple[Share, ...] | None = Field(None, description="greatest of each step, likewise")
    lo: tuple[Share, ...]
    hi: tuple[Share, ...]
    state: tuple[State, ...] = Field(description="of a step: the highest")
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
    """The past of one stream."""

    stream: str
    now: float = Field(description="wall-clock seconds since 1970 at which this was made")
    resolution: Literal["full"] | int | None = Field(
        None, description="seconds of a step, or full; null for thinned scores of the last minutes"
    )
    scores: ScoreColumns
    pulses: PulseColumns
    events: tuple[EventMessage, ...] = Field(description="as on the WebSocket, oldest first")


def routes(
    hub: Hub, histories: StreamHistories, reads: StoreReads, scopes: ScopeCheck, clock: Clock
) -> APIRouter:
    """Return the route.

    Args:
        hub: remembers the newest events.
        histories: remember scores and reports.
        reads: the store.
        scopes: checks that the caller may read.
        clock: says what "the last" means.
    """
    router = APIRouter(prefix="/api/v1/streams", tags=["streams"])

    @router.get(
        "/{id}/history",
        dependencies=[Depends(scopes.require(Scope.READ))],
        response_model=HistoryView,
        responses={
            200: {"content": {history_formats.CSV: {}, history_formats.PARQUET: {}}},
            **documented_problems(401, 404, 406, 422, 503),
        },
    )
    async def get_history(
        request: Request,
        id: StreamId,
        seconds: Annotated[float, Query(gt=0, le=3600)] = 600.0,
        events: Annotated[int, Query(ge=0, le=MAX_EVENTS)] = MAX_EVENTS,
        begin: Annotated[
            str | None,
            Query(alias="from", max_length=64, description="ISO 8601 or seconds since 1970"),
        ] = None,
        end: Annotated[
            str | None, Query(alias="to", max_length=64, description="likewise; now if left out")
        ] = None,
        resolution: Annotated[
            str | None,
            Query(
                pattern=_RESOLUTION,
                description="full, or seconds of a step; one that has about "
                f"{USUAL_STEPS} steps if left out",
            ),
        ] = None,
    ) -> HistoryView | Response:
        """Return the past of a stream.

        With `from`, what is stored: every score (`resolution=full`), or least, mean and greatest
        of steps of some seconds. Without, what was published lately: thinned scores, and every
        event.
        """
        if begin is None:
            if end is not None or resolution is not None:
                raise RequestInvalid("to and resolution need a from")
            return _recent(id, hub, histories, clock, seconds, events)
        media_type = history_formats.chosen(request.headers.get("accept"))
        write = history_formats.writer_of(media_type)
        now = clock.utc()
        span = _span(begin, end, to_us(now))
        step = _step(resolution, span)

        def query(connection: Connection) -> bytes:
            found = stored.read(connection, id, span, step, max_events=events)
            return write(found, now.timestamp())

        body = await reads.read(query)
        name = f"{id}.{history_formats.SUFFIXES[media_type]}"
        shown = "inline" if media_type == history_formats.JSON else "attachment"
        headers = {"Content-Disposition": f'{shown}; filename="{name}"', "Vary": "Accept"}
        return Response(body, media_type=media_type, headers=headers)

    return router


def _span(begin: str, end: str | None, now: int) -> stored.Span:
    span = stored.Span(moment(begin, "from"), now if end is None else moment(end, "to"))
    if span.begin >= span.end:
        raise RequestInvalid("from must lie before to")
    return span


def _step(resolution: str | None, span: stored.Span) -> int | None:
    if resolution is None:
        return stored.fitting(span, USUAL_STEPS)
    return None if resolution == "full" else int(resolution)


def _recent(
    stream: str, hub: Hub, histories: StreamHistories, clock: Clock, seconds: float, events: int
) -> HistoryView:
    past = histories.of(stream)
    now, steady = clock.utc().timestamp(), histories.steady(clock.monotonic())
    ahead, since = now - steady, steady - seconds
    messages = tuple(EventMessage.model_validate_json(t) for t in hub.events(stream, events))
    return HistoryView(
        stream=stream,
        now=now,
        scores=_scores(past.points(since), ahead),
        pulses=_pulses(past.pulses(since), ahead),
        events=messages,
    )


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
