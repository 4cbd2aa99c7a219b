"""Path prefix below which clients see the server, behind a reverse proxy that serves more than it.

The prefix is a setting, so a proxy may strip it from requests or hand them on as they are: both are
routed alike, and what the server says of its own paths has the prefix once.
"""

from __future__ import annotations

import re

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

OWN_SEGMENTS = frozenset(
    {
        "alerts",
        "api",
        "assets",
        "asyncapi.json",
        "docs",
        "healthcheck",
        "healthz",
        "help",
        "livez",
        "machines",
        "metrics",
        "openapi.json",
        "predict",
        "readyz",
        "static",
        "incidents",
        "streams",
        "whip",
    }
)
"""First segments of the server's own paths, which a prefix could not be told from."""

MAX_CHARS = 200
"""Longest prefix."""

_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")


def checked(root_path: str) -> str:
    """Return a prefix that can be served: empty, or as in /styleflow or /tools/styleflow.

    Raises:
        ValueError: it says what is wrong with it.
    """
    if not root_path:
        return root_path
    if len(root_path) > MAX_CHARS:
        raise ValueError(f"it has {len(root_path)} characters, {MAX_CHARS} are allowed")
    if not root_path.startswith("/"):
        raise ValueError("it is a path, not an address, and begins with /, as in /styleflow")
    if root_path == "/":
        raise ValueError("leave it empty when there is no prefix")
    if root_path.endswith("/"):
        raise ValueError("it has no / at its end")
    segments = root_path[1:].split("/")
    for segment in segments:
        if segment in (".", "..") or not _SEGMENT.fullmatch(segment):
            raise ValueError(
                f"{segment!r} cannot be a part of it; letters, digits, dots, dashes, underscores "
                "and ~ can"
            )
    if segments[0] in OWN_SEGMENTS:
        raise ValueError(f"/{segments[0]} is a path of the server itself; take another name")
    return root_path


def public_path(connection: HTTPConnection, path: str) -> str:
    """Return a path of the server as clients have to ask for it.

    Args:
        connection: any request.
        path: the server's own, as in /api/v1/streams.
    """
    return f"{connection.scope.get('root_path', '')}{path}"


class RootPath:
    """ASGI middleware that names the prefix, and puts it back where a proxy has stripped it.

    ASGI wants `path` to contain `root_path`; routing, redirects and logs then agree.

    Args:
        app: what is below the prefix.
        root_path: the prefix.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the prefix in its path."""
        if scope["type"] in ("http", "websocket"):
            path: str = scope["path"]
            if path != self._root_path and not path.startswith(f"{self._root_path}/"):
                path = self._root_path + path
            scope = {**scope, "path": path, "root_path": self._root_path}
        await self._app(scope, receive, send)
