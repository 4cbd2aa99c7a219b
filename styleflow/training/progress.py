"""Progress of a training run, told in words from which a command can draw a bar.

A recipe tells a person what it does in plain text. A `StepText` is such a text too, and carries
how far a stage is beside it; whoever only prints need not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from styleflow.training.loop import LoopSettings, Observer

Tell = Callable[[str], None]
"""Told in a few words what is being done."""


class StepText(str):
    """A line of a log that also says how far a stage is.

    Attributes:
        stage: which part of the run.
        step: optimiser steps done.
        steps: how many there are at most.
    """

    __slots__ = ("stage", "step", "steps")

    stage: str
    step: int
    steps: int

    def __new__(cls, text: str, stage: str, step: int, steps: int) -> StepText:
        """Return a text with its place in the run."""
        made = super().__new__(cls, text)
        made.stage, made.step, made.steps = stage, step, steps
        return made


def telling(tell: Tell, stage: str, settings: LoopSettings) -> Observer:
    """Return an observer of `loop.train` that tells every row of the log as a `StepText`."""

    def observe(step: int, figures: Mapping[str, float]) -> None:
        told = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        text = f"{stage} {step}/{settings.steps}: {told}"
        tell(StepText(text, stage, step, settings.steps))

    return observe
