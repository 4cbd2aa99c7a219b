"""Connection limits: how many connections are open, and how long each may take to send a request.

A connection is *waiting* while its client has still to send: before the first request, within the
headers or the body of one, and between two. Waiting ones have a small room of their own, from
which the oldest of the most crowded address is turned out, so half-sent requests take no places of
those who are being answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import Enum

import structlog

from web.settings import ConnectionSettings
from web.waiting_room import Place, WaitingRoom

log = structlog.get_logger(__name__)


class ConnectionRefusal(Enum):
    """Reason why a connection was not let in; a label of the metric."""

    FULL = "full"
    ADDRESS_FULL = "address_full"


class ConnectionLimits:
    """The connections of one server.

    Args:
        settings: limits.

    Attributes:
        settings: the same.
        waiting: those whose client has still to send.
        refused: connections that were too many, by reason.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        self.settings = settings
        self.waiting = WaitingRoom(settings.waiting)
        self.refused: Counter[ConnectionRefusal] = Counter()
        self._by_address: Counter[str] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, address: str) -> bool:
        """Let a connection in; False when there are too many."""
        if self._count >= self.settings.most:
            return self._refuse(ConnectionRefusal.FULL)
        if self._by_address[address] >= self.settings.per_address:
            return self._refuse(ConnectionRefusal.ADDRESS_FULL)
        self._count += 1
        self._by_address[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Take note that a connection that was let in is gone."""
        self._count -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def wait(self, address: str, turn_out: Callable[[], None]) -> Place:
        """Give a connection a place in the waiting room."""
        before = self.waiting.turned_out
        place = self.waiting.enter(address, turn_out)
        if self.waiting.turned_out > before:
            self._tell("too many connections wait to send a request")
        return place

    def give_up(self) -> None:
        """Take note that a request has not arrived in time."""
        self.waiting.late += 1
        self._tell("a request has not arrived in time")

    def _refuse(self, why: ConnectionRefusal) -> bool:
        self.refused[why] += 1
        self._tell("too many connections")
        return False

    def _tell(self, what: str) -> None:
        waiting = self.waiting
        log.warning(
            what,
            refused=self.refused.total(),
            turned_out=waiting.turned_out,
            late=waiting.late,
        )
