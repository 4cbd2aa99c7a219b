"""The content branch: a ResNet-50 that looks along time only.

A video ResNet whose spatial kernels have all been reduced to one pixel, so that nothing but the
pooling joins neighbouring pixels and the network can only learn how each small patch changes. Nine
of its convolutions look at neighbouring frames; everything else treats frames one by one.

Every part takes a `Context`: how many positions at either end of its input are there only to be
looked at. Without context the ends are padded with zeros, which is a clip as the authors see it.
With context the middle of a longer clip can be computed piece by piece; `cnn3d_stream.py` does.
Tensor names are those of the published FTCN file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from styleflow.errors import ShapeMismatch


class Context(NamedTuple):
    """Numbers of positions that the input contains before and after the wanted ones."""

    before: int = 0
    after: int = 0


NO_CONTEXT = Context()


@dataclass(frozen=True, slots=True)
class ContentDims:
    """Everything needed to build a `TemporalResNet`; the defaults are the published ones.

    Attributes:
        frames: length of a clip; even.
        size_px: side of the picture; a multiple of 16.
        width: channels of the stem; the tokens are sixteen times as long.
        blocks: blocks in each of the three stages.
    """

    frames: int = 32
    size_px: int = 224
    width: int = 64
    blocks: tuple[int, int, int] = (3, 4, 6)

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        if self.frames < 2 or self.frames % 2:
            raise ValueError(f"frames is an even number, not {self.frames}")
        if self.size_px < 16 or self.size_px > 1024 or self.size_px % 16:
            raise ValueError(f"size_px is a multiple of 16 up to 1024, not {self.size_px}")
        if not 1 <= self.width <= 512:
            raise ValueError(f"width lies in 1..512, not {self.width}")
        if len(self.blocks) != 3 or not all(1 <= n <= 64 for n in self.blocks):
            raise ValueError(f"blocks are three numbers in 1..64, not {self.blocks}")

    @property
    def tokens(self) -> int:
        """Content tokens of one clip."""
        return self.frames // 2

    @property
    def token(self) -> int:
        """Length of one content token."""
        return 16 * self.width


def _temporal(inner: int, outer: int, kernel: int) -> nn.Conv3d:
    """Return a convolution along time that pads nothing; `_along_time` applies it."""
    return nn.Conv3d(inner, outer, (kernel, 1, 1), bias=False)


def _along_time(conv: nn.Conv3d, x: Tensor, context: Context) -> Tensor:
    """Convolve, with zeros for the neighbours that `context` does not provide."""
    reach = conv.kernel_size[0] // 2
    before, after = reach - context.before, reach - context.after
    both = min(before, after)  # the convolution itself can pad evenly, without a copy
    if before != after:
        x = nn.functional.pad(x, (0, 0, 0, 0, before - both, after - both))
    return nn.functional.conv3d(x, conv.weight, padding=(both, 0, 0))


def _halved(channels: int) -> nn.Sequential:
    """Return a batch normalisation followed by the pooling that stands for a spatial stride."""
    return nn.Sequential(nn.BatchNorm3d(channels), nn.MaxPool3d((1, 2, 2)))


class Stem(nn.Module):
    """The first convolution, five frames long, and two halvings of the picture."""

    reach = 2

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = _temporal(3, width, 2 * self.reach + 1)
        self.bn = _halved(width)
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, x: Tensor, context: Context = NO_CONTEXT) -> Tensor:
        """Return features, `(B, W, T, S/4, S/4)`, of pictures, `(B, 3, T', S, S)`."""
        y: Tensor = self.pool(self.bn(_along_time(self.conv, x, context)).relu_())
        return y


class Bottleneck(nn.Module):
    """The residual branch: along time, then per pixel, then wider."""

    def __init__(self, inner: int, middle: int, outer: int, *, kernel: int, halve: bool) -> None:
        super().__init__()
        self.a = _temporal(inner, middle, kernel)
        self.a_bn = nn.BatchNorm3d(middle)
        self.b = nn.Conv3d(middle, middle, 1, bias=False)
        self.b_bn = _halved(middle) if halve else nn.BatchNorm3d(middle)
        self.c = nn.Conv3d(middle, outer, 1, bias=False)
        self.c_bn = nn.BatchNorm3d(outer)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Return what the block adds, `(B, outer, T, H, W)`."""
        x = self.a_bn(_along_time(self.a, x, context)).relu_()
        x = self.b_bn(self.b(x)).relu_()
        y: Tensor = self.c_bn(self.c(x))
        return y


class TemporalBlock(nn.Module):
    """One residual block.

    Attributes:
        reach: how many neighbours it sees in either direction, 0 or 1.
    """

    branch1: nn.Conv3d | None

    def __init__(self, inner: int, middle: int, *, reach: int, halve: bool) -> None:
        super().__init__()
        self.reach = reach
        outer = 4 * middle
        if inner == outer:
            self.branch1 = None
        else:
            self.branch1 = nn.Conv3d(inner, outer, 1, bias=False)
            self.branch1_bn = _halved(outer) if halve else nn.BatchNorm3d(outer)
        self.branch2 = Bottleneck(inner, middle, outer, kernel=2 * reach + 1, halve=halve)

    def forward(self, x: Tensor, context: Context = NO_CONTEXT) -> Tensor:
        """Return features, `(B, outer, T, H', W')`; T is T' without the context."""
        y: Tensor = self.branch2(x, context)
        shortcut = x[:, :, context.before : x.shape[2] - context.after]
        if self.branch1 is not None:
            shortcut = self.branch1_bn(self.branch1(shortcut))
        return y.add_(shortcut).relu_()


class Stage(nn.Module):
    """Blocks of one width, named as the published file names them."""

    def __init__(self, inner: int, middle: int, reaches: tuple[int, ...], *, halve: bool) -> None:
        super().__init__()
        for i, reach in enumerate(reaches):
            width = inner if i == 0 else 4 * middle
            block = TemporalBlock(width, middle, reach=reach, halve=halve and i == 0)
            self.add_module(f"pathway0_res{i}", block)

    def blocks(self) -> list[TemporalBlock]:
        """Return the blocks in order."""
        return [block for block in self.children() if isinstance(block, TemporalBlock)]

    def forward(self, x: Tensor) -> Tensor:
        """Return the stage's features of whole clips."""
        for block in self.blocks():
            x = block(x)
        return x


class StemStage(nn.Module):
    """The stem, under the name that the published file gives it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pathway0_stem = Stem(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the stem's features of whole clips."""
        y: Tensor = self.pathway0_stem(x)
        return y


class TemporalResNet(nn.Module):
    """Clips of aligned faces to content tokens.

    Source: FTCN (Zheng et al., ICCV 2021), the fully temporal network up to its fourth stage, which
    StyleFlow takes as its content branch.
    """

    def __init__(self, dims: ContentDims) -> None:
        super().__init__()
        self.dims = dims
        w = dims.width
        self.s1 = StemStage(w)
        self.s2 = Stage(w, w, (1,) * dims.blocks[0], halve=False)
        self.pathway0_pool = nn.MaxPool3d((2, 1, 1))
        self.s3 = Stage(4 * w, 2 * w, _every_other(dims.blocks[1]), halve=True)
        self.s4 = Stage(8 * w, 4 * w, _every_other(dims.blocks[2]), halve=True)

    def features(self, clips: Tensor) -> Tensor:
        """Return the content tokens of whole clips.

        Args:
            clips: normalised RGB, `(B, 3, T, S, S)`; T is even and need not be `dims.frames`.

        Returns:
            Tokens, `(B, T / 2, 16W)`: one for each pair of frames.

        Raises:
            ShapeMismatch: an odd number of frames or pictures of another size.
        """
        size = self.dims.size_px
        if clips.ndim != 5 or clips.shape[1::2] != (3, size) or clips.shape[2] % 2:
            raise ShapeMismatch("clips", f"(B, 3, even, {size}, {size})", clips.shape)
        x = self.s2(self.s1(clips))  # (B, 4W, T, S/4, S/4)
        x = self.s4(self.s3(self.pathway0_pool(x)))  # (B, 16W, T/2, S/16, S/16)
        return spatial_mean(x)


def spatial_mean(x: Tensor) -> Tensor:
    """Return tokens, `(B, T, C)`, of features, `(B, C, T, H, W)`."""
    return x.mean((3, 4)).transpose(1, 2)


def _every_other(count: int) -> tuple[int, ...]:
    """Return the reaches of a stage where every second block looks along time."""
    return tuple(1 - i % 2 for i in range(count))
