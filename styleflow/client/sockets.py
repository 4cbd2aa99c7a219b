"""WebSockets of a client, one kind for asyncio and for programs that block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from anyio.from_thread import BlockingPortal, start_blocking_portal
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from styleflow.client.endpoint import Endpoint
from styleflow.client.following import LARGEST_MESSAGE
from styleflow.client.values import SUBPROTOCOL


class _Direct(connect):
    """A connection that follows no redirect: the token is for this analyzer alone."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def connection(endpoint: Endpoint) -> connect:
    """Return a connection to an analyzer that is still to be opened, an asynchronous context."""
    return _Direct(
        endpoint.socket,
        ssl=endpoint.tls,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        max_size=LARGEST_MESSAGE,
        open_timeout=endpoint.timeout_s,
    )


class BlockingSocket:
    """An open WebSocket for a program that blocks.

    Its connection is held by an event loop on a thread of its own. A blocking connection would be
    read on one thread and written on another, which OpenSSL does not allow: every now and then a
    TLS connection stood still before its first message, until it timed out.
    """

    def __init__(self, portal: BlockingPortal, socket: ClientConnection) -> None:
        self._portal = portal
        self._socket = socket

    def send(self, text: str) -> None:
        """Send a text frame.

        Raises:
            ConnectionClosed: the connection has ended.
        """
        self._portal.call(self._socket.send, text)

    def recv(self) -> str | bytes:
        """Wait for the next message and return it.

        Raises:
            ConnectionClosed: the connection has ended.
        """
        return self._portal.call(self._socket.recv)

    def close_soon(self) -> None:
        """Begin to close, from whichever thread; who waits for a message hears of it."""
        with suppress(RuntimeError):  # it has ended meanwhile
            self._portal.start_task_soon(self._socket.close)


@contextmanager
def blocking_connection(endpoint: Endpoint) -> Iterator[BlockingSocket]:
    """Open a connection and yield it; it is closed, and its thread ended, at the end.

    Raises:
        OSError, InvalidHandshake, InvalidURI: it cannot be opened.
    """
    with (
        start_blocking_portal(name="styleflow.client") as portal,
        portal.wrap_async_context_manager(connection(endpoint)) as socket,
    ):
        yield BlockingSocket(portal, socket)
