"""Content of single frames: a published picture backbone, adapted, and two maps of it.

The window of the aligned crop is about as large as cameras film a face, because blending and
generators leave traces in texture and in edges of a few pixels. The trunk (`lite.py`) is published
and held still; what is learned here adapts it. Two linear maps judge patches, each by no more than
its surroundings, and a frame is as suspicious as its worst patches.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from styleflow.detectors.styleflow_live.lite import EARLY, FINE, MIDDLE, LiteTrunk

FEATURES = 2  # numbers that sum up one frame: the worst patches of the fine map and of the middle
PATCH_STRIDE = 8
"""Pixels of the window from one patch of the fine map to the next."""

_WORST_PATCHES = 0.1  # share of patches that sum up a map
_DETAIL_GAIN = 1 / 8.0  # details of a face are some eight grey levels
_WILDEST = 8.0  # a patch's logit is bounded, so that one does not outvote a face


@dataclass(frozen=True, slots=True)
class ContentDims:
    """Everything needed to build a `ContentNet`.

    Attributes:
        top: first row of the window that the network looks at, in the crop.
        left: its first column.
        size_px: its side; a multiple of 32.
        rank: of the corrections to the published trunk.
    """

    top: int = 48
    left: int = 32
    size_px: int = 192
    rank: int = 16

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        if not 64 <= self.size_px <= 1024 or self.size_px % 32:
            raise ValueError(f"size_px is a multiple of 32 in 64..1024, not {self.size_px}")
        if not 1 <= self.rank <= 256:
            raise ValueError(f"rank lies in 1..256, not {self.rank}")
        if self.top < 0 or self.left < 0:
            raise ValueError(f"the window starts inside the crop, not at {self.top}, {self.left}")


class DetailStem(nn.Module):
    """Stem for the finest detail, which the published trunk leaves out.

    The trunk halves pictures at its first step, as is good for cats and cups. Noise, compression
    and upsampling speak in the octave that is lost there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 8, 3, 1, 1)
        self.halved = nn.Conv2d(8, 16, 3, 2, 1)
        self.quartered = nn.Conv2d(16, EARLY, 3, 2, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return features at a quarter of the size, from pictures `(B, S, S, 3)` RGB uint8."""
        x = pictures.permute(0, 3, 1, 2).to(self.fine.weight.dtype)  # a channels_last view
        soft = nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        x = (x - soft).mul_(_DETAIL_GAIN)
        x = self.fine(x).relu_()
        features: Tensor = self.quartered(self.halved(x).relu_())
        return features


class ContentNet(nn.Module):
    """Content network: a map of where a frame looks synthesised, and features of the whole.

    Its trunk has no kernels until `adopt` gives it the published ones.

    Source: patch forensics (Chai et al., ECCV 2020): small receptive fields generalise; an ImageNet
        trunk on self-blended images (Shiohara and Yamasaki, CVPR 2022).
    Departs: the trunk stays as published, corrected by little; masks are learned, not labels.
    """

    def __init__(self, dims: ContentDims) -> None:
        super().__init__()
        self.dims = dims
        self.trunk = LiteTrunk(dims.rank)
        self.detail = DetailStem()
        self.fine_traces = nn.Conv2d(FINE, 1, 1)
        self.traces = nn.Conv2d(MIDDLE, 1, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what frames say.

        Args:
            images: windows of the aligned crops, `(B, S, S, 3)` RGB uint8.

        Returns:
            Features, `(B, FEATURES)` float32: mean logit of the worst patches of both maps; and the
            maps, `(B, S / 8, S / 8)` and `(B, S / 16, S / 16)`, logits per patch.
        """
        fine, middle = self.trunk(images, self.detail(images))
        maps = self.fine_traces(fine)[:, 0].float(), self.traces(middle)[:, 0].float()
        return torch.stack([suspicion(traces) for traces in maps], dim=1), *maps

    def adopt(self, published: Mapping[str, Tensor]) -> None:
        """Take over the published kernels; see `LiteTrunk.adopt`."""
        self.trunk.adopt(published)

    def begin(self, seed: int) -> None:
        """Start from exactly the published trunk: nothing corrected, nothing added, no opinion."""
        self.trunk.begin(seed)
        with torch.no_grad():
            for last in (self.detail.quartered, self.fine_traces, self.traces):
                last.weight.zero_()
                assert last.bias is not None
                last.bias.zero_()

    def folded(self) -> ContentNet:
        """Return a copy for inference whose corrections live in its kernels."""
        twin = copy.deepcopy(self).eval()
        twin.trunk.fold()
        twin.requires_grad_(requires_grad=False)
        twin.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return twin


def suspicion(traces: Tensor) -> Tensor:
    """Return the mean of the worst patches of maps of traces, `(B,)`.

    Args:
        traces: logits per patch, `(B, s, s)`; each is bounded, so that one does not outvote a face.
    """
    patches = _WILDEST * torch.tanh(traces / _WILDEST).flatten(1)
    count = int(patches.shape[1])  # a number even while the network is traced
    worst = patches.topk(max(1, round(_WORST_PATCHES * count)), dim=1).values
    return worst.mean(dim=1)
