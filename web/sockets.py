"""Connections to `/api/v1/scores`: the conversation with one client, from hello to close.

Theory of operation. After hello a connection has two tasks, which end together. The reader turns
client messages into subscriptions and replies; the writer is the only one that sends. The writer
looks for the next message (replies first, then each subscription in turn), sends it, and when
there is none sleeps until the hub wakes it or a held state falls due. A send that makes no
progress ends the connection, so a client that stops reading holds nobody up but itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog
from fastapi import WebSocket
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from stream.clock import Clock
from stream.errors import HubFull, IncidentUnknown
from stream.faults import dotted, told
from stream.incidents.service import Change
from stream.problems import Problem
from stream.publish.asyncapi import CLIENT_MESSAGES
from stream.publish.client_messages import (
    AnyClientMessage,
    ChangeIncident,
    Hello,
    Subscribe,
    Unsubscribe,
    parse_client,
)
from stream.publish.encode import encode_error, encode_subscribed, encode_unsubscribed
from stream.publish.hub import COUNTED_CODES, Filter, Hub, Subscription
from stream.publish.past_events import PastEvents
from stream.publish.patterns import is_pattern
from stream.publish.schema import RESUME_GAP, SUBPROTOCOL, CloseCode, ErrorData, SubscribedData
from styleflow.errors import StyleFlowError
from web.security.auth import Authenticator, Caller, Scope, bearer
from web.services import IncidentService
from web.settings import SocketSettings
from web.waiting_room import WaitingRoom

log = structlog.get_logger(__name__)

MAX_REPLIES = 64
"""Replies that may wait for a client that asks without reading."""

MAX_PATTERNS = 64
"""Globs that one client may have in all its subscriptions; each is matched with a new stream."""

MAX_BURST = 32
"""Messages sent in a row before others get their turn on the event loop."""


@dataclass(eq=False)
class _Closing(StyleFlowError):
    """A WebSocket connection is over; its close code says why."""

    code = "connection_closed"
    title = "The connection is closed"
    hint = "See docs/protocol.md for the close codes and what to do about each"
    status = 400

    close_code: CloseCode
    reason: str

    def __str__(self) -> str:
        return self.reason.encode()[:120].decode(errors="ignore")


class ScoreSocket:
    """One client's WebSocket connection.

    Args:
        socket: not yet accepted.
        hub: where messages come from.
        authenticator: recognises callers.
        settings: time limits and subscriptions.
        clock: where time comes from.
        strangers: places for connections that have not said hello.
        past: events that the hub has no longer; None when nothing is stored.
        incidents: what clients may say something of; None when there are none.
    """

    def __init__(
        self,
        socket: WebSocket,
        hub: Hub,
        authenticator: Authenticator,
        settings: SocketSettings,
        clock: Clock,
        strangers: WaitingRoom,
        past: PastEvents | None = None,
        incidents: IncidentService | None = None,
    ) -> None:
        self._socket = socket
        self._hub = hub
        self._authenticator = authenticator
        self._settings = settings
        self._clock = clock
        self._strangers = strangers
        self._past = past
        self._past_wanted = asyncio.Event()
        self._incidents = incidents
        self._entered = False
        self._wake = asyncio.Event()
        self._woken = self._wake.set  # one object: the hub recognises us by it
        self._replies: deque[str] = deque()
        self._subscriptions: dict[str, Subscription] = {}
        self._caller: Caller | None = None

    async def run(self) -> None:
        """Hold the conversation; returns when the connection is closed."""
        await self._socket.accept(SUBPROTOCOL if self._offered() else None)
        code = 1006
        try:
            code = await self._converse()
        finally:
            for subscription in self._subscriptions.values():
                subscription.close()
            code = code if code in COUNTED_CODES else 1005
            if self._entered:
                self._hub.leave(self._woken, code)
            else:
                self._hub.disconnects[code] += 1

    def _offered(self) -> bool:
        return SUBPROTOCOL in self._socket.scope.get("subprotocols", ())

    async def _converse(self) -> int:
        """Return the close code with which it ended."""
        closing: _Closing | None = None
        code = 1006
        try:
            await self._greet()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read())
                tasks.create_task(self._write())
                if self._past is not None:
                    tasks.create_task(self._read_past(self._past))
        except* _Closing as group:
            closing = next(e for e in group.exceptions if isinstance(e, _Closing))
        except* WebSocketDisconnect as group:
            code = next(e.code for e in group.exceptions if isinstance(e, WebSocketDisconnect))
        if closing is None:
            return code
        await self._close(closing)
        return closing.close_code

    async def _close(self, closing: _Closing) -> None:
        log.debug("socket closed", code=int(closing.close_code), reason=str(closing))
        try:
            async with asyncio.timeout(1.0):
                await self._socket.close(closing.close_code, str(closing))
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            return  # already closed, or it never reads again: the transport cuts it

    # --- hello ------------------------------------------------------------------------------

    async def _greet(self) -> None:
        if self._hub.full:  # not worth a hello
            raise _Closing(CloseCode.TOO_SLOW, str(HubFull(self._hub.settings.max_clients)))
        hello = await self._hello()
        if not isinstance(hello, Hello):
            raise _Closing(CloseCode.BAD_MESSAGE, "the first message must be hello")
        header = self._socket.headers.get("authorization")
        caller = self._authenticator.identify(hello.token or bearer(header), self._clock.utc())
        if caller is None or not caller.may(Scope.READ):
            raise _Closing(CloseCode.FORBIDDEN, "a token is needed: none, or an unknown one")
        self._caller = caller
        try:
            self._hub.enter(self._woken)
        except HubFull as error:
            raise _Closing(CloseCode.TOO_SLOW, str(error)) from None
        self._entered = True

    async def _hello(self) -> AnyClientMessage:
        """Return the first message. Until it is there, the connection is a stranger's."""
        limit_s = self._settings.hello_s
        turned_out = False
        loop = asyncio.get_running_loop()
        deadline = asyncio.timeout(limit_s)

        def turn_out() -> None:
            nonlocal turned_out
            turned_out = True
            if not deadline.expired():
                deadline.reschedule(loop.time())

        try:
            async with deadline:
                client = self._socket.client
                place = self._strangers.enter(client.host if client else "", turn_out)
                try:
                    return await self._receive()
                finally:
                    self._strangers.leave(place)
        except TimeoutError:
            # Either side may just be busy: no question of tokens, so a client should come back.
            if turned_out:
                late = "no hello yet, and others want the place"
            else:
                late = f"no hello within {limit_s:g} s"
                self._strangers.late += 1
            raise _Closing(CloseCode.TOO_SLOW, late) from None

    # --- reading ----------------------------------------------------------------------------

    async def _receive(self) -> AnyClientMessage:
        frame = await self._socket.receive()
        if frame["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(frame.get("code") or 1005)
        text = frame.get("text")
        if text is None:
            raise _Closing(CloseCode.BAD_MESSAGE, "messages are text frames")
        try:
            return parse_client(text)
        except ValidationError as error:
            raise _Closing(CloseCode.BAD_MESSAGE, _fault(error)) from None

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            await asyncio.sleep(0)  # messages that wait already do not suspend
            match message:
                case Subscribe():
                    await self._subscribe(message)
                case Unsubscribe(id=name):
                    self._unsubscribe(name)
                case ChangeIncident():
                    await self._change_incident(message)
                case Hello():
                    raise _Closing(CloseCode.BAD_MESSAGE, "hello was said already")

    async def _subscribe(self, message: Subscribe) -> None:
        if message.id in self._subscriptions:
            raise _Closing(CloseCode.BAD_MESSAGE, f"subscription {message.id!r} exists already")
        if len(self._subscriptions) >= self._settings.max_subscriptions:
            raise _Closing(
                CloseCode.BAD_MESSAGE, f"at most {self._settings.max_subscriptions} subscriptions"
            )
        asked = [s for each in self._subscriptions.values() for s in each.wanted.streams]
        if sum(map(is_pattern, (*asked, *message.streams))) > MAX_PATTERNS:
            raise _Closing(CloseCode.BAD_MESSAGE, f"at most {MAX_PATTERNS} patterns per connection")
        if not any(is_pattern(s) or self._hub.knows(s) for s in message.streams):
            raise _Closing(CloseCode.UNKNOWN_STREAM, f"no stream {', '.join(message.streams)}")
        wanted = Filter(
            message.streams, frozenset(message.types), message.max_hz, message.min_state
        )
        points = message.resume_points
        stored = await self._reachable(self._hub.beyond_memory(wanted, points))
        subscription = self._hub.subscribe(
            wanted, self._wake.set, name=message.id, resume=points, stored=stored
        )
        self._subscriptions[message.id] = subscription
        utc = self._clock.utc()
        self._reply(encode_subscribed(_subscribed(subscription), utc))
        self._replies.extend(_gap(stream, utc) for stream in subscription.gaps)

    async def _reachable(self, points: Mapping[str, int]) -> frozenset[str]:
        """Return the streams whose events above these numbers can be read from the store."""
        if self._past is None or not points:
            return frozenset()
        try:
            return await self._past.reachable(points)
        except StyleFlowError as error:
            log.debug("past events cannot be read", reason=str(error))
            return frozenset()

    def _unsubscribe(self, name: str) -> None:
        subscription = self._subscriptions.pop(name, None)
        if subscription is not None:
            subscription.close()
        self._reply(encode_unsubscribed(name, self._clock.utc()))

    async def _change_incident(self, message: ChangeIncident) -> None:
        """Do what an operator says; everybody hears of it as an event, the operator too."""
        assert self._caller is not None
        try:
            self._caller.check(Scope.CONTROL)
            if self._incidents is None:
                raise IncidentUnknown(message.id)
            change = Change.of(message.model_dump(include=message.model_fields_set))
            await self._incidents.change(message.id, change, self._caller.name)
        except StyleFlowError as error:
            problem = Problem.of(error)
            data = ErrorData(
                code=problem.status,
                title=problem.title,
                detail=problem.detail,
                hint=problem.hint,
            )
            self._reply(encode_error(data, self._clock.utc()))

    def _reply(self, text: str) -> None:
        if len(self._replies) >= MAX_REPLIES:
            raise _Closing(CloseCode.TOO_SLOW, "too many questions, too few answers read")
        self._replies.append(text)
        self._wake.set()

    # --- writing ----------------------------------------------------------------------------

    async def _write(self) -> None:
        sent = 0
        while True:
            self._wake.clear()  # before looking, so that nothing that comes meanwhile is missed
            self._check()
            text = self._next()
            if text is None:
                if any(each.wanted_past for each in self._subscriptions.values()):
                    self._past_wanted.set()
                await self._sleep()
                continue
            await self._send(text)
            sent += 1
            if sent % MAX_BURST == 0:
                await asyncio.sleep(0)  # a send into an empty buffer does not suspend

    async def _read_past(self, past: PastEvents) -> None:
        """Read stored events, a page at a time, whenever the writer has nothing else to send."""
        while True:
            await self._past_wanted.wait()
            self._past_wanted.clear()
            for subscription in list(self._subscriptions.values()):
                wanted = subscription.wanted_past
                if wanted is None:
                    continue
                try:
                    subscription.supply(wanted.stream, await past.after(wanted.stream, wanted.seq))
                except StyleFlowError as error:
                    log.debug("past events cannot be read", reason=str(error))
                    subscription.give_up(wanted.stream)
                utc = self._clock.utc()
                for stream in subscription.take_gaps():
                    self._reply(_gap(stream, utc))

    def _check(self) -> None:
        stopped = self._hub.stopped
        if stopped is not None:
            raise _Closing(stopped.code, stopped.reason)
        if self._caller is not None and not self._caller.valid_at(self._clock.utc()):
            raise _Closing(CloseCode.TOKEN_EXPIRED, "the token has expired")

    def _next(self) -> str | None:
        if self._replies:
            return self._replies.popleft()
        now = self._clock.monotonic()
        for name, subscription in list(self._subscriptions.items()):
            text = subscription.take(now)
            if subscription.cut is not None:
                raise _Closing(subscription.cut.code, subscription.cut.reason)
            if text is not None:
                self._subscriptions[name] = self._subscriptions.pop(name)  # the others' turn
                return text
        return None

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(self._settings.stall_s):
                await self._socket.send_text(text)
        except TimeoutError:
            raise _Closing(
                CloseCode.TOO_SLOW, f"no message was read for {self._settings.stall_s:g} s"
            ) from None

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self._seconds_until_due()):
                await self._wake.wait()
        except TimeoutError:
            return

    def _seconds_until_due(self) -> float | None:
        """Return the seconds after which something is due without anybody waking us."""
        now = self._clock.monotonic()
        waits = [due - now for s in self._subscriptions.values() if (due := s.due()) is not None]
        token = self._caller.token if self._caller else None
        if token is not None and token.expires is not None:
            waits.append(min(_seconds(token.expires, self._clock.utc()), 3600.0))
        return max(min(waits), 0.0) if waits else None


def _seconds(until: datetime, now: datetime) -> float:
    return (until.replace(tzinfo=until.tzinfo or now.tzinfo) - now).total_seconds()


def _subscribed(subscription: Subscription) -> SubscribedData:
    return SubscribedData(
        id=subscription.name,
        snapshot=len(subscription.resumed) < max(len(subscription.streams), 1),
        streams=subscription.streams,
        resumed=subscription.resumed,
    )


def _gap(stream: str, utc: datetime) -> str:
    data = ErrorData(
        code=RESUME_GAP,
        title="Some events are no longer there",
        detail=f"the resume point of {stream} is too old, or of another run",
        hint="A full snapshot follows",
    )
    return encode_error(data, utc, stream)


def _fault(error: ValidationError) -> str:
    """Return what is wrong with a client's message, without repeating what it said."""
    first = error.errors(include_input=False, include_url=False)[0]
    name, *path = first["loc"] or ("",)
    what = told(CLIENT_MESSAGES.get(str(name)), {**first, "loc": path})
    return f"{where}: {what}" if (where := dotted(first["loc"])) else what
