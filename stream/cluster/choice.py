"""Choice of the worker for a stream, or for a call that will make one. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from stream.analyzer.streams import StreamSpec
from stream.cluster.balance import least_busy
from stream.cluster.members import Member, Place
from stream.cluster.settings import ClusterSettings
from stream.errors import Overloaded, PlacementImpossible, TooManyStreams, WorkerGone

RETRY_S = 30.0
"""When to ask again while every worker is full."""

CLAIM_S = 10.0
"""How long the worker that was named for a call stays the one for that stream."""

MAX_CLAIMS = 1024
"""Claims that are remembered; the oldest gives way."""


class Chooser:
    """The workers that may take a stream, and which of them does; remembers calls to come.

    Args:
        settings: with the estimate of a stream's share.
        members: workers by name, as they are at any time.
        places: streams by id, as they are at any time.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        members: Mapping[str, Member],
        places: Mapping[str, Place],
    ) -> None:
        self._settings = settings
        self._members = members
        self._places = places
        self._claims: dict[str, tuple[str, float]] = {}

    def choice(self, spec: StreamSpec | None, now: float) -> Member:
        """Return the worker for a new stream, None for a call's.

        Raises PlacementImpossible, WorkerGone, TooManyStreams or Overloaded.
        """
        member = self.least_busy(self.with_room(spec), now)
        if member is not None:
            return member
        labels = spec.placement if spec else {}
        fitting = [member for member in self._members.values() if member.has(labels)]
        if spec is not None and self._members and not fitting:
            raise PlacementImpossible(spec.id, labels)
        living = [member for member in fitting if member.alive and not member.draining]
        if not living:
            raise WorkerGone("")
        owned = self.owned()
        if all(len(owned[member.name]) >= member.card.max_streams for member in living):
            raise TooManyStreams(sum(member.card.max_streams for member in living))
        raise Overloaded(RETRY_S)

    def taker(self, place: Place, now: float) -> Member | None:
        """Return the worker for a stream that exists; what ran is not refused for overload."""
        members = self.with_room(place.spec)
        if not members and place.carried:
            members = self.with_room(place.spec, overloaded=True)
        return self.least_busy(members, now)

    def with_room(self, spec: StreamSpec | None, *, overloaded: bool = False) -> list[Member]:
        """Return the workers that a stream may be given to now, overloaded ones if need be."""
        owned = self.owned()
        return [
            member
            for member in self._members.values()
            if (member.takes(spec) if spec else member.alive and not member.draining)
            and (overloaded or not member.refuses)
            and len(owned[member.name]) < member.card.max_streams
        ]

    def least_busy(self, members: Iterable[Member], now: float) -> Member | None:
        """Return the least busy of some workers, calls that are about to come included."""
        claimed = Counter(
            worker
            for stream, (worker, until) in self._claims.items()
            if until > now and stream not in self._places
        )
        return least_busy(members, self.owned(), claimed, self._settings, now)

    def owned(self) -> dict[str, list[Place]]:
        """Return the streams of each worker."""
        owned: dict[str, list[Place]] = {name: [] for name in self._members}
        for place in self._places.values():
            if place.worker:
                owned[place.worker].append(place)
        return owned

    # --- calls to come ------------------------------------------------------------------------

    def claimed(self, stream: str, now: float) -> str:
        """Return the worker that was named for a call lately and still takes it; else empty."""
        worker, until = self._claims.get(stream, ("", now))
        member = self._members.get(worker)
        open_ = member is not None and member.alive and not member.draining
        return worker if open_ and now < until else ""

    def claim(self, stream: str, worker: str, now: float) -> None:
        """Remember which worker was named for a call."""
        self._claims.pop(stream, None)
        self._claims[stream] = worker, now + CLAIM_S
        while len(self._claims) > MAX_CLAIMS:
            del self._claims[next(iter(self._claims))]

    def unclaim(self, stream: str) -> None:
        """Forget which worker was named for a stream's call."""
        self._claims.pop(stream, None)

    def lost(self, worker: str) -> None:
        """Forget the calls that a worker was named for."""
        self._claims = {id: claim for id, claim in self._claims.items() if claim[0] != worker}
