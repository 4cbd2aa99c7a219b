"""Calls that would make a thread wait for an accelerator, caught on any device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_WAITING = frozenset(
    {
        "__bool__",
        "__contains__",
        "__float__",
        "__index__",
        "__int__",
        "cpu",
        "equal",
        "is_nonzero",
        "item",
        "masked_select",
        "nonzero",
        "numpy",
        "tolist",
        "unique",
    }
)


class Waits(TorchFunctionMode):
    """Lists, while it is entered, what reads a tensor's numbers or makes its shape depend on them.

    Attributes:
        found: names of the calls, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "")
        chosen = name in {"__getitem__", "__setitem__"} and _by_truth(args[1])
        if name in _WAITING or chosen:
            self.found.append(f"{name} by truth" if chosen else name)
        return func(*args, **(kwargs or {}))


def _by_truth(index: Any) -> bool:
    """Return whether an index chooses as many rows as are true."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, Tensor) and part.dtype == torch.bool for part in parts)
