"""StyleGRU as the authors released it: a clip's style flow in, one code and one logit out.

The network is bidirectional and normalises every position of the window by its own statistics,
so it reads whole windows. `style_gru_stream.py` evaluates it exactly on overlapping windows;
the causal variant that carries a hidden state through a stream is a different model.
Tensor names are those of the released stage-1 code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from styleflow.errors import ShapeMismatch


@dataclass(frozen=True, slots=True)
class StyleGruDims:
    """Everything needed to build a `StyleGRU`; the defaults are the released ones.

    Attributes:
        features: length of one style delta: 512 for each style looked at.
        hidden: units of each layer and direction.
        head: width of the stage-1 head's residual branch.
        flow: style deltas in a window, one fewer than its frames.
    """

    features: int = 9216
    hidden: int = 4096
    head: int = 4096
    flow: int = 31

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        for name in ("features", "hidden", "head", "flow"):
            value = getattr(self, name)
            if not 1 <= value <= 65536:
                raise ValueError(f"{name} lies in 1..65536, not {value}")

    @property
    def code(self) -> int:
        """Length of the code: two layers, two directions."""
        return 4 * self.hidden


class Residual(nn.Module):
    """Add what a branch says to what it was told."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.fn = branch

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` plus the branch's answer, same shape."""
        y: Tensor = self.fn(x)
        return x + y


class FeedForward(nn.Module):
    """Two linear layers with dropout between them."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(width, inner), nn.ReLU(), nn.Dropout(dropout), nn.Linear(inner, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, width)`."""
        y: Tensor = self.net(x)
        return y


class StyleGRU(nn.Module):
    """Two bidirectional GRU layers over the style flow of one clip.

    Source: StyleFlow (Choi et al., CVPR 2024), stage 1 of the released code. The released width
    of 4096 is the only one whose code fits the 16 content tokens of stage 2.
    Departs: the difference of latents is taken once, by the caller, from 32 latents. The released
    loaders disagree with each other about it.
    """

    def __init__(
        self,
        dims: StyleGruDims,
        *,
        latent_dropout: float = 0.2,
        layer_dropout: float = 0.1,
        head_dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.dims = dims
        self.latent_dropout = latent_dropout
        self.bn = nn.BatchNorm1d(dims.flow)
        self.gru = nn.GRU(
            dims.features,
            dims.hidden,
            num_layers=2,
            bidirectional=True,
            batch_first=True,
            dropout=layer_dropout,
        )
        self.hidden_state = nn.Parameter(torch.randn(4, 1, dims.hidden))
        self.dense = nn.Sequential(
            nn.Dropout(head_dropout),
            Residual(FeedForward(dims.code, dims.head, head_dropout)),
            nn.Dropout(head_dropout),
            nn.Linear(dims.code, 1),
        )

    def forward(self, flow: Tensor) -> Tensor:
        """Return stage-1 logits, `(B,)`, of style flows, `(B, P, F)`."""
        return self.logit(self.code(flow))

    def code(self, flow: Tensor) -> Tensor:
        """Return what stage 2 attends to: the four final hidden states, side by side.

        Args:
            flow: style deltas of whole clips, `(B, P, F)`.

        Returns:
            Codes, `(B, 4H)`: layer 0 forward, layer 0 backward, layer 1 forward, layer 1 backward.

        Raises:
            ShapeMismatch: another number of deltas or another width than the network's.
        """
        expected = (self.dims.flow, self.dims.features)
        if flow.ndim != 3 or flow.shape[1:] != expected:
            raise ShapeMismatch("style flow", f"(B, {expected[0]}, {expected[1]})", flow.shape)
        x = self.bn(self._dropped(flow))  # (B, P, F), one mean and variance per position
        start = self.hidden_state.expand(-1, len(flow), -1).contiguous()
        _, final = self.gru(x, start)  # (4, B, H)
        states: Tensor = final
        return states.transpose(0, 1).flatten(1)

    def logit(self, code: Tensor) -> Tensor:
        """Return the stage-1 logits, `(B,)`, of codes, `(B, 4H)`; stage 2 does without."""
        y: Tensor = self.dense(code)
        return y.squeeze(1)

    def _dropped(self, flow: Tensor) -> Tensor:
        """Drop features, in training only: one mask for the whole batch and every position.

        Both halves of a delta share their mask, as in the released code, which inherited it from
        a landmark model whose halves were x and y.
        """
        if not self.training or self.latent_dropout == 0:
            return flow
        half = flow.new_ones((self.dims.features + 1) // 2)
        mask = nn.functional.dropout(half, self.latent_dropout)
        return flow * mask.repeat(2)[: self.dims.features]


def style_flow(latents: Tensor) -> Tensor:
    """Return the style deltas of clips, newer minus older.

    Args:
        latents: latents or codes of consecutive frames, `(B, T, F)` or `(B, T, L, D)`.

    Returns:
        Style deltas, `(B, T - 1, F)`, style after style within a delta.
    """
    return (latents[:, 1:] - latents[:, :-1]).flatten(2)
