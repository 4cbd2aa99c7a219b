"""Networks that draw faces again: the style decoder, and small patch auto-encoders.

They make training data, not verdicts. The style decoder turns W+ latents back into pictures, which
is what makes the latents of the style encoder *style* latents; the patch auto-encoders leave the
traces that convolutional generators leave, in as many variants as there are ways to upsample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from styleflow.detectors.styleflow_live.style_encoder import HALVINGS, StyleEncoderDims

_WIDTHS = (96, 96, 80, 48, 32, 16)  # channels per resolution, smallest first

Upsampling = Literal["nearest", "bilinear", "transposed", "shuffle"]


@dataclass(frozen=True, slots=True)
class PatchAutoencoderDims:
    """Everything needed to build a `PatchAutoencoder`.

    Attributes:
        widths: channels after each halving.
        bottleneck: channels that carry the picture at the lowest resolution.
        upsampling: how the decoder doubles its resolution.
    """

    widths: tuple[int, ...] = (24, 48, 96)
    bottleneck: int = 12
    upsampling: Upsampling = "nearest"


class PatchAutoencoder(nn.Module):
    """A fully convolutional auto-encoder without skip connections."""

    def __init__(self, dims: PatchAutoencoderDims) -> None:
        super().__init__()
        self.dims = dims
        down: list[nn.Module] = []
        inner = 3
        for width in dims.widths:
            down += [nn.Conv2d(inner, width, 4, 2, 1), nn.SiLU()]
            inner = width
        down.append(nn.Conv2d(inner, dims.bottleneck, 3, 1, 1))
        up: list[nn.Module] = [nn.Conv2d(dims.bottleneck, inner, 3, 1, 1), nn.SiLU()]
        for width in (*reversed(dims.widths[:-1]), dims.widths[0]):
            up += [*_doubling(inner, width, dims.upsampling), nn.SiLU()]
            inner = width
        up.append(nn.Conv2d(inner, 3, 3, 1, 1))
        self.encoder, self.decoder = nn.Sequential(*down), nn.Sequential(*up)

    def forward(self, images: Tensor) -> Tensor:
        """Return pictures drawn again, `(B, 3, H, W)` in [-1, 1]; H and W as multiples of 2^k."""
        drawn: Tensor = self.decoder(self.encoder(images))
        return drawn


def _doubling(inner: int, outer: int, upsampling: Upsampling) -> list[nn.Module]:
    if upsampling == "transposed":
        return [nn.ConvTranspose2d(inner, outer, 4, 2, 1)]
    if upsampling == "shuffle":
        return [nn.Conv2d(inner, outer * 4, 3, 1, 1), nn.PixelShuffle(2)]
    if upsampling == "bilinear":
        resize = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    else:
        resize = nn.Upsample(scale_factor=2, mode="nearest")
    return [resize, nn.Conv2d(inner, outer, 3, 1, 1)]


class StyledConv(nn.Module):
    """A convolution whose channels are normalised and then scaled and shifted by one style."""

    def __init__(self, inner: int, outer: int, latent: int, *, doubled: bool) -> None:
        super().__init__()
        self.doubled = doubled
        self.conv = nn.Conv2d(inner, outer, 3, 1, 1)
        self.style = nn.Linear(latent, 2 * outer)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return features, `(B, outer, H, W)`, drawn in a style, `(B, D)`."""
        if self.doubled:
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
        scale, shift = self.style(style)[..., None, None].chunk(2, dim=1)
        y: Tensor = nn.functional.silu(self.conv(x) * (1 + scale) + shift)
        return y


class StyleDecoder(nn.Module):
    """W+ latents to a face: a small learned constant, drawn larger style by style.

    Raises:
        ValueError: fewer than seven style levels, which cannot double five times.

    Source: the synthesis network of StyleGAN (Karras et al., CVPR 2019), in small.
    Departs: no noise and no adversary; it is the decoder of an auto-encoder.
    """

    def __init__(self, dims: StyleEncoderDims) -> None:
        super().__init__()
        if dims.style_levels < HALVINGS + 2:
            raise ValueError(
                f"a decoder needs {HALVINGS + 2} style levels, not {dims.style_levels}"
            )
        smallest = dims.size_px >> HALVINGS
        layers, inner = [], _WIDTHS[0]
        self.constant = nn.Parameter(torch.randn(1, inner, smallest, smallest))
        doublings = 0
        for index in range(dims.style_levels):
            doubled = (
                doublings < HALVINGS
                and index == 1 + doublings * (dims.style_levels - 2) // HALVINGS
            )
            doublings += doubled
            layers.append(StyledConv(inner, _WIDTHS[doublings], dims.latent, doubled=doubled))
            inner = _WIDTHS[doublings]
        self.layers = nn.ModuleList(layers)
        self.picture = nn.Conv2d(inner, 3, 1)

    def forward(self, latents: Tensor) -> Tensor:
        """Return faces, `(B, 3, S, S)` in about [-1, 1], from W+ latents, `(B, L, D)`."""
        x = self.constant.expand(latents.shape[0], -1, -1, -1)
        for layer, style in zip(self.layers, latents.unbind(1), strict=True):
            x = layer(x, style)
        drawn: Tensor = self.picture(x)
        return drawn
