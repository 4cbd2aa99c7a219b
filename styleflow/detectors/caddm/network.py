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

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from styleflow.clips import ClipSpec, Framing
from styleflow.detectors.caddm.boxes import CROP_PX, PRIOR_LEVELS, PRIORS_PER_CELL
from styleflow.detectors.layers.backbones import (
    EFFICIENTNET_B3,
    EFFICIENTNET_B4,
    EfficientNet,
    ResNet,
)
from styleflow.errors import ShapeMismatch

BACKBONES: dict[str, Callable[[], ResNet | EfficientNet]] = {
    "resnet34": ResNet,
    "efficientnet-b3": lambda: EfficientNet(EFFICIENTNET_B3),
    "efficientnet-b4": lambda: EfficientNet(EFFICIENTNET_B4),
    "resnet10-slim": lambda: ResNet((1, 1, 1, 1), 4),  # ours, unpublished: tests run on it
}


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


@dataclass(frozen=True, slots=True, eq=False)
class CaddmPrediction:
    """Output of CADDM for a batch of frames.

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

    def __init__(self, dims: CaddmDims) -> None:
        super().__init__()
        self.dims = dims
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

    def network_input(self, images: Tensor) -> Tensor:
        """Return the network's input for crops, `(B, 224, 224, 3)` RGB uint8.

        Raises:
            ShapeMismatch: crops of another size; the ADM needs 7x7 cells exactly.
        """
        if images.shape[1:] != (CROP_PX, CROP_PX, 3):
            raise ShapeMismatch("CADDM crops", f"(B, {CROP_PX}, {CROP_PX}, 3)", images.shape)
        bgr = images.flip(-1).permute(0, 3, 1, 2)
        return bgr.to(self.fc.weight.dtype).contiguous()
