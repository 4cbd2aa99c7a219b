"""Ownership of the device's rows by tracks. Pure bookkeeping, no tensors.

A slot is a row together with a generation, which counts the row's owners. Whoever still holds a
slot of an earlier generation holds a name for something that no longer exists.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.engine.plan import TrackKey
from stream.errors import StreamError


@dataclass(frozen=True, slots=True)
class Slot:
    """One row, as owned by one track."""

    row: int
    generation: int


@dataclass(eq=False)
class StaleSlot(StreamError):
    """A slot was used after its row had been given to another track."""

    code = "stale_slot"
    title = "A slot of the device was used after its face had left"
    hint = "A fault of this program: please report it with the lines of the log around it"

    slot: Slot
    generation: int

    def __str__(self) -> str:
        return (
            f"row {self.slot.row} is in generation {self.generation}, "
            f"not {self.slot.generation} any more"
        )


class Slots:
    """A fixed number of rows and their owners.

    Args:
        capacity: how many tracks may own a row at the same time, at least 1.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a device has at least one slot, not {capacity}")
        self.capacity = capacity
        self._owned: dict[TrackKey, Slot] = {}
        self._free = list(range(capacity - 1, -1, -1))  # the lowest row is taken first
        self._generations = [0] * capacity
        self._refused = 0

    def acquire(self, key: TrackKey) -> Slot | None:
        """Return the track's slot, a new one if it has none, or None when all are taken."""
        slot = self._owned.get(key)
        if slot is not None:
            return slot
        if not self._free:
            self._refused += 1
            return None
        row = self._free.pop()
        self._generations[row] += 1
        slot = Slot(row, self._generations[row])
        self._owned[key] = slot
        return slot

    def release(self, key: TrackKey) -> Slot | None:
        """Take the track's slot away and return it, or None when it had none."""
        slot = self._owned.pop(key, None)
        if slot is not None:
            self._free.append(slot.row)
        return slot

    def lookup(self, key: TrackKey) -> Slot | None:
        """Return the track's slot, or None."""
        return self._owned.get(key)

    @property
    def used(self) -> int:
        """Rows that have an owner."""
        return len(self._owned)

    @property
    def refused(self) -> int:
        """How often a track asked for a row and got none."""
        return self._refused
