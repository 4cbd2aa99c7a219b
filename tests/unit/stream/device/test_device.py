"""Promises of the one call that runs plans."""

import dataclasses
import sys

import numpy as np
import pytest
import torch

from stream.device import device as device_module
from stream.device.device import Device
from stream.engine.plan import Forget, Plan, Push, Rate, TrackKey
from styleflow.errors import ShapeMismatch
from tests.support.models import TOY, crop, toy_network

A, B, C = (TrackKey("lobby", n) for n in range(3))


def _plan(number, *seeds, rate=True, forgets=()):
    """A plan that pushes track n the crop of the n-th seed; None skips a track."""
    keys = [(TrackKey("lobby", n), seed) for n, seed in enumerate(seeds) if seed is not None]
    return Plan(
        number,
        "lobby",
        tuple(Forget(key) for key in forgets),
        tuple(Push(key, crop(seed)) for key, seed in keys),
        tuple(Rate(key) for key, _ in keys) if rate else (),
    )


def _clip_logits(*seeds, missing=None):
    clip = torch.from_numpy(np.stack([crop(seed) for seed in seeds]))[None]
    gaps = None if missing is None else torch.tensor(missing)
    with torch.no_grad():
        return toy_network().score_clip(clip, gaps)[0].tolist()


def test_frames_fed_through_plans_give_the_logits_of_the_whole_clip():
    device = Device(toy_network(), 4)
    got = [device.run([_plan(n, n, n + 50)])[0].logits for n in range(6)]
    assert [r[A] for r in got] == pytest.approx(_clip_logits(*range(6)), abs=1e-5)
    assert [r[B] for r in got] == pytest.approx(_clip_logits(*range(50, 56)), abs=1e-5)


def test_several_frames_of_a_track_in_one_run_take_effect_in_order():
    device = Device(toy_network(), 4)
    answers = device.run([_plan(n, n) for n in range(5)])
    assert [a.number for a in answers] == list(range(5))
    assert [a.logits[A] for a in answers] == pytest.approx(_clip_logits(*range(5)), abs=1e-5)


def test_missing_frames_reach_the_detector():
    device = Device(toy_network(), 2)
    for number, missing in enumerate([0, 0, 2, 0]):
        push = Push(A, crop(number), missing=missing)
        (answer,) = device.run([Plan(number, "lobby", (), (push,), (Rate(A),))])
    expected = _clip_logits(0, 1, 2, 3, missing=[0, 0, 2, 0])[-1]
    assert answer.logits[A] == pytest.approx(expected, abs=1e-5)
    assert expected != pytest.approx(_clip_logits(0, 1, 2, 3)[-1], abs=1e-3)


def test_a_fresh_push_forgets_what_was_gathered():
    device = Device(toy_network(), 2)
    for number in range(4):
        device.run([_plan(number, number)])
    push = Push(A, crop(7), fresh=True)
    device.run([Plan(5, "lobby", (), (push,))])
    (answer,) = device.run([_plan(6, 8)])
    assert answer.logits[A] == pytest.approx(_clip_logits(7, 8)[-1], abs=1e-5)


def test_a_new_anchor_leaves_the_default_as_it_was():
    """Its looks are measured across anchors; that the crop arrives is counted all the same."""
    device = Device(toy_network(), 2)
    device.run([_plan(0, 0)])
    device.run([Plan(1, "lobby", (), (Push(A, crop(1), reanchored=crop(2)),))])
    (answer,) = device.run([_plan(2, 3)])
    assert answer.logits[A] == pytest.approx(_clip_logits(0, 1, 3)[-1], abs=1e-5)
    assert device.stats.reanchors == 1


def test_only_some_of_a_batch_may_get_a_new_anchor():
    device, alone = Device(toy_network(), 4), Device(toy_network(), 4)
    pushes = (Push(A, crop(1)), Push(B, crop(2), reanchored=crop(3)), Push(C, crop(4)))
    device.run([Plan(1, "lobby", (), pushes)])
    for push in pushes:
        alone.run([Plan(1, "lobby", (), (push,))])
    together = device.run([_plan(2, 5, 6, 7)])[0].logits
    apart = alone.run([_plan(2, 5, 6, 7)])[0].logits
    assert together == pytest.approx(apart, abs=1e-5)
    assert device.stats.reanchors == 1


def test_a_full_device_refuses_and_serves_again_when_a_slot_is_free():
    device = Device(toy_network(), 1)
    (answer,) = device.run([_plan(1, 1, 2)])
    assert answer.refused == {B}
    assert answer.slots == 1
    assert set(answer.logits) == {A}
    (answer,) = device.run([_plan(2, None, 3, forgets=[A])])
    assert answer.refused == frozenset()
    assert answer.logits[B] == pytest.approx(_clip_logits(3)[-1], abs=1e-5)
    assert (device.stats.used, device.stats.refusals) == (1, 1)


def test_a_reused_slot_inherits_nothing():
    device = Device(toy_network(), 1)
    for number in range(3):
        device.run([_plan(number, number)])
    device.run([Plan(3, "lobby", (Forget(A),))])
    assert device.stats.used == 0
    got = [device.run([_plan(n, None, n)])[0].logits[B] for n in (10, 11)]
    assert got == pytest.approx(_clip_logits(10, 11), abs=1e-5)


def test_a_rate_of_a_track_nobody_pushed_is_left_out():
    device = Device(toy_network(), 2)
    (answer,) = device.run([Plan(1, "lobby", (Forget(B),), (), (Rate(A),))])
    assert answer.logits == {}
    assert answer.refused == frozenset()


def test_an_empty_run_and_an_empty_plan_are_fine():
    device = Device(toy_network(), 2)
    assert device.run([]) == ()
    (answer,) = device.run([Plan(7, "lobby")])
    assert answer.number == 7


def test_the_same_plans_give_the_same_bits():
    one, two = Device(toy_network(), 4), Device(toy_network(), 4)
    for number in range(5):
        plans = [_plan(number, number, number + 50, number + 90)]
        assert one.run(plans)[0].logits == two.run(plans)[0].logits


def test_company_in_the_batch_moves_a_logit_by_less_than_1e_4():
    together, apart = Device(toy_network(), 4), Device(toy_network(), 4)
    for number in range(6):
        seeds = (number, number + 50, number + 90)
        company = together.run([_plan(number, *seeds)])[0].logits
        for n, seed in enumerate(seeds):
            alone = apart.run([_plan(number, *[None] * n, seed)])[0].logits
            key = TrackKey("lobby", n)
            assert alone[key] == pytest.approx(company[key], abs=1e-4)


def test_a_large_run_is_fed_in_bounded_batches(monkeypatch):
    monkeypatch.setattr(device_module, "MAX_BATCH", 2)
    bounded, whole = Device(toy_network(), 8), Device(toy_network(), 8)
    got = bounded.run([_plan(1, 1, 2, 3, 4, 5)])[0].logits
    assert dict(bounded.stats.batches) == {2: 2, 1: 1}
    monkeypatch.undo()
    assert got == pytest.approx(whole.run([_plan(1, 1, 2, 3, 4, 5)])[0].logits, abs=1e-5)


@pytest.mark.parametrize(
    "wrong", [np.zeros((64, 64, 3), np.uint8), np.zeros((32, 32, 3), np.float32)]
)
@pytest.mark.parametrize("where", ["image", "reanchored"])
def test_a_crop_of_another_shape_changes_nothing(wrong, where):
    device = Device(toy_network(), 2)
    device.run([_plan(0, 0)])
    bad = dataclasses.replace(Push(A, crop(1)), **{where: wrong})
    with pytest.raises(ShapeMismatch):
        device.run([_plan(1, 1), Plan(2, "lobby", (Forget(A),), (bad,))])
    (answer,) = device.run([_plan(3, 1)])
    assert answer.logits[A] == pytest.approx(_clip_logits(0, 1)[-1], abs=1e-5)


class _Failing:
    """A real network whose next push fails, as an accelerator out of memory would."""

    def __init__(self) -> None:
        self._network = toy_network()
        self.fail = False

    def __getattr__(self, name):
        return getattr(self._network, name)

    def push(self, state, rows, images, missing):
        if self.fail:
            raise RuntimeError("out of memory")
        self._network.push(state, rows, images, missing)

    def push_looks(self, state, rows, images, missing, looks, seen=None):
        self.push(state, rows, images, missing)


def test_after_a_failed_run_its_tracks_begin_anew_and_others_go_on():
    detector = _Failing()
    device = Device(detector, 3)
    device.run([_plan(0, 0, 50)])
    detector.fail = True
    with pytest.raises(RuntimeError, match="out of memory"):
        device.run([_plan(1, 1, None, 90)])
    detector.fail = False
    answer = device.run([_plan(2, 2, 51, 91)])[0]
    assert answer.logits[A] == pytest.approx(_clip_logits(2)[-1], abs=1e-5)
    assert answer.logits[B] == pytest.approx(_clip_logits(50, 51)[-1], abs=1e-5)
    assert answer.logits[C] == pytest.approx(_clip_logits(91)[-1], abs=1e-5)
    assert answer.refused == frozenset()


def test_a_run_that_is_finished_later_answers_as_one_that_is_not():
    """Between beginning and finishing the owner of the device does something else."""
    at_once, later = Device(toy_network(), 3), Device(toy_network(), 3)
    for number in range(6):
        plans = [_plan(number, number, number + 50), _plan(number + 10, None, number + 90)]
        begun = later.begin(plans)
        torch.rand(64, 64) @ torch.rand(64, 64)
        assert later.finish(begun) == at_once.run(plans)
    assert later.stats == at_once.stats


def test_what_was_abandoned_begins_anew():
    device = Device(toy_network(), 3)
    device.run([_plan(0, 0)])
    lost = _plan(1, 1)
    device.begin([lost])
    device.abandon([lost])
    (answer,) = device.run([_plan(2, 2)])
    assert answer.logits[A] == pytest.approx(_clip_logits(2)[-1], abs=1e-5)


class _Undecided(_Failing):
    """A detector that has no logit yet for the first row it is asked about."""

    def rate(self, state, rows):
        logits = self._network.rate(state, rows)
        logits[0] = float("nan")
        return logits


def test_a_logit_that_is_not_a_number_is_left_out_and_counted():
    device = Device(_Undecided(), 2)
    (answer,) = device.run([_plan(1, 1, 2)])
    assert set(answer.logits) == {B}
    assert (device.stats.rates, device.stats.undefined) == (1, 1)


def test_statistics_count_what_was_done():
    device = Device(toy_network(), 4)
    device.run([_plan(1, 1, 2), _plan(2, 3)])
    stats = device.stats
    assert (stats.slots, stats.used, stats.runs, stats.pushes, stats.rates) == (4, 2, 1, 3, 3)
    assert dict(stats.batches) == {2: 1, 1: 1}
    device.run([_plan(3, 4)])
    assert stats.runs == 1, "a snapshot does not move"


def test_warming_up_leaves_no_trace():
    device = Device(toy_network(), 2)
    device.warm_up()
    assert device.stats == Device(toy_network(), 2).stats
    assert (
        device.run([_plan(1, 1)])[0].logits == Device(toy_network(), 2).run([_plan(1, 1)])[0].logits
    )


@pytest.mark.parametrize("flushed", [False, True])
def test_the_callers_arithmetic_stays_as_it_was(flushed):
    """Symptom: after a run, 1e-310 was 0 for everybody else on the thread."""
    tiny = sys.float_info.min
    try:
        torch.set_flush_denormal(flushed)
        device = Device(toy_network(), 1)
        device.warm_up()
        device.run([_plan(1, 1)])
        with pytest.raises(ShapeMismatch):
            device.run([Plan(2, "lobby", (), (Push(A, np.zeros((1, 1, 3), np.uint8)),))])
        assert (tiny / 2 == 0.0) is flushed
    finally:
        torch.set_flush_denormal(False)


def test_a_cpu_is_healthy():
    assert Device(toy_network(), 1).healthy()


def test_threads_are_torchs_threads():
    before = torch.get_num_threads()
    try:
        Device(toy_network(), 1, threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_cuda_gives_the_logits_of_the_cpu():
    cpu, gpu = Device(toy_network(), 4), Device(toy_network().deploy("cuda"), 4, "cuda")
    for number in range(6):
        plan = _plan(number, number, number + 50)
        assert gpu.run([plan])[0].logits == pytest.approx(cpu.run([plan])[0].logits, abs=1e-3)


def test_the_plan_says_which_frames_are_looked_at():
    """A detector that looks at few frames leaves its own pace and takes the plan's."""
    detector = toy_network(dims=dataclasses.replace(TOY, look_every=2))
    logits = []
    for look in (False, True):
        device = Device(detector, 2, threads=1)
        pushes = [Push(A, crop(0), fresh=True), Push(A, crop(1), look=look)]
        plans = [Plan(n, "s", (), (push,), (Rate(A),)) for n, push in enumerate(pushes)]
        logits.append([answer.logits[A] for answer in device.run(plans)])
    assert logits[0][0] == logits[0][1] == logits[1][0]
    assert logits[1][1] != logits[1][0]
