"""Weights derived from tensor names, the inputs that go with them, and what they must give.

Both sides of a parity test compute the same numbers from the same names, so that no weights need
to be stored. The published programs' stored answers lie beside the repository; where they are
missing, the tests that need them are skipped. What is read of them is remembered, so that
`make parity` can tell whether anything was stored that no test looks at.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
"""Where the stored outputs of the published programs lie, beside the repository."""

_ALL = "every name and shape"
_PROVENANCE = {("fakestormer/parity_data.npz", "meta")}
"""What only says with which versions of OpenCV and NumPy the file was made."""

READ: set[tuple[str, str]] = set()  # file and array


class Stored(dict[str, NDArray[Any]]):
    """The arrays of one stored file by name; it remembers which were asked for."""

    def __init__(self, file: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        super().__init__(arrays)
        self._file = file

    def __getitem__(self, name: str) -> NDArray[Any]:
        array = super().__getitem__(name)
        READ.add((self._file, name))
        return array


def unread() -> list[str]:
    """Return what is stored and was not asked for since the program began, `file: array`."""
    stored: set[tuple[str, str]] = set()
    for path in sorted(REFERENCE.glob("*/*.npz")):
        with np.load(path) as arrays:
            stored |= {(f"{path.parent.name}/{path.name}", name) for name in arrays.files}
    for path in REFERENCE.glob("*/*.json"):
        stored.add((f"{path.parent.name}/{path.name}", _ALL))
    return [f"{file}: {name}" for file, name in sorted(stored - READ - _PROVENANCE)]


def built(build: Callable[[], M], prefix: str = "") -> M:
    """Return a module that was never initialised at random, filled by name.

    Args:
        build: constructor; it runs on the meta device, so that it costs no time and no memory.
        prefix: written before the module's own names, where the reference names are longer.
    """
    with torch.device("meta"):
        module = build()
    module = module.to_empty(device="cpu")
    for name, tensor in module.state_dict().items():
        _fill(prefix + name, tensor)
    return module.eval().requires_grad_(requires_grad=False)


def filled_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict whose tensors have the values that their names say."""
    tensors = {name: torch.empty(t.shape, dtype=t.dtype) for name, t in state.items()}
    for name, tensor in tensors.items():
        _fill(name, tensor)
    return tensors


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


def reference(detector: str, file: str) -> Stored:
    """Return the arrays of one stored file, or skip the test where the file is not there."""
    with np.load(_stored(detector, file)) as arrays:
        return Stored(f"{detector}/{file}", arrays)


def reference_case(detector: str, case: str) -> Stored:
    """Return the stored arrays of one parity case, or skip."""
    return reference(detector, f"parity_{case}.npz")


def reference_shapes(detector: str, key_file: str) -> dict[str, tuple[int, ...]]:
    """Return the tensor names and shapes of one published checkpoint, in its order, or skip."""
    file = f"keys_{key_file}.json"
    stored = json.loads(_stored(detector, file).read_text(encoding="utf-8"))
    READ.add((f"{detector}/{file}", _ALL))
    return {name: tuple(shape) for name, shape in stored.items()}


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return a module's own tensor names and shapes, to compare with `reference_shapes`."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _stored(detector: str, file: str) -> Path:
    path = REFERENCE / detector / file
    if not path.is_file():
        pytest.skip(f"no stored outputs to compare with: {detector}/{file} is missing")
    return path


def _fill(name: str, tensor: Tensor) -> None:
    if tensor.is_floating_point():
        tensor.copy_(torch.from_numpy(named_values(name, tuple(tensor.shape))))
    else:
        tensor.zero_()  # counters; the fill rule leaves them as they are


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))
