"""Freeze weights in turns, so that a network neglects neither space nor time.

A network that may use both cues uses the easier one. For some steps only the weights that look
along time learn, then for some only those that look within frames; weights that do neither always
learn. Weights may also be held for the first steps, while fresh heads settle.

Source: AltFreezing for More General Video Face Forgery Detection (Wang et al., CVPR 2023).
Departs: how weights are told apart is said by each recipe, since our networks attend where theirs
convolves; how long each turn lasts is a setting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from torch import nn


class Looks(Enum):
    """What a weight looks along."""

    SPACE = "space"
    TIME = "time"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Turns:
    """How long each kind of weight learns alone.

    Attributes:
        time: steps in which weights that look along time learn and those within frames hold.
        space: steps the other way round.
    """

    time: int = 1
    space: int = 1

    def __post_init__(self) -> None:
        """Refuse turns that never come."""
        for name in ("time", "space"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1 step, not {getattr(self, name)}")

    def learns(self, step: int) -> Looks:
        """Return whose turn a step is, counted from 0."""
        return Looks.TIME if step % (self.time + self.space) < self.time else Looks.SPACE


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which parameters hold still when; a `Freezing` for the training loop.

    Attributes:
        space: names of parameters that look within frames.
        time: names of parameters that look along time.
        turns: how they take turns; None lets both learn always.
        waiting: names of parameters that hold still at first.
        wait: for so many steps.
    """

    space: frozenset[str]
    time: frozenset[str]
    turns: Turns | None = None
    waiting: frozenset[str] = frozenset()
    wait: int = 0

    def __call__(self, step: int) -> frozenset[str]:
        """Return the names of the parameters that hold still in a step, counted from 0."""
        if step < self.wait:
            return self.waiting
        if self.turns is None:
            return frozenset()
        return self.space if self.turns.learns(step - self.wait) is Looks.TIME else self.time


def schedule(
    network: nn.Module,
    looks: Callable[[str], Looks],
    turns: Turns | None,
    waits: Callable[[str], bool] = lambda name: False,
    wait: int = 0,
) -> Schedule:
    """Return when the parameters of a network hold still.

    Args:
        network: whose parameters.
        looks: says of a parameter's name what it looks along.
        turns: how long each turn lasts; None takes no turns.
        waits: says of a parameter's name whether it holds still at first.
        wait: for so many steps.
    """
    names = [name for name, _ in network.named_parameters()]
    return Schedule(
        space=frozenset(n for n in names if looks(n) is Looks.SPACE),
        time=frozenset(n for n in names if looks(n) is Looks.TIME),
        turns=turns,
        waiting=frozenset(n for n in names if waits(n)),
        wait=wait,
    )
