"""`/api/v1/scores`: the WebSocket that live scores come over. `web.sockets` holds conversations."""

from __future__ import annotations

from fastapi import APIRouter, WebSocket

from stream.clock import Clock
from stream.problems import Problem
from stream.publish.hub import Hub
from stream.publish.past_events import PastEvents
from stream.publish.schema import SUBPROTOCOL
from web.errors import UnknownSubprotocol
from web.problem_responses import problem_response
from web.security.auth import Authenticator
from web.services import IncidentService
from web.settings import SocketSettings
from web.sockets import ScoreSocket
from web.waiting_room import WaitingRoom


def routes(
    hub: Hub,
    authenticator: Authenticator,
    settings: SocketSettings,
    clock: Clock,
    strangers: WaitingRoom,
    past: PastEvents | None = None,
    incidents: IncidentService | None = None,
) -> APIRouter:
    """Return the route.

    Args:
        hub: where messages come from.
        authenticator: recognises callers.
        settings: limits of a connection.
        clock: where time comes from.
        strangers: places for connections that have not said hello.
        past: events that the hub has no longer; None when nothing is stored.
        incidents: what clients may say something of.
    """
    router = APIRouter()

    @router.websocket("/api/v1/scores")
    async def scores(socket: WebSocket) -> None:
        """Hold one subscriber's conversation."""
        offered = socket.scope.get("subprotocols", ())
        if offered and SUBPROTOCOL not in offered:
            refusal = UnknownSubprotocol("none of the offered subprotocols is known", SUBPROTOCOL)
            await socket.send_denial_response(problem_response(Problem.of(refusal)))
            return
        held = ScoreSocket(socket, hub, authenticator, settings, clock, strangers, past, incidents)
        await held.run()

    return router
