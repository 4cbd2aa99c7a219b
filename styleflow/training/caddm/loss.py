"""CADDM's loss: boxes assigned to priors, and the multibox loss.

Source: CADDM's released program; SSD (Liu et al., ECCV 2016) for assignment and mining.
Departs: boxes come as left, top, right, bottom and are taken as that. The released data code hands
over top, left, bottom, right, which its assignment misreads; `artifact_boxes` says what follows
for published weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from styleflow.detectors.caddm.boxes import (
    CROP_PX,
    PRIORS,
    VARIANCE_CENTRE,
    VARIANCE_SIZE,
    corners,
    prior_boxes,
)
from styleflow.detectors.caddm.network import CaddmPrediction
from styleflow.errors import ShapeMismatch

MATCH_OVERLAP = 0.5  # the released settings say 0.9, which nothing reads
NEGATIVES_PER_POSITIVE = 2
DETECTION_WEIGHT = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class BoxTargets:
    """What the heads should say about one crop, or a batch of them.

    Attributes:
        offsets: to the box that each prior belongs to, `(..., 168, 4)`; zero for real crops. The
            loss reads only those of positive priors.
        labels: 1 where a prior box holds an artifact, `(..., 168)` int64.
    """

    offsets: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class CaddmLoss:
    """The loss of a batch and its parts, each a scalar.

    Attributes:
        total: what is minimised.
        classes: cross entropy of real and fake.
        box_offsets: smooth L1 per positive prior box.
        box_classes: cross entropy of positives and mined negatives, per positive prior box.
        mined: which priors were taken as negatives, `(B, 168)` bool.
    """

    total: Tensor
    classes: Tensor
    box_offsets: Tensor
    box_classes: Tensor
    mined: Tensor


def no_boxes() -> BoxTargets:
    """Return the targets of a real crop: nothing anywhere."""
    return BoxTargets(torch.zeros(PRIORS, 4), torch.zeros(PRIORS, dtype=torch.int64))


def assign_boxes(boxes_px: Tensor) -> BoxTargets:
    """Return which prior boxes stand for the artifacts of one fake crop.

    A prior belongs to the box that it shares most with, and is positive where they share half
    (IoU). Every box has at least its best prior.

    Args:
        boxes_px: left, top, right and bottom in crop pixels, `(K, 4)`, K >= 1.

    Raises:
        ShapeMismatch: no boxes, or not four numbers each.
    """
    if boxes_px.ndim != 2 or boxes_px.shape[0] < 1 or boxes_px.shape[1] != 4:
        raise ShapeMismatch("artifact boxes", "(K, 4), K >= 1", boxes_px.shape)
    # float32 throughout: 18 of the 39 reachable windows have a prior within 1e-6 of the limit.
    boxes = boxes_px.float() / CROP_PX
    priors = prior_boxes()
    overlaps = _overlaps(boxes, corners(priors))  # (K, 168)
    best_overlap, best_box = overlaps.max(0)
    for box, prior in enumerate(overlaps.argmax(1).tolist()):
        best_overlap[prior] = 2.0
        best_box[prior] = box
    labels = (best_overlap >= MATCH_OVERLAP).long()
    return BoxTargets(_encode(boxes[best_box], priors), labels)


def caddm_loss(
    prediction: CaddmPrediction,
    labels: Tensor,
    targets: BoxTargets,
    detection_weight: float = DETECTION_WEIGHT,
    real_negatives: int = 0,
) -> CaddmLoss:
    """Return the loss of a batch.

    A real crop has no positive prior, so the release mines no negatives from it, and the heads
    never learn that a real face holds no artifact.

    Args:
        prediction: of B crops.
        labels: 0 real, 1 fake, `(B,)` int64.
        targets: of the same crops, stacked.
        detection_weight: of both detection parts beside that of the classes.
        real_negatives: mined from each crop without positives; 0 as released.
    """
    positive = targets.labels > 0  # (B, 168)
    count = positive.sum().clamp_min(1)
    offsets = functional.smooth_l1_loss(
        prediction.box_offsets[positive], targets.offsets[positive], reduction="sum"
    )
    per_prior = functional.cross_entropy(
        prediction.box_classes.transpose(1, 2), targets.labels, reduction="none"
    )
    mined = _hardest_negatives(per_prior.detach(), positive, real_negatives)
    box_classes = per_prior[positive | mined].sum() / count
    classes = functional.cross_entropy(prediction.classes, labels)
    box_offsets = offsets / count
    total = classes + detection_weight * (box_classes + box_offsets)
    return CaddmLoss(total, classes, box_offsets, box_classes, mined)


def _hardest_negatives(per_prior: Tensor, positive: Tensor, of_reals: int) -> Tensor:
    """Pick each crop's worst negatives, twice as many as it has positives, `(B, 168)` bool."""
    count = positive.sum(1, keepdim=True)
    hardness = per_prior.masked_fill(positive, 0.0)
    rank = hardness.argsort(dim=1, descending=True, stable=True).argsort(dim=1, stable=True)
    wanted = torch.where(count > 0, NEGATIVES_PER_POSITIVE * count, of_reals).clamp_max(PRIORS - 1)
    return (rank < wanted) & ~positive


def _overlaps(a: Tensor, b: Tensor) -> Tensor:
    near = torch.maximum(a[:, None, :2], b[None, :, :2])
    far = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (far - near).clamp_min(0).prod(2)
    area_a, area_b = ((x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b))
    return shared / (area_a[:, None] + area_b[None] - shared)


def _encode(boxes: Tensor, priors: Tensor) -> Tensor:
    """Return the offsets that `decode_boxes` turns back into boxes, `(168, 4)`."""
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    shift = (centre - priors[:, :2]) / (VARIANCE_CENTRE * priors[:, 2:])
    return torch.cat((shift, (size / priors[:, 2:]).log() / VARIANCE_SIZE), 1)
