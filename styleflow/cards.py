"""Model cards: what detectors say about themselves. Values only, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class TemporalMode(Enum):
    """Temporal mode of a detector; the numbers of one mode never stand for the other's."""

    CAUSAL = "causal"  # one step per frame, O(1); ours
    EXACT = "exact"  # the whole window is recomputed from the rolling buffer; the published models
    MIXED = "mixed"  # an ensemble of both


class TrainingStatus(Enum):
    """Training status of a checkpoint: how far its scores may be trusted."""

    UNTRAINED = "untrained"  # seeded random weights: shows that the path works, means nothing
    UNCALIBRATED = "uncalibrated"  # trained, but its logits were never fitted to probabilities
    EXPERIMENTAL = "experimental"  # trained and calibrated, but found weak on unseen generators
    TRAINED = "trained"

    @staticmethod
    def after_training(*, calibrated: bool) -> TrainingStatus:
        """Return the status of trained weights."""
        return TrainingStatus.TRAINED if calibrated else TrainingStatus.UNCALIBRATED


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Model behind a score, as every message names it.

    Attributes:
        name: the model's published name, for example `styleflow-live`.
        version: version of the weights.
        mode: how it looks at time.
        status: how far its scores may be trusted.
        sha256: digest of the checkpoint's tensors, hexadecimal.
    """

    name: str
    version: str
    mode: TemporalMode
    status: TrainingStatus
    sha256: str
