"""The device runs the published detectors as it runs ours: plans in, ratings out."""

import numpy as np
import pytest
import torch

from stream.device.device import Device
from stream.engine.plan import Plan, Push, Rate, TrackKey
from styleflow.detectors.caddm.live import DeployableCaddm
from styleflow.detectors.caddm.network import CaddmDims
from styleflow.detectors.fakestormer.backbone import FakeStormerDims
from styleflow.detectors.fakestormer.live import DeployableFakeStormer
from styleflow.graph_pool import GraphPool
from styleflow.graphs import Captured, capture_steps, rehearsed
from styleflow.lanes import Lanes, lanes_of
from styleflow.runtime import accelerate
from styleflow.runtime_settings import RuntimeSettings
from tests.support.published import toy_gend
from tests.support.waits import Waits

A, B = (TrackKey("lobby", n) for n in range(2))


def _caddm(where="cpu"):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return DeployableCaddm(CaddmDims(backbone="resnet10-slim", window=3)).deploy(where)


def _fakestormer(where="cpu"):
    dims = FakeStormerDims(image_px=32, patch_px=8, width=24, depth=2, heads=3, frames=4)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return DeployableFakeStormer(dims).deploy(where)


def _gend(where="cpu"):
    return toy_gend().deploy(where)


def _crops(detector, *seeds):
    size = detector.clip.size_px
    return np.stack(
        [
            np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
            for seed in seeds
        ]
    )


def _plan(detector, number, **seeds):
    keys = {"a": A, "b": B}
    return Plan(
        number,
        "lobby",
        (),
        tuple(Push(keys[k], _crops(detector, seed)[0]) for k, seed in seeds.items()),
        tuple(Rate(keys[k]) for k in seeds),
    )


def test_caddm_is_rated_from_its_first_frame_as_offline():
    detector = _caddm()
    device = Device(detector, 2)
    for number in range(5):
        (answer,) = device.run([_plan(detector, number, a=number, b=number + 50)])
        assert answer.logits.keys() == {A, B}
    network = detector.model
    with torch.no_grad():
        logits = network(network.network_input(torch.from_numpy(_crops(detector, 2, 3, 4)))).logit
    probability = torch.tensor(answer.logits[A]).sigmoid().item()
    assert probability == pytest.approx(logits.sigmoid().mean().item(), abs=1e-5)


def test_fakestormer_is_rated_from_its_fourth_frame_as_offline():
    detector = _fakestormer()
    device = Device(detector, 2)
    rated = []
    for number in range(6):
        seeds = {"a": number} | ({"b": number + 50} if number >= 2 else {})
        (answer,) = device.run([_plan(detector, number, **seeds)])
        rated.append(set(answer.logits))
    assert rated == [set(), set(), set(), {A}, {A}, {A, B}]
    network = detector.model
    for key, seeds in ((A, (2, 3, 4, 5)), (B, (52, 53, 54, 55))):
        with torch.no_grad():
            clip = network.network_input(torch.from_numpy(_crops(detector, *seeds))[None])
        assert answer.logits[key] == pytest.approx(network(clip).logit.item(), abs=1e-5)


@pytest.mark.parametrize("make", [_caddm, _fakestormer, _gend])
def test_the_same_plans_give_the_same_bits(make):
    detector = make()
    plans = [_plan(detector, n, a=n, b=n + 9) for n in range(6)]
    first = [Device(detector, 2).run(plans)[-1].logits for _ in range(2)]
    assert first[0] == first[1]
    assert len(first[0]) == 2


@pytest.mark.parametrize("make", [_caddm, _fakestormer, _gend])
def test_a_fresh_push_forgets(make):
    detector = make()
    device = Device(detector, 1)
    device.run([_plan(detector, n, a=n) for n in range(4)])
    push = Push(A, _crops(detector, 9)[0], fresh=True)
    (answer,) = device.run([Plan(9, "lobby", (), (push,), (Rate(A),))])
    new = Device(detector, 1).run([_plan(detector, 0, a=9)])[0]
    assert answer.logits == new.logits


@pytest.mark.parametrize("make", [_caddm, _fakestormer])
def test_training_works_after_live_use(make):
    """What inference left behind must not be in the way of gradients."""
    detector = make()
    Device(detector, 1).run([_plan(detector, 0, a=1)])
    network = detector.model.requires_grad_(requires_grad=True)
    crops = torch.from_numpy(_crops(detector, *range(detector.clip.frames)))
    batch = crops[None] if isinstance(network, DeployableFakeStormer) else crops
    network(network.network_input(batch)).logit.sum().backward()
    assert any(p.grad is not None for p in network.parameters())


def _moved(detector, number, **seeds):
    """A plan whose first track gets another anchor at every frame."""
    plan = _plan(detector, number, **seeds)
    first, *others = plan.pushes
    again = Push(first.key, first.image, reanchored=_crops(detector, number + 700)[0])
    return Plan(number, "lobby", (), (again, *others), plan.rates)


@pytest.mark.parametrize("make", [_caddm, _gend])
def test_a_run_of_a_detector_of_single_frames_waits_for_nothing_but_its_logits(make):
    """Symptom: which rows had a frame to be replaced was read from the device."""
    detector = make()
    device = Device(detector, 2)
    for number in range(3):
        with Waits() as waits:
            device.run([_moved(detector, number, a=number, b=number + 9)])
        assert waits.found == ["tolist"]


def test_frames_that_are_judged_in_buckets_are_judged_as_alone():
    pool, ours, theirs = GraphPool(), _gend(), _gend()
    ours.judge = Captured(ours.judge, rehearsed, pool=pool)
    mine, wanted = Device(ours, 2), Device(theirs, 2)
    for number in range(5):
        seeds = {"a": number} | ({"b": number + 50} if number % 2 else {})
        plan = _moved(theirs, number, **seeds)
        logits = wanted.run([plan])[0].logits
        assert mine.run([plan])[0].logits == pytest.approx(logits, abs=1e-5)
    assert pool.counts.replayed
    assert not any(pool.counts.fallen_back.values())


def test_windows_that_are_rated_in_buckets_are_rated_as_alone():
    pool, ours = GraphPool(), _fakestormer()
    capture_steps(ours, rehearsed, pool)
    mine, wanted = Device(ours, 2), Device(_fakestormer(), 2)
    for number in range(6):
        plan = _plan(ours, number, a=number, b=number + 50)
        logits = wanted.run([plan])[0].logits
        assert mine.run([plan])[0].logits == pytest.approx(logits, abs=1e-5)
    assert pool.counts.replayed == 3
    assert not any(pool.counts.fallen_back.values())


def test_windows_are_recorded_while_warming_up_and_not_while_frames_wait():
    """Symptom: no window is full at the first frame, so nothing was rated while warming up."""
    plain, pool, ours = lanes_of("cpu"), GraphPool(), _fakestormer()
    capture_steps(ours, rehearsed, pool)
    device = Device(ours, 2, lanes=_Beside(plain.decode, plain.encode, plain.head, beside=True))
    device.warm_up()
    assert pool.counts.captured == 2, "one window and two"
    for number in range(6):
        device.run([_plan(ours, number, a=number, b=number + 50)])
    assert pool.counts.captured == 2
    assert pool.counts.replayed


class _Beside(Lanes):
    """Lanes that say that they work beside the thread."""

    def settle(self):
        """Nothing was begun before."""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("make", [_caddm, _fakestormer, _gend])
def test_on_a_gpu_the_logits_are_those_of_the_processor(make):
    detector = make("cuda")
    accelerate(detector, RuntimeSettings())
    gpu, cpu = Device(detector, 2, "cuda"), Device(make(), 2)
    gpu.warm_up()
    for number in range(6):
        plan = _moved(detector, number, a=number, b=number + 9)
        mine, wanted = gpu.run([plan])[0].logits, cpu.run([plan])[0].logits
        assert mine == pytest.approx(wanted, abs=1e-2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("make", [_caddm, _gend])
def test_on_a_gpu_a_run_waits_for_nothing_but_its_logits(make):
    detector = make("cuda")
    accelerate(detector, RuntimeSettings())
    device = Device(detector, 2, "cuda")
    device.warm_up()
    device.run([_moved(detector, 0, a=0, b=9)])
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(1, 4):
            device.run([_moved(detector, number, a=number, b=number + 9)])
    finally:
        torch.cuda.set_sync_debug_mode("default")
