"""Scope checks of HTTP operations, as FastAPI dependencies that the API's documentation shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from stream.clock import Clock
from stream.store.audit import asked_by
from web.security.auth import Authenticator, Caller, Scope

_SCHEME = HTTPBearer(auto_error=False, description="a token of web.tokens; none on loopback")


class ScopeCheck:
    """Dependencies that admit a caller or refuse.

    Args:
        authenticator: recognises callers.
        clock: says whether a token has expired.
    """

    def __init__(self, authenticator: Authenticator, clock: Clock) -> None:
        self._authenticator = authenticator
        self._clock = clock

    async def documented(
        self, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_SCHEME)]
    ) -> None:
        """Have /docs say that a token is used where `require` is called by hand."""

    def require(self, scope: Scope) -> Callable[..., Awaitable[Caller]]:
        """Return a dependency that raises Refusal unless the caller's token has a scope."""

        async def admit(
            request: Request,
            shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_SCHEME)],
        ) -> Caller:
            del shown  # only there so that /docs says that a token is used
            header = request.headers.get("authorization")
            caller = self._authenticator.admit(header, scope, self._clock.utc())
            asked_by.set(caller.name)
            return caller

        return admit
