"""EfficientNet-Lite0's first half as published, held still, and what is learned on top of it.

The kernels and biases are somebody else's and stay somebody else's: they come from the user's cache
(`styleflow models fetch`), never from a checkpoint of ours, and no training changes them. What is
ours is small: per channel a gain and a shift, and per 1 by 1 convolution a correction of low rank.
Those are this network's parameters; the published part are buffers that `state_dict` leaves out.

Source: EfficientNet (Tan and Le, ICML 2019), the Lite0 variant without squeeze-and-excitation;
    corrections of low rank after LoRA (Hu et al., ICLR 2022).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from styleflow.errors import WeightsUnusable

BACKBONE = "picture backbone"
"""Name of the published kernels in messages."""

STEM = 32  # channels after the first convolution


@dataclass(frozen=True, slots=True)
class _Stage:
    """A run of inverted residuals: how many, and what they are like."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    outer: int


STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
)
"""The first four of seven: deeper features knew the training's pseudo-fakes better (validation 0.82
against 0.72) and other generators' fakes worse (0.63 against 0.69), so they are left out."""

EARLY = STAGES[1].outer
FINE = STAGES[2].outer
MIDDLE = STAGES[3].outer
FINE_STRIDE = 8  # pixels per feature after the third stage
MIDDLE_STRIDE = 16  # and after the fourth
_STILL_BLOCKS = 2  # the first blocks see 96 pixels across: learning there costs most, helps least


class AdaptedConv(nn.Module):
    """A published convolution and what was learned on top of it.

    Args:
        inner: channels in.
        outer: channels out.
        kernel: side of the kernels.
        stride: 1 or 2; 2 pads as TensorFlow does, more at the end than at the start.
        groups: 1, or as many as channels.
        rank: of the correction of a 1 by 1 convolution; 0 learns nothing here.
        relu: whether its output ends at 0 and 6.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        inner: int,
        outer: int,
        *,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        rank: int = 0,
        relu: bool = True,
    ) -> None:
        super().__init__()
        shape = (outer, inner // groups, kernel, kernel)
        self.register_buffer("weight", torch.zeros(shape), persistent=False)
        self.register_buffer("bias", torch.zeros(outer), persistent=False)
        self.stride, self.groups, self.relu = stride, groups, relu
        self.learns = rank > 0
        if self.learns:
            self.gain = nn.Parameter(torch.zeros(outer))
            self.shift = nn.Parameter(torch.zeros(outer))
        self.corrected = self.learns and kernel == 1
        if self.corrected:
            self.down = nn.Linear(inner, rank, bias=False)
            self.up = nn.Linear(rank, outer, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the filtered features, `(B, outer, H / stride, W / stride)`."""
        weight, bias = self.adapted()
        if self.groups > 1 and self.training:
            y = StillDepthwise.apply(x, self.weight.to(x.dtype), self.stride)  # type: ignore[no-untyped-call]
            y = y * self._gain().to(x.dtype)[:, None, None] + bias.to(x.dtype)[:, None, None]
        elif weight.shape[-1] == 1 and not self.training:
            # For one small picture torch falls back to a slow convolution: 11 ms a frame, not 8.
            y = functional.linear(x.permute(0, 2, 3, 1), weight[:, :, 0, 0], bias)
            y = y.permute(0, 3, 1, 2)
        else:
            x, padding = _padded(x, weight.shape[-1], self.stride)
            y = functional.conv2d(x, weight, bias, self.stride, padding, groups=self.groups)
        return functional.relu6(y, inplace=True) if self.relu else y

    def adapted(self) -> tuple[Tensor, Tensor]:
        """Return kernels and biases as they are used: the published ones and ours together."""
        if not self.learns:
            return self.weight, self.bias
        weight = self.weight
        if self.corrected:
            weight = weight + (self.up.weight @ self.down.weight)[:, :, None, None]
        return weight * self._gain()[:, None, None, None], self.bias + self.shift

    @torch.no_grad()
    def fold(self) -> None:
        """Put what was learned into the kernels, for good; for inference only."""
        weight, bias = self.adapted()
        self.weight = weight.to(memory_format=torch.channels_last)
        self.bias = bias
        self.learns = self.corrected = False

    def _gain(self) -> Tensor:
        return 1 + self.gain if self.learns else torch.ones_like(self.bias)


class LiteBlock(nn.Module):
    """An inverted residual: widen, filter each channel by itself, narrow."""

    def __init__(self, inner: int, stage: _Stage, *, stride: int, rank: int) -> None:
        super().__init__()
        wide = inner * stage.expansion
        layers = []
        if stage.expansion > 1:
            layers.append(AdaptedConv(inner, wide, kernel=1, rank=rank))
        layers.append(
            AdaptedConv(wide, wide, kernel=stage.kernel, stride=stride, groups=wide, rank=rank)
        )
        layers.append(AdaptedConv(wide, stage.outer, kernel=1, rank=rank, relu=False))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inner == stage.outer

    def forward(self, x: Tensor) -> Tensor:
        """Return features, `stride` times smaller."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class LiteTrunk(nn.Module):
    """The published trunk, adapted; pictures to features of two coarsenesses.

    Args:
        rank: of the corrections.
    """

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.stem = AdaptedConv(3, STEM, kernel=3, stride=2)
        blocks: list[LiteBlock] = []
        inner = STEM
        for stage in STAGES:
            for number in range(stage.blocks):
                stride = stage.stride if number == 0 else 1
                learned = rank if len(blocks) >= _STILL_BLOCKS else 0
                blocks.append(LiteBlock(inner, stage, stride=stride, rank=learned))
                inner = stage.outer
        middle = sum(stage.blocks for stage in STAGES[:3])
        self.still = nn.Sequential(*blocks[:_STILL_BLOCKS])
        self.fine = nn.Sequential(*blocks[_STILL_BLOCKS:middle])
        self.middle = nn.Sequential(*blocks[middle:])

    def forward(self, pictures: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return features.

        Args:
            pictures: `(B, S, S, 3)` RGB uint8, S a multiple of 16.
            beside: added to the features at a quarter of the size, `(B, EARLY, S / 4, S / 4)`.

        Returns:
            After the third stage, `(B, FINE, S / 8, S / 8)`, and after the fourth,
            `(B, MIDDLE, S / 16, S / 16)`.
        """
        levels = pictures.permute(0, 3, 1, 2).to(self.stem.weight.dtype)  # a channels_last view
        return self.features(levels, beside)

    def features(self, levels: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the same of pictures in grey levels, `(B, 3, S, S)` in 0..255; differentiable."""
        early = self.still(self.stem((levels - 127.0) * (1 / 128.0)))
        fine = self.fine(early if beside is None else early + beside)
        return fine, self.middle(fine)

    def convolutions(self) -> Iterator[tuple[str, AdaptedConv]]:
        """Yield all convolutions in the order of the published network, with their names."""
        for name, module in self.named_modules():
            if isinstance(module, AdaptedConv):
                yield name, module

    def adopt(self, published: Mapping[str, Tensor]) -> None:
        """Take over the published kernels and biases, on the device and in the type of ours.

        Args:
            published: `{name}.weight` and `{name}.bias` of every convolution.

        Raises:
            WeightsUnusable: one is missing or has another shape.
        """
        for name, conv in self.convolutions():
            for part in ("weight", "bias"):
                tensor, wanted = published.get(f"{name}.{part}"), getattr(conv, part).shape
                if tensor is None or tensor.shape != wanted:
                    got = "missing" if tensor is None else tuple(tensor.shape)
                    reason = f"{name}.{part} is {got}, expected {tuple(wanted)}"
                    raise WeightsUnusable(BACKBONE, reason)
                setattr(conv, part, tensor.detach().clone().float())

    @torch.no_grad()
    def begin(self, seed: int) -> None:
        """Make what is learned the identity: the network is then exactly the published one."""
        generator = torch.Generator().manual_seed(seed)
        for _, conv in self.convolutions():
            if conv.learns:
                conv.gain.zero_()
                conv.shift.zero_()
            if conv.corrected:
                drawn = torch.randn(conv.down.weight.shape, generator=generator)
                conv.down.weight.copy_(drawn / conv.down.in_features**0.5)
                conv.up.weight.zero_()

    def fold(self) -> None:
        """Put what was learned into the kernels, for good; for inference only."""
        for _, conv in self.convolutions():
            conv.fold()


class StillDepthwise(torch.autograd.Function):
    """A depthwise convolution whose kernels do not learn, quick to go back through on a CPU.

    Torch 2.13 goes back through a strided depthwise convolution in bfloat16 forty times slower
    than forward (150 ms against 7 for 16 pictures of 96 channels, Xeon with AMX). The gradient is
    the same convolution with mirrored kernels over spread-out gradients; that takes 20 ms.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        """Convolve, and remember what the gradient needs."""
        ctx.save_for_backward(weight)
        ctx.stride, ctx.size = stride, x.shape[2:]
        x, padding = _padded(x, weight.shape[-1], stride)
        return functional.conv2d(x, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the input alone."""
        (weight,) = ctx.saved_tensors
        if ctx.stride == 2:
            spread = gradient.new_zeros(*gradient.shape[:2], *ctx.size)
            spread = spread.contiguous(memory_format=torch.channels_last)
            spread[:, :, 1::2, 1::2] = gradient
            gradient = spread
        mirrored = weight.flip(2, 3).contiguous(memory_format=torch.channels_last)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        back = functional.conv2d(
            gradient, mirrored, None, 1, weight.shape[-1] // 2, groups=len(weight)
        )
        return back, None, None


def _padded(x: Tensor, kernel: int, stride: int) -> tuple[Tensor, int]:
    """Return features and the padding that is left to the convolution; sizes are even at stride 2.

    TensorFlow pads what a stride of 2 needs unevenly: less before than after.
    """
    if stride == 1:
        return x, kernel // 2
    before = (kernel - 2) // 2
    after = kernel - 2 - before
    return functional.pad(x, (before, after, before, after)), 0
