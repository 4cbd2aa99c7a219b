"""`/api/v1/streams`: list, add, change and remove streams while everything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from stream.analyzer.streams import (
    MAX_STREAM_ID,
    STREAM_ID,
    Labels,
    Priority,
    StreamEditor,
    StreamName,
    StreamSpec,
    StreamStatus,
    StreamTags,
)
from stream.clock import Clock
from stream.events import AbstainReason, ConnectionState, ReasonCode, SourceKind
from stream.ingest.source import Pace, SourceSettings, SourceUrl, Transport
from stream.outbound import Resolver
from stream.problems import connection_words
from stream.publish.encode import StreamInfo, link_data, model_data, score_data
from stream.publish.hub import Hub
from stream.publish.schema import LinkData, Model, Number, ScoreData, Share
from web.problem_responses import documented_problems
from web.root_path import public_path
from web.security.access_policy import check_camera, permitted_file
from web.security.auth import Scope
from web.security.scopes import ScopeCheck

StreamId = Annotated[str, Field(pattern=STREAM_ID, max_length=MAX_STREAM_ID)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SourceBody(_Request):
    """Source of a stream."""

    url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2048,
            description="rtsp://, rtsps://, whip:// (waits for a WebRTC peer), demo://authentic, "
            "demo://tampered, or a path below one of web.source_roots",
        ),
    ]
    transport: Transport = Transport.AUTO
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 2.5
    tls_verify: bool = True
    pace: Pace = Pace.NATIVE
    loop: bool = False


class SourceChange(_Request):
    """Changes to a source; what is left out stays."""

    url: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    transport: Transport | None = None
    timeout_s: Annotated[float, Field(gt=0, le=60)] | None = None
    tls_verify: bool | None = None
    pace: Pace | None = None
    loop: bool | None = None


class StreamBody(_Request):
    """A stream to add."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"id": "lobby", "source": {"url": "rtsp://user:password@camera/stream1"}}]
        },
    )

    id: StreamId
    source: SourceBody
    name: StreamName = ""
    priority: Priority = Priority.NORMAL
    tags: StreamTags = ()
    placement: Labels = Field(
        default_factory=dict, description="labels that its worker must have, all of them"
    )


class StreamChange(_Request):
    """Changes to a stream; what is left out stays."""

    source: SourceChange | None = None
    name: StreamName | None = None
    priority: Priority | None = None
    tags: StreamTags | None = None
    placement: Labels | None = None


class StreamView(BaseModel):
    """One stream. The source never shows credentials."""

    id: str
    name: str
    source: str
    demo: bool
    state: ConnectionState
    code: ReasonCode | None
    detail: str
    retry_in_s: Number
    priority: Priority
    summary: str
    tags: tuple[str, ...] = Field(description="what people sort it by, the most important first")
    placement: Mapping[str, str] = Field(
        default_factory=dict, description="labels that its worker must have"
    )


class StatusView(StreamView):
    """One stream and how it is doing."""

    epoch: int
    fps: Number
    loss: Share
    age_s: Number
    reconnects: int
    faces_waiting: int = Field(description="faces in view that are not looked at now")
    reasons: tuple[AbstainReason, ...]
    link: LinkData | None
    overload: str
    model: Model
    models: tuple[Model, ...] = Field(description="every model that scores it, `model` first")
    notice: str
    scores: tuple[ScoreData, ...]
    at: datetime
    worker: str = Field(
        default="",
        description="name of the worker that analyzes it; empty while nobody does, and where one "
        "process does everything",
    )


class StreamList(BaseModel):
    """Every stream, ordered by id."""

    streams: tuple[StreamView, ...]


def routes(
    control: StreamEditor,
    hub: Hub,
    scopes: ScopeCheck,
    clock: Clock,
    roots: tuple[Path, ...],
    resolve: Resolver,
    worker_of: Callable[[str], str],
) -> APIRouter:
    """Return the routes.

    Args:
        control: what they steer.
        hub: knows what must be said beside a stream's scores.
        scopes: checks what the caller may do.
        clock: where time comes from.
        roots: folders whose files may be added.
        resolve: finds addresses.
        worker_of: returns the name of a stream's worker, empty if there is none.
    """
    read = Depends(scopes.require(Scope.READ))
    steer = Depends(scopes.require(Scope.CONTROL))
    router = APIRouter(prefix="/api/v1/streams", tags=["streams"])

    async def source_of(body: SourceBody) -> SourceSettings:
        return SourceSettings(
            url=await permitted_source(body.url, roots, resolve),
            transport=body.transport,
            timeout_s=body.timeout_s,
            tls_verify=body.tls_verify,
            pace=body.pace,
            loop=body.loop,
        )

    @router.get("", dependencies=[read], responses=documented_problems(401))
    async def list_streams() -> StreamList:
        """List every stream."""
        return StreamList(streams=tuple(_view(status) for status in control.statuses()))

    @router.post(
        "",
        status_code=201,
        dependencies=[steer],
        responses=documented_problems(400, 401, 403, 409, 422, 429),
    )
    async def add_stream(request: Request, body: StreamBody, response: Response) -> StreamView:
        """Add a stream. Its source need not be reachable yet."""
        source = await source_of(body.source)
        spec = StreamSpec(body.id, source, body.name, body.priority, body.tags, body.placement)
        status = await control.add(spec)
        response.headers["Location"] = public_path(request, f"/api/v1/streams/{body.id}")
        return _view(status)

    @router.get("/{id}", dependencies=[read], responses=documented_problems(401, 404))
    async def get_stream(id: StreamId) -> StreamView:
        """Return one stream."""
        return _view(control.status(id))

    @router.patch(
        "/{id}", dependencies=[steer], responses=documented_problems(400, 401, 403, 404, 409, 422)
    )
    async def change_stream(id: StreamId, body: StreamChange) -> StreamView:
        """Change a stream. With another source or priority it connects anew, in a new epoch."""
        spec = control.spec(id)
        changes = body.source.model_dump(exclude_none=True) if body.source else {}
        if "url" in changes:
            changes["url"] = await permitted_source(changes["url"], roots, resolve)
        name = spec.name if body.name is None else body.name
        changed = replace(
            spec,
            name=name,
            source=replace(spec.source, **changes),
            priority=body.priority or spec.priority,
            tags=spec.tags if body.tags is None else body.tags,
            placement=spec.placement if body.placement is None else body.placement,
        )
        return _view(control.status(id) if changed == spec else await control.change(changed))

    @router.delete(
        "/{id}", status_code=204, dependencies=[steer], responses=documented_problems(401, 403, 404)
    )
    async def remove_stream(id: StreamId) -> None:
        """Remove a stream, in whatever state it is."""
        await control.remove(id)

    @router.get("/{id}/status", dependencies=[read], responses=documented_problems(401, 404))
    async def get_stream_status(id: StreamId) -> StatusView:
        """Return how a stream is doing, with its newest scores."""
        return _status(control.status(id), hub.info(id), clock, worker_of(id))

    return router


async def permitted_source(text: str, roots: tuple[Path, ...], resolve: Resolver) -> SourceUrl:
    """Return a source that the API may add.

    Raises:
        SourceUrlInvalid: it names nothing that can be opened.
        Refusal: it names something that requests may not reach.
    """
    url = SourceUrl.parse(text)
    if url.is_file:
        return SourceUrl.parse(str(permitted_file(url.redacted, roots, "web.source_roots")))
    if url.is_live:
        await check_camera(text.strip(), resolve)
    return url


def _view(status: StreamStatus) -> StreamView:
    return StreamView(
        id=status.id,
        name=status.name,
        source=status.source,
        demo=status.demo,
        state=status.state,
        code=status.code,
        detail=status.detail,
        retry_in_s=status.retry_in_s,
        priority=status.priority,
        summary=connection_words(
            status.state,
            status.code,
            call=SourceKind.of(status.source) is SourceKind.CALL,
            reached=status.age_s is not None,
        ),
        tags=status.tags,
        placement=status.placement,
    )


def _status(status: StreamStatus, info: StreamInfo, clock: Clock, worker: str) -> StatusView:
    return StatusView(
        **_view(status).model_dump(),
        epoch=status.epoch,
        fps=status.fps,
        loss=status.loss,
        age_s=status.age_s,
        reconnects=status.reconnects,
        faces_waiting=status.faces_waiting,
        reasons=status.reasons,
        link=link_data(status.link),
        overload=status.overload.word,
        model=model_data(status.models[0]),
        models=tuple(model_data(model) for model in status.models),
        notice=info.notice,
        scores=tuple(score_data(score, info, clock.monotonic()) for score in status.scores),
        at=clock.utc(),
        worker=worker,
    )
