"""WebSocket transport under uvicorn: small buffers, and a close that no silent peer can delay.

uvicorn waits for the write buffer to drain before it sends anything, a close frame included, so
a client that has stopped reading could not be told to go, and its socket would linger. Here a
close frame is written at once, and the connection is cut when it is not answered in time.
"""

from __future__ import annotations

import asyncio
from asyncio.transports import BaseTransport
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

WRITE_LIMIT = 32 * 1024
"""Bytes that may wait in the process for one client, besides those in the kernel."""

CLOSE_S = 2.0
"""Seconds that a client may take to answer a close frame."""

MAX_CLIENT_MESSAGE = 64 * 1024


class ScoresProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol with bounded buffers and bounded closing."""

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


SERVER_OPTIONS: dict[str, Any] = {
    "ws": ScoresProtocol,
    "ws_ping_interval": 10.0,
    "ws_ping_timeout": 10.0,
    "ws_max_size": MAX_CLIENT_MESSAGE,
    "ws_per_message_deflate": False,  # 64 KiB instead of 14 KiB per connection otherwise
    "timeout_graceful_shutdown": 5,
    "server_header": False,
    "access_log": False,
    "lifespan": "on",
}
"""Options that uvicorn must be given; everything else is the caller's choice."""
