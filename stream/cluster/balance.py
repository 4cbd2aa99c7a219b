"""Choice of a worker for a stream, and of the stream that leaves a busy one. Pure functions.

A worker's *load* is the share of time that its device was measured to compute, and an estimate for
each stream that it was given too lately to be in the measurement. Without the estimate, streams
that are added in a burst would all go to the worker that was idle before the first of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from stream.analyzer.streams import Priority
from stream.cluster.members import SETTLE_S, Member, Place
from stream.cluster.settings import ClusterSettings

REST_S = 600.0
"""How long a stream stays where balance has moved it."""


def load(member: Member, owned: Iterable[Place], settings: ClusterSettings, now: float) -> float:
    """Return a worker's load, 0 and more.

    Args:
        member: the worker.
        owned: streams that it owns.
        settings: with the estimate.
        now: monotonic seconds.
    """
    unmeasured = sum(now - place.placed < SETTLE_S for place in owned)
    return member.busy + settings.estimate * unmeasured


def least_busy(
    candidates: Iterable[Member],
    owned: Mapping[str, Collection[Place]],
    claimed: Mapping[str, int],
    settings: ClusterSettings,
    now: float,
) -> Member | None:
    """Return the worker of the least load, among equals the one of fewest streams, or None.

    Args:
        candidates: workers to choose from.
        owned: streams of each worker, by its name.
        claimed: calls that it was named for and that have not begun, by its name.
        settings: with the estimate.
        now: monotonic seconds.
    """

    def rank(member: Member) -> tuple[float, int, str]:
        places, calls = owned[member.name], claimed.get(member.name, 0)
        share = load(member, places, settings, now) + calls * settings.estimate
        return round(share, 3), len(places) + calls, member.name

    return min(candidates, key=rank, default=None)


def leaves(places: Collection[Place], now: float) -> list[Place]:
    """Return the streams that may leave a busy worker, the one that goes first in front.

    A call would be cut, so it stays. A stream that was moved lately rests, and one that was given
    to the worker lately is not measured yet. The only stream of a worker stays: wherever it went,
    it would be as much.
    """
    if len(places) < 2:
        return []
    movable = [
        place
        for place in places
        if not place.is_call and now - place.moved >= REST_S and now - place.placed >= SETTLE_S
    ]
    return sorted(
        movable,
        key=lambda place: (place.spec.priority is not Priority.LOW, place.placed, place.spec.id),
    )


LEAST = 0.001
"""Share that a stream costs at least, so that idle workers have streams by number."""


def even(
    taker: Member,
    members: Mapping[str, Member],
    owned: Mapping[str, Collection[Place]],
    settings: ClusterSettings,
    now: float,
) -> list[Place]:
    """Return the streams that a worker takes from the busiest others so that it does its share.

    A move is made only if it leaves both less apart than before. Of a worker those go first that it
    was given last: when the taker was drained, these were its own. Streams that are called stay.

    Args:
        taker: the worker that has little to do.
        members: all workers, by name.
        owned: streams of each, by its name.
        settings: with the estimate of a stream's share.
        now: monotonic seconds.
    """
    living = [one for one in members.values() if one.alive]
    if taker not in living or taker.draining:
        return []
    loads = {m.name: load(m, owned[m.name], settings, now) for m in living}
    loads = {name: max(share, LEAST * len(owned[name])) for name, share in loads.items()}
    costs = {name: share / max(len(owned[name]), 1) for name, share in loads.items()}
    left = {
        one.name: sorted(
            (p for p in owned[one.name] if not p.is_call and taker.takes(p.spec)),
            key=lambda place: (place.placed, place.spec.id),
        )
        for one in living
        if one is not taker
    }
    moves: list[Place] = []
    while givers := [
        name for name, places in left.items() if places and _evens(loads, costs, name, taker.name)
    ]:
        giver = max(givers, key=lambda name: (loads[name], name))
        moves.append(left[giver].pop())
        loads[giver] -= costs[giver]
        loads[taker.name] += costs[giver]
    return moves


def _evens(loads: Mapping[str, float], costs: Mapping[str, float], giver: str, taker: str) -> bool:
    """Say whether a stream's move leaves two workers less apart."""
    return loads[giver] - loads[taker] > costs[giver] * 1.001
