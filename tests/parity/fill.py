"""Weights derived from tensor names, and the inputs that go with them.

Both sides of a parity test compute the same numbers from the same names, so that no weights need
to be stored. The rule is the fill rule of the reference folder; `reference/` holds what the
reference implementation answered.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)

REFERENCE = Path(__file__).parent / "reference"


def built(build: Callable[[], M], prefix: str = "") -> M:
    """Return a module that was never initialised at random, filled by name.

    Args:
        build: constructor; it runs on the meta device, so that it costs no time and no memory.
        prefix: written before the module's own names, where the reference names are longer.
    """
    with torch.device("meta"):
        module = build()
    module = module.to_empty(device="cpu")
    for tensor in module.state_dict().values():
        if not tensor.is_floating_point():
            tensor.zero_()  # counters; the fill rule leaves them as they are
    fill(module, prefix)
    return module


def fill(module: nn.Module, prefix: str = "") -> None:
    """Give every tensor of a module the value that its name says.

    Args:
        module: changed in place and put into evaluation mode.
        prefix: written before the module's own names, where the reference names are longer.
    """
    fill_state(module.state_dict(), prefix)
    module.eval()
    module.requires_grad_(requires_grad=False)


def fill_state(state: Mapping[str, Tensor], prefix: str = "") -> None:
    """Give every tensor of a state dict the value that its name says, in place."""
    for name, tensor in state.items():
        if tensor.is_floating_point():
            tensor.copy_(torch.from_numpy(named_values(prefix + name, tuple(tensor.shape))))


def named_values(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the values, float32, of a tensor with this name and shape."""
    if not shape:
        return np.ones(shape, np.float32)
    values = _generator(name).standard_normal(shape, dtype=np.float32)
    if name.endswith("running_var"):
        return 1 + np.float32(0.1) * np.abs(values)
    if name.endswith(("running_mean", "bias")):
        values *= np.float32(0.1)
    elif len(shape) >= 2:
        values /= np.float32(np.sqrt(np.prod(shape[1:])))
    else:
        values = 1 + np.float32(0.1) * values
    return values


def uniform_input(*shape: int) -> Tensor:
    """Return the reference input of this shape, uniform in [0, 1)."""
    return torch.from_numpy(_generator("input").random(shape, dtype=np.float32))


def reference_case(detector: str, case: str) -> dict[str, NDArray[np.generic]]:
    """Return the stored arrays of one parity case."""
    with np.load(REFERENCE / detector / f"parity_{case}.npz") as stored:
        return dict(stored)


def reference_shapes(detector: str, key_file: str) -> dict[str, tuple[int, ...]]:
    """Return the tensor names and shapes of one published checkpoint."""
    stored = json.loads((REFERENCE / detector / f"keys_{key_file}.json").read_text())
    return {name: tuple(shape) for name, shape in stored.items()}


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return a module's own tensor names and shapes, to compare with `reference_shapes`."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))
