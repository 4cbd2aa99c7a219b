"""How a face's style moves from frame to frame, and the recurrent network that follows it.

`CausalStyleGRU` is ours and is made for live video: it looks only backwards, treats every
position in time alike and therefore carries its hidden state for as long as a face is watched.
"""

from __future__ import annotations

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
