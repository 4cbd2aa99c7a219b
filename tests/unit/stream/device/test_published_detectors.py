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
from tests.support.published import toy_gend

A, B = (TrackKey("lobby", n) for n in range(2))


def _caddm():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return DeployableCaddm(CaddmDims(backbone="resnet10-slim", window=3)).deploy()


def _fakestormer():
    dims = FakeStormerDims(image_px=32, patch_px=8, width=24, depth=2, heads=3, frames=4)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return DeployableFakeStormer(dims).deploy()


def _gend():
    return toy_gend().deploy()


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
