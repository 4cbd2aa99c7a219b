"""Time, in one place. Everybody else is handed `now` or `at` as a parameter."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards; compare only with this clock's own."""
        ...

    def utc(self) -> datetime:
        """Return the wall clock's time in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()  # noqa: TID251 - this module is where time comes from

    def utc(self) -> datetime:
        """Return the machine's wall clock in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this module is where time comes from

    async def sleep(self, seconds: float) -> None:
        """Wait on the running event loop."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that moves only when it is told to; for tests and replays."""

    def __init__(self, start: float = 0.0, epoch: datetime | None = None) -> None:
        self._now = start
        self._start = start
        self._epoch = epoch or datetime(2026, 1, 1, tzinfo=UTC)

    def advance(self, seconds: float) -> float:
        """Move forward and return the new monotonic time."""
        if seconds < 0:
            raise ValueError(f"time runs forwards: cannot advance by {seconds} s")
        self._now += seconds
        return self._now

    def monotonic(self) -> float:
        """Return the seconds that were set."""
        return self._now

    def utc(self) -> datetime:
        """Return the epoch plus the seconds that have passed."""
        return datetime.fromtimestamp(self._epoch.timestamp() + self._now - self._start, UTC)

    async def sleep(self, seconds: float) -> None:
        """Advance at once, yielding to other tasks once."""
        self.advance(seconds)
        await asyncio.sleep(0)
