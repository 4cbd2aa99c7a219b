"""`GET /metrics`: the metrics of the process in Prometheus' text format."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from web.security.auth import Scope
from web.security.scopes import ScopeCheck


def routes(registry: CollectorRegistry, scopes: ScopeCheck) -> APIRouter:
    """Return the route.

    Args:
        registry: holds the metrics.
        scopes: checks that the caller may read metrics.
    """
    router = APIRouter(tags=["descriptions"])

    @router.get("/metrics", dependencies=[Depends(scopes.require(Scope.METRICS))])
    async def get_metrics() -> Response:
        """Return Prometheus metrics."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
