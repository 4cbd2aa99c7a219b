"""Account of computing time: what second looks have earned, and what they have spent. Pure.

Theory of operation. The account earns `share` seconds for every second that passes, and begins with
nothing. A look is reserved before it begins, by what its frames are expected to cost; what it has
really cost is spent as it is measured, and what it did not need is given back. Nothing begins that
is not earned, so the sum of all spending is never above `share` of the time so far, and over any
stretch of it never above `share` of that stretch and what had been saved at its beginning. At most
`window_s` of income is saved, or one look where that is more. Only a frame that turns out dearer
than every frame lately can overdraw the account, by the difference, which is paid off first.
"""

from __future__ import annotations

from collections import deque

WINDOW_S = 60.0
"""Seconds of income that are saved at most, and over which the used share is told."""

_MOST_ENTRIES = 4096


class ComputeAccount:
    """Seconds of the device that second looks may use; bounded.

    Args:
        share: earned per second, above 0.
        now: monotonic seconds.
        window_s: income that is saved at most.

    Attributes:
        spent: seconds spent in all; only grows.
    """

    def __init__(self, share: float, now: float, window_s: float = WINDOW_S) -> None:
        self.spent = 0.0
        self._share = share
        self._window_s = window_s
        self._balance = 0.0
        self._reserved = 0.0
        self._most = share * window_s
        self._at = now
        self._lately: deque[tuple[float, float]] = deque(maxlen=_MOST_ENTRIES)

    @property
    def most(self) -> float:
        """Seconds that are saved at most."""
        return self._most

    def earn(self, now: float) -> None:
        """Take in what has been earned until now; a clock that stands still earns nothing."""
        passed = max(now - self._at, 0.0)
        self._at = max(self._at, now)
        self._balance = min(self._balance + self._share * passed, self._most)

    def allow(self, cost: float) -> None:
        """Let so much be saved that one look of this cost can ever be paid."""
        self._most = max(self._share * self._window_s, cost)

    def reserve(self, cost: float) -> bool:
        """Set the cost of a look aside; say whether there is as much."""
        if self._balance - self._reserved < cost:
            return False
        self._reserved += cost
        return True

    def release(self, cost: float) -> None:
        """Give back what was set aside and is not needed."""
        self._reserved = max(self._reserved - cost, 0.0)

    def affords(self, cost: float) -> bool:
        """Say whether the balance covers a cost, whatever is set aside for it."""
        return self._balance >= cost

    def spend(self, cost: float) -> None:
        """Take what was measured off the balance, which may then be below 0."""
        self._balance -= cost
        self.spent += cost
        self._lately.append((self._at, cost))

    def used(self, now: float) -> float:
        """Return the share of the last `window_s` that was spent."""
        since = now - self._window_s
        while self._lately and self._lately[0][0] <= since:
            self._lately.popleft()
        return sum(cost for _, cost in self._lately) / self._window_s
