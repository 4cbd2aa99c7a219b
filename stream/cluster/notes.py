"""Notes of the director: what it knows that workers do not, for the director after it.

Workers that are drained, and the newest generation of each stream. Notes that cannot be read or
written now are read or written later; the director goes on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol

import structlog

from stream.clock import Clock
from stream.cluster.placement import Placement
from styleflow.errors import StyleFlowError

log = structlog.get_logger(__name__)

AGAIN_S = 1.0
"""Pause after reading or writing in vain."""

WRITE_S = 10.0
"""How long writing may take."""

KEPT_S = 2.0
"""How long whoever drains a worker waits until that is written."""


class Notes(Protocol):
    """Where notes are. Errors of the store mean that it cannot be asked now."""

    def drained(self) -> Awaitable[Mapping[str, str]]:
        """Return which workers are drained, and by whom."""
        ...

    def newest(self) -> Awaitable[Mapping[str, int]]:
        """Return the newest generation of streams that has been seen."""
        ...

    def keep(self, drained: Mapping[str, str]) -> Awaitable[None]:
        """Write which workers are drained, and by whom, and forget all others."""
        ...


class NoteKeeper:
    """Reads notes once, and writes them whenever they are others than those that are written.

    Args:
        notes: where they are; None where nothing outlives the director.
        placement: is told what was read, and knows who is drained.
        clock: where time comes from.
        start: starts a task.

    Attributes:
        recalled: whether they have been read.
    """

    def __init__(
        self,
        notes: Notes | None,
        placement: Placement,
        clock: Clock,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self.recalled = notes is None
        self._notes = notes
        self._placement = placement
        self._clock = clock
        self._start = start
        self._written: Mapping[str, str] = {}
        self._reading: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._rests = 0.0

    def step(self, now: float) -> None:
        """Begin to read or write what is due."""
        if self._notes is None or now < self._rests:
            return
        if not self.recalled:
            if _idle(self._reading):
                self._reading = self._start(self._read(self._notes))
        elif self._written != self._placement.drained and _idle(self._writing):
            self._writing = self._start(self._write(self._notes))

    async def kept(self) -> None:
        """Wait until who is drained is written, but not for long."""
        self.step(self._clock.monotonic())
        if self._writing is not None:
            await asyncio.wait((self._writing,), timeout=KEPT_S)

    async def _read(self, notes: Notes) -> None:
        try:
            drained, newest = await notes.drained(), await notes.newest()
        except StyleFlowError as error:
            log.warning("what the last director knew cannot be read yet", reason=str(error))
            self._rests = self._clock.monotonic() + AGAIN_S
            return
        self._written = drained
        self._placement.remember(drained)
        self._placement.heed(newest, self._clock.monotonic())
        self.recalled = True

    async def _write(self, notes: Notes) -> None:
        drained = dict(self._placement.drained)
        try:
            async with asyncio.timeout(WRITE_S):
                await notes.keep(drained)
        except (StyleFlowError, TimeoutError) as error:
            log.warning("it is not written yet which workers are drained", reason=str(error))
            self._rests = self._clock.monotonic() + AGAIN_S
        else:
            self._written = drained


def _idle(task: asyncio.Task[None] | None) -> bool:
    return task is None or task.done()
