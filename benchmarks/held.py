"""Streams that are held: the limits of a load, and the search for the largest one within them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.latency import Spread

P95_MS = 300.0
MAX_LOST = 0.01
SHORT = 0.03
"""How much less than the cadence promises may be sampled before a load does not hold: the edges of
a short measurement cost up to two frames per stream, a reader that falls behind costs more."""
MOST = 64


@dataclass(frozen=True, slots=True)
class Load:
    """What one number of streams came to.

    Attributes:
        streams: cameras at the same time.
        latency: from packet to published score.
        worth: streams' worth of sampled frames that were worked through.
        lost: share of the sampled frames that were not.
        fill: mean frames per batch; 1 where there are no batches.
        cpu: CPU seconds per second, cameras not included.
        busy_ms: time of the device thread per frame; none where there is no such thread.
    """

    streams: int
    latency: Spread
    worth: float
    lost: float
    fill: float
    cpu: float
    busy_ms: float | None

    @property
    def holds(self) -> bool:
        """Whether the load is within the limits."""
        return within(self.streams, self.latency, self.worth, self.lost)


def within(streams: int, latency: Spread, worth: float, lost: float) -> bool:
    """Say whether a load holds: scores in time, next to no frame lost, and all video worked off."""
    enough = worth >= (1 - SHORT) * streams * (1 - MAX_LOST)
    return latency.p95_ms <= P95_MS and lost < MAX_LOST and enough


def search(measure: Callable[[int], Load], most: int = MOST) -> list[Load]:
    """Return the loads that it takes to find the largest one that holds, in the order tried."""
    tried: dict[int, Load] = {}

    def holds(streams: int) -> bool:
        if streams not in tried:
            tried[streams] = measure(streams)
        return tried[streams].holds

    low, high = 0, 1
    while high <= most and holds(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > max(1, low // 8):
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    if low == 0 and 2 not in tried:
        tried[2] = measure(2)  # one process per core shows what saturation is worth
    return list(tried.values())


def edge(holds: Callable[[int], bool], near: int, most: int = MOST) -> int:
    """Return the largest number of streams that holds, to one stream; 0 when not even one does.

    Args:
        holds: measures a number of streams, which is asked for once at most.
        near: where to begin; the nearer to the edge, the fewer numbers are measured.
        most: streams at most.
    """
    low, high, stride = 0, most + 1, 1
    at = min(near, most)
    while low < at < high and (low == 0 or high > most):  # one side of the edge is unknown
        if holds(at):
            low, at = at, min(at + stride, most)
        else:
            high, at = at, at - stride
        stride *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
