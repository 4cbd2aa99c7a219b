"""Turns of the faces in a picture that shows more of them than can be followed at once.

Faces that are followed hold a seat. Those beyond the seats wait, and whoever was looked at longest
ago comes first; one that never was comes before all others. A face that nobody follows has no
track, so it is known by its place alone. Memory is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from styleflow.faces.face import Box, Face

_REACH = 0.75  # of a face's side that it moves at most from one detection to the next
_MEMORY_S = 2.0  # media seconds for which the place of a face that is out of sight is remembered
_MAX_PLACES = 256


@dataclass(slots=True, eq=False)
class _Place:
    """A face by its place.

    Attributes:
        box: where it was at the newest detection.
        seen: media time of that detection.
        since: media time at which its turn began; None while it waits.
        looked: media time at which its last turn ended; minus infinity when it had none.
    """

    box: Box
    seen: float
    since: float | None = None
    looked: float = -math.inf


class Turns:
    """Decides which faces of one stream are followed.

    Args:
        seats: faces that are followed at once, at least 1.
        turn_s: media seconds after which a followed face makes room for one that waits.

    Attributes:
        waiting: faces of the newest detection that are not followed.
    """

    def __init__(self, seats: int, turn_s: float) -> None:
        self.waiting = 0
        self._seats = seats
        self._turn_s = turn_s
        self._places: list[_Place] = []

    def forget(self) -> None:
        """Know nothing of any face."""
        self.waiting = 0
        self._places = []

    def rescale(self, x: float, y: float) -> None:
        """Map every place onto pictures that are `x` times as wide and `y` times as high."""
        for place in self._places:
            b = place.box
            place.box = Box(b.x0 * x, b.y0 * y, b.x1 * x, b.y1 * y)

    def choose(
        self, at: float, faces: Sequence[Face], *, damaged: bool = False
    ) -> tuple[tuple[Face, ...], tuple[Face, ...]]:
        """Return the detected faces to follow, in the order given, and those whose turn is over.

        Args:
            at: media time of the detection in seconds.
            faces: every face in the picture, those that matter most first.
            damaged: no turn ends with this picture, because no track begins with it.
        """
        here = self._recognise(at, faces)
        seated = [place for place in here if place.since is not None]
        waiting = sorted((p for p in here if p.since is None), key=lambda place: place.looked)
        free = max(self._seats - len(seated), 0)
        called, waiting = waiting[:free], waiting[free:]
        over: list[_Place] = []
        if not damaged:
            served = sorted(
                (p for p in seated if at - (p.since or 0.0) >= self._turn_s),
                key=lambda place: place.since or 0.0,
            )
            over = served[: len(waiting)]
            called += waiting[: len(over)]
        for place in called:
            place.since = at
        for place in over:
            place.since, place.looked = None, at
        pairs = list(zip(faces, here, strict=True))
        chosen = tuple(face for face, place in pairs if place.since is not None)
        self.waiting = len(faces) - len(chosen)
        ended = {id(place) for place in over}
        return chosen, tuple(face for face, place in pairs if id(place) in ended)

    def _recognise(self, at: float, faces: Sequence[Face]) -> list[_Place]:
        """Return the place of each face, known or new; a place out of sight loses its seat."""
        apart = sorted(
            (distance, number, index)
            for number, place in enumerate(self._places)
            for index, face in enumerate(faces)
            if (distance := _apart(place.box, face.box)) <= _REACH
        )
        found: dict[int, _Place] = {}
        taken: set[int] = set()
        for _, number, index in apart:
            if number not in taken and index not in found:
                found[index] = self._places[number]
                taken.add(number)
        here = [found.get(index) or _Place(face.box, at) for index, face in enumerate(faces)]
        for place, face in zip(here, faces, strict=True):
            place.box, place.seen = face.box, at
        gone = [p for n, p in enumerate(self._places) if n not in taken]
        gone = [p for p in gone if at - p.seen <= _MEMORY_S]
        for place in gone:
            if place.since is not None:
                place.since, place.looked = None, place.seen
        self._places = (here + gone)[:_MAX_PLACES]
        return here


def _apart(a: Box, b: Box) -> float:
    """Return how far two boxes' centres are apart, in sides of the larger one."""
    (ax, ay), (bx, by) = a.centre, b.centre
    return math.hypot(ax - bx, ay - by) / max(a.side, b.side, 1e-6)
