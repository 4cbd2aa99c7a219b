"""Client for asyncio: requests, and messages as an asynchronous iterator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import httpx
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

import styleflow.client.calls as calls
from styleflow.client.calls import Call
from styleflow.client.endpoint import ADDRESS_HINT, DEFAULT_URL, Endpoint
from styleflow.client.errors import AnalyzerAway, no_answer
from styleflow.client.following import Following
from styleflow.client.messages import Message
from styleflow.client.reconnect import Lost, Reconnect
from styleflow.client.requests import IncidentChange, Subscribe
from styleflow.client.responses import (
    CallerView,
    IncidentList,
    IncidentView,
    StatusView,
    StreamView,
)
from styleflow.client.sockets import connection
from styleflow.client.values import IncidentData, Label

T = TypeVar("T")


class _Send(Protocol):
    async def __call__(self, call: Call[T], /) -> T: ...


class AsyncClient:
    """A running analyzer, for asyncio. A context manager; close it when it is none.

    Every method raises `RequestRefused` when the analyzer says no, with its code and hint, and
    `AnalyzerAway` when there is none.

    Attributes:
        streams: lists, adds, changes and removes streams.
        incidents: lists incidents and says something of them.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        ca_file: Path | str | None = None,
        verify: bool = True,
        timeout_s: float = 10.0,
        name: str = "styleflow.client",
    ) -> None:
        """Make a client; nothing is connected yet.

        Args:
            url: the analyzer, or its page, with the prefix when it lies below one.
            token: its bearer token, where it has any.
            ca_file: PEM file of the authority that signed its certificate; the system's when None.
            verify: whether its certificate must be valid.
            timeout_s: seconds that connecting and a request may take.
            name: what this program calls itself in the analyzer's log.

        Raises:
            AnalyzerAway: this is no address.
        """
        self._endpoint = Endpoint.of(
            url, token=token, ca_file=ca_file, verify=verify, timeout_s=timeout_s
        )
        self._name = name
        self._http = httpx.AsyncClient(
            base_url=self._endpoint.base,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            verify=self._endpoint.tls or False,
            timeout=timeout_s,
        )
        self.streams = AsyncStreams(self._send)
        self.incidents = AsyncIncidents(self._send)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections of requests; subscriptions are closed on their own."""
        await self._http.aclose()

    async def caller(self) -> CallerView:
        """Return who the token is, and what it may do."""
        return await self._send(calls.caller())

    def subscribe(
        self,
        *streams: str,
        types: Sequence[str] = ("score", "event", "status"),
        max_hz: float = 4.0,
        min_state: str = "warming",
        reconnect: Reconnect | None = None,
        on_lost: Callable[[Lost], None] | None = None,
    ) -> AsyncSubscription:
        """Return the messages about streams; the first is asked for when iteration begins.

        A lost connection is brought back, and goes on where it was: no event is missed and none
        comes twice, as long as the analyzer still has it. Where it has not, an `ErrorMessage` with
        code 4409 says so, and a snapshot follows.

        Args:
            streams: ids or globs; every stream when none is named. Later ones join.
            types: kinds of messages: score, event, status. Snapshots always come.
            max_hz: most scores per second and face.
            min_state: least state of a score: warming < abstain < ok < suspect.
            reconnect: how a lost connection is tried again.
            on_lost: told of every lost connection, before it is tried again.
        """
        wanted = Subscribe(
            type="subscribe",
            id="client",
            streams=streams or ("*",),
            types=tuple(types),
            max_hz=max_hz,
            min_state=min_state,
        )
        following = Following(self._endpoint, wanted, self._name, reconnect or Reconnect())
        return AsyncSubscription(self._endpoint, following, on_lost)

    async def _send(self, call: Call[T]) -> T:
        try:
            answer = await self._http.request(
                call.method, call.path, json=call.body, params=dict(call.params)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AnalyzerAway(self._endpoint.shown, no_answer(error), ADDRESS_HINT) from None
        return call.result(self._endpoint.shown, answer.status_code, answer.headers, answer.content)


class AsyncStreams:
    """The analyzer's streams."""

    def __init__(self, send: _Send) -> None:
        self._send = send

    async def list(self) -> tuple[StreamView, ...]:
        """Return every stream, ordered by id."""
        return await self._send(calls.streams())

    async def status(self, stream: str) -> StatusView:
        """Return how a stream is doing, with its newest scores."""
        return await self._send(calls.stream_status(stream))

    async def add(
        self,
        stream: str,
        url: str,
        *,
        name: str | None = None,
        priority: str | None = None,
        **source: Any,
    ) -> StreamView:
        """Add a stream. Its source need not be reachable yet.

        Args:
            stream: the id that it gets.
            url: rtsp(s)://, whip://, demo://, or a path below `web.source_roots`.
            name: for people.
            priority: `normal`, or `low` for one that gives way under overload.
            source: further keys of `SourceBody`: transport, timeout_s, tls_verify, pace, loop.
        """
        return await self._send(calls.add_stream(stream, url, name, priority, source))

    async def change(
        self, stream: str, *, name: str | None = None, priority: str | None = None
    ) -> StreamView:
        """Give a stream another name or priority."""
        return await self._send(calls.change_stream(stream, name, priority))

    async def remove(self, stream: str) -> None:
        """Remove a stream, in whatever state it is."""
        await self._send(calls.remove_stream(stream))


class AsyncIncidents:
    """The analyzer's incidents."""

    def __init__(self, send: _Send) -> None:
        self._send = send

    async def page(
        self, *, limit: int = 50, cursor: str | None = None, **filters: Any
    ) -> IncidentList:
        """Return one page, newest first; its `next` is the cursor of the page that follows.

        Args:
            limit: incidents of a page, at most 500.
            cursor: where it begins.
            filters: stream, status, severity, label, acknowledged; since, until (datetime or text).
        """
        return await self._send(calls.incidents(filters, limit, cursor))

    async def list(
        self,
        *,
        stream: str | None = None,
        status: str | None = None,
        severity: str | None = None,
        label: str | None = None,
        acknowledged: bool | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> AsyncIterator[IncidentData]:
        """Yield every incident, newest first; pages are asked for as they are needed."""
        filters = {
            "stream": stream,
            "status": status,
            "severity": severity,
            "label": label,
            "acknowledged": acknowledged,
            "since": since,
            "until": until,
        }
        cursor = None
        while True:
            page = await self.page(limit=100, cursor=cursor, **filters)
            for incident in page.incidents:
                yield incident
            cursor = page.next
            if cursor is None:
                return

    async def get(self, incident: str) -> IncidentView:
        """Return one incident with its comments and audit entries."""
        return await self._send(calls.incident(incident))

    async def acknowledge(self, incident: str, *, taken: bool = True) -> IncidentData:
        """Say that one took note of an incident, or take that back."""
        return await self._change(incident, IncidentChange(acknowledged=taken))

    async def label(self, incident: str, label: Label | None) -> IncidentData:
        """Say what an incident was: `true`, `false` or `unclear`; None takes that back."""
        return await self._change(incident, IncidentChange(label=label))

    async def note(self, incident: str, text: str) -> IncidentData:
        """Comment on an incident."""
        return await self._change(incident, IncidentChange(note=text))

    async def _change(self, incident: str, change: IncidentChange) -> IncidentData:
        return await self._send(calls.change_incident(incident, change))


class AsyncSubscription:
    """Messages about streams, across connections. An asynchronous iterator, and a context manager.

    Iterating raises `AnalyzerAway` when the analyzer was never there or stays away, and
    `SubscriptionRefused` when it will not have this subscription.
    """

    def __init__(
        self, endpoint: Endpoint, following: Following, on_lost: Callable[[Lost], None] | None
    ) -> None:
        self._endpoint = endpoint
        self._following = following
        self._on_lost = on_lost
        self._closed = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._messages = self._run()

    @property
    def reconnects(self) -> int:
        """How often a lost connection was brought back."""
        return self._following.reconnects

    @property
    def skipped(self) -> int:
        """How many messages were of a kind that this release does not know."""
        return self._following.skipped

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        return await anext(self._messages)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End it; iteration then stops."""
        self._closed.set()
        if self._socket is not None:
            await self._socket.close()

    async def _run(self) -> AsyncIterator[Message]:
        while not self._closed.is_set():
            code: int | None = None
            try:
                async with connection(self._endpoint) as socket:
                    self._socket = socket
                    for text in self._following.greetings():
                        await socket.send(text)
                    while not self._closed.is_set():
                        message = self._following.take(await socket.recv())
                        if message is not None:
                            yield message
            except ConnectionClosed as error:
                closed = error.rcvd
                code = None if closed is None else closed.code
                reason = closed.reason if closed and closed.reason else "the connection was lost"
            except InvalidURI:
                raise AnalyzerAway(
                    self._endpoint.shown, "this is no address", ADDRESS_HINT
                ) from None
            except (OSError, InvalidHandshake) as error:
                reason = no_answer(error)
            self._socket = None
            if self._closed.is_set():
                return
            lost = self._following.lost(code, reason)
            if self._on_lost is not None:
                self._on_lost(lost)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), lost.wait_s)
