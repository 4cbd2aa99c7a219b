"""Promises of sharpness-aware minimisation and of what a step may be made of."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from styleflow.training.loop import LoopSettings, learning_rate, train
from styleflow.training.sam import at_the_worst_nearby
from tests.parity.fill import reference


class _Bowl(nn.Module):
    def __init__(self, curve, start):
        super().__init__()
        self.curve, self.w = curve, nn.Parameter(start.clone())

    def forward(self):
        return 0.5 * self.w @ self.curve @ self.w


class _BowlTask:
    def __init__(self, curve, start):
        self.network, self.seen = _Bowl(curve, start), []

    def loss(self, rng):
        self.seen.append(self.network.w.detach().clone())
        return self.network(), {}

    def validate(self, network):
        return 0.0


def _stored_bowl():
    stored = reference("fakestormer", "parity_data.npz")
    curve, start = (torch.from_numpy(stored[name]) for name in ("sam_A", "sam_w0"))
    return curve, start, torch.from_numpy(stored["sam_trace"])


def test_the_trace_of_the_published_program(tmp_path):
    """Weights after each climb and after each update, three steps of the release's optimiser."""
    curve, start, trace = _stored_bowl()
    task = _BowlTask(curve, start)
    settings = LoopSettings(
        3,
        0.01,
        weight_decay=1e-4,
        clip_norm=math.inf,
        bf16=False,
        optimiser="adam",
        betas=(0.9, 0.995),
        schedule="constant",
        sharpness=0.05,
    )
    train(task, settings, 0, tmp_path)
    climbed, updated = task.seen[1::2], [*task.seen[2::2], task.network.w.detach()]
    got = torch.stack([row for pair in zip(climbed, updated, strict=True) for row in pair])
    assert torch.allclose(got, trace, rtol=0, atol=1e-9)


def test_weights_and_statistics_come_back_bit_for_bit():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).train()
    x = torch.randn(8, 3)
    network(x).square().mean().backward()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    gradient = network[0].weight.grad.clone()
    with at_the_worst_nearby(network, 0.5):
        moved = {k: v.clone() for k, v in network.named_parameters()}
        network(x).square().mean().backward()
    climbed = torch.cat([(moved[k] - before[k]).flatten() for k in moved]).norm()
    assert climbed.item() == pytest.approx(0.5, rel=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert not torch.equal(network[0].weight.grad, gradient)


def test_a_flat_place_is_left_alone():
    network = nn.Linear(2, 1)
    network(torch.zeros(1, 2)).sum().mul(0).backward()
    with at_the_worst_nearby(network, 1.0):
        assert network.weight.isfinite().all()
        assert network.bias.isfinite().all()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lr_c23", LoopSettings(200, 5e-5, warm_up=0.25, schedule="linear", first_rate=1e-7)),
        ("lr_c0", LoopSettings(120, 5e-5, warm_up=0.25, schedule="linear", first_rate=1e-7)),
        ("lr_c40", LoopSettings(100, 5e-5, warm_up=0.4, schedule="linear", first_rate=5e-5)),
    ],
)
def test_the_published_learning_rates(name, settings):
    stored = reference("fakestormer", "parity_data.npz")[name]
    got = [learning_rate(settings, epoch) for epoch in range(len(stored))]
    assert np.abs(np.array(got) - stored).max() < 1e-9


def test_stairs_replace_the_schedule_from_their_step_on():
    settings = LoopSettings(10, 1.0, schedule="constant", stairs=((4, 0.5), (8, 0.1)))
    rates = [learning_rate(settings, step) for step in range(10)]
    assert rates == [1.0] * 4 + [0.5] * 4 + [0.1] * 2


class _Line:
    def __init__(self, seed=0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.network = nn.Sequential(
                nn.Linear(1, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1)
            )

    def loss(self, rng):
        x = torch.from_numpy(rng.uniform(-1, 1, (16, 1)).astype(np.float32))
        return ((self.network(x) - (2 * x - 1)) ** 2).mean(), {}

    def validate(self, network):
        return 0.0


def _alternate(step):
    return ("0.weight", "0.bias") if step % 2 else ("4.weight",)


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("freezing", [None, _alternate])
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path, optimiser, freezing):
    settings = LoopSettings(12, 1e-2, bf16=False, accumulate=2, optimiser=optimiser, sharpness=0.05)
    whole = train(_Line(), settings, 3, tmp_path / "whole", freezing=freezing)
    train(_Line(), settings, 3, tmp_path / "parts", stop_after=5, freezing=freezing)
    resumed = train(_Line(seed=9), settings, 3, tmp_path / "parts", freezing=freezing)
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_what_holds_still_is_neither_moved_nor_decayed(tmp_path):
    task = _Line()
    before = task.network[0].weight.clone()
    task.network[4].bias.requires_grad_(requires_grad=False)
    settings = LoopSettings(3, 1e-1, weight_decay=0.5, bf16=False, schedule="constant")
    train(task, settings, 0, tmp_path, freezing=lambda step: ("0.weight", "4.bias"))
    assert torch.equal(task.network[0].weight, before)
    assert task.network[0].weight.requires_grad
    assert not task.network[4].bias.requires_grad  # the task's own wish survives
    assert not torch.equal(task.network[0].bias, _Line().network[0].bias)


def test_gradients_are_clipped_entry_by_entry(tmp_path):
    curve, start = torch.eye(2), torch.tensor([10.0, 0.1])
    task = _BowlTask(curve, start)
    settings = LoopSettings(
        1, 1.0, 0.0, bf16=False, clip_norm=math.inf, clip_value=2.0,
        optimiser="sgd", momentum=0.0, schedule="constant",
    )  # fmt: skip
    train(task, settings, 0, tmp_path)
    assert torch.allclose(task.network.w.detach(), torch.tensor([8.0, 0.0]))
