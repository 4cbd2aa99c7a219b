"""Networks that detectors start from: ResNet, EfficientNet and the parts of a vision transformer.

Attributes carry the names that published checkpoints use, so a state dict needs no translation.
The ImageNet classifiers (`fc`, `_fc`) belong to those files; no detector ever calls them.

Departs: FakeSTormer's stochastic depth, which acts only in training, is not here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

IMAGENET_CLASSES = 1000
DROP_CONNECT = 0.2  # of the last block; earlier ones drop less, in proportion


# --- ResNet ---------------------------------------------------------------------------------


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around an identity; the first may halve the map.

    Source: Deep Residual Learning (He et al., CVPR 2016), figure 2.
    """

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's map, `(B, width, H / stride, W / stride)`."""
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet(nn.Module):
    """Make a map of a picture, 32 times smaller on each side.

    Args:
        blocks: how many blocks each of the four stages has; 3, 4, 6, 3 is ResNet-34.
        width: channels of the first stage; each further one doubles them.
    """

    def __init__(self, blocks: Sequence[int] = (3, 4, 6, 3), width: int = 64) -> None:
        super().__init__()
        self.width = width * 8
        self.dropout = 0.0
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _stage(width, width, 1, blocks[0])
        self.layer2 = _stage(width, width * 2, 2, blocks[1])
        self.layer3 = _stage(width * 2, width * 4, 2, blocks[2])
        self.layer4 = _stage(width * 4, width * 8, 2, blocks[3])
        self.fc = nn.Linear(width * 8, IMAGENET_CLASSES)  # part of the files, never used

    def forward(self, x: Tensor) -> Tensor:
        """Return the map of pictures.

        Args:
            x: pictures, `(B, 3, H, W)`.

        Returns:
            The last stage's map, `(B, width, H / 32, W / 32)`.
        """
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x))))  # (B, 64, 56, 56) of 224 px
        x = self.layer2(self.layer1(x))  # (B, 128, 28, 28)
        return self.layer4(self.layer3(x))  # type: ignore[no-any-return]  # (B, 512, 7, 7)


def _stage(width_in: int, width: int, stride: int, blocks: int) -> nn.Sequential:
    rest = (BasicBlock(width, width, 1) for _ in range(blocks - 1))
    return nn.Sequential(BasicBlock(width_in, width, stride), *rest)


# --- EfficientNet ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stage:
    """A run of inverted-residual blocks that share a width; the first may halve the map."""

    kernel: int
    stride: int
    expand: int
    width: int
    blocks: int


@dataclass(frozen=True, slots=True)
class EfficientNetDims:
    """Everything that tells one EfficientNet from another.

    Attributes:
        stem: channels after the first convolution.
        stages: the runs of blocks.
        head: channels of the map.
        dropout: share of the averaged map's channels that whoever reads it drops in training.
    """

    stem: int
    stages: tuple[Stage, ...]
    head: int
    dropout: float = 0.0


EFFICIENTNET_B3 = EfficientNetDims(
    stem=40,
    stages=(
        Stage(kernel=3, stride=1, expand=1, width=24, blocks=2),
        Stage(kernel=3, stride=2, expand=6, width=32, blocks=3),
        Stage(kernel=5, stride=2, expand=6, width=48, blocks=3),
        Stage(kernel=3, stride=2, expand=6, width=96, blocks=5),
        Stage(kernel=5, stride=1, expand=6, width=136, blocks=5),
        Stage(kernel=5, stride=2, expand=6, width=232, blocks=6),
        Stage(kernel=3, stride=1, expand=6, width=384, blocks=2),
    ),
    head=1536,
    dropout=0.3,
)

EFFICIENTNET_B4 = EfficientNetDims(
    stem=48,
    stages=(
        Stage(kernel=3, stride=1, expand=1, width=24, blocks=2),
        Stage(kernel=3, stride=2, expand=6, width=32, blocks=4),
        Stage(kernel=5, stride=2, expand=6, width=56, blocks=4),
        Stage(kernel=3, stride=2, expand=6, width=112, blocks=6),
        Stage(kernel=5, stride=1, expand=6, width=160, blocks=6),
        Stage(kernel=5, stride=2, expand=6, width=272, blocks=8),
        Stage(kernel=3, stride=1, expand=6, width=448, blocks=2),
    ),
    head=1792,
    dropout=0.4,
)


class PaddedConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow does it: an odd row and column go to the far side."""

    def __init__(
        self, width_in: int, width: int, kernel: int, stride: int, groups: int = 1
    ) -> None:
        near = (kernel - stride) // 2
        super().__init__(width_in, width, kernel, stride, near, groups=groups, bias=False)
        self.uneven = (kernel - stride) % 2

    def forward(self, x: Tensor) -> Tensor:
        """Return the map, `(B, width, H / stride, W / stride)` where stride divides H and W."""
        if not self.uneven:
            return super().forward(x)
        near, far = self.padding[0], int(self.padding[0]) + 1
        x = functional.pad(x, (int(near), far, int(near), far))
        return functional.conv2d(x, self.weight, None, self.stride, 0, self.dilation, self.groups)


class InvertedResidual(nn.Module):
    """Expand, look at each channel alone, weigh the channels, project back.

    In training a block with an identity beside it is left out at random, picture by picture.

    Source: EfficientNet (Tan and Le, ICML 2019); MBConv with squeeze and excitation.
    """

    def __init__(self, width_in: int, stage: Stage, stride: int, dropped: float = 0.0) -> None:
        super().__init__()
        self.dropped = dropped
        inner = width_in * stage.expand
        squeezed = max(1, width_in // 4)
        self.skips = stride == 1 and width_in == stage.width
        self.expands = stage.expand != 1
        if self.expands:
            self._expand_conv = nn.Conv2d(width_in, inner, 1, bias=False)
            self._bn0 = _efficient_norm(inner)
        self._depthwise_conv = PaddedConv2d(inner, inner, stage.kernel, stride, groups=inner)
        self._bn1 = _efficient_norm(inner)
        self._se_reduce = nn.Conv2d(inner, squeezed, 1)
        self._se_expand = nn.Conv2d(squeezed, inner, 1)
        self._project_conv = nn.Conv2d(inner, stage.width, 1, bias=False)
        self._bn2 = _efficient_norm(stage.width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's map, `(B, width, H / stride, W / stride)`."""
        y: Tensor = functional.silu(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.silu(self._bn1(self._depthwise_conv(y)))
        weight = self._se_expand(functional.silu(self._se_reduce(y.mean((2, 3), keepdim=True))))
        y = self._bn2(self._project_conv(y * weight.sigmoid()))
        return self.thinned(y) + x if self.skips else y

    def thinned(self, y: Tensor) -> Tensor:
        """Return the block's update with whole pictures of it dropped and the rest made up for."""
        if not self.training or self.dropped == 0:
            return y
        kept = 1 - self.dropped
        return y * (torch.rand(len(y), 1, 1, 1, device=y.device) < kept) / kept


class EfficientNet(nn.Module):
    """Make a map of a picture, 32 times smaller on each side."""

    def __init__(self, dims: EfficientNetDims) -> None:
        super().__init__()
        self.width = dims.head
        self.dropout = dims.dropout
        self._conv_stem = PaddedConv2d(3, dims.stem, 3, 2)
        self._bn0 = _efficient_norm(dims.stem)
        self._blocks = nn.Sequential(*_blocks(dims))
        self._conv_head = nn.Conv2d(dims.stages[-1].width, dims.head, 1, bias=False)
        self._bn1 = _efficient_norm(dims.head)
        self._fc = nn.Linear(dims.head, IMAGENET_CLASSES)  # part of the files, never used

    def forward(self, x: Tensor) -> Tensor:
        """Return the map of pictures.

        Args:
            x: pictures, `(B, 3, H, W)`; H and W are multiples of 32.

        Returns:
            The head's map, `(B, width, H / 32, W / 32)`.
        """
        x = functional.silu(self._bn0(self._conv_stem(x)))  # (B, 48, 112, 112) of 224 px
        x = self._blocks(x)  # (B, 448, 7, 7)
        return functional.silu(self._bn1(self._conv_head(x)))


def _blocks(dims: EfficientNetDims) -> list[InvertedResidual]:
    blocks: list[InvertedResidual] = []
    width, count = dims.stem, sum(stage.blocks for stage in dims.stages)
    for stage in dims.stages:
        for index in range(stage.blocks):
            stride = stage.stride if index == 0 else 1
            dropped = DROP_CONNECT * len(blocks) / count
            blocks.append(InvertedResidual(width, stage, stride, dropped))
            width = stage.width
    return blocks


def _efficient_norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)


# --- vision transformer ---------------------------------------------------------------------


class PatchEmbed(nn.Module):
    """Cut a picture into square patches and project each one."""

    def __init__(self, patch_px: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch_px, patch_px)

    def forward(self, images: Tensor) -> Tensor:
        """Return one token per patch in reading order, `(B, N, D)`, of `(B, 3, H, W)`."""
        return self.proj(images).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Multi-head self-attention, its inner steps callable on their own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, width * 3)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Let every token look at every token of its sequence, `(S, L, D)` to `(S, L, D)`."""
        return self.proj(self.mix(self.qkv(x)))  # type: ignore[no-any-return]

    def mix(self, qkv: Tensor, queries: slice = slice(None)) -> Tensor:
        """Return what each query gathers, before the output projection.

        Args:
            qkv: queries, keys and values of the tokens, `(S, L, 3 D)`.
            queries: which tokens look; all are looked at.

        Returns:
            Gathered values, `(S, len(queries), D)`.
        """
        S, L, _ = qkv.shape
        q, k, v = qkv.view(S, L, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (S, heads, L, d)
        mixed = functional.scaled_dot_product_attention(q[:, :, queries], k, v)
        return mixed.transpose(1, 2).flatten(2)

    def first_looks_at(self, x: Tensor) -> Tensor:
        """Return how the first token of each sequence divides its attention, `(S, L)`.

        Shares add up to 1; they are the mean over the heads.
        """
        S, L, _ = x.shape
        q, k, _ = self.qkv(x).view(S, L, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind()
        nearness = (q[:, :, :1] @ k.transpose(-1, -2))[:, :, 0] / math.sqrt(q.shape[-1])
        looks: Tensor = nearness.softmax(-1).mean(1)
        return looks


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them, for each token alone."""

    def __init__(self, width: int, ratio: int = 4) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width * ratio)
        self.fc2 = nn.Linear(width * ratio, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens' update, `(..., D)`."""
        return self.fc2(functional.gelu(self.fc1(x)))  # type: ignore[no-any-return]


def layer_norm(width: int) -> nn.LayerNorm:
    """Return the layer norm that vision transformers use (epsilon 1e-6)."""
    return nn.LayerNorm(width, eps=1e-6)
