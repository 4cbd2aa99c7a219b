"""First weights of a network, the same on every machine.

Everything is drawn from NumPy's PCG64 by plain uniform numbers, each tensor from a generator of
its own that is named after it. Torch's generators promise neither across versions nor processors,
and the digest of an untrained checkpoint should not depend on who made it.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch
from torch import Tensor, nn

from styleflow.detectors.layers.vision_transformer import Block


def seed_weights(network: nn.Module, seed: int) -> None:
    """Give a network its first weights, in place.

    Convolutions and linear maps keep the variance of what flows through them, recurrent weights are
    as torch documents them, normalisations and scales do nothing yet, and everything else, such as
    biases and learned states, is zero.

    Args:
        network: any network made of the layers used in this package.
        seed: another seed gives other weights.
    """
    for parameter in network.parameters():
        parameter.data.zero_()
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            fan_in = module.weight[0].numel()
            bound = math.sqrt(3.0 / fan_in)
            _fill(module.weight, f"{name}.weight", seed, bound)
        elif isinstance(module, nn.GRU):
            for part, weight in module.named_parameters():
                _fill(weight, f"{name}.{part}", seed, 1 / math.sqrt(module.hidden_size))
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.reset_running_stats()
            module.weight.data.fill_(1.0)
        elif isinstance(module, nn.LayerNorm):
            module.weight.data.fill_(1.0)
        elif isinstance(module, Block) and module.scaled:
            module.scale1.data.fill_(1.0)
            module.scale2.data.fill_(1.0)


def _fill(tensor: Tensor, name: str, seed: int, bound: float) -> None:
    generator = np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode())]))
    uniform = generator.random(tuple(tensor.shape), dtype=np.float32)
    values = (uniform * np.float32(2) - np.float32(1)) * np.float32(bound)
    tensor.data.copy_(torch.from_numpy(values))
