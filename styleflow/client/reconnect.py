"""Policy of connecting again after a connection is lost: bounded, ever slower, never in step."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Reconnect:
    """How often, and after how long, a lost connection is tried again.

    The wait doubles from `first_s` to `most_s`; half of it is drawn by chance, so that many clients
    of one analyzer do not come back at the same moment. Tries are counted from the last connection
    that brought a subscription about.

    Attributes:
        first_s: longest wait before the first try, seconds.
        most_s: longest wait of all, seconds.
        attempts: tries in a row before giving up; None goes on until the subscription is closed.
    """

    first_s: float = 0.5
    most_s: float = 30.0
    attempts: int | None = 20

    def wait_s(self, attempt: int, random: Random) -> float:
        """Return how long to wait before a try, the first of which is 1."""
        longest = min(self.most_s, self.first_s * 2.0 ** min(attempt - 1, 32))
        return longest * random.uniform(0.5, 1.0)

    def gives_up(self, attempt: int) -> bool:
        """Say whether this try is one too many."""
        return self.attempts is not None and attempt > self.attempts


@dataclass(frozen=True, slots=True)
class Lost:
    """A lost connection, told before it is tried again.

    Attributes:
        reason: why, in words.
        attempt: which try comes next, from 1.
        wait_s: seconds until then.
    """

    reason: str
    attempt: int
    wait_s: float
