"""`/api/v1/streams/{id}/thresholds`: the thresholds of one stream, changed while it runs.

A change holds from the next frame on and forgets nothing. It lasts until the stream is removed or
the analyzer stops: what should hold for good belongs into the configuration.
"""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from stream.analyzer.streams import StreamEditor
from stream.engine.settings import EngineSettings
from web.problem_responses import documented_problems
from web.routes.streams import StreamId
from web.security.auth import Scope
from web.security.scopes import ScopeCheck


class Thresholds(BaseModel):
    """Thresholds at which scores become verdicts, and below which no verdict is given."""

    enter: float = Field(description="score from which a face may become suspect")
    leave: float = Field(description="score at or below which it may become clear")
    dwell_s: float = Field(description="media seconds a score must stay beyond its threshold")
    half_life_s: float = Field(description="media seconds after which a score weighs half")
    max_loss: float = Field(description="share of frames lost beyond which there is no verdict")
    min_face_px: float = Field(description="smallest face that yields a verdict, source pixels")
    min_sharpness: float = Field(description="least sharpness that yields a verdict")
    min_brightness: float = Field(description="least mean luma that yields a verdict, 0 to 255")
    max_yaw_deg: float = Field(description="largest head turn that yields a verdict, degrees")


class ThresholdsView(BaseModel):
    """Thresholds in force for one stream, and those of the configuration."""

    current: Thresholds
    configured: Thresholds


_Share = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[float, Field(gt=0, le=3600)]
_Amount = Annotated[float, Field(ge=0, le=100_000)]


class ThresholdsChange(BaseModel):
    """Thresholds to change; what is left out stays, null goes back to the configured value."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    enter: _Share | None = None
    leave: _Share | None = None
    dwell_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    half_life_s: _Positive | None = None
    max_loss: _Share | None = None
    min_face_px: _Amount | None = None
    min_sharpness: _Amount | None = None
    min_brightness: Annotated[float, Field(ge=0, le=255)] | None = None
    max_yaw_deg: Annotated[float, Field(ge=0, le=180)] | None = None


def routes(control: StreamEditor, scopes: ScopeCheck) -> APIRouter:
    """Return the routes.

    Args:
        control: what they steer.
        scopes: checks what the caller may do.
    """
    router = APIRouter(prefix="/api/v1/streams", tags=["streams"])

    @router.get(
        "/{id}/thresholds",
        dependencies=[Depends(scopes.require(Scope.READ))],
        responses=documented_problems(401, 404),
    )
    async def get_thresholds(id: StreamId) -> ThresholdsView:
        """Return the thresholds of a stream."""
        return await _view(control, id)

    @router.patch(
        "/{id}/thresholds",
        dependencies=[Depends(scopes.require(Scope.CONTROL))],
        responses=documented_problems(401, 403, 404, 422),
    )
    async def change_thresholds(id: StreamId, body: ThresholdsChange) -> ThresholdsView:
        """Judge a stream by other thresholds from its next frame on; nothing is forgotten."""
        current, configured = await control.thresholds(id), await control.thresholds()
        wanted: dict[str, Any] = {
            key: getattr(configured, key) if value is None else value
            for key, value in body.model_dump(exclude_unset=True).items()
        }
        changed = replace(current, **wanted)
        if changed != current:
            await control.retune(changed, id)
        return await _view(control, id)

    return router


async def _view(control: StreamEditor, stream: str) -> ThresholdsView:
    return ThresholdsView(
        current=_thresholds(await control.thresholds(stream)),
        configured=_thresholds(await control.thresholds()),
    )


def _thresholds(settings: EngineSettings) -> Thresholds:
    known = {field.name for field in fields(settings)} & Thresholds.model_fields.keys()
    return Thresholds.model_validate({k: v for k, v in asdict(settings).items() if k in known})
