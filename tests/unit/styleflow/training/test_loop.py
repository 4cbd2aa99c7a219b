"""Promises of the training loop."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from styleflow.errors import TrainingDiverged
from styleflow.training.loop import LoopSettings, learning_rate, read_log, train


class _Line:
    """Fit y = 2x - 1 with a network that has dropout and running statistics."""

    def __init__(self, seed=0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.network = nn.Sequential(
                nn.Linear(1, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1)
            )
        self.validations = []

    def loss(self, rng):
        x = torch.from_numpy(rng.uniform(-1, 1, (16, 1)).astype(np.float32))
        return ((self.network(x) - (2 * x - 1)) ** 2).mean(), {"spread": float(x.std())}

    def validate(self, network):
        with torch.no_grad():
            x = torch.linspace(-1, 1, 20)[:, None]
            self.validations.append(-float(((network(x) - (2 * x - 1)) ** 2).mean()))
        return self.validations[-1]


SETTINGS = LoopSettings(30, 1e-2, bf16=False, log_every=5)


def _tensors(network):
    return list(network.state_dict().values())


def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path):
    whole = train(_Line(), SETTINGS, 3, tmp_path / "whole")
    train(_Line(), SETTINGS, 3, tmp_path / "parts", stop_after=13)
    resumed = train(_Line(seed=99), SETTINGS, 3, tmp_path / "parts")
    assert all(torch.equal(a, b) for a, b in zip(_tensors(whole), _tensors(resumed), strict=True))
    assert read_log(tmp_path / "whole" / "log.csv") == read_log(tmp_path / "parts" / "log.csv")


def test_the_seed_decides_the_weights(tmp_path):
    one, same, other = (
        train(_Line(), SETTINGS, seed, tmp_path / name)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert all(torch.equal(a, b) for a, b in zip(_tensors(one), _tensors(same), strict=True))
    assert not torch.equal(one[0].weight, other[0].weight)


def test_torchs_own_generator_is_put_back(tmp_path):
    before = torch.get_rng_state()
    train(_Line(), SETTINGS, 0, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_task_is_learned(tmp_path):
    task = _Line()
    before = task.validate(task.network.eval())
    network = train(task, LoopSettings(200, 2e-2, bf16=False, average=0.9), 0, tmp_path)
    assert task.validate(network) > before / 5


def test_the_best_validated_network_is_returned(tmp_path):
    class Worsening(_Line):
        def validate(self, network):
            self.seen = [*getattr(self, "seen", []), network[0].weight.clone()]
            return -len(self.seen)

    task = Worsening()
    settings = LoopSettings(30, 1e-2, bf16=False, validate_every=5, patience=3)
    network = train(task, settings, 0, tmp_path)
    assert torch.equal(network[0].weight, task.seen[0])
    assert len(task.seen) == 4  # the best, and three that were no better


def test_a_network_without_numbers_ends_the_training(tmp_path):
    class Diverging(_Line):
        def validate(self, network):
            return math.nan

    settings = LoopSettings(30, 1e-2, bf16=False, validate_every=5)
    with pytest.raises(TrainingDiverged, match="at step 5"):
        train(Diverging(), settings, 0, tmp_path)


def test_the_average_follows_the_network_and_forgets_its_beginning_faster(tmp_path):
    """After step n it keeps n / (n + 10), at most `average`; counters are the network's own."""
    task = _Line()
    mean = [tensor.clone() for tensor in _tensors(task.network)]
    for step in range(1, 6):
        average = train(task, SETTINGS, 0, tmp_path, stop_after=step)
        new = _tensors(task.network)
        for old, now in zip(mean, new, strict=True):
            if old.dtype.is_floating_point:
                old.lerp_(now, 1 - min(SETTINGS.average, step / (step + 10)))
            else:
                old.copy_(now)
        assert all(torch.equal(a, b) for a, b in zip(mean, _tensors(average), strict=True))
        assert not average.training


def test_accumulated_losses_are_one_step(tmp_path):
    settings = LoopSettings(4, 1e-2, bf16=False, accumulate=3)
    seen = []
    train(_Line(), settings, 0, tmp_path, lambda step, figures: seen.append(step))
    assert seen == [4]


def test_the_observer_hears_what_the_log_keeps(tmp_path):
    heard = []
    train(
        _Line(), SETTINGS, 0, tmp_path, lambda s, f: heard.extend((s, n, v) for n, v in f.items())
    )
    assert heard == read_log(tmp_path / "log.csv")
    assert {step for step, _, _ in heard} == set(range(5, 31, 5))


def test_the_learning_rate_rises_and_falls_to_nothing():
    settings = LoopSettings(100, 1.0, warm_up=0.1)
    rates = [learning_rate(settings, s) for s in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 1e-3
    assert not any(math.isnan(r) for r in rates)
