"""`/whip`: WebRTC peers offer a stream, add candidates and end it (WHIP, RFC 9725).

`POST /whip/{stream}` takes an SDP offer and answers with everything in it that a peer needs; the
Location is the caller's secret, and of use only with the token of the call or an operator's.
Trickled candidates are taken, ICE restarts are not: a peer that lost its connection calls anew, and
the stream goes on in a new epoch.

Pages of other origins may call only when `web.allowed_origins` lists them, so on loopback, where no
token is needed, no web page that happens to be open can send a stream.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Request, Response

from stream.errors import StreamError
from stream.problems import Problem
from stream.webrtc.calls import CallControl, IceServer
from web.errors import (
    NotText,
    Refusal,
    RestartRefused,
    SessionDiffers,
    SessionUnnamed,
    WrongContentType,
)
from web.problem_responses import documented_problems, problem_response
from web.root_path import public_path
from web.routes.streams import StreamId
from web.security.auth import Caller, Scope
from web.security.guard import is_trusted
from web.security.scopes import ScopeCheck

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
EXPOSED = "ETag, Link, Location, Retry-After"
ENDPOINT_METHODS = "OPTIONS, POST"
SESSION_METHODS = "DELETE, OPTIONS, PATCH"
RETRY_S = 2

SessionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{16,64}$")]

_OFFER = {"requestBody": {"required": True, "content": {SDP: {"schema": {"type": "string"}}}}}
_TRICKLE = {
    "requestBody": {"required": True, "content": {FRAGMENT: {"schema": {"type": "string"}}}}
}


class WhipEndpoint:
    """WHIP endpoint and its sessions: the HTTP side of calls.

    Args:
        control: answers calls.
        ice_servers: named to peers.
        origins: pages elsewhere that may call.
    """

    def __init__(
        self, control: CallControl, ice_servers: Sequence[IceServer], origins: Sequence[str]
    ) -> None:
        self._control = control
        self._links = [_link(server) for server in ice_servers]
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)

    async def call(self, request: Request, stream: str, caller: Caller) -> Response:
        """Answer an offer."""
        _check_type(request, SDP)
        answered = await self._control.call(stream, await _text(request), caller.publisher)
        response = Response(answered.sdp, 201, media_type=SDP)
        response.headers["Location"] = public_path(
            request, f"/whip/{quote(stream)}/{answered.session}"
        )
        response.headers["ETag"] = answered.etag
        self._add_links(response)
        return response

    async def trickle(
        self, request: Request, stream: str, session: str, caller: Caller
    ) -> Response:
        """Take further candidates, of the ICE session that there is."""
        etag = await self._control.etag(stream, session, caller.publisher)
        _check_type(request, FRAGMENT)
        expected = request.headers.get("if-match")
        if expected is None:
            raise SessionUnnamed("the header If-Match is missing")
        if expected.strip() == "*":
            raise RestartRefused("call anew instead of restarting")
        if etag not in (tag.strip() for tag in expected.split(",")):
            raise SessionDiffers("If-Match names another one")
        await self._control.trickle(stream, session, await _text(request), caller.publisher)
        return Response(status_code=204)

    async def hang_up(self, stream: str, session: str, caller: Caller) -> Response:
        """End a call; entity tags do not matter here."""
        await self._control.hang_up(stream, session, caller.publisher)
        return Response(status_code=200)

    def options(self, request: Request, methods: str, *, admitted: bool = False) -> Response:
        """Say what is possible; a CORS preflight is told no ICE servers (RFC 9725, 4.6).

        Args:
            request: the question.
            methods: what there is.
            admitted: the caller may publish, so may know ICE servers and their credentials.
        """
        response = Response(status_code=200 if methods == ENDPOINT_METHODS else 204)
        response.headers["Allow"] = methods
        if methods == ENDPOINT_METHODS:
            response.headers["Accept-Post"] = SDP
        asked = request.headers.get("access-control-request-method")
        if asked is None and admitted:
            self._add_links(response)
        if asked is not None and self._trusts(request):
            response.headers["Access-Control-Allow-Methods"] = methods
            response.headers["Access-Control-Allow-Headers"] = (
                "Authorization, Content-Type, If-Match"
            )
            response.headers["Access-Control-Max-Age"] = "600"
        return response

    def allow_origin(self, request: Request, response: Response) -> Response:
        """Let a page of a trusted origin read a response."""
        response.headers["Vary"] = "Origin"
        if self._trusts(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["origin"]
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
        return response

    def _trusts(self, request: Request) -> bool:
        origin = request.headers.get("origin")
        host = request.headers.get("host", "")
        return origin is not None and is_trusted(origin, host, self._origins)

    def _add_links(self, response: Response) -> None:
        for link in self._links:
            response.headers.append("Link", link)


def routes(
    control: CallControl,
    scopes: ScopeCheck,
    ice_servers: Sequence[IceServer],
    origins: Sequence[str],
) -> APIRouter:
    """Return the routes.

    Args:
        control: answers calls.
        scopes: checks that the caller may publish.
        ice_servers: STUN and TURN servers that peers are told about.
        origins: pages elsewhere that may call.
    """
    endpoint = WhipEndpoint(control, ice_servers, origins)
    admit = scopes.require(Scope.PUBLISH)
    router = APIRouter(prefix="/whip", tags=["whip"])

    async def respond(request: Request, work: Callable[[Caller], Awaitable[Response]]) -> Response:
        """Do the work for an admitted caller; allowed origins may read errors too."""
        try:
            response = await work(await admit(request, None))
        except (Refusal, StreamError) as error:
            problem = Problem.of(error)
            headers = dict(error.headers) if isinstance(error, Refusal) else {}
            if problem.retry and problem.retry_after_s is None:
                headers.setdefault("Retry-After", str(RETRY_S))
            response = problem_response(problem, headers)
        return endpoint.allow_origin(request, response)

    @router.post(
        "/{stream}",
        status_code=201,
        response_class=Response,
        openapi_extra=_OFFER,
        dependencies=[Depends(scopes.documented)],
        responses=documented_problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
    )
    async def start_call(request: Request, stream: StreamId) -> Response:
        """Offer a stream (WHIP). The answer holds every candidate; Location ends the call."""
        return await respond(request, lambda caller: endpoint.call(request, stream, caller))

    @router.patch(
        "/{stream}/{session}",
        status_code=204,
        response_class=Response,
        openapi_extra=_TRICKLE,
        dependencies=[Depends(scopes.documented)],
        responses=documented_problems(400, 401, 403, 404, 412, 413, 415, 422, 428),
    )
    async def trickle_call(request: Request, stream: StreamId, session: SessionId) -> Response:
        """Add ICE candidates. If-Match names the ICE session; restarts are refused with 422."""
        return await respond(
            request, lambda caller: endpoint.trickle(request, stream, session, caller)
        )

    @router.delete(
        "/{stream}/{session}",
        status_code=200,
        response_class=Response,
        dependencies=[Depends(scopes.documented)],
        responses=documented_problems(401, 403, 404),
    )
    async def end_call(request: Request, stream: StreamId, session: SessionId) -> Response:
        """End a call."""
        return await respond(request, lambda caller: endpoint.hang_up(stream, session, caller))

    @router.options("/{stream}", include_in_schema=False)
    async def endpoint_options(request: Request, stream: str) -> Response:
        """Say what an endpoint takes; who may publish is told the ICE servers as well."""
        try:
            await admit(request, None)
        except Refusal:
            answer = endpoint.options(request, ENDPOINT_METHODS)
        else:
            answer = endpoint.options(request, ENDPOINT_METHODS, admitted=True)
        return endpoint.allow_origin(request, answer)

    @router.options("/{stream}/{session}", include_in_schema=False)
    async def session_options(request: Request, stream: str, session: str) -> Response:
        """Say what a session takes."""
        return endpoint.allow_origin(request, endpoint.options(request, SESSION_METHODS))

    return router


def _check_type(request: Request, wanted: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != wanted:
        raise WrongContentType(f"it must be {wanted}")


async def _text(request: Request) -> str:
    body = await request.body()
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise NotText("it must be UTF-8") from None


def _link(server: IceServer) -> str:
    """Return a server as a Link header (RFC 9725, section 4.6)."""
    parts = [f"<{quote(server.url, safe=':?=/@[].,&%-_~')}>", 'rel="ice-server"']
    if server.username:
        parts += [
            f'username="{_quoted(server.username)}"',
            f'credential="{_quoted(server.credential.get_secret_value())}"',
            'credential-type="password"',
        ]
    return "; ".join(parts)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
