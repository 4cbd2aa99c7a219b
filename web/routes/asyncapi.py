"""`GET /asyncapi.json`: the WebSocket protocol described for programs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from stream.publish.asyncapi import document


def routes(version: str, root_path: str) -> APIRouter:
    """Return the route.

    Args:
        version: version of the program.
        root_path: prefix of the paths.
    """
    router = APIRouter(tags=["descriptions"])
    described = document(version, root_path)

    @router.get("/asyncapi.json")
    async def get_asyncapi() -> dict[str, Any]:
        """Describe the WebSocket protocol, with the JSON Schema of every message."""
        return described

    return router
