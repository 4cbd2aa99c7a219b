"""The door of every HTTP operation: which scope it needs, for FastAPI and for its documentation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from stream.clock import Clock
from web.security.auth import Access, Scope

_SCHEME = HTTPBearer(auto_error=False, description="a token of web.tokens; none on loopback")


class Guardian:
    """Makes dependencies that let a caller in or refuse.

    Args:
        access: recognises callers.
        clock: says whether a token has expired.
    """

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    async def documented(
        self, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_SCHEME)]
    ) -> None:
        """Have /docs say that a token is used where `needs` is called by hand."""

    def needs(self, scope: Scope) -> Callable[..., Awaitable[None]]:
        """Return a dependency that raises Refusal unless the caller may do this."""

        async def admit(
            request: Request,
            shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_SCHEME)],
        ) -> None:
            del shown  # only there so that /docs says that a token is used
            self._access.admit(request.headers.get("authorization"), scope, self._clock.utc())

        return admit
