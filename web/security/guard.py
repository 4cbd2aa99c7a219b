"""Request guard: checks that every request passes before it reaches a route.

The Host header is checked on loopback against DNS rebinding; the Origin header of WebSockets and
of requests that change something against other web pages; bodies are bounded; and every response
tells the browser to load nothing from elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from stream.problems import Problem
from web.errors import BodyTooLarge, HostRefused, OriginRefused, ProxyRefused, Refusal
from web.problem_responses import problem_response
from web.security.auth import is_loopback

MAX_BODY = 64 * 1024

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)

# The page may use this machine's camera and screen when its user says so, and nothing else.
PERMISSIONS_POLICY = (
    "camera=(self), display-capture=(self), microphone=(), geolocation=(), payment=(), usb=()"
)

_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "permissions-policy": PERMISSIONS_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}

_FORWARDED = ("x-forwarded-for", "x-real-ip")

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """ASGI middleware that checks requests and adds security headers to responses.

    Args:
        app: the guarded application.
        host: address that the server listens on.
        allowed_hosts: further names it may be asked for under.
        allowed_origins: further pages that may use it.
        local_only: whether other machines are refused, also those behind a proxy that says so.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        allowed_hosts: Iterable[str] = (),
        allowed_origins: Iterable[str] = (),
        *,
        local_only: bool = False,
    ) -> None:
        self._app = app
        self._local_only = local_only
        self._loopback = is_loopback(host)
        self._hosts = frozenset(name.lower() for name in (host.strip("[]"), *allowed_hosts))
        self._check_hosts = self._loopback or bool(tuple(allowed_hosts))
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a problem response."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._judge(scope)
        if refusal is not None:
            await _refuse(refusal, scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._app(scope, _Bounded(receive), _with_headers(send, scope["path"]))

    def _judge(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._check_hosts and not self._known(host):
            return HostRefused("the Host header names a host that is not ours")
        if self._local_only and _comes_from_afar(headers):
            return ProxyRefused("it was handed on by a proxy, and everybody may do everything here")
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE
        if origin is not None and changes and not is_trusted(origin, host, self._origins):
            return OriginRefused("the Origin header names a page that is not ours")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return BodyTooLarge(f"bodies are limited to {MAX_BODY} bytes")
        return None

    def _known(self, host: str) -> bool:
        name = _name(host)
        return name in self._hosts or (self._loopback and is_loopback(name))


def is_trusted(origin: str, host: str, allowed: Collection[str]) -> bool:
    """Say whether a web page may use a server: its own page, or one that is allowed.

    Args:
        origin: of the page, as browsers send it.
        host: what the server was asked for as.
        allowed: further origins, in lower case and without a slash at their end.
    """
    if origin.rstrip("/").lower() in allowed:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https"):
        return False
    usual = ":443" if parts.scheme == "https" else ":80"
    return parts.netloc.lower().removesuffix(usual) == host.lower().removesuffix(usual)


def _comes_from_afar(headers: Headers) -> bool:
    """Return whether a proxy says that it hands on the request of another machine."""
    named = [headers.get(name, "") for name in _FORWARDED]
    addresses = [address.strip() for text in named for address in text.split(",")]
    return "forwarded" in headers or any(a and not is_loopback(a) for a in addresses)


def _name(host: str) -> str:
    """Return the host name of a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a problem; a WebSocket that is not accepted has an HTTP response, too."""
    response = problem_response(Problem.of(refusal))
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, _with_headers(send, scope["path"]))


class _Bounded:
    """A receive channel that refuses a body without a declared length when it grows too long."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > MAX_BODY:
            raise HTTPException(413, BodyTooLarge.title)
        return message


def _with_headers(send: Send, path: str) -> Send:
    async def decorated(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return decorated
