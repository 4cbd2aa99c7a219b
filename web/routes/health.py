"""`/healthcheck`, `/livez` and `/readyz`: whether the process works and may be given work."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from stream.analyzer.streams import StreamControl
from web.errors import NotLive


def routes(control: StreamControl) -> APIRouter:
    """Return the routes.

    Args:
        control: knows its health.
    """
    router = APIRouter(tags=["health"])

    @router.get("/healthcheck")
    async def healthcheck() -> dict[str, bool]:
        """Say whether the process is healthy; 503 when it should be restarted."""
        if not control.health().live:
            raise NotLive("see /livez")
        return {"healthy": True}

    @router.get("/livez")
    async def livez() -> Response:
        """Say whether the process should be kept; 503 means: restart it."""
        health = control.health()
        return JSONResponse(
            {"live": health.live, "details": dict(health.details)}, 200 if health.live else 503
        )

    @router.get("/readyz")
    @router.get("/healthz", include_in_schema=False)
    async def readyz() -> Response:
        """Say whether work may be sent here; 503 means: not now. Cameras do not count."""
        health = control.health()
        return JSONResponse(
            {"ready": health.ready, "details": dict(health.details)}, 200 if health.ready else 503
        )

    return router
