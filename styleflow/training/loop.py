"""One short training loop for every recipe.

The loop knows nothing of faces. A `Task` owns the network and says what a step's loss is; the loop
steps the optimiser, keeps an exponential moving average of the weights, logs, validates, stops
when validation no longer improves, and saves everything that is needed to go on.

Every step draws its randomness from a generator of its own, made from the seed and the step's
number. So nothing about randomness needs saving, and on a CPU an interrupted run that is resumed
ends in the same bits as one that was not.
"""

from __future__ import annotations

import copy
import csv
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from styleflow.errors import TrainingDiverged
from styleflow.training.sam import at_the_worst_nearby


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How a task is trained.

    Attributes:
        steps: optimiser steps.
        learning_rate: the highest, after warming up.
        weight_decay: of the optimiser; `adam` and `sgd` add it to the gradient.
        warm_up: fraction of the steps in which the learning rate rises.
        accumulate: losses per optimiser step.
        average: share of the moving average of weights that is kept per step.
        clip_norm: gradients longer than this are shortened.
        bf16: compute losses in bfloat16 where that is safe.
        log_every: steps per row of the log.
        validate_every: steps between validations; 0 never validates.
        patience: validations without improvement after which training stops.
        save_every: steps after which everything is saved at the latest; an interrupted run goes
            on from there. Every validation saves too.
        optimiser: which one steps.
        betas: memory of `adamw` and `adam` for gradients and their squares.
        momentum: of `sgd`, Nesterov's kind; 0 for none.
        schedule: how the learning rate goes: up and down half a cosine, up and down straight
            lines, or always the highest.
        first_rate: learning rate of the very first step of a `linear` schedule.
        stairs: (step, rate) pairs in order: from that step on, that rate, whatever the schedule.
        clip_value: entries of gradients are kept within plus and minus this.
        sharpness: radius of sharpness-aware minimisation, two passes a step; 0 takes one pass.
    """

    steps: int
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warm_up: float = 0.1
    accumulate: int = 1
    average: float = 0.99
    clip_norm: float = 2.0
    bf16: bool = True
    log_every: int = 50
    validate_every: int = 0
    patience: int = 5
    save_every: int = 500
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    first_rate: float = 1e-7
    stairs: tuple[tuple[int, float], ...] = ()
    clip_value: float = math.inf
    sharpness: float = 0.0


class Task(Protocol):
    """What is trained, and on what."""

    network: nn.Module

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Return the loss of one batch drawn with `rng`, and figures for the log."""
        ...

    def validate(self, network: nn.Module) -> float:
        """Return how good a network is, more is better: the video AUC wherever there are videos.

        Training stops early on it.
        """
        ...


Observer = Callable[[int, Mapping[str, float]], None]
"""Told the step and its figures whenever a row is logged."""

Freezing = Callable[[int], Collection[str]]
"""Says which parameters, by name, hold still in a step, counted from 0."""


_Tensors = list[Tensor] | tuple[Tensor, ...]


@dataclass(slots=True, eq=False)
class _Run:
    """Everything that changes while a task is trained."""

    network: nn.Module
    average: AveragedModel
    best: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0
    best_score: float = -math.inf
    stale: int = 0

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.module.state_dict(),
            "best": self.best.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "best_score": self.best_score,
            "stale": self.stale,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.module.load_state_dict(state["average"])
        self.best.load_state_dict(state["best"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.stale = state["step"], state["stale"]
        self.best_score = state["best_score"]


def train(
    task: Task,
    settings: LoopSettings,
    seed: int,
    folder: Path,
    observer: Observer | None = None,
    stop_after: int | None = None,
    freezing: Freezing | None = None,
) -> nn.Module:
    """Train a task, or go on where it was interrupted, and return the averaged network.

    With validation it is the best one seen, otherwise the last.

    Args:
        task: what is trained.
        settings: how.
        seed: decides every batch.
        folder: keeps `log.csv` and `state.pt`; a state found there is resumed.
        observer: told about every row of the log.
        stop_after: leave after so many steps with everything saved, as an interruption would.
        freezing: which parameters hold still when; nothing holds still without one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = _begin(task, settings)
    saved = folder / "state.pt"
    if saved.is_file():
        run.load(torch.load(saved, weights_only=True))
    log = _Log(folder / "log.csv", run.step)
    until = settings.steps if stop_after is None else min(settings.steps, stop_after)
    while run.step < until and run.stale < settings.patience:
        with _held_still(run.network, freezing(run.step) if freezing else ()):
            figures = _step(task, run, settings, seed)
        if run.step % settings.log_every == 0 or run.step == settings.steps:
            log.write(run.step, figures)
            if observer is not None:
                observer(run.step, figures)
        if settings.validate_every and (
            run.step % settings.validate_every == 0 or run.step == settings.steps
        ):
            _validate(task, run, log, observer)
            _save(run, saved)
        elif run.step % settings.save_every == 0:
            _save(run, saved)
    _save(run, saved)
    return run.best if settings.validate_every else run.average.module


def learning_rate(settings: LoopSettings, step: int) -> float:
    """Return the learning rate of a step, counted from 0."""
    climbed = [rate for start, rate in settings.stairs if start <= step]
    if climbed:
        return climbed[-1]
    if settings.schedule == "constant":
        return settings.learning_rate
    top, rise = settings.learning_rate, round(settings.warm_up * settings.steps)
    if settings.schedule == "linear":
        if step < rise:
            return settings.first_rate + (top - settings.first_rate) * step / rise
        return top * (1 - (step - rise) / max(1, settings.steps - rise))
    rise = max(1, rise)
    if step < rise:
        return top * (step + 1) / rise
    return top * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, settings.steps - rise)))


def _begin(task: Task, settings: LoopSettings) -> _Run:
    average = AveragedModel(task.network, use_buffers=True)
    average.eval().requires_grad_(requires_grad=False)
    average.n_averaged.fill_(1)  # what it starts from counts, too
    optimiser = _optimiser(task.network, settings)
    return _Run(task.network, average, copy.deepcopy(average.module), optimiser)


def _optimiser(network: nn.Module, settings: LoopSettings) -> torch.optim.Optimizer:
    parameters, rate, decay = network.parameters(), settings.learning_rate, settings.weight_decay
    match settings.optimiser:
        case "adamw":
            return torch.optim.AdamW(parameters, rate, settings.betas, weight_decay=decay)
        case "adam":
            return torch.optim.Adam(parameters, rate, settings.betas, weight_decay=decay)
        case "sgd":
            momentum = settings.momentum
            return torch.optim.SGD(
                parameters, rate, momentum, weight_decay=decay, nesterov=momentum > 0
            )


@contextmanager
def _held_still(network: nn.Module, names: Collection[str]) -> Iterator[None]:
    """Let some parameters neither gather a gradient nor step for as long as the context lasts."""
    known = dict(network.named_parameters())
    still = [known[name] for name in names if known[name].requires_grad]
    for parameter in still:
        parameter.requires_grad = False
        parameter.grad = None  # an optimiser leaves alone what has none
    try:
        yield
    finally:
        for parameter in still:
            parameter.requires_grad = True


def _step(task: Task, run: _Run, settings: LoopSettings, seed: int) -> Mapping[str, float]:
    run.network.train()
    for group in run.optimiser.param_groups:
        group["lr"] = learning_rate(settings, run.step)
    run.optimiser.zero_grad()
    figures = _gradients(task, run, settings, seed)
    if settings.sharpness > 0:
        with at_the_worst_nearby(run.network, settings.sharpness):
            _gradients(task, run, settings, seed)
    if settings.clip_value < math.inf:
        nn.utils.clip_grad_value_(run.network.parameters(), settings.clip_value)
    nn.utils.clip_grad_norm_(run.network.parameters(), settings.clip_norm)
    run.optimiser.step()
    run.step += 1
    # The first steps are forgotten faster, or the average would start from noise.
    run.average.multi_avg_fn = _moving(min(settings.average, run.step / (run.step + 10)))
    run.average.update_parameters(run.network)
    return figures


def _gradients(task: Task, run: _Run, settings: LoopSettings, seed: int) -> Mapping[str, float]:
    """Gather the gradients of one step's batches, always the same ones, and return their figures.

    The figures are those of the last batch.
    """
    device = next(run.network.parameters()).device
    figures: Mapping[str, float] = {}
    for part in range(settings.accumulate):
        rng = np.random.default_rng([seed, run.step, part])
        # Dropout draws from torch's own generator; it is put back afterwards.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(int(rng.integers(2**63)))
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.bf16):
                loss, figures = task.loss(rng)
            (loss / settings.accumulate).backward()  # type: ignore[no-untyped-call]
    return {"loss": float(loss.detach()), **figures}


def _moving(decay: float) -> Callable[[_Tensors, _Tensors, Tensor | int], None]:
    """Return torch's exponential moving average; whole numbers, such as counters, are copied."""
    move = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    def update(means: _Tensors, new: _Tensors, count: Tensor | int) -> None:
        if means[0].dtype.is_floating_point:
            move(means, new, count)
        else:
            for mean, value in zip(means, new, strict=True):
                mean.copy_(value)

    return update


def _validate(task: Task, run: _Run, log: _Log, observer: Observer | None) -> None:
    score = task.validate(run.average.module)
    if math.isnan(score):
        raise TrainingDiverged(run.step)
    if score > run.best_score:
        run.best_score, run.stale = score, 0
        run.best.load_state_dict(run.average.module.state_dict())
    else:
        run.stale += 1
    log.write(run.step, {"validation": score})
    if observer is not None:
        observer(run.step, {"validation": score})


def _save(run: _Run, path: Path) -> None:
    part = path.with_suffix(".part")
    torch.save(run.state(), part)
    os.replace(part, path)


class _Log:
    """A CSV of (step, name, value); rows after the resumed step are dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        kept = [row for row in read_log(path) if row[0] <= step]
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("step", "name", "value"), *kept])

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        with self._path.open("a", newline="") as file:
            csv.writer(file).writerows((step, name, repr(v)) for name, v in figures.items())


def read_log(path: Path) -> list[tuple[int, str, float]]:
    """Return the rows of a run's log: step, name, value. Nothing when there is no log yet."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [(int(r["step"]), r["name"], float(r["value"])) for r in csv.DictReader(file)]
