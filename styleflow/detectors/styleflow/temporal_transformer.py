"""The temporal transformer and the head: content tokens in, one logit out.

One pre-normalised layer over a class token and the content tokens of a clip, then a linear reading
of the class token. Tensor names are those of the published FTCN file.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from styleflow.errors import ShapeMismatch


@dataclass(frozen=True, slots=True)
class TransformerDims:
    """Everything needed to build a `TemporalTransformer`; the defaults are the published ones.

    Attributes:
        tokens: content tokens of a clip, without the class token.
        width: length of a token.
        heads: attention heads.
        head: length of one head's queries, keys and values.
        inner: width of the feed-forward part.
        depth: layers.
    """

    tokens: int = 16
    width: int = 1024
    heads: int = 16
    head: int = 64
    inner: int = 2048
    depth: int = 1

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        for name in ("tokens", "width", "heads", "head", "inner", "depth"):
            value = getattr(self, name)
            if not 1 <= value <= 16384:
                raise ValueError(f"{name} lies in 1..16384, not {value}")


class PreNormalised(nn.Module):
    """Normalise, transform, and add the result to what came in."""

    def __init__(self, width: int, branch: nn.Module) -> None:
        super().__init__()
        # The published file nests a residual around a normalisation around the branch.
        self.fn = nn.ModuleDict({"norm": nn.LayerNorm(width), "fn": branch})

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, T, D)`."""
        y: Tensor = self.fn["fn"](self.fn["norm"](x))
        return x + y


class SelfAttention(nn.Module):
    """Multi-headed attention among the tokens of a clip."""

    def __init__(self, dims: TransformerDims, dropout: float) -> None:
        super().__init__()
        self.heads, self.head = dims.heads, dims.head
        inner = dims.heads * dims.head
        self.to_qkv = nn.Linear(dims.width, 3 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, dims.width), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, T, D)`."""
        qkv = self.to_qkv(x).unflatten(2, (3, self.heads, self.head))  # (B, T, 3, heads, head)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, T, head)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        y: Tensor = self.to_out(mixed.transpose(1, 2).flatten(2))
        return y


class TokenFeedForward(nn.Module):
    """The position-wise part of a transformer layer."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(width, inner),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(inner, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, T, D)`."""
        y: Tensor = self.net(x)
        return y


class TransformerLayers(nn.Module):
    """Layers of attention and feed-forward parts."""

    def __init__(self, dims: TransformerDims, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(
                (
                    PreNormalised(dims.width, SelfAttention(dims, dropout)),
                    PreNormalised(dims.width, TokenFeedForward(dims.width, dims.inner, dropout)),
                )
            )
            for _ in range(dims.depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, T, D)`; nothing normalises the result."""
        for layer in self.layers:
            attention, feed_forward = layer.children()
            x = feed_forward(attention(x))
        return x


class TemporalTransformer(nn.Module):
    """Content tokens of one clip to a logit.

    Source: FTCN (Zheng et al., ICCV 2021), temporal transformer encoder.
    Departs: returns the logit, as StyleFlow's stage 2 does; FTCN applies a sigmoid inside.
    """

    def __init__(self, dims: TransformerDims, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.dims = dims
        self.pos_embedding = nn.Parameter(torch.randn(1, dims.tokens + 1, dims.width))
        self.cls_token = nn.Parameter(torch.randn(1, 1, dims.width))
        self.dropout = nn.Dropout(dropout)
        self.transformer = TransformerLayers(dims, dropout)
        self.mlp_head = nn.Sequential(nn.LayerNorm(dims.width), nn.Linear(dims.width, 1))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits, `(B,)`, of content tokens, `(B, T, D)`."""
        logits: Tensor = self.mlp_head(self.encode(tokens)[:, 0])
        return logits.squeeze(1)

    def encode(self, tokens: Tensor) -> Tensor:
        """Return the class token and the content tokens after the last layer, `(B, T + 1, D)`.

        Raises:
            ShapeMismatch: another number or length of tokens than the network's.
        """
        expected = (self.dims.tokens, self.dims.width)
        if tokens.ndim != 3 or tokens.shape[1:] != expected:
            raise ShapeMismatch(
                "content tokens", f"(B, {expected[0]}, {expected[1]})", tokens.shape
            )
        x = torch.cat((self.cls_token.expand(len(tokens), -1, -1), tokens), dim=1)
        y: Tensor = self.transformer(self.dropout(x + self.pos_embedding))
        return y
