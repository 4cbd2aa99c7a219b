"""`/api/v1/incidents/{id}/clip` and `/picture`: what is kept of an incident's video."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse

from stream.evidence.clip import MEDIA_TYPES
from stream.publish.client_messages import IncidentId
from web.problem_responses import documented_problems
from web.security.auth import Scope
from web.security.scopes import ScopeCheck
from web.services import EvidenceService

_KEPT = {"Cache-Control": "private, max-age=3600"}
_PROBLEMS = documented_problems(401, 404, 503)


def routes(evidence: EvidenceService, scopes: ScopeCheck) -> APIRouter:
    """Return the routes.

    Args:
        evidence: knows where the files are.
        scopes: checks what the caller may do.
    """
    router = APIRouter(
        prefix="/api/v1/incidents",
        tags=["incidents"],
        dependencies=[Depends(scopes.require(Scope.READ))],
    )

    @router.get(
        "/{id}/clip",
        response_class=FileResponse,
        responses={200: _content(*MEDIA_TYPES.values()), 206: {}, **_PROBLEMS},
    )
    async def get_incident_clip(id: IncidentId) -> FileResponse:
        """Return the video of an incident as it was received; MP4, or WebM of a call in VP8."""
        path = await evidence.file(id, "clip")
        kind = MEDIA_TYPES[path.suffix[1:]]
        return FileResponse(
            path,
            media_type=kind,
            filename=f"{id}{path.suffix}",
            headers=_KEPT,
            content_disposition_type="inline",
        )

    @router.get(
        "/{id}/picture",
        response_class=FileResponse,
        responses={200: _content("image/jpeg"), **_PROBLEMS},
    )
    async def get_incident_picture(id: IncidentId) -> FileResponse:
        """Return the picture of the moment of the highest score."""
        path = await evidence.file(id, "picture")
        return FileResponse(path, media_type="image/jpeg", headers=_KEPT)

    return router


def _content(*kinds: str) -> dict[str, Any]:
    return {"content": {kind: {} for kind in kinds}}
