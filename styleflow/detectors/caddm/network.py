"""CADDM: one frame at a time, with boxes around what looks pasted.

The paper's finding is that a network trained to tell real from fake learns to recognise the
*identities* instead. Its remedy is to make it point at artifacts of several sizes: beside the
backbone's global feature, an artifact detection module (ADM) shrinks the map from 7x7 to a single
cell and, on the way, four pairs of small heads say for each of 168 prior boxes whether it holds an
artifact. The class score reads the global feature plus the ADM's last cell.

    crop (3, 224, 224) -> backbone (C, 7, 7) -> mean (C) ------------------------ + -> fc -> logits
                              |                                                   |
                              +-> ADM (C, 7, 7) (C, 5, 5) (C, 3, 3) (C, 1, 1) ----+
                                      heads: 98  +   50   +   18   +    2  = 168 prior boxes

Input is as the authors trained it: blue, green, red, 0..255, nothing subtracted and nothing
divided. The heads never enter the score.

Source: Implicit Identity Leakage (Dong et al., CVPR 2023) and its released program.
Departs: one `CaddmPrediction` in training and evaluation alike. The released training exchanged
the axes of its box targets; `artifact_boxes` undoes that for published weights, and ours are
trained without.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from styleflow.calibration import Calibration
from styleflow.clips import ClipSpec, Framing
from styleflow.detectors.layers.backbones import (
    EFFICIENTNET_B3,
    EFFICIENTNET_B4,
    EfficientNet,
    ResNet,
)
from styleflow.detectors.protocol import ModelCard, TemporalMode, TrainingStatus
from styleflow.errors import ShapeMismatch
from styleflow.overlay import Patch, PointsAt

CROP_PX = 224
VARIANCE_CENTRE, VARIANCE_SIZE = 0.1, 0.2

BACKBONES: dict[str, Callable[[], ResNet | EfficientNet]] = {
    "resnet34": ResNet,
    "efficientnet-b3": lambda: EfficientNet(EFFICIENTNET_B3),
    "efficientnet-b4": lambda: EfficientNet(EFFICIENTNET_B4),
    "resnet10-slim": lambda: ResNet((1, 1, 1, 1), 4),  # ours, unpublished: tests run on it
}
NAMES = ("caddm-resnet34", "caddm-efficientnet-b3", "caddm-efficientnet-b4")
"""The published detectors; what follows `caddm-` is the backbone."""

UNSAVED = ModelCard("caddm", "unsaved", TemporalMode.EXACT, TrainingStatus.UNTRAINED, "")
"""What a network says about itself before a checkpoint gives it a name."""


@dataclass(frozen=True, slots=True)
class CaddmDims:
    """Everything needed to build a CADDM.

    Attributes:
        backbone: a name of `BACKBONES`.
        window: how many recent frames the live score averages; the authors average 32 per video.
        cadence_hz: sampled frames per second of media time when live; the network itself knows
            no time.
        axes_exchanged: its boxes were learned with x and y exchanged, as the release teaches them.
    """

    backbone: str = "efficientnet-b4"
    window: int = 32
    cadence_hz: float = 5.0
    axes_exchanged: bool = True

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        if self.backbone not in BACKBONES:
            raise ValueError(f"backbone is one of {', '.join(BACKBONES)}, not {self.backbone!r}")
        if not 1 <= self.window <= 1024:
            raise ValueError(f"window lies in 1..1024, not {self.window}")
        if not 0 < self.cadence_hz <= 1000:
            raise ValueError(f"cadence_hz lies in 0..1000, not {self.cadence_hz}")

    @property
    def clip(self) -> ClipSpec:
        """The format of its input."""
        return ClipSpec(self.window, self.cadence_hz, CROP_PX, Framing.CADDM)


# --- prior boxes ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PriorLevel:
    """One map of the ADM: `cells` x `cells` of `step_px`, two boxes in each."""

    cells: int
    step_px: int
    short_px: int
    long_px: int


PRIOR_LEVELS = (
    PriorLevel(cells=7, step_px=32, short_px=40, long_px=80),
    PriorLevel(cells=5, step_px=45, short_px=80, long_px=120),
    PriorLevel(cells=3, step_px=75, short_px=120, long_px=160),
    PriorLevel(cells=1, step_px=224, short_px=224, long_px=224),
)
PRIORS_PER_CELL = 2
PRIORS = sum(level.cells**2 * PRIORS_PER_CELL for level in PRIOR_LEVELS)


def prior_boxes() -> Tensor:
    """Return the boxes that the heads adjust: upright then lying, cell by cell, level by level.

    Returns:
        Centre x, centre y, width and height in crop sides, `(168, 4)`, within [0, 1].
    """
    boxes = [
        ((column + 0.5) * level.step_px, (row + 0.5) * level.step_px, *size)
        for level in PRIOR_LEVELS
        for row in range(level.cells)
        for column in range(level.cells)
        for size in ((level.short_px, level.long_px), (level.long_px, level.short_px))
    ]
    return (torch.tensor(boxes, dtype=torch.float64) / CROP_PX).clamp(0, 1).float()


def corners(boxes: Tensor) -> Tensor:
    """Turn centre and size into left, top, right and bottom, `(..., 4)` to `(..., 4)`."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat((centre - size / 2, centre + size / 2), -1)


def decode_boxes(offsets: Tensor, priors: Tensor) -> Tensor:
    """Move and stretch the prior boxes as the heads say.

    Args:
        offsets: the heads' output, `(..., 168, 4)`.
        priors: from `prior_boxes`, `(168, 4)`.

    Returns:
        Left, top, right and bottom in crop sides, `(..., 168, 4)`; they may leave [0, 1].
    """
    centre = priors[:, :2] + offsets[..., :2] * VARIANCE_CENTRE * priors[:, 2:]
    size = priors[:, 2:] * (offsets[..., 2:] * VARIANCE_SIZE).exp()
    return corners(torch.cat((centre, size), -1))


# --- artifact detection module --------------------------------------------------------------


class CellConv2d(nn.Conv2d):
    """A convolution of wide but tiny maps, as one matrix product where that is faster.

    Up to `FEW_CELLS` cells, reading the weights is all the work there is, and oneDNN first copies
    them into an order of its own at every call. Measured on one core of an AVX-512 Xeon, 1792
    channels, one frame: 61 to 13 ms for 5x5 to 3x3 cells, 500 to 215 ms for the whole of b4.
    """

    FEW_CELLS = 160

    def forward(self, x: Tensor) -> Tensor:
        """Return the map, `(B, width, H', W')`."""
        pad = int(self.padding[0])
        lost = int(self.kernel_size[0]) - 1 - 2 * pad
        B, H, W = len(x), x.shape[2] - lost, x.shape[3] - lost
        if x.device.type != "cpu" or B * H * W > self.FEW_CELLS:
            return super().forward(x)
        columns = functional.unfold(x, self.kernel_size, padding=pad)  # (B, C k k, cells)
        rows = columns.transpose(1, 2).reshape(B * H * W, -1)
        cells = functional.linear(rows, self.weight.flatten(1), self.bias)
        return cells.view(B, H, W, -1).permute(0, 3, 1, 2).contiguous()


class AdmStage(nn.Module):
    """A residual stage that keeps the width and, with a 3x3 kernel, loses two rows and columns."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv1 = CellConv2d(width, width, kernel)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = CellConv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = nn.Sequential(
            CellConv2d(width, width, kernel, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the smaller map, `(B, C, H - kernel + 1, W - kernel + 1)`."""
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + self.downsample(x))


class AdmEnd(nn.Module):
    """The last stage: 3x3 cells to one, with biases in place of normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = CellConv2d(width, width, 3)
        self.conv2 = CellConv2d(width, width, 1)
        self.downsample = CellConv2d(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return the single cell, `(B, C, 1, 1)`, of `(B, C, 3, 3)`."""
        return functional.relu(self.conv2(functional.relu(self.conv1(x))) + self.downsample(x))


class BoxHeads(nn.Module):
    """Four box offsets and two class logits for every prior box of every level."""

    def __init__(self, width: int) -> None:
        super().__init__()
        kernels = [3 if level.cells > 1 else 1 for level in PRIOR_LEVELS]
        self.ms_dets = nn.ModuleList(
            nn.Conv2d(width, PRIORS_PER_CELL * 4, kernel, padding=kernel // 2) for kernel in kernels
        )
        self.ms_cls = nn.ModuleList(
            nn.Conv2d(width, PRIORS_PER_CELL * 2, kernel, padding=kernel // 2) for kernel in kernels
        )

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return offsets `(B, 168, 4)` and class logits `(B, 168, 2)` of the ADM's four maps."""
        offsets = [head(x) for head, x in zip(self.ms_dets, maps, strict=True)]
        classes = [head(x) for head, x in zip(self.ms_cls, maps, strict=True)]
        return _per_prior(offsets, 4), _per_prior(classes, 2)


def _per_prior(maps: list[Tensor], numbers: int) -> Tensor:
    """Line up the heads' maps by level, row, column and box, `(B, 168, numbers)`."""
    flat = [x.permute(0, 2, 3, 1).flatten(1) for x in maps]
    return torch.cat(flat, 1).view(len(maps[0]), -1, numbers)


class ArtifactDetectionModule(nn.Module):
    """The trunk from 7x7 cells to one, and the heads along it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.adm_extra_layers = nn.Sequential(
            nn.Sequential(AdmStage(width, kernel=1)),
            nn.Sequential(AdmStage(width, kernel=3)),
            nn.Sequential(AdmStage(width, kernel=3)),
            AdmEnd(width),
        )
        self.multi_scale_detection_module = BoxHeads(width)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the four maps, `(B, C, 7, 7)` to `(B, C, 1, 1)`, of the backbone's map."""
        maps = []
        for stage in self.adm_extra_layers:
            x = stage(x)
            maps.append(x)
        return maps


# --- the detector ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class CaddmPrediction:
    """What CADDM says about frames.

    Attributes:
        classes: logits of real and fake, `(B, 2)`.
        box_offsets: for `decode_boxes`, `(B, 168, 4)`.
        box_classes: per prior box, logits of background and artifact, `(B, 168, 2)`.
    """

    classes: Tensor
    box_offsets: Tensor
    box_classes: Tensor

    @property
    def logit(self) -> Tensor:
        """The one number whose sigmoid is the softmax probability of fake, `(B,)`."""
        return self.classes[:, 1] - self.classes[:, 0]


class Caddm(nn.Module):
    """The network: crops in, class logits and artifact boxes out."""

    def __init__(
        self,
        dims: CaddmDims,
        card: ModelCard = UNSAVED,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__()
        self.dims = dims
        self.card = card
        self.calibration = calibration or Calibration()
        self.base_model = BACKBONES[dims.backbone]()
        self.adm = ArtifactDetectionModule(self.base_model.width)
        self.fc = nn.Linear(self.base_model.width, 2)

    def forward(self, x: Tensor) -> CaddmPrediction:
        """Judge crops.

        Args:
            x: blue, green and red in 0..255, `(B, 3, 224, 224)`; see `network_input`.
        """
        features = self.base_model(x)  # (B, C, 7, 7)
        maps = self.adm(features)
        offsets, box_classes = self.adm.multi_scale_detection_module(maps)
        pooled = functional.dropout(features.mean((2, 3)), self.base_model.dropout, self.training)
        final = pooled + maps[-1].flatten(1)  # (B, C)
        return CaddmPrediction(self.fc(final), offsets, box_classes)

    def deploy(
        self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> CaddmDetector:
        """Make this network ready for inference, for good, and return its detector.

        Args:
            device: where weights and state live.
            dtype: what the network computes in; logits are float32 always.
        """
        return CaddmDetector(self.eval().requires_grad_(requires_grad=False).to(device, dtype))

    def network_input(self, images: Tensor) -> Tensor:
        """Return the network's input for crops, `(B, 224, 224, 3)` RGB uint8.

        Raises:
            ShapeMismatch: crops of another size; the ADM needs 7x7 cells exactly.
        """
        if images.shape[1:] != (CROP_PX, CROP_PX, 3):
            raise ShapeMismatch("CADDM crops", f"(B, {CROP_PX}, {CROP_PX}, 3)", images.shape)
        bgr = images.flip(-1).permute(0, 3, 1, 2)
        return bgr.to(self.fc.weight.dtype).contiguous()


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


# --- live -----------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class CaddmState:
    """What each of N tracks keeps: its last logits, and the boxes of its newest frame.

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

    def __init__(self, model: Caddm) -> None:
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
        seen = state.pushed[rows] > 0
        if seen.any():
            self._judge(state, rows[seen], images[seen])

    @torch.no_grad()
    def rate(self, state: CaddmState, rows: Tensor) -> Tensor:
        """Return the logit of the mean probability of each row's last frames, `(B,)`.

        A row that has seen nothing is NaN.
        """
        logits = state.logits[rows].double()  # (B, W)
        slot = torch.arange(self.clip.frames, device=logits.device)
        unused = slot >= state.pushed[rows, None]
        fake = functional.logsigmoid(logits).masked_fill(unused, -math.inf).logsumexp(1)
        real = functional.logsigmoid(-logits).masked_fill(unused, -math.inf).logsumexp(1)
        return (fake - real).float()

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
