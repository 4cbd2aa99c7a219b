"""Weights that both sides of a parity test can compute, so that none have to be shipped.

Each tensor's values follow from its name alone: a generator is seeded with the CRC-32 of the name.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
"""Where the stored outputs of the published programs lie, beside the repository."""


def fill(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state with every floating tensor replaced by the values its name stands for."""
    return {name: _filled(name, tensor) for name, tensor in state.items()}


def fill_input(shape: Sequence[int]) -> Tensor:
    """Return the common random input of a shape, in [0, 1)."""
    rng = np.random.default_rng(zlib.crc32(b"input"))
    return torch.from_numpy(rng.random(tuple(shape), dtype=np.float32))


def reference(*parts: str) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of one stored file, or skip the test where the file is not there."""
    path = REFERENCE.joinpath(*parts)
    if not path.is_file():
        pytest.skip(f"no stored outputs to compare with: {'/'.join(parts)} is missing")
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _filled(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return torch.zeros(tensor.shape, dtype=tensor.dtype)
    shape = tuple(tensor.shape)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    noise = torch.from_numpy(np.asarray(rng.standard_normal(shape, dtype=np.float32)))
    if name.endswith("running_var"):
        return noise.abs_().mul_(0.1).add_(1.0)
    if name.endswith(("running_mean", "bias")):
        return noise.mul_(0.1)
    if len(shape) >= 2:
        return noise.div_(math.sqrt(math.prod(shape[1:])))
    return noise.mul_(0.1).add_(1.0) if shape else torch.ones(())
