"""Recipe of CADDM's training.

Source: Implicit Identity Leakage (Dong et al., CVPR 2023) and its released program (SPEC e).
"""

from __future__ import annotations

from dataclasses import field, replace
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass

from styleflow.data.prepared import PrepareSettings
from styleflow.detectors.caddm.entry import NAMES
from styleflow.detectors.caddm.network import CaddmDims
from styleflow.training.caddm.loss import DETECTION_WEIGHT
from styleflow.training.loop import LoopSettings

Made = Literal["self_blend", "swap", "mouth", "restore"]
"""Kinds of pseudo-fakes that show in a single frame."""

_LOG_EVERY = 50


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class CaddmRecipe:
    """How CADDM is trained; the defaults are the release's.

    Attributes:
        method: names this recipe.
        seed: decides every draw.
        held_out: people whose videos are never trained on.
        prepare: what is kept of every video; faces should keep their size, or resampling of pairs
            that were cut out at different scales tells them apart.
        dimensions: of the network, its backbone among them.
        start: file of ImageNet weights for the backbone, as torchvision or efficientnet_pytorch
            publish them; nothing when None, and then it starts from the seed.
        frames: per video, evenly spread.
        made: kinds of pseudo-fakes that are made from real videos; empty where fakes are videos.
        batch: crops per step.
        fake_share: of the crops of a batch; the release has five kinds of fakes to each real video.
        epochs: how often the frames are gone through.
        epoch_steps: steps per epoch; 0 for as many as go through all frames.
        rates: learning rates by the epoch that each begins with.
        weight_decay: of AdamW, on all parameters.
        clip_value: no gradient exceeds it, either way.
        detection_weight: of the box losses beside the class loss.
        real_negatives: prior boxes of each real crop that learn to be background; the release has
            none, and its boxes light up on real faces, too.
        average: share of the moving average of weights that is kept per step; 0 takes the last.
        bf16: compute in bfloat16 where that is safe.
        validation_frames: per validation video.
        patience: epochs without a better video AUC after which training stops.
        prior: share of fakes among the faces that will be watched, for calibration.
    """

    method: Literal["caddm"] = "caddm"
    seed: int = 0
    held_out: tuple[str, ...] = ()
    prepare: PrepareSettings = field(
        default_factory=lambda: PrepareSettings(frames=300, face_px=1024)
    )
    dimensions: CaddmDims = field(default_factory=CaddmDims)
    start: Path | None = None
    frames: int = 32
    made: tuple[Made, ...] = ()
    batch: int = 128
    fake_share: float = 5 / 6
    epochs: int = 200
    epoch_steps: int = 0
    rates: tuple[tuple[int, float], ...] = ((0, 3.6e-4), (4, 1e-4), (10, 5e-5))
    weight_decay: float = 4e-3
    clip_value: float = 2.0
    detection_weight: float = DETECTION_WEIGHT
    real_negatives: int = 0
    average: float = 0.0
    bf16: bool = False
    validation_frames: int = 8
    patience: int = 200
    prior: float = 0.5

    def settings(self, frames: int, *, validates: bool) -> LoopSettings:
        """Return how the loop runs.

        Args:
            frames: how many there are to go through.
            validates: whether there is something to validate on.
        """
        epoch = self.epoch_steps or max(1, -(-frames // self.batch))
        return LoopSettings(
            steps=self.epochs * epoch,
            weight_decay=self.weight_decay,
            average=self.average,
            clip_norm=float("inf"),
            clip_value=self.clip_value,
            bf16=self.bf16,
            log_every=min(_LOG_EVERY, epoch),
            validate_every=epoch if validates else 0,
            patience=self.patience,
            stairs=tuple((start * epoch, rate) for start, rate in self.rates),
        )

    def shortened(self, steps: int) -> CaddmRecipe:
        """Return the recipe of a trial: one epoch of so many steps at most."""
        least = self.epochs * self.epoch_steps or steps
        return replace(self, epochs=1, epoch_steps=min(steps, least))

    @property
    def detector(self) -> str:
        """Name of the detector that comes out; unpublished backbones go by the smallest one's."""
        name = f"caddm-{self.dimensions.backbone}"
        return name if name in NAMES else NAMES[0]
