"""Subset of a data set that is evaluated when not all of it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from styleflow.data.index import FAKE, REAL, Entry


def balanced(entries: Sequence[Entry], limit: int | None) -> tuple[Entry, ...]:
    """Return at most `limit` entries: real and fake in turn, groups in turn, in the given order.

    The same entries give the same choice, and a smaller limit chooses some of a larger one's.
    """
    if limit is None or limit >= len(entries):
        return tuple(entries)
    reals, fakes = (_by_turns([e for e in entries if e.label == x]) for x in (REAL, FAKE))
    chosen: list[Entry] = []
    for n in range(max(len(reals), len(fakes))):
        chosen += [*reals[n : n + 1], *fakes[n : n + 1]]
    return tuple(chosen[:limit])


def _by_turns(entries: Sequence[Entry]) -> list[Entry]:
    """Return one entry of every group, then a second of every group that has one, and so on."""
    rounds: dict[int, list[Entry]] = defaultdict(list)
    taken: dict[str, int] = defaultdict(int)
    for entry in entries:
        rounds[taken[entry.group]].append(entry)
        taken[entry.group] += 1
    return [entry for n in sorted(rounds) for entry in rounds[n]]
