"""Order in which the operations of several plans reach the rows. Pure, like the slots.

The device wants as many rows as possible in one batch, but the operations of one row must keep
their order. So every push of a row goes to the row's next round: rounds run one after the other,
and within a round no row appears twice. Nearly always there is one round, because one run holds
one plan per stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stream.device.slots import Slot, Slots
from stream.engine.plan import Plan, Push, TrackKey


@dataclass(frozen=True, slots=True)
class PushRow:
    """One frame for one slot; `clear` begins a new history before it."""

    slot: Slot
    push: Push
    clear: bool


@dataclass(frozen=True, slots=True)
class RateRow:
    """A logit wanted from one slot, for the plan at this position of the run."""

    slot: Slot
    plan: int
    key: TrackKey


@dataclass(slots=True)
class Round:
    """What happens at once: first the pushes with their re-anchoring, then the rates."""

    pushes: list[PushRow] = field(default_factory=list)
    rates: list[RateRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Schedule:
    """All rounds of one run, and the pushed tracks that found no slot, per plan."""

    rounds: tuple[Round, ...]
    refused: tuple[frozenset[TrackKey], ...]


def schedule(plans: Sequence[Plan], slots: Slots) -> Schedule:
    """Give every track of some plans its slot and every operation its round.

    Args:
        plans: in the order in which they were made.
        slots: changed in place: forgotten tracks lose their slot, new ones get one.
    """
    rounds = [Round()]  # the first only rates what earlier runs have pushed
    last: dict[int, int] = {}  # row -> round of its latest push
    refused: list[frozenset[TrackKey]] = []
    for number, plan in enumerate(plans):
        for forget in plan.forgets:
            slots.release(forget.key)
        without: set[TrackKey] = set()
        for push in plan.pushes:
            known = slots.lookup(push.key) is not None
            slot = slots.acquire(push.key)
            if slot is None:
                without.add(push.key)
                continue
            turn = last.get(slot.row, 0) + 1
            last[slot.row] = turn
            if turn == len(rounds):
                rounds.append(Round())
            rounds[turn].pushes.append(PushRow(slot, push, clear=push.fresh or not known))
        for rate in plan.rates:
            slot = slots.lookup(rate.key)
            if slot is not None:
                rounds[last.get(slot.row, 0)].rates.append(RateRow(slot, number, rate.key))
        refused.append(frozenset(without))
    return Schedule(tuple(rounds), tuple(refused))
