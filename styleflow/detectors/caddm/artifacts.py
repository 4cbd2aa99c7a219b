"""Artifact boxes of CADDM: the boxes of a frame that most likely hold an artifact."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from styleflow.detectors.caddm.boxes import CROP_PX, decode_boxes, prior_boxes
from styleflow.detectors.caddm.network import CaddmPrediction


@dataclass(frozen=True, slots=True)
class ArtifactBox:
    """A rectangle of the crop that looks pasted: pixels of the 224 px crop, score in [0, 1]."""

    x0: float
    y0: float
    x1: float
    y1: float
    score: float


def artifact_boxes(
    prediction: CaddmPrediction,
    *,
    score_min: float = 0.5,
    overlap_max: float = 0.45,
    limit: int = 8,
    axes_exchanged: bool = True,
) -> tuple[tuple[ArtifactBox, ...], ...]:
    """Return the boxes worth showing of each frame, the highest score first.

    Args:
        prediction: of B frames.
        score_min: a box needs this softmax probability of holding an artifact.
        overlap_max: a box that shares more than this (IoU) with a better one is left out.
        limit: at most so many boxes per frame.
        axes_exchanged: the weights were trained by the released program, whose targets had x and y
            exchanged; exchange them back.
    """
    boxes = decode_boxes(prediction.box_offsets.float().cpu(), prior_boxes())
    if axes_exchanged:
        boxes = boxes[..., [1, 0, 3, 2]]
    boxes = boxes.clamp(0, 1) * CROP_PX
    scores = prediction.box_classes.float().cpu().softmax(-1)[..., 1]
    return tuple(
        _best_boxes(frame_boxes, frame_scores, score_min, overlap_max, limit)
        for frame_boxes, frame_scores in zip(boxes, scores, strict=True)
    )


def _best_boxes(
    boxes: Tensor, scores: Tensor, score_min: float, overlap_max: float, limit: int
) -> tuple[ArtifactBox, ...]:
    kept: list[int] = []
    overlaps = _overlaps(boxes)
    for index in scores.argsort(descending=True, stable=True).tolist():
        if len(kept) == limit or not scores[index] >= score_min:
            break
        if all(overlaps[index, other] <= overlap_max for other in kept):
            kept.append(index)
    numbers = torch.cat((boxes, scores[:, None]), 1)[kept].tolist()
    return tuple(ArtifactBox(x0, y0, x1, y1, score) for x0, y0, x1, y1, score in numbers)


def _overlaps(boxes: Tensor) -> Tensor:
    """Return intersection over union of every pair, `(K, K)`."""
    area = (boxes[:, 2:] - boxes[:, :2]).clamp_min(0).prod(1)
    near = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    far = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (far - near).clamp_min(0).prod(2)
    return shared / (area[:, None] + area[None] - shared).clamp_min(1e-9)
