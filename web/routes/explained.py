"""`/api/v1/incidents/{id}/explanation`: what stood out to the detector in a frame."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from stream.errors import EvidenceMissing
from stream.evidence.explained import REASONS, ExplainedMoment
from stream.problems import POINTS_AT_WORDS
from stream.publish.client_messages import IncidentId
from stream.publish.schema import Share
from web.problem_responses import documented_problems
from web.routes.pictures import PictureBox, PictureOverlay, overlay_view
from web.security.auth import Scope
from web.security.scopes import ScopeCheck
from web.services import ExplainedService, IncidentService

_KEPT = {"Cache-Control": "private, max-age=60"}
_PROBLEMS = documented_problems(401, 404, 503)


class ExplainedFrame(BaseModel):
    """A frame of an incident in which its face was explained."""

    captured: datetime = Field(description="when the frame arrived")
    width: int = Field(description="of the source, pixels; boxes and crops are in them")
    height: int
    p: Share | None = Field(description="score of the face in this very frame")
    boxes: tuple[PictureBox, ...] = Field(description="where the incident's faces are")
    summary: str = Field(description="what the regions mean, for people")
    overlay: PictureOverlay


class ExplanationView(BaseModel):
    """What stood out to the detector, or why that is not known."""

    state: Literal["ready", "looking", "none"] = Field(description="looking: ask again soon")
    reason: str = Field(description="why there is none, for people; empty when there is one")
    frame: ExplainedFrame | None


def routes(
    explained: ExplainedService, incidents: IncidentService, scopes: ScopeCheck
) -> APIRouter:
    """Return the routes.

    Args:
        explained: knows the frames.
        incidents: knows which incidents there are.
        scopes: checks what the caller may do.
    """
    router = APIRouter(
        prefix="/api/v1/incidents",
        tags=["incidents"],
        dependencies=[Depends(scopes.require(Scope.READ))],
    )

    @router.get("/{id}/explanation", responses=_PROBLEMS)
    async def get_explanation(id: IncidentId) -> ExplanationView:
        """Return what stood out to the detector in a frame of an incident."""
        found = await explained.find(await incidents.find(id))
        if isinstance(found, str):
            state = "looking" if found == "looking" else "none"
            return ExplanationView(state=state, reason=REASONS[found], frame=None)
        return ExplanationView(state="ready", reason="", frame=_frame(found))

    @router.get(
        "/{id}/explanation.jpg",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}, **_PROBLEMS},
    )
    async def get_explained_picture(id: IncidentId) -> Response:
        """Return that frame, with nothing drawn into it."""
        found = await explained.find(await incidents.find(id))
        if isinstance(found, str):
            raise EvidenceMissing(id, REASONS[found])
        return Response(found.jpeg, media_type="image/jpeg", headers=_KEPT)

    return router


def _frame(found: ExplainedMoment) -> ExplainedFrame:
    return ExplainedFrame(
        captured=found.captured,
        width=found.width,
        height=found.height,
        p=found.score,
        boxes=tuple(PictureBox(x0=b.x0, y0=b.y0, x1=b.x1, y1=b.y1) for b in found.boxes),
        summary=POINTS_AT_WORDS[found.points_at],
        overlay=overlay_view(found.overlay, found.points_at),
    )
