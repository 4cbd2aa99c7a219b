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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How a task is trained.

    Attributes:
        steps: optimiser steps.
        learning_rate: the highest, after warming up.
        weight_decay: of AdamW.
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


@dataclass(slots=True, eq=False)
class _Run:
    """Everything that changes while a task is trained."""

    network: nn.Module
    average: nn.Module
    best: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0
    best_score: float = -math.inf
    stale: int = 0

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "best_score": self.best_score,
            "stale": self.stale,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
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
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = _begin(task, settings)
    saved = folder / "state.pt"
    if saved.is_file():
        run.load(torch.load(saved, weights_only=True))
    log = _Log(folder / "log.csv", run.step)
    until = settings.steps if stop_after is None else min(settings.steps, stop_after)
    while run.step < until and run.stale < settings.patience:
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
    return run.best if settings.validate_every else run.average


def learning_rate(settings: LoopSettings, step: int) -> float:
    """Return the learning rate of a step, counted from 0: a rise, then half a cosine."""
    rise = max(1, round(settings.warm_up * settings.steps))
    if step < rise:
        return settings.learning_rate * (step + 1) / rise
    done = (step - rise) / max(1, settings.steps - rise)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def _begin(task: Task, settings: LoopSettings) -> _Run:
    optimiser = torch.optim.AdamW(
        task.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    average = copy.deepcopy(task.network).eval().requires_grad_(requires_grad=False)
    return _Run(task.network, average, copy.deepcopy(average), optimiser)


def _step(task: Task, run: _Run, settings: LoopSettings, seed: int) -> Mapping[str, float]:
    run.network.train()
    for group in run.optimiser.param_groups:
        group["lr"] = learning_rate(settings, run.step)
    run.optimiser.zero_grad()
    figures: Mapping[str, float] = {}
    for part in range(settings.accumulate):
        rng = np.random.default_rng([seed, run.step, part])
        # Dropout draws from torch's own generator; it is put back afterwards.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**63)))
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.bf16):
                loss, figures = task.loss(rng)
            (loss / settings.accumulate).backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.network.parameters(), settings.clip_norm)
    run.optimiser.step()
    run.step += 1
    # The first steps are forgotten faster, or the average would start from noise.
    _follow(run.average, run.network, min(settings.average, run.step / (run.step + 10)))
    return {"loss": float(loss.detach()), **figures}


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, kept: float) -> None:
    for mean, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(new, 1 - kept)
        else:
            mean.copy_(new)


def _validate(task: Task, run: _Run, log: _Log, observer: Observer | None) -> None:
    score = task.validate(run.average)
    if math.isnan(score):
        raise ValueError(f"validation at step {run.step} gave no number, so nothing can be chosen")
    if score > run.best_score:
        run.best_score, run.stale = score, 0
        run.best.load_state_dict(run.average.state_dict())
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
