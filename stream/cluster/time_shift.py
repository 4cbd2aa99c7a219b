"""Time shift: what another machine's monotonic seconds are on this one. Pure.

Monotonic clocks of two machines have nothing to do with each other. The least difference that was
seen between when an event was logged there and when it was read here is the shift, and the time on
the way at its shortest. It may grow a little with time, because clocks do not run alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stream.clock import Clock
from stream.event_log.event_log import StampedEvent

DRIFT = 1e-4
"""Seconds per second by which two clocks may run apart."""


@dataclass(slots=True)
class TimeShift:
    """Shift of one worker's clock.

    Attributes:
        least: seconds to add to the worker's; infinite while nothing was seen.
        at: monotonic seconds here at which that was seen.
    """

    least: float = math.inf
    at: float = 0.0

    def hear(self, now: float, there: float) -> None:
        """Take note that an event that was logged at `there` is read at `now`."""
        self.least = min(self.least + DRIFT * max(now - self.at, 0.0), now - there)
        self.at = now

    def known(self, there: float, otherwise: float) -> float:
        """Return a time of the worker on this machine's clock, or another one if none was seen."""
        return there + self.least if math.isfinite(self.least) else otherwise

    def of(self, stamped: StampedEvent, clock: Clock) -> float:
        """Return the seconds to add to an event's; by wall clocks as long as nothing was seen."""
        if math.isfinite(self.least):
            return self.least
        age = max((clock.utc() - stamped.utc).total_seconds(), 0.0)
        return clock.monotonic() - age - stamped.now

    def here(self, there: float, stamped: StampedEvent, clock: Clock) -> float:
        """Return a time of an event on this machine's clock, at the latest now."""
        return min(there + self.of(stamped, clock), clock.monotonic())
