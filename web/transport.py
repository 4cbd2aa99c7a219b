"""Transport under uvicorn: deadlines for requests, small buffers, and a close that nobody delays.

uvicorn waits for a request as long as its client likes. Here every connection is counted
(`web.connection_limits`), and one whose request has not arrived in time is closed.

uvicorn waits for the write buffer to drain before it sends anything, a close frame included, so
a client that has stopped reading could not be told to go, and its socket would linger. Here a
close frame is written at once, and the connection is cut when it is not answered in time.
"""

from __future__ import annotations

import asyncio
from asyncio.transports import BaseTransport
from functools import partial
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from web.connection_limits import ConnectionLimits
from web.waiting_room import Place

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

WRITE_LIMIT = 32 * 1024
"""Bytes that may wait in the process for one client, besides those in the kernel."""

CLOSE_S = 2.0
"""Seconds that a client may take to answer a close frame."""

MAX_CLIENT_MESSAGE = 64 * 1024


_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 10\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class RequestProtocol(H11Protocol):
    """uvicorn's HTTP protocol with a deadline for every part of a request.

    Args:
        limits: of the connections of this server.
        options: uvicorn's own.
    """

    def __init__(self, *, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(**options)
        self._limits = limits
        self._address = ""
        self._entered = False
        self._place: Place | None = None
        self._waits_for: str | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many connections."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._entered = self._limits.enter(self._address)
        if self._entered:
            self._watch()
        else:
            transport.write(_TOO_MANY)
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; of a refused connection nothing is taken."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the places back."""
        super().connection_lost(exc)
        self._wait_for(None)
        if self._entered:
            self._entered = False
            self._limits.leave(self._address)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over, and the place that it takes."""
        super().handle_websocket_upgrade(event)
        self._wait_for(None)
        protocol = self.transport.get_protocol()
        if self._entered and isinstance(protocol, ScoresProtocol):
            self._entered = False
            protocol.entered = self._limits, self._address

    def _watch(self) -> None:
        """See what the client has still to send."""
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._wait_for(None)
        elif self.conn.their_state is h11.IDLE:
            self._wait_for("headers")
        elif self.conn.their_state is h11.SEND_BODY:
            self._wait_for("body")
        else:
            self._wait_for(None)

    def _wait_for(self, part: str | None) -> None:
        """Begin to wait for a part of a request; a deadline that runs already is kept."""
        if part == self._waits_for:
            return
        self._waits_for = part
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if part is None:
            if self._place is not None:
                self._limits.waiting.leave(self._place)
                self._place = None
            return
        if self._place is None:
            self._place = self._limits.wait(self._address, self.transport.abort)
        limits = self._limits.settings
        seconds = limits.header_s if part == "headers" else limits.body_s
        self._deadline = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        """Close a connection whose request takes too long to arrive."""
        if self.transport.is_closing():
            return
        self._limits.give_up()
        begun = self.conn.trailing_data[0] or self._waits_for == "body"
        if begun and (self.cycle is None or not self.cycle.response_started):
            self.transport.write(_TOO_LATE)
        self.transport.close()


class ScoresProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol with bounded buffers and bounded closing.

    Attributes:
        entered: the limits that count it, and its address.
    """

    entered: tuple[ConnectionLimits, str] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Give its place back."""
        super().connection_lost(exc)
        if self.entered is not None:
            limits, address = self.entered
            self.entered = None
            limits.leave(address)

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin, with a small write buffer."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=WRITE_LIMIT, low=WRITE_LIMIT // 2)

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message; a close does not wait for the client to read."""
        closing = message["type"] == "websocket.close"
        if closing:
            self.writable.set()
        await super().send(message)
        if closing:
            self._cut_later()

    def keepalive_timeout(self) -> None:
        """Cut a client that does not answer pings."""
        super().keepalive_timeout()
        self._cut_later()

    def shutdown(self) -> None:
        """Say 1012 to the client and do not wait for it forever."""
        super().shutdown()
        self._cut_later()

    def _cut_later(self) -> None:
        if self.disconnected:
            return
        if self.close_timer is not None:
            self.close_timer.cancel()
        loop = asyncio.get_running_loop()
        self.close_timer = loop.call_later(CLOSE_S, self.transport.abort)


ACCEPTED_AT_ONCE = 32
"""Connections accepted before those that are there are looked after, fewer than may wait."""

LISTEN_QUEUE = 1024
"""Connections that may wait in the kernel; those beyond would try again only a second later."""

_SERVER_OPTIONS: dict[str, Any] = {
    "ws": ScoresProtocol,
    "ws_ping_interval": 10.0,
    "ws_ping_timeout": 10.0,
    "ws_max_size": MAX_CLIENT_MESSAGE,
    "ws_per_message_deflate": False,  # 64 KiB instead of 14 KiB per connection otherwise
    "timeout_graceful_shutdown": 5,
    "server_header": False,
    "access_log": False,
    "lifespan": "on",
    "backlog": ACCEPTED_AT_ONCE,
}
"""Options that uvicorn must be given; everything else is the caller's choice."""


def server_options(limits: ConnectionLimits) -> dict[str, Any]:
    """Return the options of a server whose connections are limited."""
    return {**_SERVER_OPTIONS, "http": partial(RequestProtocol, limits=limits)}
