"""GenD on live tracks: every frame is judged alone, and a track averages its last frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.detectors.gend.network import Gend, GendDims, fake_logit

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

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, `(B, 1)` float32, of crops, `(B, 224, 224, 3)` RGB uint8."""
        logits = self.model(self.model.network_input(images))
        return fake_logit(logits)[:, None].float()


@dataclass(slots=True, eq=False)
class GendState:
    """State of N tracks: their last logits, and their newest crops.

    Attributes:
        logits: ring of frame logits, `(N, W)`.
        crops: newest crop of each row, to explain it, `(N, 224, 224, 3)` uint8.
        pushed: frames seen since the last clear, `(N,)` int64; the newest is at `pushed - 1`.
    """

    logits: Tensor
    crops: Tensor
    pushed: Tensor


class GendDetector:
    """GenD behind the `Detector` protocol.

    A frame needs no other frame, so `rate` answers from the first one on. Its answer stands for
    the authors' video score, the mean probability of the frames, over the last seconds of them.
    """

    stateless: ClassVar[tuple[str, ...]] = ("judge",)

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
        )

    def clear(self, state: GendState, rows: Tensor) -> None:
        """Make rows forget everything."""
        state.pushed[rows] = 0

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
        seen = state.pushed[rows] > 0
        if seen.any():
            self._judge(state, rows[seen], images[seen])

    @torch.no_grad()
    def rate(self, state: GendState, rows: Tensor) -> Tensor:
        """Return the logit of the mean probability of each row's last frames, `(B,)`.

        A row that has seen nothing is NaN.
        """
        logits = state.logits[rows].double()  # (B, W)
        slot = torch.arange(self.clip.frames, device=logits.device)
        unused = slot >= state.pushed[rows, None]
        fake = functional.logsigmoid(logits).masked_fill(unused, -math.inf).logsumexp(1)
        real = functional.logsigmoid(-logits).masked_fill(unused, -math.inf).logsumexp(1)
        return (fake - real).float()

    def _judge(self, state: GendState, rows: Tensor, images: Tensor) -> None:
        newest = (state.pushed[rows] - 1) % self.clip.frames
        state.logits[rows, newest] = self.judge(images)[:, 0]
        state.crops[rows] = images
