"""Foundation features of a face: what a frozen vision transformer makes of an aligned crop.

A look at a face is one pass of the transformer. What is kept of it are statistics of its patch
tokens at several depths: their mean and their spread per channel, which is what style means in the
literature on generators, and how mouth and eyes differ from the rest of the face. The aligned crop
has eyes and mouth in the same patches in every frame, so regions need no landmarks.

Source: instance statistics as style (Huang and Belongie, ICCV 2017, adaptive instance
normalisation); frozen foundation features for forensics (Ojha et al., CVPR 2023).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from styleflow.detectors.layers.vision_transformer import VisionTransformer, ViTDims
from styleflow.eight_bits import Ranges, shipped_ranges
from styleflow.errors import ShapeMismatch, WeightsUnusable

STATISTICS = ("mean", "spread", "mouth", "eyes")
"""What is kept of the patch tokens of one depth, in order: mean and spread per channel over all
patches, and the means over mouth and over eyes, both minus that over the rest of the face."""

_MEAN = (0.485, 0.456, 0.406)  # of ImageNet, as the published weights expect
_STD = (0.229, 0.224, 0.225)

# Regions of the aligned crop, in sides of it: top, bottom, left, right. Eyes lie at 0.47 of its
# height and 0.38 and 0.62 of its width, the mouth's corners at 0.72, and 0.39 and 0.61.
_FACE = (0.25, 0.875, 0.25, 0.75)
_EYES = (0.375, 0.5625, 0.3125, 0.6875)
_MOUTH = (0.6875, 0.8125, 0.375, 0.625)


class FaceEncoder(nn.Module):
    """Aligned crops to statistics of their patch tokens; keeps nothing between calls.

    Args:
        backbone: dimensions of the transformer.
        blocks: after which blocks tokens are looked at, counted from 1, rising.
        size_px: side of the crops, a multiple of the patch.
    """

    looks_at: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, backbone: ViTDims, blocks: tuple[int, ...], size_px: int) -> None:
        super().__init__()
        self.blocks, self.size_px = blocks, size_px
        self.cells = size_px // backbone.patch_px
        self.trunk = VisionTransformer(backbone)
        self.pointing = nn.Parameter(torch.zeros(len(blocks), backbone.width))
        # Constants are made on the CPU even where a network is laid out without memory.
        std = torch.tensor(_STD, device="cpu")
        for name, constant in (
            ("looks_at", torch.from_numpy(_region_weights(self.cells))),
            ("scale", (1 / (255 * std)).view(3, 1, 1)),
            ("shift", (torch.tensor(_MEAN, device="cpu") / std).view(3, 1, 1)),
        ):
            self.register_buffer(name, constant, persistent=False)

    @classmethod
    def of(
        cls,
        backbone: ViTDims,
        blocks: tuple[int, ...],
        size_px: int,
        published: Mapping[str, Tensor],
    ) -> FaceEncoder:
        """Return an encoder that stands on published weights.

        Args:
            backbone: as for the class.
            blocks: as for the class.
            size_px: as for the class.
            published: tensors by the names of `VisionTransformer`.

        Raises:
            WeightsUnusable: they are of another network.
        """
        with torch.device("meta"):
            encoder = cls(backbone, blocks, size_px)
        pointing = torch.zeros(len(blocks), backbone.width)
        tensors = {f"trunk.{name}": tensor for name, tensor in published.items()}
        try:
            encoder.load_state_dict({"pointing": pointing, **tensors}, assign=True)
        except RuntimeError as error:  # torch's word for tensors that do not fit the module
            raise WeightsUnusable("foundation network", str(error)) from error
        return encoder

    @property
    def ranges(self) -> Ranges | None:
        """What goes into its products on faces; None where its weights are not the published."""
        return shipped_ranges(self)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return what looks at faces give.

        Args:
            images: aligned crops, `(B, S, S, 3)` RGB uint8.

        Returns:
            Statistics of the tokens, `(B, blocks, 4, D)`, in the order of `STATISTICS`; and what
            `pointing` says of every patch, `(B, S / 14, S / 14)`. Both float32.

        Raises:
            ShapeMismatch: crops of another size.
        """
        size = self.size_px
        if images.ndim != 4 or images.shape[1:] != (size, size, 3):
            raise ShapeMismatch("aligned crops", f"(B, {size}, {size}, 3)", images.shape)
        dtype = self.trunk.patch.weight.dtype
        pictures = (images.permute(0, 3, 1, 2).to(dtype) * self.scale - self.shift).to(dtype)
        statistics, traces = [], []
        streams = self.trunk.streams(pictures, self.blocks)
        for tokens, pointing in zip(streams, self.pointing.unbind(0), strict=True):
            patches = tokens[:, self.trunk.leading :].float()  # (B, P, D)
            means = self.looks_at.float() @ patches  # (B, 3, D)
            spread = (patches - means[:, :1]).square().mean(dim=1, keepdim=True).sqrt()
            statistics.append(torch.cat([means[:, :1], spread, means[:, 1:]], dim=1))
            traces.append(patches @ pointing.float())
        maps = torch.stack(traces).sum(dim=0).view(-1, self.cells, self.cells)
        return torch.stack(statistics, dim=1), maps


def _region_weights(cells: int) -> NDArray[np.float32]:
    """Return what each patch counts in mean, mouth and eyes, `(3, cells * cells)`."""
    face, mouth, eyes = (_inside(cells, region) for region in (_FACE, _MOUTH, _EYES))
    rest = face & ~mouth & ~eyes
    rows = [np.full(face.shape, 1 / face.size)]
    rows += [region / max(region.sum(), 1) - rest / max(rest.sum(), 1) for region in (mouth, eyes)]
    return np.stack(rows).reshape(3, -1).astype(np.float32)


def _inside(cells: int, region: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    """Return which patches have their middle in a region, `(cells, cells)`."""
    middles = (np.arange(cells) + 0.5) / cells
    top, bottom, left, right = region
    rows, columns = (middles > top) & (middles < bottom), (middles > left) & (middles < right)
    return np.asarray(rows[:, None] & columns[None], np.bool_)
