"""Estate of workers that are gone: what they left in the store is taken over by one that lives.

Alerts that were on their way, and videos that were about to be kept. Every worker looks after its
own in the store, and after a restart it goes on with it. The director names an heir for the rest:
now and then it tells one worker who lives, and this one takes what belongs to nobody else. That is
asked so rarely, and a worker counts as living for so long after it was heard last, that one which
is only being restarted loses nothing. An heir that fails is asked again, or another one is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog

from stream.clock import Clock
from stream.cluster.protocol import WorkerHandle
from styleflow.errors import StyleFlowError

log = structlog.get_logger(__name__)

EVERY_S = 30.0
"""Pause between two looks at what is left."""

MOURN_S = 60.0
"""How long a worker counts as living after it was heard last: one that is restarted comes back."""

WITHIN_S = 20.0
"""How long an heir may take."""


class Estate:
    """Names heirs.

    Args:
        clock: where time comes from.
        start: starts a task.
        count: is told how much an heir has taken over.
    """

    def __init__(
        self,
        clock: Clock,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        count: Callable[[int], None],
    ) -> None:
        self._count = count
        self._clock = clock
        self._start = start
        self._heard: dict[str, float] = {}
        self._due = clock.monotonic() + MOURN_S
        self._asking: asyncio.Task[None] | None = None

    def step(self, now: float, living: Mapping[str, WorkerHandle]) -> None:
        """Ask an heir, if it is time.

        Args:
            now: monotonic seconds.
            living: workers that answer, by name, those that are drained last.
        """
        self._heard |= dict.fromkeys(living, now)
        self._heard = {name: at for name, at in self._heard.items() if now - at < MOURN_S}
        idle = self._asking is None or self._asking.done()
        if now < self._due or not idle or not living:
            return
        self._due = now + EVERY_S
        heir = next(iter(living))
        self._asking = self._start(self._ask(heir, living[heir], tuple(sorted(self._heard))))

    async def _ask(self, heir: str, handle: WorkerHandle, living: tuple[str, ...]) -> None:
        for service, about in (("alerts", (living,)), ("evidence", ())):
            try:
                async with asyncio.timeout(WITHIN_S):
                    taken = await handle.ask(service, "inherit", *about)
            except LookupError:
                continue  # it has no such part
            except (StyleFlowError, TimeoutError) as error:
                log.warning("what gone workers left stays", heir=heir, reason=str(error))
                continue
            self._count(taken)
            if taken:
                log.info("taken over from gone workers", heir=heir, what=service, count=taken)
