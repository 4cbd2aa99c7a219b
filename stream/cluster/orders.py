"""Orders to workers: what has to be told so that everybody holds what they own. Pure.

Orders are found by comparison of what is wanted with what workers hold. One that is being carried
out is not given twice, and one that failed is given again after a pause.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stream.analyzer.streams import StreamSpec
from stream.cluster.members import Member, Place

HANDOVER_S = 4.0
"""How long a stream's new owner waits for the old one to let go: what that one says last would come
too late otherwise, and not be shown. One that does not answer counts as lost before."""

AGAIN_S = 1.0
"""Pause before a worker that did not let go of a stream is told again."""


@dataclass(frozen=True, slots=True)
class Own:
    """The order to a worker to run a stream."""

    worker: str
    spec: StreamSpec
    generation: int

    @property
    def stream(self) -> str:
        """The stream's id."""
        return self.spec.id


@dataclass(frozen=True, slots=True)
class Disown:
    """The order to a worker to stop a stream, up to this generation."""

    worker: str
    stream: str
    generation: int
    moved: bool


Order = Own | Disown


class Orders:
    """Orders that are given, until they are settled."""

    def __init__(self) -> None:
        self._pending: dict[tuple[str, str], Order] = {}
        self._rests: dict[tuple[str, str], float] = {}

    def pending(self, worker: str, stream: str) -> bool:
        """Say whether a worker is being told something about a stream."""
        return (worker, stream) in self._pending

    def settle(self, order: Order, again: float | None = None) -> bool:
        """Take an order off the list; say whether it was on it.

        Args:
            order: which.
            again: when it may be given again, if it failed.
        """
        key = order.worker, order.stream
        if self._pending.get(key) is not order:
            return False
        del self._pending[key]
        if again is not None:
            self._rests[key] = again
        return True

    def drop(self, worker: str) -> None:
        """Forget what a worker was told: it is gone."""
        self._pending = {key: order for key, order in self._pending.items() if key[0] != worker}
        self._rests = {key: until for key, until in self._rests.items() if key[0] != worker}

    def give(
        self,
        members: Mapping[str, Member],
        places: Mapping[str, Place],
        removed: Mapping[str, int],
        now: float,
    ) -> tuple[Order, ...]:
        """Return the orders that are missing; they are pending from now on.

        Args:
            members: workers by name.
            places: streams by id.
            removed: generations up to which removed streams are held by mistake.
            now: monotonic seconds.
        """
        self._rests = {key: until for key, until in self._rests.items() if until > now}
        orders: tuple[Order, ...] = (
            *self._ends(members, places, removed),
            *self._starts(members, places, now),
        )
        for order in orders:
            self._pending[order.worker, order.stream] = order
        return orders

    def _ends(
        self,
        members: Mapping[str, Member],
        places: Mapping[str, Place],
        removed: Mapping[str, int],
    ) -> Iterator[Disown]:
        for member in members.values():
            if not member.alive:
                continue
            for stream, held in member.holds.items():
                key, place = (member.name, stream), places.get(stream)
                if key in self._pending or key in self._rests:
                    continue
                if _stale(member, place, held, removed.get(stream, -1)):
                    yield Disown(member.name, stream, held, moved=place is not None)

    def _starts(
        self, members: Mapping[str, Member], places: Mapping[str, Place], now: float
    ) -> Iterator[Own]:
        for stream, place in places.items():
            owner = members.get(place.worker)
            if owner is None or (owner.name, stream) in self._pending:
                continue
            held = owner.holds.get(stream, -1)
            if place.kept and held < place.generation and not _blocked(members, place, now):
                yield Own(owner.name, place.spec, place.generation)


def _stale(member: Member, place: Place | None, held: int, removed: int) -> bool:
    """Say whether a worker holds a stream that it should let go of."""
    if place is None:
        return held <= removed
    return place.worker != member.name and held <= max(place.generation, removed)


def _blocked(members: Mapping[str, Member], place: Place, now: float) -> bool:
    """Say whether another living worker still holds a stream, and may be waited for."""
    if now - place.placed >= HANDOVER_S:
        return False
    return any(
        place.spec.id in member.holds
        for member in members.values()
        if member.alive and member.name != place.worker
    )
