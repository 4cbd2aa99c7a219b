"""The schedule of looks: often at first, less often then, seldom with a verdict; alike live."""

from __future__ import annotations

from itertools import pairwise

from stream.engine.engine import Engine
from stream.engine.looks import LookClock, LookPace
from stream.engine.plan import Plan
from stream.engine.settings import EngineSettings
from stream.events import AbstainReason
from tests.support.engine import CLIP, FakeDevice, engine, face, seen

PACE = LookPace(early=3, early_for=25, usual=6, settled=12, answered=12)


def looked_at(clock: LookClock, slots: range, factor: int = 1) -> list[int]:
    return [slot for slot in slots if clock.looks(slot, PACE, factor)]


def test_a_new_track_is_looked_at_often_and_later_less_often():
    assert looked_at(LookClock(), range(40)) == [0, 3, 6, 9, 12, 15, 18, 21, 24, 30, 36]


def test_a_verdict_makes_looks_seldom_only_when_its_answer_is_there_for_certain():
    clock = LookClock()
    looked_at(clock, range(31))
    clock.answered(30, settled=True)
    assert looked_at(clock, range(31, 80)) == [36, 48, 60, 72]
    clock.answered(72, settled=False)
    assert looked_at(clock, range(80, 100)) == [84, 90, 96]


def test_gaps_and_overload_only_stretch_the_distances():
    clock = LookClock()
    assert clock.looks(0, PACE)
    assert clock.looks(20, PACE)
    assert looked_at(clock, range(21, 60), factor=2) == [32, 44, 56]


def test_frames_that_gave_way_do_not_bring_the_next_look_nearer():
    """Otherwise the fewer frames are taken in, the larger the share that is looked at."""
    clock = LookClock()
    looked_at(clock, range(31))
    taken_in = range(33, 93, 3)  # two of three give way
    looks = [slot for slot in taken_in if clock.looks(slot, PACE, overrun=2)]
    assert looks == [48, 66, 84]  # every sixth frame that was taken in


def test_a_load_that_costs_the_verdict_does_not_double_the_looks():
    """Without a verdict a face is looked at twice as often: what is too much would become more."""
    core, device = engine(), FakeDevice()
    looks = []
    for frame in range(150):
        # From frame 75 on, of three frames two give way.
        slot, overrun = (frame, 0) if frame < 75 else (75 + 3 * (frame - 75), 2 * (frame > 75))
        shown = face(1, 3.0)
        plan, _ = core.step(seen(slot, shown, started=(1,) if frame == 0 else (), overrun=overrun))
        looks += [frame for push in plan.pushes if push.look]
        _answer(core, device, plan)
    assert AbstainReason.OVERLOADED in core.report(0.0).reasons
    assert {after - before for before, after in pairwise(looks) if before >= 50} == {12}


def test_a_track_that_begins_while_frames_give_way_is_not_looked_at_more_often():
    clock = LookClock()
    taken_in = range(0, 108, 3)  # two of three give way
    looks = [slot for slot in taken_in if clock.looks(slot, PACE, overrun=2, strained=True)]
    assert looks == [0, 36, 72]


def test_a_fresh_start_is_looked_at_at_once():
    clock = LookClock()
    looked_at(clock, range(50))
    clock.restart()
    assert looked_at(clock, range(50, 57)) == [50, 53, 56]


def test_the_settings_say_the_pace_on_the_detector_s_grid():
    assert LookPace.of(EngineSettings(), CLIP) == PACE


def test_the_schedule_does_not_depend_on_how_late_answers_come():
    """Live video, whose answers come later, looks at the frames that a file's analysis looks at."""
    at_once, late = _looks_in_plans(delay=0), _looks_in_plans(delay=9)
    assert at_once == late
    distances = {after - before for before, after in pairwise(at_once)}
    assert distances >= {3, 6, 12}


def _looks_in_plans(delay: int) -> list[int]:
    """Return the slots that are looked at when answers come so many frames late."""
    core, device = engine(), FakeDevice()
    waiting: list[Plan] = []
    looks = []
    for slot in range(250):
        # It looks synthesised, and from slot 120 on like nothing in particular.
        shown = face(1, 3.0 if slot < 120 else 0.3)
        plan, _ = core.step(seen(slot, shown, started=(1,) if slot == 0 else ()))
        looks += [slot for push in plan.pushes if push.look]
        waiting.append(plan)
        if len(waiting) > delay:
            _answer(core, device, waiting.pop(0))
    assert core.counters.looks == len(looks)
    return looks


def _answer(core: Engine, device: FakeDevice, plan: Plan) -> None:
    (ratings,) = device.run([plan])
    core.resolve(plan, ratings)
