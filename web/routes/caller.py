"""`GET /api/v1/caller`: who asks, and what they may do."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from web.problem_responses import documented_problems
from web.security.auth import Caller, Scope
from web.security.scopes import ScopeCheck

LOCAL = "local"
"""Name of everybody where no tokens are configured."""


class CallerView(BaseModel):
    """Who asks, and what they may do."""

    name: str = Field(description="name of the token, `local` without tokens")
    scopes: tuple[Scope, ...] = Field(description="what it may do, in alphabetical order")


def routes(scopes: ScopeCheck) -> APIRouter:
    """Return the route.

    Args:
        scopes: recognises callers.
    """
    router = APIRouter(prefix="/api/v1", tags=["access"])
    admit = Depends(scopes.require(Scope.READ))

    @router.get("/caller", responses=documented_problems(401, 403))
    async def get_caller(found: Caller = admit) -> CallerView:
        """Return the name of the caller's token and what it may do."""
        name = LOCAL if found.token is None else found.token.name
        allowed = (scope for scope in Scope if found.may(scope))
        return CallerView(name=name, scopes=tuple(sorted(allowed, key=lambda one: one.value)))

    return router
