"""A compact style encoder: one aligned face in, its W+ style latent out.

It keeps the plan of pSp (a convolutional trunk, a feature pyramid, one head per group of style
levels: coarse styles from the deepest features, fine styles from the shallowest) and none of its
size: inverted residuals instead of IR-SE units, and one head per group instead of one per style.
There is no generator here and no state; `style_gru.py` looks at time.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from styleflow.errors import ShapeMismatch

HALVINGS = 5  # from the picture to the coarsest features: 128 -> 4 pixels


@dataclass(frozen=True, slots=True)
class StyleEncoderDims:
    """Everything needed to build a `StyleEncoder`.

    Attributes:
        size_px: side of the aligned crop; a multiple of 32.
        widths: channels after each of the five halvings.
        expansion: how many times wider an inverted residual is inside.
        pyramid: channels of the feature pyramid.
        levels: how many coarse, middle and fine style levels there are. A generator of 128
            pixels has twelve: 0-2, 3-6 and 7-11.
        latent: length of one level's style vector.
    """

    size_px: int = 128
    widths: tuple[int, int, int, int, int] = (32, 48, 80, 128, 192)
    expansion: int = 4
    pyramid: int = 128
    levels: tuple[int, int, int] = (3, 4, 5)
    latent: int = 64

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        if self.size_px < 2**HALVINGS or self.size_px > 1024 or self.size_px % 2**HALVINGS:
            raise ValueError(f"size_px is a multiple of 32 up to 1024, not {self.size_px}")
        for name in ("expansion", "pyramid", "latent"):
            value = getattr(self, name)
            if not 1 <= value <= 4096:
                raise ValueError(f"{name} lies in 1..4096, not {value}")
        if len(self.widths) != HALVINGS or not all(1 <= w <= 4096 for w in self.widths):
            raise ValueError(f"widths are five numbers in 1..4096, not {self.widths}")
        if len(self.levels) != 3 or not all(1 <= n <= 64 for n in self.levels):
            raise ValueError(f"levels are three numbers in 1..64, not {self.levels}")

    @property
    def style_levels(self) -> int:
        """All style levels together, `L`."""
        return sum(self.levels)


class ConvNorm(nn.Module):
    """A convolution, its batch normalisation and, mostly, a ReLU."""

    def __init__(
        self,
        inner: int,
        outer: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outer)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Return the filtered features, `(B, outer, H / stride, W / stride)`."""
        x = self.norm(self.conv(x))
        return x.relu_() if self.relu else x

    def fold(self) -> None:
        """Move the normalisation's running statistics into the convolution; for inference only."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow; added to its input where shapes agree."""

    def __init__(self, inner: int, outer: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inner * expansion
        self.layers = nn.Sequential(
            ConvNorm(inner, wide, kernel=1),
            ConvNorm(wide, wide, stride=stride, groups=wide),
            ConvNorm(wide, outer, kernel=1, relu=False),
        )
        self.residual = stride == 1 and inner == outer

    def forward(self, x: Tensor) -> Tensor:
        """Return features of `outer` channels, `stride` times smaller."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class StyleHead(nn.Module):
    """Turn one pyramid level into the style vectors of its group.

    A learned weight per channel and place pools the last features, so that a style vector may
    depend on where something is, as the strided convolutions of pSp allow.
    """

    def __init__(
        self, channels: int, *, halvings: int, grid: int, levels: int, latent: int
    ) -> None:
        super().__init__()
        self.shape = (levels, latent)
        self.shrink = nn.Sequential(
            *(
                nn.Sequential(
                    ConvNorm(channels, channels, stride=2, groups=channels),
                    ConvNorm(channels, channels, kernel=1),
                )
                for _ in range(halvings)
            )
        )
        self.pool = nn.Conv2d(channels, channels, grid, groups=channels, bias=False)
        self.styles = nn.Linear(channels, levels * latent)

    def forward(self, x: Tensor) -> Tensor:
        """Return the group's styles, `(B, levels, latent)`, from features `(B, C, H, W)`."""
        pooled = self.pool(self.shrink(x)).flatten(1)  # (B, C)
        styles: Tensor = self.styles(pooled)
        return styles.view(-1, *self.shape)


class StyleEncoder(nn.Module):
    """Aligned faces to W+ style latents.

    Source: pSp (Richardson et al., CVPR 2021), the feature pyramid and its map-to-style heads.
    Departs: a mobile trunk, one head per group of levels, and the levels of a 128-pixel generator.
    """

    def __init__(self, dims: StyleEncoderDims) -> None:
        super().__init__()
        self.dims = dims
        w = dims.widths
        self.stem = nn.Sequential(ConvNorm(3, w[0], stride=2), ConvNorm(w[0], w[1], stride=2))
        self.fine = self._stage(w[1], w[2])
        self.middle = self._stage(w[2], w[3])
        self.coarse = self._stage(w[3], w[4])
        self.lateral_fine = nn.Conv2d(w[2], dims.pyramid, 1)
        self.lateral_middle = nn.Conv2d(w[3], dims.pyramid, 1)
        self.lateral_coarse = nn.Conv2d(w[4], dims.pyramid, 1)
        self.heads = nn.ModuleList(
            StyleHead(
                dims.pyramid,
                halvings=halvings,
                grid=dims.size_px >> HALVINGS,
                levels=levels,
                latent=dims.latent,
            )
            for halvings, levels in enumerate(dims.levels)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the style latents of aligned faces.

        Args:
            images: aligned crops, `(B, S, S, 3)` RGB uint8.

        Returns:
            W+ latents, `(B, L, D)`: coarse levels first, fine levels last.

        Raises:
            ShapeMismatch: crops of another size.
        """
        size = self.dims.size_px
        if images.ndim != 4 or images.shape[1:] != (size, size, 3):
            raise ShapeMismatch("aligned crops", f"(B, {size}, {size}, 3)", images.shape)
        # Pictures arrive with channels last, which is how the convolutions like their memory.
        x = images.permute(0, 3, 1, 2).to(self.lateral_fine.weight.dtype)
        x = x.mul_(1 / 127.5).sub_(1.0)  # [-1, 1]
        c1 = self.fine(self.stem(x))  # S / 8
        c2 = self.middle(c1)  # S / 16
        c3 = self.coarse(c2)  # S / 32
        p3 = self.lateral_coarse(c3)
        p2 = _doubled(p3) + self.lateral_middle(c2)
        p1 = _doubled(p2) + self.lateral_fine(c1)
        groups = [head(p) for head, p in zip(self.heads, (p3, p2, p1), strict=True)]
        return torch.cat(groups, dim=1)

    def folded(self) -> StyleEncoder:
        """Return a copy for inference whose batch normalisations live in its convolutions."""
        twin = copy.deepcopy(self).eval()
        for module in twin.modules():
            if isinstance(module, ConvNorm):
                module.fold()
        twin.requires_grad_(requires_grad=False)
        twin.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return twin

    def _stage(self, inner: int, outer: int) -> nn.Sequential:
        expansion = self.dims.expansion
        return nn.Sequential(
            InvertedResidual(inner, outer, stride=2, expansion=expansion),
            InvertedResidual(outer, outer, stride=1, expansion=expansion),
        )


def _doubled(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
