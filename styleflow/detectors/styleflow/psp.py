"""The pSp encoder: a face picture in, the 18 style vectors of its W+ latent out.

An IR-SE trunk of 50 layers gives features at three depths, a small pyramid joins them, and every
style has a head of its own: coarse styles read the deepest features, fine ones the shallowest.
Only the encoder lives here. The generator that the published file also carries is never needed.
Tensor names are those of `psp_ffhq_encode.pt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from styleflow.detectors.styleflow.style_levels import STYLES
from styleflow.errors import ShapeMismatch


@dataclass(frozen=True, slots=True)
class PspDims:
    """Everything needed to build a `PspEncoder`; the defaults are the published ones.

    Attributes:
        size_px: side of the picture; a power of two, at least 32.
        width: channels of the first layer; the trunk ends with eight times as many.
        units: IR-SE units in each of the four stages.
    """

    size_px: int = 256
    width: int = 64
    units: tuple[int, int, int, int] = (3, 4, 14, 3)

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        if self.size_px < 32 or self.size_px > 1024 or self.size_px & (self.size_px - 1):
            raise ValueError(f"size_px is a power of two in 32..1024, not {self.size_px}")
        if not 1 <= self.width <= 512:
            raise ValueError(f"width lies in 1..512, not {self.width}")
        if len(self.units) != 4 or not all(1 <= n <= 64 for n in self.units):
            raise ValueError(f"units are four numbers in 1..64, not {self.units}")

    @property
    def latent(self) -> int:
        """Length of one style vector."""
        return 8 * self.width


class SqueezeExcite(nn.Module):
    """Scale each channel by what the whole picture says about it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 16, 1)
        self.fc1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.fc2 = nn.Conv2d(inner, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled features, `(B, C, H, W)`."""
        mean = x.mean((2, 3), keepdim=True)
        scale: Tensor = self.fc2(self.fc1(mean).relu()).sigmoid()
        return x * scale


class IrSeUnit(nn.Module):
    """An improved residual unit with squeeze and excitation; nothing follows the sum."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.shortcut_layer = (
            None
            if inner == outer
            else nn.Sequential(
                nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
            )
        )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inner),
            nn.Conv2d(inner, outer, 3, 1, 1, bias=False),
            nn.PReLU(outer),
            nn.Conv2d(outer, outer, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outer),
            SqueezeExcite(outer),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features `(B, outer, H / stride, W / stride)`."""
        if self.shortcut_layer is None:
            shortcut = x[:, :, :: self.stride, :: self.stride]
        else:
            shortcut = self.shortcut_layer(x)
        y: Tensor = self.res_layer(x)
        return y + shortcut


class EqualLinear(nn.Module):
    """A linear layer whose weights are stored at unit variance and scaled when used."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.scale = features**-0.5

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, features)`."""
        return nn.functional.linear(x, self.weight * self.scale, self.bias)


class MapToStyle(nn.Module):
    """Halve a feature map until one pixel is left, and call that pixel a style."""

    def __init__(self, channels: int, size_px: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(size_px.bit_length() - 1):
            layers += [nn.Conv2d(channels, channels, 3, 2, 1), nn.LeakyReLU(0.01)]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return one style vector per picture, `(B, C)`, from features `(B, C, S, S)`."""
        y: Tensor = self.linear(self.convs(x).flatten(1))
        return y


@dataclass(frozen=True, slots=True, eq=False)
class PspFeatures:
    """Input of the heads, deepest first; `p2` and `p1` are None where no head wants them.

    Attributes:
        c3: `(B, 8w, S/16, S/16)`, for styles 0-2.
        p2: `(B, 8w, S/8, S/8)`, for styles 3-6.
        p1: `(B, 8w, S/4, S/4)`, for styles 7-17.
    """

    c3: Tensor
    p2: Tensor | None
    p1: Tensor | None

    def for_style(self, style: int) -> Tensor:
        """Return the features that one style's head reads."""
        chosen = self.c3 if style < 3 else self.p2 if style < 7 else self.p1
        if chosen is None:
            raise ValueError(f"the pyramid was not built down to style {style}")
        return chosen


class GradualStyleEncoder(nn.Module):
    """The encoder network of pSp: 50 layers of IR-SE, a pyramid, 18 heads.

    Source: Richardson et al., CVPR 2021, section 3 and `psp_ffhq_encode.pt`.
    Departs: computes only the heads that are asked for, because a detector that looks at coarse
    styles alone would otherwise pay twice (33 of 72 GMACs are enough).
    """

    def __init__(self, dims: PspDims) -> None:
        super().__init__()
        self.dims = dims
        w = dims.width
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, w, 3, 1, 1, bias=False), nn.BatchNorm2d(w), nn.PReLU(w)
        )
        units: list[IrSeUnit] = []
        inner = w
        for outer, count in zip((w, 2 * w, 4 * w, 8 * w), dims.units, strict=True):
            units.append(IrSeUnit(inner, outer, 2))
            units += [IrSeUnit(outer, outer, 1) for _ in range(count - 1)]
            inner = outer
        self.body = nn.ModuleList(units)
        deepest = dims.size_px // 16
        self.styles = nn.ModuleList(
            MapToStyle(8 * w, deepest if i < 3 else 2 * deepest if i < 7 else 4 * deepest)
            for i in range(STYLES)
        )
        self.latlayer1 = nn.Conv2d(4 * w, 8 * w, 1)
        self.latlayer2 = nn.Conv2d(2 * w, 8 * w, 1)

    def forward(self, pictures: Tensor, styles: Sequence[int] = range(STYLES)) -> Tensor:
        """Return style codes, before the average latent is added.

        Args:
            pictures: RGB in [-1, 1], `(B, 3, S, S)`.
            styles: which styles, ascending, each in 0..17.

        Returns:
            Codes, `(B, len(styles), 8w)`.
        """
        features = self.features(pictures, deepest_style=max(styles))
        return torch.stack([self.styles[i](features.for_style(i)) for i in styles], dim=1)

    def features(self, pictures: Tensor, deepest_style: int = STYLES - 1) -> PspFeatures:
        """Return the features that the heads up to `deepest_style` read."""
        c1, c2, c3 = self.trunk(pictures)
        p2 = _upsampled(c3) + self.latlayer1(c2) if deepest_style >= 3 else None
        p1 = _upsampled(p2) + self.latlayer2(c1) if p2 is not None and deepest_style >= 7 else None
        return PspFeatures(c3, p2, p1)

    def trunk(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the trunk's features after its second, third and fourth stage."""
        ends = [sum(self.dims.units[: i + 1]) for i in range(4)]
        x = self.input_layer(pictures)
        taps = []
        for i, unit in enumerate(self.body):
            x = unit(x)
            if i + 1 in ends[1:]:
                taps.append(x)
        c1, c2, c3 = taps
        return c1, c2, c3


class PspEncoder(nn.Module):
    """Aligned faces to W+ latents, as the published file lays it out.

    The file holds `encoder.*` (all of `GradualStyleEncoder`) and `latent_avg`, the average W+
    latent of FFHQ, to which the network's output is relative.
    """

    latent_avg: Tensor

    def __init__(self, dims: PspDims) -> None:
        super().__init__()
        self.encoder = GradualStyleEncoder(dims)
        self.register_buffer("latent_avg", torch.zeros(STYLES, dims.latent))

    def forward(self, images: Tensor) -> Tensor:
        """Return W+ latents, `(B, 18, 8w)`, of aligned crops, `(B, S, S, 3)` RGB uint8."""
        return self.codes(images) + self.latent_avg

    def codes(self, images: Tensor, styles: Sequence[int] = range(STYLES)) -> Tensor:
        """Return latents relative to `latent_avg`; their style deltas are those of the latents.

        Args:
            images: aligned crops, `(B, S, S, 3)` RGB uint8.
            styles: which styles, ascending, each in 0..17.

        Returns:
            Codes, `(B, len(styles), 8w)`.

        Raises:
            ShapeMismatch: crops of another size.
        """
        size = self.encoder.dims.size_px
        if images.ndim != 4 or images.shape[1:] != (size, size, 3):
            raise ShapeMismatch("aligned crops", f"(B, {size}, {size}, 3)", images.shape)
        dtype = self.encoder.latlayer1.weight.dtype
        pictures = images.permute(0, 3, 1, 2).to(dtype) / 127.5 - 1.0
        codes: Tensor = self.encoder(pictures, styles)
        return codes


def _upsampled(x: Tensor) -> Tensor:
    """Return features of twice the size; corners lie on corners, as in the published network."""
    return nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
