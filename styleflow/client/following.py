"""A subscription without its socket: what to say, what was heard, and where to go on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

from pydantic import TypeAdapter, ValidationError

from styleflow.client.endpoint import ADDRESS_HINT, Endpoint
from styleflow.client.errors import AnalyzerAway, SubscriptionRefused
from styleflow.client.messages import EventMessage, Message, SubscribedMessage
from styleflow.client.reconnect import Lost, Reconnect
from styleflow.client.requests import Hello, ResumePoint, Subscribe
from styleflow.client.values import CloseCode, StreamRemovedData, Wire

FINAL = frozenset(
    {
        CloseCode.FORBIDDEN,
        CloseCode.BAD_MESSAGE,
        CloseCode.TOKEN_EXPIRED,
        CloseCode.UNKNOWN_STREAM,
    }
)
"""Closings after which connecting again the same way would fail the same way."""

MOST_POINTS = 1024
"""Streams whose resume points are kept, as many as an analyzer takes; beyond, the one that was
quiet for longest gets a snapshot instead."""

LARGEST_MESSAGE = 1 << 22
"""Bytes of one message of the server."""

_MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)


def parse(text: str | bytes) -> Message | None:
    """Return the message in a text frame, or None for one of an unknown kind."""
    try:
        return _MESSAGE.validate_json(text)
    except ValidationError:
        return None


class Following:
    """State of one subscription across its connections. Does no input or output.

    Attributes:
        reconnects: how often a lost connection was brought back.
        skipped: messages of a kind that this release does not know.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        wanted: Subscribe,
        client: str,
        policy: Reconnect,
        random: Random | None = None,
    ) -> None:
        self.reconnects = 0
        self.skipped = 0
        self._endpoint = endpoint
        self._wanted = wanted
        self._client = client
        self._policy = policy
        self._random = random or Random()
        self._points: dict[str, ResumePoint] = {}
        self._attempt = 0
        self._was_there = False

    def greetings(self) -> Sequence[str]:
        """Return what opens a connection: hello, and the subscription with its resume points."""
        hello = Hello(type="hello", token=self._endpoint.token, client=self._client)
        wanted = self._wanted
        if self._points:
            wanted = wanted.model_copy(update={"resume": dict(self._points)})
        return _sent(hello), _sent(wanted)

    def take(self, text: str | bytes) -> Message | None:
        """Return the message in a text frame, or None for one of an unknown kind."""
        message = parse(text)
        if message is None:
            self.skipped += 1
            self._remember_raw(text)
            return None
        if isinstance(message, SubscribedMessage):
            self.reconnects += self._attempt > 0
            self._attempt, self._was_there = 0, True
        elif isinstance(message, EventMessage) and isinstance(message.data, StreamRemovedData):
            self._points.pop(message.stream, None)
        elif message.stream is not None and message.seq is not None:
            self._remember(message.stream, message.epoch or 0, message.seq)
        return message

    def lost(self, code: int | None, reason: str) -> Lost:
        """Decide what comes after a connection has ended.

        Args:
            code: close code of the WebSocket; None when there was none.
            reason: why, in words.

        Raises:
            SubscriptionRefused: trying again would fail the same way.
            AnalyzerAway: it was never there, or has been away for too many tries.
        """
        if code in FINAL:
            raise SubscriptionRefused(self._endpoint.shown, int(code or 0), reason)
        self._attempt += 1
        if not self._was_there or self._policy.gives_up(self._attempt):
            raise AnalyzerAway(self._endpoint.shown, reason, ADDRESS_HINT)
        return Lost(reason, self._attempt, self._policy.wait_s(self._attempt, self._random))

    def _remember(self, stream: str, epoch: int, seq: int) -> None:
        point = self._points.pop(stream, None)
        if point is None or seq > point.seq:
            point = ResumePoint(epoch=epoch, seq=seq)
        self._points[stream] = point  # the last one heard of is the last to give way
        if len(self._points) > MOST_POINTS:
            del self._points[next(iter(self._points))]

    def _remember_raw(self, text: str | bytes) -> None:
        """Go on behind a message that is not understood, rather than ask for it again."""
        try:
            found = json.loads(text)
        except ValueError:
            return
        match found:
            case {"stream": str(stream), "epoch": int(epoch), "seq": int(seq)}:
                self._remember(stream, epoch, seq)


def _sent(message: Wire) -> str:
    return message.model_dump_json(exclude_unset=True)
