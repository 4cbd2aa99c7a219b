"""Crew of one machine: how many workers it runs, and what each asks Ray for. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stream.errors import SettingInvalid

_FINEST = 10_000
"""Parts of a GPU that Ray counts in."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Workers of one machine.

    Attributes:
        workers: how many.
        gpus: which there are on the machine, for Ray to hand out; 0 when nobody asks for one.
        gpu: share of a GPU that each worker asks for: a whole one, unless there are more workers
            than GPUs; 0 when they compute on the processor.
    """

    workers: int
    gpus: int = 0
    gpu: float = 0.0


def crew(wanted: int | None, cores: int, gpus: int, *, on_gpu: bool) -> Crew:
    """Return the workers of a machine.

    Args:
        wanted: how many; None is one for each GPU, or for each core where no GPU is asked for.
        cores: of the machine.
        gpus: of the machine.
        on_gpu: whether the detectors are to run on GPUs.

    Raises:
        SettingInvalid: they are, and there is none.
    """
    if not on_gpu:
        return Crew(cores if wanted is None else wanted)
    if gpus < 1:
        raise SettingInvalid("model.device", "cuda", "needs a GPU, and this machine has none")
    workers = gpus if wanted is None else wanted
    each = max(math.ceil(workers / gpus), 1)
    return Crew(workers, gpus, math.floor(_FINEST / each) / _FINEST)
