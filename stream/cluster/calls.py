"""Calls that a gateway has passed on: who publishes them, and for how long that is allowed.

Workers cannot be told what ends a credential, so the gateway that has let it in looks after it and
hangs up. A gateway that ends takes no call with it; such a call lasts as long as its peer likes, or
as `webrtc.max_session_s` allows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from stream.clock import Clock
from stream.errors import StreamError
from stream.webrtc.calls import Publisher, always

log = structlog.get_logger(__name__)

MAX_CALLS = 4096
"""Calls that are looked after; the oldest gives way."""

CHECK_S = 1.0
"""How often credentials are checked."""

Hang = Callable[[str, str, Publisher], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Call:
    stream: str
    worker: str
    publisher: Publisher


def portable(publisher: Publisher) -> Publisher:
    """Return a publisher as it crosses to a worker, which cannot tell whether it is still valid."""
    return replace(publisher, valid_at=always)


class Calls:
    """The calls of one gateway.

    Args:
        clock: says when a credential ends.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: dict[str, _Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def began(self, stream: str, session: str, worker: str, publisher: Publisher) -> None:
        """Look after a call from now on."""
        self._calls[session] = _Call(stream, worker, publisher)
        while len(self._calls) > MAX_CALLS:
            del self._calls[next(iter(self._calls))]

    def ended(self, session: str) -> None:
        """Look after a call no longer."""
        self._calls.pop(session, None)

    def worker(self, stream: str, session: str) -> str:
        """Return the worker that answered a stream's call; empty if that was not through here."""
        call = self._calls.get(session)
        return call.worker if call is not None and call.stream == stream else ""

    async def watch(self, hang_up: Hang) -> None:
        """End calls whose credential has ended, until cancelled."""
        while True:
            await self._clock.sleep(CHECK_S)
            await self.check(hang_up)

    async def check(self, hang_up: Hang) -> None:
        """End calls whose credential has ended."""
        now = self._clock.utc()
        for session, call in list(self._calls.items()):
            if call.publisher.valid_at(now):
                continue
            self.ended(session)
            try:
                await hang_up(call.stream, session, call.publisher)
            except StreamError as error:
                log.info("a call has ended before its credential", reason=str(error))
