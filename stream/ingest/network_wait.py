"""Wait for the network, told apart from a pause of this process.

A stopped process (SIGSTOP, a frozen container, a debugger) sees hours pass in one call, and its
camera is none the worse. FFmpeg waits in slices of a tenth of a second and goes to sleep for each,
so whoever has waited for a silent camera has gone to sleep often, and whoever was paused has not.
Linux counts that per thread. A consumer that is slow to come back for the next packet is no wait
either: time passes here only between `begin` and `silent`.
"""

from __future__ import annotations

from collections.abc import Callable

from stream.clock import Clock

SLICES_PER_S = 10.0
"""Times a second that FFmpeg's waits go to sleep."""


def naps_of_this_thread() -> int | None:
    """Return how often this thread has gone to sleep by itself; None where nobody counts."""
    try:
        import resource

        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    except (ImportError, AttributeError):  # Windows has no such module, macOS no such constant
        return None


class NetworkWait:
    """Stopwatch of one wait after the other; belongs to the thread that waits.

    Args:
        clock: where time comes from.
        naps: says how often the thread has gone to sleep.
    """

    def __init__(self, clock: Clock, naps: Callable[[], int | None] = naps_of_this_thread) -> None:
        self._clock = clock
        self._naps = naps
        self._began = clock.monotonic()
        self._slept: int | None = None

    def begin(self) -> None:
        """Start to wait."""
        self._began = self._clock.monotonic()
        self._slept = self._naps()

    def silent(self, limit_s: float) -> bool:
        """Return whether the network was waited for as long as this, pauses not counted."""
        if self._clock.monotonic() - self._began < limit_s:
            return False
        now = self._naps()
        if now is None or self._slept is None:
            return True
        return now - self._slept >= limit_s * SLICES_PER_S / 2
