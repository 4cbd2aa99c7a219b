"""`/healthcheck`, `/livez` and `/readyz`: whether the process works and may be given work."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from stream.analyzer.streams import Health, StreamControl
from web.errors import NotLive
from web.problem_responses import documented_problems


class Liveness(BaseModel):
    """Whether the process should be kept, and what each part says of itself."""

    live: bool
    details: dict[str, str]


class Readiness(BaseModel):
    """Whether work may be sent here, and what each part says of itself."""

    ready: bool
    details: dict[str, str]


def routes(control: StreamControl) -> APIRouter:
    """Return the routes.

    Args:
        control: knows its health.
    """
    router = APIRouter(tags=["health"])

    @router.get("/healthcheck", responses=documented_problems(503))
    async def get_health() -> dict[str, bool]:
        """Say whether the process is healthy; 503 when it should be restarted."""
        if not control.health().live:
            raise NotLive("see /livez")
        return {"healthy": True}

    @router.get(
        "/livez",
        response_model=Liveness,
        responses={503: {"model": Liveness, "description": "The process should be restarted"}},
    )
    async def get_livez() -> Response:
        """Say whether the process should be kept; 503 means: restart it."""
        health = control.health()
        return _answer(Liveness(live=health.live, details=_details(health)), well=health.live)

    @router.get(
        "/readyz",
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "No work may be sent here now"}},
    )
    @router.get("/healthz", include_in_schema=False)
    async def get_readyz() -> Response:
        """Say whether work may be sent here; 503 means: not now. Cameras do not count."""
        health = control.health()
        return _answer(Readiness(ready=health.ready, details=_details(health)), well=health.ready)

    return router


def _details(health: Health) -> dict[str, str]:
    return dict(health.details)


def _answer(body: BaseModel, *, well: bool) -> Response:
    return JSONResponse(body.model_dump(), 200 if well else 503)
