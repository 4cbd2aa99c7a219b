"""GenD on live tracks: every frame is judged alone, and a track averages its last frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.detectors.gend.network import Gend, GendDims, fake_logit
from styleflow.detectors.gend.occlusion import ORDER, PARTS, covered, shown
from styleflow.detectors.layers.frame_mean import mean_probability_logit
from styleflow.overlay import Patch, PointsAt

CPU_COVERS = 1
"""Parts that one explanation covers on a CPU, where each costs as much as a rating; it takes
`PARTS` of them until a face is known from everywhere. A GPU covers all at once."""

UNSAVED = ModelCard("gend", "unsaved", TemporalMode.EXACT, TrainingStatus.UNTRAINED, "")
"""Card of a network that no checkpoint has named."""


class DeployableGend(Gend):
    """A GenD network as a checkpoint builds it: with its card, and ready to be deployed."""

    def __init__(
        self,
        dims: GendDims,
        card: ModelCard = UNSAVED,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(dims)
        self.card = card
        self.calibration = calibration or Calibration()

    def deploy(
        self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> GendDetector:
        """Make this network ready for inference, for good, and return its detector.

        Args:
            device: where weights and state live.
            dtype: what the network computes in; logits are float32 always.
        """
        self.dims = self.dims.on(torch.device(device).type)
        return GendDetector(self.eval().requires_grad_(requires_grad=False).to(device, dtype))


class CropJudge(nn.Module):
    """The whole way from crops to one logit each, without memory, for the runtime to accelerate."""

    def __init__(self, model: Gend) -> None:
        super().__init__()
        self.model = model
        # On the device from the start: a CUDA graph cannot record that something is brought there.
        mean, std = model.mean_and_std()
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, `(B, 1)` float32, of crops, `(B, 224, 224, 3)` RGB uint8."""
        logits = self.model(self.model.normalised(images, self.mean, self.std))
        return fake_logit(logits)[:, None].float()


@dataclass(slots=True, eq=False)
class GendState:
    """State of N tracks: their last logits, their newest crops, and what covering them showed.

    Attributes:
        logits: ring of frame logits, `(N, W)`.
        crops: newest crop of each row, to explain it, `(N, 224, 224, 3)` uint8.
        pushed: frames seen since the last clear, `(N,)` int64; the newest is at `pushed - 1`.
        falls: how far the logit fell when each part was covered last, `(N, PARTS)`; NaN where it
            never was.
        asked: parts covered since the last clear, `(N,)` int64.
    """

    logits: Tensor
    crops: Tensor
    pushed: Tensor
    falls: Tensor
    asked: Tensor


class GendDetector:
    """GenD behind the `Detector` protocol.

    A frame needs no other frame, so `rate` answers from the first one on. Its answer stands for
    the authors' video score, the mean probability of the frames, over the last seconds of them.
    """

    stateless: ClassVar[tuple[str, ...]] = ("judge",)
    points_at: PointsAt | None = PointsAt.EVIDENCE

    def __init__(self, model: DeployableGend) -> None:
        self.model = model
        self.judge: nn.Module = CropJudge(model).eval()
        self.card = model.card
        self.clip = model.dims.clip
        self.calibration = model.calibration

    def init_state(self, slots: int) -> GendState:
        """Return the state of `slots` tracks that have seen nothing."""
        device, side = self.model.head.weight.device, self.clip.size_px
        return GendState(
            logits=torch.zeros(slots, self.clip.frames, device=device),
            crops=torch.zeros(slots, side, side, 3, dtype=torch.uint8, device=device),
            pushed=torch.zeros(slots, dtype=torch.int64, device=device),
            falls=torch.full((slots, PARTS), math.nan, device=device),
            asked=torch.zeros(slots, dtype=torch.int64, device=device),
        )

    def clear(self, state: GendState, rows: Tensor) -> None:
        """Make rows forget everything."""
        state.pushed[rows] = 0
        state.falls[rows] = math.nan
        state.asked[rows] = 0

    @torch.no_grad()
    def push(self, state: GendState, rows: Tensor, images: Tensor, missing: Tensor) -> None:
        """Judge one frame of each row; `missing` changes nothing, frames stand alone.

        Args:
            state: from `init_state`, changed in place.
            rows: which tracks, `(B,)` int64.
            images: five-point crops, `(B, 224, 224, 3)` RGB uint8.
            missing: `(B,)` int64.
        """
        state.pushed[rows] += 1
        self._judge(state, rows, images)

    @torch.no_grad()
    def reanchor(self, state: GendState, rows: Tensor, images: Tensor) -> None:
        """Judge the newest frame of each row anew, from another crop; rows without one stay."""
        # All are judged, so that nobody waits to hear which; of a row without a frame nothing is
        # ever read.
        self._judge(state, rows, images)

    @torch.no_grad()
    def rate(self, state: GendState, rows: Tensor) -> Tensor:
        """Return the logit of the mean probability of each row's last frames, `(B,)`.

        A row that has seen nothing is NaN.
        """
        return mean_probability_logit(state.logits[rows], state.pushed[rows])

    @torch.no_grad()
    def patches(self, state: GendState, rows: Tensor) -> tuple[tuple[Patch, ...], ...]:
        """Return the parts of each row's crop that speak for fake: covered, they lower the logit.

        On a CPU one part more is covered at each call, of the newest crop; what the others said of
        the crops before stays, as crops are aligned.
        """
        seen = rows[state.pushed[rows] > 0]
        if len(seen):
            self._cover(state, seen, CPU_COVERS if rows.device.type == "cpu" else PARTS)
        return tuple(shown(falls) for falls in state.falls[rows])

    def _cover(self, state: GendState, rows: Tensor, count: int) -> None:
        """Cover some parts more of rows' newest crops, and remember how far the logit falls."""
        order = torch.tensor(ORDER, device=rows.device)
        turns = state.asked[rows, None] + torch.arange(count, device=rows.device)
        parts = order[turns % PARTS]  # (B, count)
        many = rows.repeat_interleave(count)
        newest = (state.pushed[many] - 1) % self.clip.frames
        logits = self.judge(covered(state.crops[many], parts.flatten()))[:, 0]
        state.falls[many, parts.flatten()] = state.logits[many, newest] - logits
        state.asked[rows] += count

    def _judge(self, state: GendState, rows: Tensor, images: Tensor) -> None:
        newest = (state.pushed[rows] - 1) % self.clip.frames
        state.logits[rows, newest] = self.judge(images)[:, 0]
        state.crops[rows] = images
