"""A waiting room: bounded places for those who have not yet shown what they want.

Whoever comes when it is full gets the place of another: of the address that takes most places,
the one that has waited longest. Those who show themselves at once hardly ever wait long enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One place in a waiting room.

    Attributes:
        address: who waits.
        turn_out: called when somebody else gets the place.
    """

    address: str
    turn_out: Callable[[], None]


class WaitingRoom:
    """Places of those who wait.

    Args:
        places: how many there are.

    Attributes:
        turned_out: those who had to go for others.
        late: those who had to go because they took too long.
    """

    def __init__(self, places: int) -> None:
        self.turned_out = 0
        self.late = 0
        self._places = max(places, 1)
        self._waiting: dict[str, dict[Place, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, address: str, turn_out: Callable[[], None]) -> Place:
        """Take a place; when there is none left, somebody is turned out for it."""
        while self._count >= self._places:
            crowd = max(self._waiting.values(), key=len)
            oldest = next(iter(crowd))
            self.leave(oldest)
            self.turned_out += 1
            oldest.turn_out()
        place = Place(address, turn_out)
        self._waiting.setdefault(address, {})[place] = None
        self._count += 1
        return place

    def leave(self, place: Place) -> None:
        """Give a place back; one that was given back already is fine."""
        crowd = self._waiting.get(place.address, {})
        if place not in crowd:
            return
        del crowd[place]
        self._count -= 1
        if not crowd:
            del self._waiting[place.address]
