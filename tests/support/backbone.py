"""A stand-in for the published picture backbone: right names and shapes, seeded numbers."""

import torch
from torch import Tensor

from styleflow.detectors.styleflow_live.lite import LiteTrunk


def backbone(seed: int = 0) -> dict[str, Tensor]:
    """Return kernels that keep the variance of what flows through them, and small biases."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, conv in LiteTrunk(rank=0).convolutions():
        fan_in = conv.weight[0].numel()
        drawn = torch.randn(conv.weight.shape, generator=generator)
        tensors[f"{name}.weight"] = drawn * (2 / fan_in) ** 0.5
        tensors[f"{name}.bias"] = 0.1 * torch.randn(conv.bias.shape, generator=generator)
    return tensors
