"""Temporal stability of a face's fine detail, gathered step by step.

The detail of a filmed face varies: eyes blink and catch the light, lips part, motion and focus blur
come and go, and with them the finest detail of eyes and mouth. Faces that a network draws from one
picture, or through few numbers, keep their detail too evenly. So the cue is how far each frame's
detail lies from its recent mean. No network is trained for it but two weights, and a step costs a
few adds.

Source: the observation behind StyleFlow (Choi et al., CVPR 2024), that synthesised faces vary too
    little over time.
Departs: said of the energy of fine detail instead of style latents, where it held better here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CUES = 2  # mouth and eyes
_MEMORY = 12.0  # frames after which the past counts half in a region's recent mean: 1 s
_PATIENCE = 6.0  # frames of what is usual that are believed before the first frame is seen
_FLOOR = 0.05  # squared grey levels; below it there is nothing but rounding
_MOUTH = (1 / 2, 5 / 6, 1 / 3, 2 / 3)  # top, bottom, left, right, in sides of the window
_EYES = (3 / 16, 15 / 32, 7 / 32, 25 / 32)


@dataclass(slots=True, eq=False)
class StabilityState:
    """Fine detail of some tracks so far: its recent mean, and the distances from it.

    Attributes:
        recent: recent mean of the logarithm of fine detail, `(N, CUES)`.
        surprise: weighted sum of squared distances from it, `(N, CUES)`.
        steps: sum of the weights, `(N,)`.
        seen: frames that are in the mean, `(N,)`; 0 before the first.
    """

    recent: Tensor
    surprise: Tensor
    steps: Tensor
    seen: Tensor


class TemporalStabilityHead(nn.Module):
    """Linear head on temporal stability: by how much a face is steadier than filmed ones are.

    `usual` is the logarithm of the mean squared distance in filmed clips, `weights` what a unit of
    its logarithm counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.usual = nn.Parameter(torch.zeros(CUES))
        self.weights = nn.Parameter(torch.zeros(CUES))

    def start(self, rows: int) -> StabilityState:
        """Return the state of rows that have seen nothing."""
        device = self.usual.device
        return StabilityState(
            recent=torch.zeros(rows, CUES, device=device),
            surprise=torch.zeros(rows, CUES, device=device),
            steps=torch.zeros(rows, device=device),
            seen=torch.zeros(rows, device=device),
        )

    def step(
        self, state: StabilityState, windows: Tensor, missing: Tensor, kept: Tensor
    ) -> StabilityState:
        """Return the state after one more frame of each row.

        Args:
            state: of the rows.
            windows: of the aligned crops, `(B, S, S, 3)` RGB uint8.
            missing: frames missing before this one, `(B,)`.
            kept: what remains of earlier evidence, `(B,)`.
        """
        detail = fine_detail(windows)
        first = state.seen == 0
        away = (detail - state.recent).square()
        away = torch.where(first[:, None], 0.0, away)
        seen = state.seen + 1
        forgotten = 1 - torch.exp2(-(missing.to(detail.dtype) + 1) / _MEMORY)
        share = torch.maximum(forgotten, 1 / seen)[:, None]  # a plain mean at first
        return StabilityState(
            recent=state.recent + share * (detail - state.recent),
            surprise=state.surprise * kept[:, None] + away,
            steps=state.steps * kept + (~first).to(detail.dtype),
            seen=seen,
        )

    def forward(self, state: StabilityState) -> Tensor:
        """Return logits, `(B,)`: above 0 a face is steadier than filmed ones; 0 at the start."""
        return (self.cues(state) * self.weights).sum(dim=1)

    def cues(self, state: StabilityState) -> Tensor:
        """Return by how much mouth and eyes are steadier than usual, `(B, CUES)`, logarithmic."""
        usual = self.usual.exp()
        mean = (state.surprise + _PATIENCE * usual) / (state.steps + _PATIENCE)[:, None]
        return 0.5 * (self.usual - torch.log(mean.clamp_min(math.exp(-30))))


def fine_detail(windows: Tensor) -> Tensor:
    """Return how much of the finest detail mouth and eyes have, `(B, CUES)`, logarithmic.

    Args:
        windows: of the aligned crops, `(B, S, S, 3)` RGB uint8.
    """
    luma = windows.float().mean(dim=-1)[:, None]  # (B, 1, S, S)
    soft = nn.functional.avg_pool2d(luma, 3, 1, 1, count_include_pad=False)
    energy = (luma - soft)[:, 0].square()
    means = [_part(energy, region).mean(dim=(1, 2)) for region in (_MOUTH, _EYES)]
    return torch.log(torch.stack(means, dim=1) + _FLOOR)


def _part(x: Tensor, region: tuple[float, float, float, float]) -> Tensor:
    side = x.shape[-1]
    top, bottom, left, right = (round(edge * side) for edge in region)
    return x[:, top:bottom, left:right]
