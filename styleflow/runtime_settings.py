"""Settings of the runtime of networks without memory; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Runtime(Enum):
    """Runtime of networks without memory.

    `AUTO` is OpenVINO on a CPU and CUDA graphs on a GPU; `TORCH` is PyTorch as it is, on both.
    """

    AUTO = "auto"
    TORCH = "torch"


class Precision(Enum):
    """Numbers that OpenVINO computes in on a CPU.

    `INT8` multiplies matrices in eight bits: weights with a scale for each output, what goes in
    with one that was measured beforehand (`styleflow.eight_bits`), else with one for each group of
    numbers. Everything else is computed as by `BFLOAT16` and by `FLOAT32`.
    """

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """Settings of the runtime.

    Attributes:
        runtime: by what.
        workers: items of a batch that a CPU works on at the same time, at least 1.
        cache: folder that keeps converted graphs; None converts at every start.
        precision: what OpenVINO computes in; a GPU and PyTorch compute as the network does.
        bearing: the same for parts that bear less than `FLOAT32`, where that is the precision; None
            is `INT8` for those whose ranges were measured, on a processor that multiplies eight
            bits fast, and else `BFLOAT16`.
    """

    runtime: Runtime = Runtime.AUTO
    workers: int = 1
    cache: Path | None = None
    precision: Precision = Precision.FLOAT32
    bearing: Precision | None = None

    def __post_init__(self) -> None:
        """Refuse settings under which nothing would run."""
        if self.workers < 1:
            raise ValueError(f"workers are at least 1, not {self.workers}")
