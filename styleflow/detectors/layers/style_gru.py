"""Style flow of a face from frame to frame, and the recurrent networks that follow it.

`StyleGRU` is the authors': bidirectional, with statistics of its own for every position of the
window, so it reads whole windows; `style_gru_stream.py` evaluates it exactly on overlapping ones.
Its tensor names are those of the released stage-1 code. `CausalStyleGRU` is ours and is made for
live video: it looks only backwards, treats every position in time alike and therefore carries its
hidden state for as long as a face is watched. Neither's results stand in for the other's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from styleflow.errors import ShapeMismatch


def style_deltas(latents: Tensor, levels: int | None = None) -> Tensor:
    """Return how a face's style moves from each frame to the next.

    Order matters: newer minus older, the direction the published code uses.

    Args:
        latents: W+ latents of consecutive frames of one track, `(B, T, L, D)`, T >= 2.
        levels: the `L` that the latents must have; any when None.

    Returns:
        Style deltas, `(B, T - 1, L, D)`. Entry `t` leads from frame `t` to `t + 1`.

    Raises:
        ShapeMismatch: fewer than two frames, or latents of other levels.

    Source: StyleFlow (Choi et al., CVPR 2024), temporal differences of style latents.
    Departs: keeps the level axis, so a level is chosen by slicing rather than by column arithmetic.
    """
    wrong_levels = levels is not None and latents.shape[-2:-1] != (levels,)
    if latents.ndim != 4 or latents.shape[1] < 2 or wrong_levels:
        expected = f"(B, T >= 2, {'L' if levels is None else levels}, D)"
        raise ShapeMismatch("style latents", expected, latents.shape)
    return latents[:, 1:] - latents[:, :-1]


def style_flow(latents: Tensor) -> Tensor:
    """Return the style deltas of clips, newer minus older.

    Args:
        latents: latents or codes of consecutive frames, `(B, T, F)` or `(B, T, L, D)`.

    Returns:
        Style deltas, `(B, T - 1, F)`, style after style within a delta.
    """
    return (latents[:, 1:] - latents[:, :-1]).flatten(2)


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
        x = self.bn(self.drop_latents(flow))  # (B, P, F), one mean and variance per position
        start = self.hidden_state.expand(-1, len(flow), -1).contiguous()
        _, final = self.gru(x, start)  # (4, B, H)
        states: Tensor = final
        return states.transpose(0, 1).flatten(1)

    def logit(self, code: Tensor) -> Tensor:
        """Return the stage-1 logits, `(B,)`, of codes, `(B, 4H)`; stage 2 does without."""
        y: Tensor = self.dense(code)
        return y.squeeze(1)

    def drop_latents(self, flow: Tensor) -> Tensor:
        """Drop features, in training only: one mask for the whole batch and every position.

        Both halves of a delta share their mask, as in the released code, which inherited it from
        a landmark model whose halves were x and y.
        """
        if not self.training or self.latent_dropout == 0:
            return flow
        half = flow.new_ones((self.dims.features + 1) // 2)
        mask = nn.functional.dropout(half, self.latent_dropout)
        return flow * mask.repeat(2)[: self.dims.features]


class CausalStyleGRU(nn.Module):
    """Follow the style flow of a face, one style delta at a time.

    The hidden state of a track is `(layers, H)`. It begins as a learned vector and, across missing
    frames, decays back towards it: what was seen before a gap says less about what comes after.

    Args:
        features: numbers in one style delta, `L * D`.
        hidden: width of the hidden state, `H`.
        layers: stacked recurrent layers.
        gap_half_life: missing frames after which half of what was gathered is forgotten.

    Source: StyleFlow (Choi et al., CVPR 2024), StyleGRU.
    Departs: one direction instead of two; one scalar normalisation instead of one per window
        position, so that nothing depends on where a frame lies in a window; decay across gaps.
    """

    def __init__(self, features: int, hidden: int, layers: int, gap_half_life: float) -> None:
        super().__init__()
        self.gap_half_life = gap_half_life
        self.norm = nn.BatchNorm1d(1)  # one channel: a scalar affine map once it is trained
        self.gru = nn.GRU(features, hidden, layers, batch_first=True)
        self.initial = nn.Parameter(torch.zeros(layers, hidden))

    def start(self, batch: int) -> Tensor:
        """Return the learned hidden state of tracks without a past, `(B, layers, H)`."""
        return self.initial.expand(batch, -1, -1)

    def step(self, hidden: Tensor, delta: Tensor) -> Tensor:
        """Return the hidden state one frame later.

        Args:
            hidden: `(B, layers, H)`.
            delta: style delta that leads to the new frame, `(B, L, D)`.
        """
        return self._advance(hidden, delta.unsqueeze(1))[1]

    def decay(self, hidden: Tensor, missing: Tensor) -> Tensor:
        """Return the hidden state after missing frames, closer to the learned start.

        Args:
            hidden: `(B, layers, H)`.
            missing: frames without evidence, `(B,)` int64; none leaves the state as it is.
        """
        kept = torch.exp2(-missing.to(hidden.dtype) / self.gap_half_life)
        return self.initial + (hidden - self.initial) * kept[:, None, None]

    def forward(self, deltas: Tensor, missing: Tensor | None = None) -> Tensor:
        """Return the top hidden state after every delta of whole sequences.

        It is what `step` and `decay` would give one after the other. A delta across a gap is not
        fed, because it measures the length of the gap more than the style's movement.

        Args:
            deltas: style deltas, `(B, T - 1, L, D)`.
            missing: missing frames between the two frames of each delta, `(B, T - 1)` int64;
                none anywhere when omitted.

        Returns:
            Top-layer hidden states, `(B, T - 1, H)`.
        """
        if missing is None or not bool(missing.any()):
            return self._advance(self.start(deltas.shape[0]), deltas)[0]
        return self.states(deltas, missing)[:, :, -1]

    def states(self, deltas: Tensor, missing: Tensor | None = None) -> Tensor:
        """Return the hidden states of all layers after every delta, `(B, T - 1, layers, H)`.

        Arguments as for `forward`.
        """
        hidden = self.start(deltas.shape[0])
        gaps = deltas.new_zeros(deltas.shape[:2]).long() if missing is None else missing
        states = []
        for delta, gap in zip(deltas.unbind(1), gaps.unbind(1), strict=True):
            hidden = self.follow(hidden, delta, gap)
            states.append(hidden)
        return torch.stack(states, dim=1)

    def follow(self, hidden: Tensor, delta: Tensor, missing: Tensor) -> Tensor:
        """Return the hidden state at the next frame: a step, or a decay where frames are missing.

        Args:
            hidden: `(B, layers, H)`.
            delta: style delta to the new frame, `(B, L, D)`; not used where frames are missing.
            missing: frames missing before the new one, `(B,)` int64.
        """
        gap = (missing > 0)[:, None, None]
        return torch.where(gap, self.decay(hidden, missing), self.step(hidden, delta))

    def _advance(self, hidden: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
        B, T = deltas.shape[:2]
        flow = self.norm(deltas.reshape(B * T, 1, -1)).view(B, T, -1)  # (B, T, L * D)
        tops, last = self.gru(flow, hidden.transpose(0, 1).contiguous())
        return tops, last.transpose(0, 1)
