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
