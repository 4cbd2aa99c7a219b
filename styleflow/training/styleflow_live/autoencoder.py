"""Tiny auto-encoder of a diffusion model: pictures to its latents and back.

A round trip leaves in a picture what a latent decoder leaves in everything that it draws, and
otherwise the same picture. The weights (TAEF2, MIT, madebyollin/taesd) are read from a folder that
the user names; no package has them.

Source: TAESD, Tiny AutoEncoder for Stable Diffusion (madebyollin/taesd), the variant with 32 latent
channels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from styleflow.errors import WeightsUnusable

ENCODER, DECODER = "taef2_encoder.safetensors", "taef2_decoder.safetensors"
"""The two files."""

MULTIPLE = 8
"""Pictures' sides are multiples of this: latents have an eighth of their size."""

_NAME = "auto-encoder"
_WIDTH, _POOLED, _LATENTS = 64, 256, 32


class TinyAutoencoder(nn.Module):
    """Encoder and decoder, 1.3 million weights each.

    Args:
        folder: has `ENCODER` and `DECODER`.

    Raises:
        WeightsUnusable: it has not, or they hold something else.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.encoder = _read(_encoder(), folder / ENCODER)
        self.decoder = _read(_decoder(), folder / DECODER)

    @torch.inference_mode()
    def round_trip(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return pictures, `(B, H, W, 3)` RGB uint8, encoded and decoded."""
        x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
        back = self.decoder(self.encoder(x)).clamp(0, 1).permute(0, 2, 3, 1)
        return np.asarray((back * 255).round().byte().numpy(), np.uint8)


class _Block(nn.Module):
    """Three convolutions beside the input; at the lowest resolution a wide branch first."""

    def __init__(self, *, pooled: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(), nn.ReLU(), _conv(), nn.ReLU(), _conv()
        )  # the places of the published names
        if pooled:
            self.pool = nn.Sequential(
                nn.Conv2d(_WIDTH, _POOLED, 1, bias=False),
                nn.GroupNorm(4, _POOLED),
                nn.ReLU(),
                nn.Conv2d(_POOLED, _WIDTH, 1, bias=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, "pool"):
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class _Squash(nn.Module):
    """Latents kept between -3 and 3."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.tanh(x / 3)


def _conv(
    take: int = _WIDTH, give: int = _WIDTH, stride: int = 1, *, bias: bool = True
) -> nn.Conv2d:
    return nn.Conv2d(take, give, 3, stride, 1, bias=bias)


def _blocks(count: int, *, pooled: bool = False) -> list[nn.Module]:
    return [_Block(pooled=pooled) for _ in range(count)]


def _encoder() -> nn.Sequential:
    layers = [_conv(3), *_blocks(1)]
    for pooled in (False, False, True):
        layers += [_conv(stride=2, bias=False), *_blocks(3, pooled=pooled)]
    return nn.Sequential(*layers, _conv(give=_LATENTS))


def _decoder() -> nn.Sequential:
    layers = [_Squash(), _conv(_LATENTS), nn.ReLU()]
    for count, pooled in ((3, True), (3, False), (3, False)):
        layers += [*_blocks(count, pooled=pooled), nn.Upsample(scale_factor=2), _conv(bias=False)]
    return nn.Sequential(*layers, *_blocks(1), _conv(give=3))


def _read(network: nn.Sequential, path: Path) -> nn.Sequential:
    if not path.is_file():
        raise WeightsUnusable(_NAME, f"there is no {path}")
    try:
        network.load_state_dict(safetensors.torch.load_file(path))
    except (safetensors.SafetensorError, RuntimeError) as error:
        raise WeightsUnusable(_NAME, f"{path} is not what is published") from error
    return network.eval().requires_grad_(requires_grad=False)
