"""Vision transformer: one readable network for the foundation encoders that detectors stand on.

A picture is cut into square patches, each projected to a token. In front of them go a class token
and, in some encoders, a few registers: tokens without a meaning of their own, where the network
keeps notes. Blocks then let every token look at every token, and think by itself, twenty-four
times in the large size. The picture's feature is the class token, or what one learned question
gathers from all tokens (attention pooling).

    picture (3, H, W) -> patches (P, D) -> [class | registers | patches] (L, D) -> blocks
                                                  -> norm -> class token or pooling -> feature (D)

What differs between the encoders is written down in `ViTDims`:

| | positions | before the blocks | attention | MLP | feature |
|---|---|---|---|---|---|
| CLIP | learned | norm, patches without bias | split | quick GELU | class |
| DINOv2 | learned, resampled | - | split | GELU, layer scale | class |
| DINOv3 | rotary, halves | 4 registers | split, keys without bias | GELU, layer scale | class |
| PE | learned, rotary (neighbours) | norm, patches without bias | fused | GELU | pooled |

PE is the Perception Encoder. Nothing here acts in training alone: no dropout, no stochastic depth,
no jitter of coordinates.

Source: An Image is Worth 16x16 Words (Dosovitskiy et al., ICLR 2021); CLIP (Radford et al., ICML
2021); DINOv2 (Oquab et al., TMLR 2024); DINOv3 (Simeoni et al., 2025); Perception Encoder (Bolya
et al., 2025); rotary positions: RoFormer (Su et al., 2021), along two axes.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor, nn
from torch.nn import functional

from styleflow.errors import ShapeMismatch

QUICK_GELU_SLOPE = 1.702


class Activation(Enum):
    """Bend between the two layers of an MLP; `QUICK_GELU` is CLIP's approximation."""

    GELU = "gelu"
    QUICK_GELU = "quick_gelu"

    def __call__(self, x: Tensor) -> Tensor:
        """Bend every number."""
        if self is Activation.QUICK_GELU:
            return x * torch.sigmoid(QUICK_GELU_SLOPE * x)
        return functional.gelu(x)


class Pairing(Enum):
    """Which two numbers of a query or key rotate together.

    `HALVES` pairs number i with number i + d / 2, `NEIGHBOURS` pairs 2 i with 2 i + 1.
    """

    HALVES = "halves"
    NEIGHBOURS = "neighbours"


@dataclass(frozen=True, slots=True)
class Rotary:
    """Rotary positions: patches' queries and keys are rotated by angles that say where they are.

    Attributes:
        base: the slowest frequency is almost 1 / base.
        pairing: which numbers rotate together.
        reference: grid side of the encoder's training, in whose cells places are counted from 1, x
            before y, as Perception Encoder does. None counts from -1 to 1 through the middles of
            the patches, in turns, y before x, as DINOv3 does.
    """

    base: float
    pairing: Pairing
    reference: int | None = None

    def angles(self, rows: int, columns: int, head: int, device: torch.device) -> Tensor:
        """Return the angle of every pair of numbers at every patch, `(P, head / 2)`, in radians."""
        steps = torch.arange(head // 4, device=device, dtype=torch.float32) / (head // 4)
        frequencies = self.base**-steps
        y, x = (self._places(count, device) for count in (rows, columns))
        y, x = torch.meshgrid(y, x, indexing="ij")
        axes = (y, x) if self.reference is None else (x, y)
        return torch.cat([axis.reshape(-1, 1) * frequencies for axis in axes], 1)

    def _places(self, count: int, device: torch.device) -> Tensor:
        """Return the places of the patches along one side, `(count,)`."""
        index = torch.arange(count, device=device, dtype=torch.float32)
        if self.reference is None:
            return (2 * (index + 0.5) / count - 1) * (2 * math.pi)
        return (index + 1) / count * self.reference

    def rotation(
        self, rows: int, columns: int, head: int, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Return cosines and sines as `rotate` takes them, each `(P, head)`."""
        angles = self.angles(rows, columns, head, device)
        if self.pairing is Pairing.HALVES:
            angles = torch.cat((angles, angles), 1)
        else:
            angles = angles.repeat_interleave(2, 1)
        return angles.cos(), angles.sin()

    def rotate(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Rotate the last tokens of a sequence, the patches; those before them stay.

        Args:
            x: queries or keys, `(B, heads, L, head)`.
            rotation: from `rotation`.
        """
        cosine, sine = (part.to(x.dtype) for part in rotation)
        before, patches = x[:, :, : -cosine.shape[0]], x[:, :, -cosine.shape[0] :]
        rotated = patches * cosine + _quarter_turn(patches, self.pairing) * sine
        return torch.cat((before, rotated), 2)


def _quarter_turn(x: Tensor, pairing: Pairing) -> Tensor:
    """Turn every pair (a, b) into (-b, a)."""
    if pairing is Pairing.HALVES:
        first, second = x.chunk(2, -1)
        return torch.cat((-second, first), -1)
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    return torch.stack((-pairs[..., 1], pairs[..., 0]), -1).flatten(-2)


@dataclass(frozen=True, slots=True)
class ViTDims:
    """Everything needed to build a vision transformer.

    Attributes:
        patch_px: side of a patch.
        width: numbers of a token, D.
        depth: how many blocks.
        heads: how many ways of looking each block has.
        mlp: numbers between the two layers of an MLP.
        grid: side of the grid of learned positions; 0 has none. Another number of patches gets
            them resampled as DINOv2 does; an encoder that does it otherwise is loaded with a grid
            of the size it runs at (`resampled_positions`).
        rotary: rotary positions; None has none.
        registers: tokens between the class token and the patches.
        norm_first: tokens are normalised before the first block, and patches have no bias.
        fused: one linear layer makes queries, keys and values; otherwise one each.
        key_bias: keys have a bias; only where `fused` is false can they have none.
        layer_scale: every block's updates are scaled, number by number.
        activation: of the MLPs.
        pool_heads: heads of the attention pooling; 0 takes the class token.
        eps: of every layer norm.
    """

    patch_px: int = 14
    width: int = 1024
    depth: int = 24
    heads: int = 16
    mlp: int = 4096
    grid: int = 0
    rotary: Rotary | None = None
    registers: int = 0
    norm_first: bool = False
    fused: bool = False
    key_bias: bool = True
    layer_scale: bool = False
    activation: Activation = Activation.GELU
    pool_heads: int = 0
    eps: float = 1e-6

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        if self.width % self.heads or (self.pool_heads and self.width % self.pool_heads):
            raise ValueError(f"width {self.width} does not divide into its heads")
        if self.rotary is not None and self.width // self.heads % 4:
            raise ValueError(f"rotary heads are a multiple of 4, not {self.width // self.heads}")
        if self.fused and not self.key_bias:
            raise ValueError("keys without a bias need a layer of their own: fused is false")


CLIP_L14 = ViTDims(grid=16, norm_first=True, activation=Activation.QUICK_GELU, eps=1e-5)
"""Vision tower of CLIP ViT-L/14, trained at 224 px."""

DINOV2_S14 = ViTDims(width=384, depth=12, heads=6, mlp=1536, grid=37, layer_scale=True)
"""DINOv2 ViT-S/14, trained at 518 px."""

DINOV3_L16 = ViTDims(
    patch_px=16,
    rotary=Rotary(100.0, Pairing.HALVES),
    registers=4,
    key_bias=False,
    layer_scale=True,
    eps=1e-5,
)
"""DINOv3 ViT-L/16."""

PE_CORE_L14 = ViTDims(
    grid=16,
    rotary=Rotary(10_000.0, Pairing.NEIGHBOURS, reference=24),
    norm_first=True,
    fused=True,
    pool_heads=8,
    eps=1e-5,
)
"""Perception Encoder (core) ViT-L/14 at 224 px; trained at 336 px, with positions of 24 x 24."""


class SelfAttention(nn.Module):
    """Multi-head self-attention; `rotation` turns queries and keys by where they are."""

    def __init__(self, dims: ViTDims) -> None:
        super().__init__()
        self.dims = dims
        if dims.fused:
            self.qkv = nn.Linear(dims.width, 3 * dims.width)
        else:
            self.query = nn.Linear(dims.width, dims.width)
            self.key = nn.Linear(dims.width, dims.width, bias=dims.key_bias)
            self.value = nn.Linear(dims.width, dims.width)
        self.out = nn.Linear(dims.width, dims.width)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Let every token look at every token, `(B, L, D)` to `(B, L, D)`."""
        seen = functional.scaled_dot_product_attention(*self.projected(x, rotation))
        return self.out(seen.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def shares(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Return how every token divides its attention, `(B, heads, L, L)`; rows add up to 1."""
        query, key, _ = self.projected(x, rotation)
        return (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(-1)

    def projected(
        self, x: Tensor, rotation: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each `(B, heads, L, D / heads)`."""
        if self.dims.fused:
            parts = self.qkv(x).chunk(3, -1)
        else:
            parts = self.query(x), self.key(x), self.value(x)
        query, key, value = (_heads(part, self.dims.heads) for part in parts)
        if rotation is not None and self.dims.rotary is not None:
            query = self.dims.rotary.rotate(query, rotation)
            key = self.dims.rotary.rotate(key, rotation)
        return query, key, value


class Block(nn.Module):
    """One block: tokens look at each other, then think alone; each adds to what was there."""

    def __init__(self, dims: ViTDims) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims.width, dims.eps)
        self.attention = SelfAttention(dims)
        self.norm2 = nn.LayerNorm(dims.width, dims.eps)
        self.mlp = TokenMlp(dims.width, dims.mlp, dims.activation)
        self.scaled = dims.layer_scale
        if dims.layer_scale:
            self.scale1 = nn.Parameter(torch.ones(dims.width))
            self.scale2 = nn.Parameter(torch.ones(dims.width))

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Return the tokens after this block, `(B, L, D)`."""
        update: Tensor = self.attention(self.norm1(x), rotation)
        x = x + (update * self.scale1 if self.scaled else update)
        update = self.mlp(self.norm2(x))
        return x + (update * self.scale2 if self.scaled else update)


class TokenMlp(nn.Module):
    """Two linear layers, for each token alone."""

    def __init__(self, width: int, hidden: int, activation: Activation = Activation.GELU) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.activation = activation
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens' update, `(..., D)`."""
        return self.fc2(self.activation(self.fc1(x)))  # type: ignore[no-any-return]


class AttentionPooling(nn.Module):
    """One learned question that gathers a feature from all tokens.

    Source: Set Transformer (Lee et al., ICML 2019), pooling by multi-head attention.
    """

    def __init__(self, dims: ViTDims) -> None:
        super().__init__()
        self.heads = dims.pool_heads
        self.question = nn.Parameter(torch.zeros(1, 1, dims.width))
        self.query = nn.Linear(dims.width, dims.width)
        self.key_value = nn.Linear(dims.width, 2 * dims.width)
        self.out = nn.Linear(dims.width, dims.width)
        self.norm = nn.LayerNorm(dims.width, dims.eps)
        self.mlp = TokenMlp(dims.width, dims.mlp)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the feature, `(B, D)`, of `(B, L, D)`."""
        query, key, value = self._projected(tokens)
        seen = functional.scaled_dot_product_attention(query, key, value)
        feature = self.out(seen.transpose(1, 2).flatten(2))[:, 0]
        return feature + self.mlp(self.norm(feature))  # type: ignore[no-any-return]

    def shares(self, tokens: Tensor) -> Tensor:
        """Return how the question divides its attention, `(B, heads, L)`; they add up to 1."""
        query, key, _ = self._projected(tokens)
        near = (query @ key.transpose(-1, -2))[:, :, 0] / math.sqrt(query.shape[-1])
        shares: Tensor = near.softmax(-1)
        return shares

    def _projected(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        key, value = self.key_value(tokens).chunk(2, -1)
        query = self.query(self.question).expand(len(tokens), -1, -1)
        return _heads(query, self.heads), _heads(key, self.heads), _heads(value, self.heads)


class VisionTransformer(nn.Module):
    """The network: normalised pictures in, one feature each out.

    Any size of picture goes through it whose sides are multiples of the patch; without rotary
    positions and with no learned ones it could not tell places apart.
    """

    def __init__(self, dims: ViTDims) -> None:
        super().__init__()
        self.dims = dims
        width, patch = dims.width, dims.patch_px
        self.patch = nn.Conv2d(3, width, patch, patch, bias=not dims.norm_first)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        if dims.registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, dims.registers, width))
        if dims.grid:
            self.positions = nn.Parameter(torch.zeros(1, 1 + dims.grid**2, width))
        if dims.norm_first:
            self.norm_first = nn.LayerNorm(width, dims.eps)
        self.blocks = nn.ModuleList(Block(dims) for _ in range(dims.depth))
        self.norm = nn.LayerNorm(width, dims.eps)
        if dims.pool_heads:
            self.pool = AttentionPooling(dims)

    @property
    def leading(self) -> int:
        """Tokens in front of the patches."""
        return 1 + self.dims.registers

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the feature of each picture, `(B, D)`, of `(B, 3, H, W)`."""
        return self.read(self.tokens(pictures))

    def tokens(self, pictures: Tensor) -> Tensor:
        """Return the tokens after the last block, not yet normalised, `(B, L, D)`."""
        return self.streams(pictures, (self.dims.depth,))[0]

    def read(self, tokens: Tensor) -> Tensor:
        """Return the feature, `(B, D)`, of the tokens after the last block."""
        if self.dims.pool_heads:
            return self.pool(self.norm(tokens))  # type: ignore[no-any-return]
        return self.norm(tokens[:, 0])  # type: ignore[no-any-return]

    def streams(self, pictures: Tensor, wanted: Collection[int]) -> list[Tensor]:
        """Return the tokens after some of the blocks; those behind the last wanted do not run.

        Args:
            pictures: `(B, 3, H, W)`; H and W are multiples of the patch.
            wanted: which blocks, counted from 1.

        Returns:
            Tokens not yet normalised, each `(B, 1 + registers + P, D)`, in the order of the blocks.

        Raises:
            ShapeMismatch: pictures that no whole patches cover.
        """
        x = self.embed(pictures)
        rotation = self.rotation(pictures)
        found = []
        for number, block in enumerate(self.blocks[: max(wanted)], 1):
            x = block(x, rotation)
            if number in wanted:
                found.append(x)
        return found

    def embed(self, pictures: Tensor) -> Tensor:
        """Return the tokens before the first block, `(B, L, D)`; see `streams`."""
        side = self.dims.patch_px
        height, width = pictures.shape[-2:]
        if pictures.shape[1] != 3 or height % side or width % side:
            expected = f"(B, 3, H, W), H and W multiples of {side}"
            raise ShapeMismatch("pictures of a vision transformer", expected, pictures.shape)
        patches = self.patch(pictures).flatten(2).transpose(1, 2)
        x = torch.cat((self.class_token.expand(len(patches), -1, -1), patches), 1)
        if self.dims.grid:
            x = x + self.places(height // side, width // side)
        if self.dims.registers:
            registers = self.register_tokens.expand(len(x), -1, -1)
            x = torch.cat((x[:, :1], registers, x[:, 1:]), 1)
        return self.norm_first(x) if self.dims.norm_first else x

    def places(self, rows: int, columns: int) -> Tensor:
        """Return the learned positions of class token and patches, `(1, 1 + rows columns, D)`."""
        if (rows, columns) == (self.dims.grid, self.dims.grid):
            return self.positions
        return resampled_positions(self.positions, rows, columns, averaging=False)

    def rotation(self, pictures: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the rotation of the patches of such pictures; None without rotary positions."""
        if self.dims.rotary is None:
            return None
        side, head = self.dims.patch_px, self.dims.width // self.dims.heads
        rows, columns = (int(length) // side for length in pictures.shape[-2:])
        return self.dims.rotary.rotation(rows, columns, head, pictures.device)


def resampled_positions(positions: Tensor, rows: int, columns: int, *, averaging: bool) -> Tensor:
    """Return learned positions for another grid, by cubic interpolation.

    Args:
        positions: of the class token and a square grid, `(1, 1 + S S, D)`.
        rows: of the new grid.
        columns: of the new grid.
        averaging: a coarser grid averages (Perception Encoder), or just reads between (DINOv2).
            Averaging is for loading weights: OpenVINO does it by another kernel.

    Returns:
        Positions of class token and patches, `(1, 1 + rows columns, D)`.
    """
    side = math.isqrt(positions.shape[1] - 1)
    grid = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2).float()
    resampled = functional.interpolate(
        grid, (rows, columns), mode="bicubic", align_corners=False, antialias=averaging
    )
    patches = resampled.flatten(2).transpose(1, 2).to(positions.dtype)
    return torch.cat((positions[:, :1], patches), 1)


def _heads(x: Tensor, heads: int) -> Tensor:
    """Lay out tokens by head, `(B, L, D)` to `(B, heads, L, D / heads)`."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)
