"""FakeSTormer's loss: one term per head.

Source: Vulnerability-Aware Spatio-Temporal Learning (Nguyen et al., ICCV 2025), release v1.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from styleflow.detectors.fakestormer.network import FakeStormerPrediction


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How much each head counts; the default is that of c0 and c23.

    Attributes:
        temporal: of the squared error of the temporal map.
        classes: of the clip's label.
        spatial: of the frames' vulnerability.
        temperature: divides the class logit, in training only.
    """

    temporal: float = 100.0
    classes: float = 0.8
    spatial: float = 0.2
    temperature: float = 2.0


C40_WEIGHTS = LossWeights(classes=0.9, spatial=0.1)


@dataclass(frozen=True, slots=True, eq=False)
class VulnerabilityTargets:
    """What the heads should say about B clips.

    Attributes:
        labels: 0 real, 1 fake, `(B,)` float32.
        spatial: strongest vulnerability of each frame in [0, 1], `(B, T)`.
        temporal: z-scores of how it changes, `(B, T, G, G)`.
        visible: 0 where a cell was cut out of the clip, else 1, `(B, T, G, G)`.
    """

    labels: Tensor
    spatial: Tensor
    temporal: Tensor
    visible: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class FakeStormerLoss:
    """The weighted loss of a batch and its parts, each a scalar."""

    total: Tensor
    temporal: Tensor
    classes: Tensor
    spatial: Tensor


def fakestormer_loss(
    prediction: FakeStormerPrediction,
    targets: VulnerabilityTargets,
    weights: LossWeights | None = None,
) -> FakeStormerLoss:
    """Return the loss of a batch; cells that were cut out count as zeros in the mean."""
    weights = weights or LossWeights()
    apart = (prediction.temporal - targets.temporal) * targets.visible
    temporal = weights.temporal * 0.5 * apart.square().mean()
    classes = weights.classes * functional.binary_cross_entropy_with_logits(
        prediction.logit / weights.temperature, targets.labels
    )
    spatial = weights.spatial * functional.binary_cross_entropy_with_logits(
        prediction.spatial, targets.spatial
    )
    return FakeStormerLoss(temporal + classes + spatial, temporal, classes, spatial)
