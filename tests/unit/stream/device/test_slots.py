"""Promises of slots and of the guard around their tensors."""

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stream.device.slots import Slot, Slots, StaleSlot
from stream.device.state import State
from stream.engine.plan import TrackKey
from tests.support.models import crops, toy_network

A, B, C = (TrackKey("lobby", n) for n in range(3))


def test_a_track_keeps_its_slot():
    slots = Slots(2)
    assert slots.acquire(A) == slots.acquire(A) == slots.lookup(A)
    assert slots.used == 1


def test_running_out_gives_nothing_and_is_counted():
    slots = Slots(1)
    slots.acquire(A)
    assert slots.acquire(B) is None
    assert slots.acquire(B) is None
    assert slots.lookup(B) is None
    assert (slots.used, slots.refused) == (1, 2)


def test_a_released_row_comes_back_in_another_generation():
    slots = Slots(1)
    first = slots.acquire(A)
    assert slots.release(A) == first
    second = slots.acquire(B)
    assert (second.row, second.generation) == (first.row, first.generation + 1)


def test_releasing_twice_frees_one_row():
    slots = Slots(2)
    slots.acquire(A)
    slots.release(A)
    assert slots.release(A) is None
    assert None not in {slots.acquire(A), slots.acquire(B)}
    assert slots.acquire(C) is None


def test_a_device_without_slots_makes_no_sense():
    with pytest.raises(ValueError, match="at least one slot, not 0"):
        Slots(0)


class SlotsMachine(RuleBasedStateMachine):
    """Whatever is asked, nobody shares a row and no slot is ever given out twice."""

    keys = st.builds(TrackKey, st.sampled_from("ab"), st.integers(0, 4))

    def __init__(self) -> None:
        super().__init__()
        self.slots = Slots(3)
        self.owned: dict[TrackKey, Slot] = {}
        self.given: set[Slot] = set()

    @rule(key=keys)
    def acquire(self, key):
        slot = self.slots.acquire(key)
        if key in self.owned:
            assert slot == self.owned[key]
        elif len(self.owned) == 3:
            assert slot is None
        else:
            assert slot not in self.given
            self.given.add(slot)
            self.owned[key] = slot

    @rule(key=keys)
    def release(self, key):
        assert self.slots.release(key) == self.owned.pop(key, None)

    @invariant()
    def rows_are_owned_once(self):
        rows = [slot.row for slot in self.owned.values()]
        assert len(set(rows)) == len(rows) == self.slots.used <= 3
        assert all(self.slots.lookup(key) == slot for key, slot in self.owned.items())


SlotsMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestSlotsMachine = SlotsMachine.TestCase


def _state() -> State:
    return State(toy_network(), 2, torch.device("cpu"))


@pytest.mark.parametrize("what", ["push", "reanchor", "rate", "clear"])
def test_a_stale_slot_reaches_nothing(what):
    """A slot whose row has a new owner can neither write nor read."""
    state, fresh = _state(), Slot(1, 2)
    state.clear([fresh])
    state.push([fresh], crops(0, 1), [0])
    state.push([fresh], crops(1, 1), [0])
    before = state.rate([fresh])
    stale = Slot(1, 1)
    calls = {
        "push": lambda: state.push([Slot(0, 0), stale], crops(2, 2), [0, 0]),
        "reanchor": lambda: state.reanchor([stale], crops(2, 1)),
        "rate": lambda: state.rate([stale]),
        "clear": lambda: state.clear([stale]),
    }
    with pytest.raises(StaleSlot, match="row 1 is in generation 2, not 1 any more"):
        calls[what]()
    assert torch.equal(state.rate([fresh]), before)
    # The valid half of a refused call has no effect either.
    assert torch.equal(state.rate([Slot(0, 0)]), _state().rate([Slot(0, 0)]))


def test_a_slot_is_used_only_after_it_was_begun():
    with pytest.raises(StaleSlot):
        _state().push([Slot(0, 1)], crops(0, 1), [0])


def test_a_new_generation_knows_nothing_of_the_old():
    state = _state()
    for generation in (1, 2):
        slot = Slot(0, generation)
        state.clear([slot])
        state.push([slot], crops(generation, 1), [0])
    new = _state()
    new.push([Slot(0, 0)], crops(2, 1), [0])
    assert torch.equal(state.rate([Slot(0, 2)]), new.rate([Slot(0, 0)]))
