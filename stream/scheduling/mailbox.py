"""A bounded hand-off between two threads or tasks, with a named overflow policy and counters.

It holds values and takes a lock; it starts nothing and never waits. Whoever reads is woken by
whoever writes, through the callable given at construction.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Overflow(Enum):
    """What happens to a value that finds the mailbox full."""

    DROP_OLDEST = "drop_oldest"
    REFUSE = "refuse"


class Mailbox(Generic[T]):
    """A bounded queue that counts what it could not keep.

    Args:
        capacity: how many values it holds at most, at least 1.
        overflow: what gives way when it is full.
        wake: called after every accepted value, outside the lock.
    """

    def __init__(
        self, capacity: int, overflow: Overflow, wake: Callable[[], None] | None = None
    ) -> None:
        if capacity < 1:
            raise ValueError(f"a mailbox holds at least one value, not {capacity}")
        self.capacity = capacity
        self.overflow = overflow
        self._wake = wake
        self._lock = threading.Lock()
        self._values: deque[T] = deque()
        self._put = 0
        self._dropped = 0

    def put(self, value: T) -> bool:
        """Add a value; return False when a value (this or the oldest) had to give way."""
        with self._lock:
            kept = True
            if len(self._values) >= self.capacity:
                self._dropped += 1
                kept = False
                if self.overflow is Overflow.REFUSE:
                    return False
                self._values.popleft()
            self._values.append(value)
            self._put += 1
        if self._wake is not None:
            self._wake()
        return kept

    def take(self) -> T | None:
        """Remove and return the oldest value, or None when there is none."""
        with self._lock:
            return self._values.popleft() if self._values else None

    def peek(self) -> T | None:
        """Return the oldest value without removing it, or None."""
        with self._lock:
            return self._values[0] if self._values else None

    def clear(self) -> int:
        """Remove everything and return how many values there were."""
        with self._lock:
            n = len(self._values)
            self._values.clear()
            return n

    @property
    def dropped(self) -> int:
        """Values that gave way since construction."""
        return self._dropped

    @property
    def accepted(self) -> int:
        """Values taken in since construction."""
        return self._put

    def __len__(self) -> int:
        return len(self._values)
