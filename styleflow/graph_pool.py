"""Bound and counters of the calls that this process has recorded for its accelerator. No torch.

Policy, *first come*: every recorded call holds memory of its own, so there are at most so many.
What was recorded stays for as long as its network and weights do. A batch for which nothing can be
recorded any more takes the next larger size that was, or the network is called as it is.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

_log = logging.getLogger(__name__)

MOST_GRAPHS = 64
"""Calls that are recorded at the same time: seven sizes for each of nine networks."""


class FallBack(Enum):
    """Why a network was called as it is, and nothing played back.

    Attributes:
        FULL: as many calls were recorded as there may be.
        REFUSED: its call cannot be recorded.
        DIFFERS: what was recorded does not answer like the network.
    """

    FULL = "full"
    REFUSED = "refused"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class GraphCounts:
    """What a pool has counted; a snapshot.

    Attributes:
        held: recorded calls now.
        captured: calls that were ever recorded.
        replayed: batches that a recorded call has answered.
        fallen_back: batches that networks have answered as they are, by why.
    """

    held: int
    captured: int
    replayed: int
    fallen_back: Mapping[FallBack, int]


class GraphPool:
    """Room for recorded calls, shared by every network of a process; safe from any thread.

    Args:
        most: recorded calls that may be held at the same time.
    """

    def __init__(self, most: int = MOST_GRAPHS) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._held = 0
        self._captured = 0
        self._replayed = 0
        self._fallen_back: Counter[FallBack] = Counter()
        self._said: set[tuple[str, FallBack]] = set()

    @property
    def counts(self) -> GraphCounts:
        """What was counted so far."""
        with self._lock:
            return GraphCounts(
                self._held,
                self._captured,
                self._replayed,
                {why: self._fallen_back[why] for why in FallBack},
            )

    def reserve(self) -> bool:
        """Take room for one call that is about to be recorded; False when there is none."""
        with self._lock:
            if self._held >= self.most:
                return False
            self._held += 1
            return True

    def release(self, calls: int = 1) -> None:
        """Give room back."""
        with self._lock:
            self._held -= calls

    def captured(self) -> None:
        """Count a call that was recorded."""
        with self._lock:
            self._captured += 1

    def replayed(self) -> None:
        """Count a batch that a recorded call has answered."""
        with self._lock:
            self._replayed += 1

    def fell_back(self, network: str, why: FallBack, said: str = "") -> None:
        """Count a batch that a network has answered as it is; the log says so once of each.

        Args:
            network: its name.
            why: for which reason.
            said: by whoever refused it.
        """
        with self._lock:
            self._fallen_back[why] += 1
            known = (network, why) in self._said
            self._said.add((network, why))
        if not known:
            _log.warning("%s runs without recorded calls (%s): %s", network, why.value, said)


@functools.cache
def process_pool() -> GraphPool:
    """Return the pool of this process, the same one each time."""
    return GraphPool()
