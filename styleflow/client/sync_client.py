"""Client for programs that block: requests, and messages as an iterator."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import httpx
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
from styleflow.client.sockets import BlockingSocket, blocking_connection
from styleflow.client.values import IncidentData, Label

T = TypeVar("T")


class _Send(Protocol):
    def __call__(self, call: Call[T], /) -> T: ...


class Client:
    """A running analyzer, for programs that block. A context manager; close it when it is none.

    Every method raises `RequestRefused` when the analyzer says no, with its code and hint, and
    `AnalyzerAway` when there is none. One client may be used by several threads.

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
        self._http = httpx.Client(
            base_url=self._endpoint.base,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            verify=self._endpoint.tls or False,
            timeout=timeout_s,
        )
        self.streams = Streams(self._send)
        self.incidents = Incidents(self._send)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections of requests; subscriptions are closed on their own."""
        self._http.close()

    def caller(self) -> CallerView:
        """Return who the token is, and what it may do."""
        return self._send(calls.caller())

    def subscribe(
        self,
        *streams: str,
        types: Sequence[str] = ("score", "event", "status"),
        max_hz: float = 4.0,
        min_state: str = "warming",
        reconnect: Reconnect | None = None,
        on_lost: Callable[[Lost], None] | None = None,
    ) -> Subscription:
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
        return Subscription(self._endpoint, following, on_lost)

    def _send(self, call: Call[T]) -> T:
        try:
            answer = self._http.request(
                call.method, call.path, json=call.body, params=dict(call.params)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AnalyzerAway(self._endpoint.shown, no_answer(error), ADDRESS_HINT) from None
        return call.result(self._endpoint.shown, answer.status_code, answer.headers, answer.content)


class Streams:
    """The analyzer's streams."""

    def __init__(self, send: _Send) -> None:
        self._send = send

    def list(self) -> tuple[StreamView, ...]:
        """Return every stream, ordered by id."""
        return self._send(calls.streams())

    def status(self, stream: str) -> StatusView:
        """Return how a stream is doing, with its newest scores."""
        return self._send(calls.stream_status(stream))

    def add(
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
        return self._send(calls.add_stream(stream, url, name, priority, source))

    def change(
        self, stream: str, *, name: str | None = None, priority: str | None = None
    ) -> StreamView:
        """Give a stream another name or priority."""
        return self._send(calls.change_stream(stream, name, priority))

    def remove(self, stream: str) -> None:
        """Remove a stream, in whatever state it is."""
        self._send(calls.remove_stream(stream))


class Incidents:
    """The analyzer's incidents."""

    def __init__(self, send: _Send) -> None:
        self._send = send

    def page(self, *, limit: int = 50, cursor: str | None = None, **filters: Any) -> IncidentList:
        """Return one page, newest first; its `next` is the cursor of the page that follows.

        Args:
            limit: incidents of a page, at most 500.
            cursor: where it begins.
            filters: stream, status, severity, label, acknowledged; since, until (datetime or text).
        """
        return self._send(calls.incidents(filters, limit, cursor))

    def list(
        self,
        *,
        stream: str | None = None,
        status: str | None = None,
        severity: str | None = None,
        label: str | None = None,
        acknowledged: bool | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> Iterator[IncidentData]:
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
            page = self.page(limit=100, cursor=cursor, **filters)
            yield from page.incidents
            cursor = page.next
            if cursor is None:
                return

    def get(self, incident: str) -> IncidentView:
        """Return one incident with its comments and audit entries."""
        return self._send(calls.incident(incident))

    def acknowledge(self, incident: str, *, taken: bool = True) -> IncidentData:
        """Say that one took note of an incident, or take that back."""
        return self._change(incident, IncidentChange(acknowledged=taken))

    def label(self, incident: str, label: Label | None) -> IncidentData:
        """Say what an incident was: `true`, `false` or `unclear`; None takes that back."""
        return self._change(incident, IncidentChange(label=label))

    def note(self, incident: str, text: str) -> IncidentData:
        """Comment on an incident."""
        return self._change(incident, IncidentChange(note=text))

    def _change(self, incident: str, change: IncidentChange) -> IncidentData:
        return self._send(calls.change_incident(incident, change))


class Subscription:
    """Messages about streams, across connections. An iterator, and a context manager.

    Iterating raises `AnalyzerAway` when the analyzer was never there or stays away, and
    `SubscriptionRefused` when it will not have this subscription.
    """

    def __init__(
        self, endpoint: Endpoint, following: Following, on_lost: Callable[[Lost], None] | None
    ) -> None:
        self._endpoint = endpoint
        self._following = following
        self._on_lost = on_lost
        self._closed = threading.Event()
        self._socket: BlockingSocket | None = None
        self._messages = self._run()

    @property
    def reconnects(self) -> int:
        """How often a lost connection was brought back."""
        return self._following.reconnects

    @property
    def skipped(self) -> int:
        """How many messages were of a kind that this release does not know."""
        return self._following.skipped

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        return next(self._messages)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it, from whichever thread; iteration then stops."""
        self._closed.set()
        if (socket := self._socket) is not None:
            socket.close_soon()
        with suppress(ValueError):  # another thread is iterating, and ends it
            self._messages.close()

    def _run(self) -> Generator[Message]:
        while not self._closed.is_set():
            code: int | None = None
            try:
                with blocking_connection(self._endpoint) as socket:
                    self._socket = socket
                    for text in self._following.greetings():
                        socket.send(text)
                    while not self._closed.is_set():
                        message = self._following.take(socket.recv())
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
            self._closed.wait(lost.wait_s)
