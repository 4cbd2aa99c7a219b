"""Promises of degradation under overload: what is left out, when, and how it comes back."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import SettingInvalid
from stream.events import DegradationLevel
from stream.scheduling.degradation import Degradation, OverloadSettings, Relief, Work

TICK_S = 0.25


class Machine:
    """A device thread as busy as it is told to be, watched by a degradation."""

    def __init__(self, settings: OverloadSettings | None = None) -> None:
        self.degradation = Degradation(settings)
        self.now = 0.0
        self.work = Work()
        self.changes: list[tuple[float, DegradationLevel]] = []

    def run(self, seconds, busy, dropped=0.0):
        for _ in range(round(seconds / TICK_S)):
            self.now += TICK_S
            share = busy(self.degradation.level) if callable(busy) else busy
            frames = 100
            self.work = Work(
                self.work.busy_s + share * TICK_S,
                self.work.frames + frames,
                self.work.dropped + round(frames * dropped),
            )
            if self.degradation.observe(self.now, self.work):
                self.changes.append((self.now, self.degradation.level))
        return self.degradation.level


def test_a_machine_that_keeps_up_leaves_nothing_out():
    assert Machine().run(600, busy=0.8) is DegradationLevel.NONE


def test_a_short_burst_changes_nothing():
    machine = Machine()
    machine.run(10, busy=0.2)
    machine.run(1.0, busy=1.0)
    assert machine.run(10, busy=0.2) is DegradationLevel.NONE


def test_each_rung_is_given_time_to_help():
    machine = Machine()
    machine.run(60, busy=1.0)
    assert [level for _, level in machine.changes] == list(DegradationLevel)[1:]
    times = [0.0, *(at for at, _ in machine.changes)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(gaps) >= machine.degradation.settings.climb_s


def test_frames_that_give_way_are_overload_however_idle_the_thread():
    assert Machine().run(30, busy=0.3, dropped=0.05) is DegradationLevel.REFUSE_STREAMS


def test_it_comes_back_by_itself():
    machine = Machine()
    machine.run(60, busy=1.0)
    assert machine.run(120, busy=0.1) is DegradationLevel.NONE
    assert machine.degradation.climbs == machine.degradation.descents == 4


def test_a_load_between_calm_and_busy_stays_where_it_is():
    machine = Machine()
    machine.run(5, busy=1.0)
    before = machine.degradation.level
    assert before > DegradationLevel.NONE
    assert machine.run(600, busy=0.75) is before


def test_a_load_between_two_rungs_changes_ever_more_rarely():
    """One level halves the work: without patience it would go up and down for ever."""
    machine = Machine()
    machine.run(3600, busy=lambda level: 1.0 if level is DegradationLevel.NONE else 0.5)
    rests = [
        down - up
        for (up, _), (down, level) in zip(machine.changes, machine.changes[1:], strict=False)
        if level is DegradationLevel.NONE
    ]
    limits = machine.degradation.settings
    assert rests[1] > 1.8 * rests[0]
    assert rests[-1] >= limits.max_rest_s
    assert len(machine.changes) < 2 * 3600 / limits.max_rest_s + 12


@pytest.mark.parametrize(
    ("level", "relief"),
    [
        (DegradationLevel.NONE, Relief(1, 1)),
        (DegradationLevel.DETECT_LESS, Relief(4, 1)),
        (DegradationLevel.LONGER_HOP, Relief(4, 2)),
        (DegradationLevel.REFUSE_STREAMS, Relief(4, 2)),
    ],
)
def test_each_rung_keeps_what_those_below_leave_out(level, relief):
    degradation = Degradation()
    degradation.level = level
    assert degradation.relief == relief
    assert degradation.refuses is (level is DegradationLevel.REFUSE_STREAMS)


def test_windows_are_whole_and_streams_take_turns():
    degradation = Degradation(OverloadSettings(window_s=8, pause_s=16))
    degradation.level = DegradationLevel.SAMPLED_WINDOWS
    for phase in (0.0, 0.37, 0.9):
        looked = [degradation.looks(tick * 0.08, phase) for tick in range(3000)]
        assert sum(looked) / len(looked) == pytest.approx(1 / 3, abs=0.01)
        edges = [at for at in range(1, len(looked)) if looked[at] != looked[at - 1]]
        lengths = [b - a for a, b in itertools.pairwise(edges)]
        assert all(abs(n - 100) <= 1 or abs(n - 200) <= 1 for n in lengths)
    together = [degradation.looks(10.0, phase / 300) for phase in range(300)]
    assert sum(together) == pytest.approx(100, abs=1)


def test_below_that_rung_every_stream_is_looked_at():
    degradation = Degradation()
    degradation.level = DegradationLevel.LONGER_HOP
    assert all(degradation.looks(at * 0.5, 0.5) for at in range(200))


def test_switched_off_it_never_moves():
    assert (
        Machine(OverloadSettings(enabled=False)).run(60, busy=1.0, dropped=0.5)
        is DegradationLevel.NONE
    )


def test_switched_off_it_says_how_busy_the_device_is_all_the_same():
    """It said 0, so that streams were placed as if every worker were idle."""
    machine = Machine(OverloadSettings(enabled=False))
    machine.run(10, busy=0.7, dropped=0.2)
    assert machine.degradation.busy == pytest.approx(0.7)
    assert machine.degradation.dropped == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"climb_s": 0}, "climb_s"),
        ({"calm": 0.95}, "calm"),
        ({"hop_factor": 0}, "hop_factor"),
        ({"max_rest_s": 1.0}, "max_rest_s"),
        ({"max_dropped": 1.0}, "max_dropped"),
    ],
)
def test_settings_that_make_no_sense_are_named(change, key):
    with pytest.raises(SettingInvalid) as caught:
        OverloadSettings(**change)
    assert caught.value.key == key


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.2)), min_size=1, max_size=60))
def test_whatever_the_load_it_moves_one_rung_at_a_time_and_not_too_often(loads):
    machine = Machine()
    for busy, dropped in loads:
        machine.run(3, busy, dropped)
    levels = [DegradationLevel.NONE, *(level for _, level in machine.changes)]
    assert all(abs(a - b) == 1 for a, b in itertools.pairwise(levels))
    assert machine.degradation.climbs - machine.degradation.descents == machine.degradation.level
    times = [at for at, _ in machine.changes]
    least = machine.degradation.settings.climb_s
    assert all(b - a >= least for a, b in itertools.pairwise(times))
