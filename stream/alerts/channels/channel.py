"""Interface of channels."""

from __future__ import annotations

import asyncio
from typing import Protocol, runtime_checkable

from stream.alerts.messages import Message
from stream.event_log.event_log import StampedEvent


class Channel(Protocol):
    """A way in which alerts are told.

    Attributes:
        name: as configured.
        kind: webhook, mqtt, email or apprise.
        timeout_s: of one message.
    """

    name: str
    kind: str
    timeout_s: float

    async def deliver(self, message: Message) -> str:
        """Tell a message and return what came back, for people.

        Raises:
            AlertUndelivered: it was not taken.
        """
        ...


@runtime_checkable
class LiveChannel(Protocol):
    """A channel that also shows how streams are doing, and holds a connection for it.

    Attributes:
        trouble: why it has no connection; empty while it has one.
    """

    trouble: str

    def follow(self, stamped: StampedEvent) -> None:
        """Take the next event; called on the event loop, so it must be quick."""
        ...

    async def run(self) -> None:
        """Hold the connection until it is cancelled; failures are its own business."""
        ...


def cancellations() -> int:
    """Return how often this task was cancelled.

    Task groups of Python 3.11 leave one behind when a child fails, so whoever has such groups asks
    for what was added since.
    """
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def heed_cancellation(known: int = 0) -> None:
    """Raise CancelledError if this task was cancelled and a library has swallowed it.

    Until Python 3.11, `asyncio.wait_for` does, when what it waits for comes at the same moment.

    Args:
        known: cancellations that this is not about.
    """
    if cancellations() > known:
        raise asyncio.CancelledError
