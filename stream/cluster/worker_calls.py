"""The calls of a worker, typed: whoever carries them to it says only how one call goes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from stream.analyzer.streams import StreamSpec, StreamStatus
from stream.cluster.protocol import Batch, Beat, WorkerCard

CALL_S = 30.0
"""Longest time that a call may take, unless it says otherwise: stopping a stream takes seconds."""

BEAT_S = 5.0
"""Longest time for what a worker answers at once."""


class WorkerCalls(ABC):
    """A worker at the other end of something; implements `WorkerHandle`."""

    @abstractmethod
    async def call(self, method: str, limit_s: float, *args: Any, **named: Any) -> Any:
        """Have a method of `WorkerHandle` called at the other end, and return what it returns.

        Args:
            method: its name.
            limit_s: longest time that it may take.
            args: its arguments.
            named: its named arguments.

        Raises:
            WorkerGone: there is no answer.
        """

    async def card(self) -> WorkerCard:
        """Return who it is."""
        card: WorkerCard = await self.call("card", BEAT_S)
        return card

    async def beat(self) -> Beat:
        """Return how it is doing."""
        beat: Beat = await self.call("beat", BEAT_S)
        return beat

    async def own(self, spec: StreamSpec, generation: int) -> StreamStatus:
        """Start a stream."""
        status: StreamStatus = await self.call("own", CALL_S, spec, generation)
        return status

    async def disown(self, stream: str, generation: int, *, moved: bool) -> None:
        """Stop a stream."""
        await self.call("disown", CALL_S, stream, generation, moved=moved)

    async def ask(self, service: str, method: str, *args: Any, **named: Any) -> Any:
        """Call a method of one of its parts."""
        return await self.call("ask", CALL_S, service, method, *args, **named)

    async def feed(self, position: int | None, incarnation: str, wait_s: float) -> Batch:
        """Return events."""
        batch: Batch = await self.call("feed", wait_s + BEAT_S, position, incarnation, wait_s)
        return batch

    async def metrics(self) -> str:
        """Return its figures."""
        text: str = await self.call("metrics", BEAT_S)
        return text
