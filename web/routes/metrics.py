"""`GET /metrics`: metrics of the process, and of its workers, in Prometheus' text format."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry

from stream.cluster.machines import Machines
from web.exposition import Part, exposition
from web.security.auth import Scope
from web.security.scopes import ScopeCheck


def routes(registry: CollectorRegistry, machines: Machines, scopes: ScopeCheck) -> APIRouter:
    """Return the route.

    Args:
        registry: holds the metrics of this process.
        machines: add those of workers.
        scopes: checks that the caller may read metrics.
    """
    router = APIRouter(tags=["descriptions"])

    @router.get("/metrics", dependencies=[Depends(scopes.require(Scope.METRICS))])
    async def get_metrics(of: Part = Part.ALL) -> Response:
        """Return Prometheus metrics: of everybody, of this process alone, or of workers alone."""
        told = await exposition(registry, machines, of)
        return Response(told, media_type=CONTENT_TYPE_LATEST)

    return router
