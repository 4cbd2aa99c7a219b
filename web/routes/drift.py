"""`/api/v1/streams/{id}/drift`: how a stream's picture has changed against its last seven days."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from stream.analyzer.streams import StreamControl
from stream.drift.comparison import FigureChange
from stream.drift.sketch import Figure
from stream.drift.watch import DriftState
from stream.drift.words import STALE, sentence
from web.problem_responses import documented_problems
from web.routes.streams import StreamId
from web.security.auth import Scope
from web.security.scopes import ScopeCheck
from web.services import DriftService, settled


class DriftFigure(BaseModel):
    """One figure of the last 24 hours against the days before."""

    figure: Figure
    distance: float = Field(description="share of ratings that have moved, 0 to 1")
    limit: float = Field(description="distance from which it counts as changed")
    now: float = Field(
        description="median of the last 24 hours; of reasons, the share of the one that changed"
        " most"
    )
    before: float = Field(description="the same of the days before")
    reason: str = Field(description="which reason that is; empty for other figures")
    changed: bool
    text: str = Field(description="what has changed, in words; empty while nothing has")


class DriftView(BaseModel):
    """How a stream's picture has changed; a notice, and no alarm."""

    compared_at: datetime | None = Field(description="null before the first comparison")
    missing: str = Field(description="why nothing was compared; empty when something was")
    ratings: int = Field(description="of the last 24 hours")
    days: int = Field(description="days before that have enough ratings")
    figures: tuple[DriftFigure, ...]
    summary: str = Field(description="what stands beside scores; empty while nothing has changed")


def routes(control: StreamControl, drift: DriftService, scopes: ScopeCheck) -> APIRouter:
    """Return the route.

    Args:
        control: knows which streams there are.
        drift: knows how they have changed.
        scopes: checks what the caller may do.
    """
    router = APIRouter(prefix="/api/v1/streams", tags=["streams"])

    @router.get(
        "/{id}/drift",
        dependencies=[Depends(scopes.require(Scope.READ))],
        responses=documented_problems(401, 404),
    )
    async def get_drift(id: StreamId) -> DriftView:
        """Return how a stream has changed against its own last seven days."""
        control.status(id)
        return _view(await settled(drift.state(id)))

    return router


def _view(state: DriftState) -> DriftView:
    found = state.comparison
    changed = found.changed if found is not None else ()
    return DriftView(
        compared_at=state.compared_at,
        missing=state.missing,
        ratings=found.ratings if found is not None else 0,
        days=found.days if found is not None else 0,
        figures=tuple(_figure(each) for each in found.figures) if found is not None else (),
        summary=STALE if changed else "",
    )


def _figure(each: FigureChange) -> DriftFigure:
    return DriftFigure(
        figure=each.figure,
        distance=round(each.distance, 4),
        limit=round(each.limit, 4),
        now=round(each.now, 5),
        before=round(each.before, 5),
        reason=each.reason,
        changed=each.changed,
        text=sentence(each) if each.changed else "",
    )
