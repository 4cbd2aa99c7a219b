"""Interface of channels."""

from __future__ import annotations

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
    """A channel that also shows how streams are doing, and holds a connection for it."""

    def follow(self, stamped: StampedEvent) -> None:
        """Take the next event; called on the event loop, so it must be quick."""
        ...

    async def run(self) -> None:
        """Hold the connection until it is cancelled; failures are its own business."""
        ...
