"""CADDM on live tracks: every frame is judged alone, and a track averages its last frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.detectors.caddm.artifacts import ArtifactBox, artifact_boxes
from styleflow.detectors.caddm.boxes import CROP_PX, PRIORS
from styleflow.detectors.caddm.network import Caddm, CaddmDims, CaddmPrediction
from styleflow.detectors.layers.frame_mean import mean_probability_logit
from styleflow.overlay import Patch, PointsAt

UNSAVED = ModelCard("caddm", "unsaved", TemporalMode.EXACT, TrainingStatus.UNTRAINED, "")
"""Card of a network that no checkpoint has named."""


class DeployableCaddm(Caddm):
    """A CADDM network as a checkpoint builds it: with its card, and ready to be deployed."""

    def __init__(
        self,
        dims: CaddmDims,
        card: ModelCard = UNSAVED,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(dims)
        self.card = card
        self.calibration = calibration or Calibration()

    def deploy(
        self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> CaddmDetector:
        """Make this network ready for inference, for good, and return its detector.

        Args:
            device: where weights and state live.
            dtype: what the network computes in; logits are float32 always.
        """
        return CaddmDetector(self.eval().requires_grad_(requires_grad=False).to(device, dtype))


@dataclass(slots=True, eq=False)
class CaddmState:
    """State of N tracks: their last logits, and the boxes of their newest frames.

    Attributes:
        logits: ring of frame logits, `(N, W)`.
        pushed: frames seen since the last clear, `(N,)` int64; the newest is at `pushed - 1`.
        box_offsets: `(N, 168, 4)`.
        box_classes: `(N, 168, 2)`.
    """

    logits: Tensor
    pushed: Tensor
    box_offsets: Tensor
    box_classes: Tensor


class CaddmDetector:
    """CADDM behind the `Detector` protocol.

    A frame needs no other frame, so `rate` answers from the first one on. Its answer stands for
    the authors' video score, the mean probability of the frames, over the last `window` of them.
    """

    points_at: PointsAt | None = PointsAt.ARTIFACTS

    def __init__(self, model: DeployableCaddm) -> None:
        self.model = model
        self.card = model.card
        self.clip = model.dims.clip
        self.calibration = model.calibration

    def init_state(self, slots: int) -> CaddmState:
        """Return the state of `slots` tracks that have seen nothing."""
        like = self.model.fc.weight
        return CaddmState(
            logits=like.new_zeros(slots, self.clip.frames, dtype=torch.float32),
            pushed=like.new_zeros(slots, dtype=torch.int64),
            box_offsets=like.new_zeros(slots, PRIORS, 4, dtype=torch.float32),
            box_classes=like.new_zeros(slots, PRIORS, 2, dtype=torch.float32),
        )

    def clear(self, state: CaddmState, rows: Tensor) -> None:
        """Make rows forget everything."""
        state.pushed[rows] = 0

    @torch.no_grad()
    def push(self, state: CaddmState, rows: Tensor, images: Tensor, missing: Tensor) -> None:
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
    def reanchor(self, state: CaddmState, rows: Tensor, images: Tensor) -> None:
        """Judge the newest frame of each row anew, from another crop; rows without one stay."""
        # All are judged, so that nobody waits to hear which; of a row without a frame nothing is
        # ever read.
        self._judge(state, rows, images)

    @torch.no_grad()
    def rate(self, state: CaddmState, rows: Tensor) -> Tensor:
        """Return the logit of the mean probability of each row's last frames, `(B,)`.

        A row that has seen nothing is NaN.
        """
        return mean_probability_logit(state.logits[rows], state.pushed[rows])

    def artifacts(self, state: CaddmState, rows: Tensor) -> tuple[tuple[ArtifactBox, ...], ...]:
        """Return the artifact boxes of each row's newest frame; none where there is no frame."""
        prediction = CaddmPrediction(
            classes=state.logits.new_zeros(len(rows), 2),
            box_offsets=state.box_offsets[rows],
            box_classes=state.box_classes[rows],
        )
        found = artifact_boxes(prediction, axes_exchanged=self.model.dims.axes_exchanged)
        seen = (state.pushed[rows] > 0).tolist()
        return tuple(boxes if has else () for boxes, has in zip(found, seen, strict=True))

    def patches(self, state: CaddmState, rows: Tensor) -> tuple[tuple[Patch, ...], ...]:
        """Return the artifact boxes of each row's newest frame, in crop sides."""
        return tuple(
            tuple(
                Patch(b.x0 / CROP_PX, b.y0 / CROP_PX, b.x1 / CROP_PX, b.y1 / CROP_PX, b.score)
                for b in boxes
            )
            for boxes in self.artifacts(state, rows)
        )

    def _judge(self, state: CaddmState, rows: Tensor, images: Tensor) -> None:
        prediction = self.model(self.model.network_input(images))
        newest = (state.pushed[rows] - 1) % self.clip.frames
        state.logits[rows, newest] = prediction.logit.float()
        state.box_offsets[rows] = prediction.box_offsets.float()
        state.box_classes[rows] = prediction.box_classes.float()
