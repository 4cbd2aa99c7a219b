"""Promises of the order in which plans reach the rows."""

from stream.device.schedule import schedule
from stream.device.slots import Slots
from stream.engine.plan import Forget, Plan, Push, Rate, TrackKey
from tests.support.models import crop

A, B, C = (TrackKey("lobby", n) for n in range(3))


def _plan(number, pushes=(), rates=(), forgets=()):
    return Plan(
        number,
        "lobby",
        tuple(Forget(key) for key in forgets),
        tuple(Push(key, crop(number)) for key in pushes),
        tuple(Rate(key) for key in rates),
    )


def _shape(todo, slots):
    """Rows pushed and rated per round."""
    return [
        ([r.slot.row for r in turn.pushes], [(r.plan, r.key) for r in turn.rates])
        for turn in todo.rounds
    ]


def test_different_tracks_share_one_round():
    slots = Slots(4)
    todo = schedule([_plan(1, [A], [A]), _plan(2, [B], [B])], slots)
    assert _shape(todo, slots) == [([], []), ([0, 1], [(0, A), (1, B)])]


def test_a_track_pushed_twice_goes_through_two_rounds_with_its_rates():
    slots = Slots(4)
    todo = schedule([_plan(1, [A, B], [A]), _plan(2, [A], [A, B])], slots)
    assert _shape(todo, slots) == [
        ([], []),
        ([0, 1], [(0, A), (1, B)]),
        ([0], [(1, A)]),
    ]


def test_a_rate_without_a_push_comes_before_later_pushes():
    slots = Slots(4)
    schedule([_plan(1, [A])], slots)
    todo = schedule([_plan(2, [], [A]), _plan(3, [A], [A])], slots)
    assert _shape(todo, slots) == [([], [(0, A)]), ([0], [(1, A)])]


def test_only_a_first_or_fresh_push_clears():
    slots = Slots(4)
    first = schedule([_plan(1, [A])], slots).rounds[1].pushes[0]
    second = schedule([_plan(2, [A])], slots).rounds[1].pushes[0]
    fresh = schedule([Plan(3, "lobby", (), (Push(A, crop(3), fresh=True),))], slots)
    assert [first.clear, second.clear, fresh.rounds[1].pushes[0].clear] == [True, False, True]


def test_a_row_that_changes_hands_within_a_run_serves_its_old_owner_first():
    slots = Slots(1)
    todo = schedule([_plan(1, [A], [A]), _plan(2, [B], [B], forgets=[A])], slots)
    assert _shape(todo, slots) == [([], []), ([0], [(0, A)]), ([0], [(1, B)])]
    old, new = todo.rounds[1].pushes[0], todo.rounds[2].pushes[0]
    assert new.clear
    assert new.slot.generation == old.slot.generation + 1


def test_a_track_without_a_slot_is_refused_by_every_plan_that_pushes_it():
    slots = Slots(1)
    todo = schedule([_plan(1, [A, B, C], [B]), _plan(2, [B], [B])], slots)
    assert todo.refused == (frozenset({B, C}), frozenset({B}))
    assert _shape(todo, slots) == [([], []), ([0], [])]


def test_a_slot_freed_by_a_plan_serves_its_own_pushes():
    slots = Slots(1)
    schedule([_plan(1, [A])], slots)
    todo = schedule([_plan(2, [B], forgets=[A])], slots)
    assert todo.refused == (frozenset(),)
