"""Scores over a data channel: the WebSocket's messages about one stream, without handshake.

There is no hello and no subscribe: a channel belongs to one stream from the start. Belongs to the
event loop and waits for nothing: it is called when the hub has something, when the channel has
drained, and when a held score falls due. A peer that does not read is sent no more until it does,
so it costs what the hub's send queues hold and `max_data` bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from stream.clock import Clock
from stream.publish.hub import Filter, Hub, HubFull


class Channel(Protocol):
    """What is needed of a data channel."""

    @property
    def buffered(self) -> int:
        """Bytes that wait to be sent."""
        ...

    def send(self, text: str) -> None:
        """Send one message."""
        ...

    def close(self) -> None:
        """Close it; more than once is fine."""
        ...


class ScoreSender:
    """Sends a stream's messages on a channel until one of the two ends.

    Args:
        hub: where messages come from.
        stream: whose.
        channel: where they go.
        clock: where time comes from.
        later: calls a function after some seconds; 0 means soon.
        max_data: bytes that may wait in the channel.
    """

    def __init__(
        self,
        hub: Hub,
        stream: str,
        channel: Channel,
        clock: Clock,
        later: Callable[[float, Callable[[], None]], object],
        max_data: int,
    ) -> None:
        self._hub = hub
        self._channel = channel
        self._clock = clock
        self._later = later
        self._max_data = max_data
        self._due: float | None = None
        self._closed = False
        self._woken = self.wake  # one object: the hub recognises us by it
        hub.enter(self._woken)
        wanted = Filter(streams=(stream,))
        self._subscription = hub.subscribe(wanted, self._woken, name="scores")

    def wake(self) -> None:
        """Send what there is, soon."""
        self._schedule(0.0)

    def close(self, code: int = 1000) -> None:
        """Send nothing more; more than once is fine."""
        if self._closed:
            return
        self._closed = True
        self._subscription.close()
        self._hub.leave(self._woken, code)
        self._channel.close()

    def _schedule(self, after_s: float) -> None:
        due = self._clock.monotonic() + after_s
        if self._closed or (self._due is not None and self._due <= due):
            return
        self._due = due
        self._later(after_s, self._pump)

    def _pump(self) -> None:
        self._due = None
        if self._closed:
            return
        if self._hub.stopped is not None:
            self.close(self._hub.stopped.code)
            return
        while self._channel.buffered < self._max_data:
            text = self._subscription.take(self._clock.monotonic())
            if self._subscription.cut is not None:
                self.close(self._subscription.cut.code)
                return
            if text is None:
                due = self._subscription.due()
                if due is not None:
                    self._schedule(max(due - self._clock.monotonic(), 0.0))
                return
            self._channel.send(text)


__all__ = ["Channel", "HubFull", "ScoreSender"]
