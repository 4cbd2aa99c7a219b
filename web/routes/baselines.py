"""`/api/v1/streams/{id}/baseline`: which video of a stream was real, as an operator says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from stream.analyzer.streams import StreamEditor, StreamName
from stream.baseline.baseline import Baseline
from stream.baseline.errors import BaselineUnknown
from stream.baseline.making import Said
from stream.baseline.service import Stretch
from stream.clock import Clock
from stream.publish.schema import Number
from web.errors import RequestInvalid
from web.problem_responses import documented_problems
from web.routes.streams import StreamId
from web.security.auth import Caller, Scope
from web.security.scopes import ScopeCheck
from web.services import BaselineService, settled

LAST_MINUTES = 10.0
"""How much "the last minutes" are where nothing is said."""
MOST_MINUTES = 60.0


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StretchBody(_Request):
    """A stored stretch of video, such as an earlier call of the same person."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    stream: StreamId | None = Field(
        default=None, description="the stream then, also one that is gone; this one if left out"
    )
    begin: datetime = Field(alias="from", description="ISO 8601 or unix seconds")
    end: datetime = Field(alias="to", description="likewise, later")


class BaselineBody(_Request):
    """Video of a stream that was real: its last minutes, or a stored stretch."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"minutes": 10}]})

    minutes: Annotated[
        float,
        Field(gt=0, le=MOST_MINUTES, allow_inf_nan=False, description="the last minutes"),
    ] = LAST_MINUTES
    stretch: StretchBody | None = Field(
        default=None, description="a stored stretch instead; needs the store"
    )
    name: StreamName = Field(default="", description="what people call it; the stream's if empty")


class BaselineDetail(BaseModel):
    """Statistics of known-real video of one stream; no pictures, and nobody is recognised by it."""

    stream: str
    name: str
    minutes: Number = Field(description="minutes of evidence")
    made: datetime
    expires: datetime
    expired: bool
    source: str = Field(description="where the video came from, in words")
    by: str = Field(description="who says that it was real")
    detector: str
    faces: int = Field(description="tracks that it was made of")
    trials: int = Field(description="whole trials in it")
    effective: Number = Field(description="as many independent trials would tell as much")
    advice: str = Field(description="what is worth a second look; empty when nothing is")


class BaselineView(BaseModel):
    """The baseline of a stream, and what one could be made of now."""

    baseline: BaselineDetail | None
    recent_minutes: Number = Field(
        description="minutes of evidence in the last ten, that a baseline could be made of"
    )
    least_minutes: Number = Field(description="minutes of evidence that a baseline needs")
    decides: bool = Field(
        description="whether verdicts come of a budget; else baselines are kept and not used"
    )


class BaselineList(BaseModel):
    """Every baseline, ordered by stream."""

    baselines: tuple[BaselineDetail, ...]


def routes(
    control: StreamEditor, baselines: BaselineService, scopes: ScopeCheck, clock: Clock
) -> APIRouter:
    """Return the routes.

    Args:
        control: knows which streams there are.
        baselines: what they list and change.
        scopes: checks what the caller may do.
        clock: says when a baseline was made.
    """
    router = APIRouter(prefix="/api/v1", tags=["baselines"])
    read = Depends(scopes.require(Scope.READ))
    operator = Depends(scopes.require(Scope.CONTROL))

    @router.get("/baselines", dependencies=[read], responses=documented_problems(401))
    async def list_baselines() -> BaselineList:
        """List every baseline, also of streams that are not there now."""
        found = [
            await _detail(kept.baseline, baselines, expired=kept.expired)
            for kept in await settled(baselines.all())
        ]
        return BaselineList(baselines=tuple(found))

    @router.get(
        "/streams/{id}/baseline", dependencies=[read], responses=documented_problems(401, 404)
    )
    async def get_baseline(id: StreamId) -> BaselineView:
        """Return a stream's baseline, and whether its last minutes would do for one."""
        control.spec(id)  # there must be such a stream
        kept = await settled(baselines.get(id))
        return BaselineView(
            baseline=None
            if kept is None
            else await _detail(kept.baseline, baselines, expired=kept.expired),
            recent_minutes=round(await settled(baselines.recent_minutes(id, LAST_MINUTES)), 2),
            least_minutes=baselines.settings.least_minutes,
            decides=baselines.decides,
        )

    @router.post(
        "/streams/{id}/baseline",
        status_code=201,
        responses=documented_problems(401, 403, 404, 422, 429, 503),
    )
    async def add_baseline(
        id: StreamId, body: BaselineBody, caller: Caller = operator
    ) -> BaselineDetail:
        """Say that video of a stream was real; it takes the place of an earlier baseline."""
        name = body.name or control.spec(id).label
        if body.stretch is None:
            source = f"the last {body.minutes:g} min of the stream"
            said = Said(id, name, source, caller.name, clock.utc())
            made = await baselines.add_recent(said, body.minutes)
        else:
            stretch = _stretch(id, body.stretch)
            said = Said(id, name, stretch.words, caller.name, clock.utc())
            made = await baselines.add_stretch(said, stretch)
        return await _detail(made, baselines, expired=False)

    @router.delete(
        "/streams/{id}/baseline", status_code=204, responses=documented_problems(401, 403, 404)
    )
    async def remove_baseline(id: StreamId, caller: Caller = operator) -> None:
        """Forget a stream's baseline; a stream that is gone may have one, too."""
        if await settled(baselines.get(id)) is None:
            raise BaselineUnknown(id)
        await baselines.remove(id, caller.name)

    return router


def _stretch(stream: str, body: StretchBody) -> Stretch:
    begin, end = _utc(body.begin), _utc(body.end)
    if begin >= end:
        raise RequestInvalid("from must lie before to")
    return Stretch(body.stream or stream, begin, end)


def _utc(moment: datetime) -> datetime:
    """Return a moment with a zone; one without is taken for UTC."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _detail(
    baseline: Baseline, baselines: BaselineService, *, expired: bool
) -> BaselineDetail:
    found = baseline.statistics
    return BaselineDetail(
        stream=baseline.stream,
        name=baseline.name,
        minutes=round(baseline.minutes, 1),
        made=baseline.made,
        expires=baseline.expires,
        expired=expired,
        source=baseline.source,
        by=baseline.by,
        detector=baseline.detector,
        faces=found.faces,
        trials=found.trials,
        effective=round(found.effective, 1),
        advice=await settled(baselines.advice(baseline)),
    )
