"""What one moment of a face looks like: a light network over the aligned crop.

Generators and blending leave traces in fine texture and in how it changes from frame to frame, and
both are lost when a picture is made small. So this network looks at the face only, at the crop's
own resolution, together with the frame before it. Its first filters begin as what carries such
traces: the picture, its high frequencies, and the change since the frame before.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from styleflow.models.style_encoder import ConvNorm

_DETAIL_GAIN = 4.0  # high frequencies and changes are small; these bring them to the
_CHANGE_GAIN = 2.0  # picture's own size
PATCH_STRIDE = 8  # pixels of the window per patch of the map of traces
_FILMED_DETAIL = 0.6  # centre and spread of `detail` over the training clips, roughly
_DETAIL_SPREAD = 2.0
FEATURES = 5  # numbers that sum up one frame: the mean of its map of traces, four of its detail


@dataclass(frozen=True, slots=True)
class ContentDims:
    """Everything needed to build a `ContentNet`.

    Attributes:
        top: first row of the window that the network looks at, in the crop.
        left: its first column.
        size_px: its side; a multiple of 64, so that the map of traces has eighths.
        widths: channels after each of the three halvings.
    """

    top: int = 48
    left: int = 32
    size_px: int = 128
    widths: tuple[int, int, int] = (32, 48, 64)

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        if not 64 <= self.size_px <= 1024 or self.size_px % 64:
            raise ValueError(f"size_px is a multiple of 64 up to 1024, not {self.size_px}")
        if len(self.widths) != 3 or not all(1 <= w <= 4096 for w in self.widths):
            raise ValueError(f"widths are three numbers in 1..4096, not {self.widths}")
        if self.top < 0 or self.left < 0:
            raise ValueError(f"the window starts inside the crop, not at {self.top}, {self.left}")


class Residual(nn.Module):
    """Two convolutions, added to their input or to a 1 by 1 image of it."""

    def __init__(self, inner: int, outer: int, *, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvNorm(inner, outer, stride=stride)
        self.second = ConvNorm(outer, outer, relu=False)
        self.skip = (
            nn.Identity()
            if stride == 1 and inner == outer
            else ConvNorm(inner, outer, kernel=1, stride=stride, relu=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features, `(B, outer, H / stride, W / stride)`."""
        y: Tensor = self.second(self.first(x)) + self.skip(x)
        return y.relu_()


class ContentNet(nn.Module):
    """Where in a frame something looks synthesised, and what that amounts to.

    It judges patches, each by no more than its surroundings, and a frame by the mean of its
    patches and by where the finest detail is missing. Measured: heads that saw more (deep features
    of the whole window, or the shape of the map) knew the training clips better and others worse.

    Source: patch forensics (Chai et al., ECCV 2020): small receptive fields generalise.
    Departs: trained on masks of pseudo-fakes, and sees the change since the frame before.
    """

    def __init__(self, dims: ContentDims) -> None:
        super().__init__()
        self.dims = dims
        w = dims.widths
        self.stem = ConvNorm(6, w[0], kernel=5, stride=2)
        _seek_traces(self.stem.conv)
        self.fine = Residual(w[0], w[1], stride=2)
        self.middle = nn.Sequential(Residual(w[1], w[2], stride=2), Residual(w[2], w[2]))
        self.traces = nn.Conv2d(w[2], 1, 1)

    def forward(self, images: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a frame says.

        Args:
            images: windows of the aligned crops, `(B, S, S, 3)` RGB uint8.
            before: the same windows one sampled frame earlier; `images` where there is none.

        Returns:
            Features `(B, FEATURES)` float32, see `suspicion` and `detail`, and the map of traces
            `(B, S / 8, S / 8)`, logits per patch.
        """
        both = torch.cat([images, before], dim=-1).permute(0, 3, 1, 2)  # a channels_last view
        x = both.to(self.stem.conv.weight.dtype).mul_(1 / 127.5).sub_(1.0)
        traces = self.traces(self.middle(self.fine(self.stem(x))))[:, 0].float()
        return torch.cat([suspicion(traces)[:, None], detail(images)], dim=1), traces

    def folded(self) -> ContentNet:
        """Return a copy for inference whose batch normalisations live in its convolutions."""
        twin = copy.deepcopy(self).eval()
        for module in twin.modules():
            if isinstance(module, ConvNorm):
                module.fold()
        twin.requires_grad_(requires_grad=False)
        twin.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return twin


def suspicion(traces: Tensor) -> Tensor:
    """Return the mean of maps of traces, `(B, s, s)`, as `(B,)`.

    It is bounded patch by patch, so that one wild patch does not outvote a face.
    """
    return (8.0 * torch.tanh(traces / 8.0)).mean(dim=(1, 2))


def detail(images: Tensor) -> Tensor:
    """Return how much of the finest detail four regions have, beside the next coarser one.

    Networks that draw a face, or only its mouth, at a lower resolution than the camera's leave the
    finest octave emptier than the one below, and those that restore it overfill it. A camera's
    own blur does so to the mouth, the eyes, the cheeks and what lies around them alike.

    Args:
        images: windows of the aligned crops, `(B, S, S, 3)` RGB uint8.

    Returns:
        Of mouth, eyes, cheeks and surroundings the logarithm of the ratio, `(B, 4)`, centred on
        what filmed faces have.
    """
    luma = images.float().mean(dim=-1)[:, None]  # (B, 1, S, S)
    soft = nn.functional.avg_pool2d(luma, 3, 1, 1, count_include_pad=False)
    softer = nn.functional.avg_pool2d(soft, 5, 1, 2, count_include_pad=False)
    fine, coarse = (luma - soft)[:, 0].square(), (soft - softer)[:, 0].square()
    ratios = [
        torch.log((a.mean(dim=(1, 2)) + 0.05) / (b.mean(dim=(1, 2)) + 0.05))
        for a, b in zip(_regions(fine), _regions(coarse), strict=True)
    ]
    return (torch.stack(ratios, dim=1) + _FILMED_DETAIL) * _DETAIL_SPREAD


def _regions(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return mouth, eyes, cheeks and surroundings of windows, `(B, S, S)`."""
    n = x.shape[-1]
    mouth = x[:, n // 2 : 7 * n // 8, 5 * n // 16 : 11 * n // 16]
    eyes = x[:, n // 8 : 7 * n // 16, 3 * n // 16 : 13 * n // 16]
    cheeks = x[:, 13 * n // 32 : 5 * n // 8]
    cheeks = torch.cat([cheeks[..., n // 8 : 3 * n // 8], cheeks[..., 5 * n // 8 : 7 * n // 8]], 2)
    around = torch.cat([x[..., : n // 8], x[..., 7 * n // 8 :]], dim=2)
    return mouth, eyes, cheeks, around


@torch.no_grad()
def _seek_traces(conv: nn.Conv2d) -> None:
    """Start 5 by 5 filters as sums of three: on the picture, on its detail, on its change.

    Detail and change are linear in the two pictures, so that filters can hold them from the start
    and no extra planes have to be computed for every frame.
    """
    drawn = nn.init.kaiming_normal_(torch.empty(3 * conv.out_channels, 3, 3, 3))
    plain, detail, change = drawn.chunk(3)
    minus_mean = torch.full((1, 1, 3, 3), -1 / 9)
    minus_mean[0, 0, 1, 1] += 1
    detail = nn.functional.conv2d(detail.reshape(-1, 1, 3, 3), minus_mean, padding=2)
    detail = detail.view(conv.out_channels, 3, 5, 5) * _DETAIL_GAIN
    plain, change = (nn.functional.pad(w, (1, 1, 1, 1)) for w in (plain, change * _CHANGE_GAIN))
    conv.weight.copy_(torch.cat([plain + detail + change, -change], dim=1) / 3**0.5)
