"""Sharpness-aware minimisation: step by the gradient of the worst point nearby.

A step takes two gradients. The first says which way the loss rises most steeply; the weights climb
that way by a fixed distance, the second gradient is taken up there, and the weights are put back
before the optimiser uses it. Minima that are flat all around are preferred to sharp ones.

The name is spelt out because StyleFlow's style attention goes by the same three letters.

Source: Sharpness-Aware Minimization (Foret et al., ICLR 2021); FakeSTormer's release, radius 0.05.
Departs: running statistics of normalisations move once per step, with the first gradient; the
release moves them a second time at weights that nobody keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

_SMALLEST_NORM = 1e-12  # a gradient of nothing leads nowhere instead of dividing by zero


@contextmanager
def at_the_worst_nearby(network: nn.Module, radius: float) -> Iterator[None]:
    """Move a network up its own gradient for as long as the context lasts.

    On entering, weights that have a gradient climb by `radius` in all, and gradients are cleared.
    On leaving, weights and buffers are, bit for bit, what they were; new gradients stay.

    Args:
        network: its parameters hold the gradients of the first pass.
        radius: length of the climb over all parameters together, in the weights' own units.
    """
    weights = {p: p.detach().clone() for p in network.parameters() if p.grad is not None}
    buffers = {b: b.detach().clone() for b in network.buffers()}
    _climb(weights, radius)
    network.zero_grad()
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, kept in (*weights.items(), *buffers.items()):
                tensor.copy_(kept)


@torch.no_grad()
def _climb(parameters: Iterable[nn.Parameter], radius: float) -> None:
    moving = [(p, p.grad) for p in parameters if p.grad is not None]
    if not moving:
        return
    norm = torch.stack([gradient.norm() for _, gradient in moving]).norm()
    for parameter, gradient in moving:
        parameter.add_(gradient * (radius / (norm + _SMALLEST_NORM)))
