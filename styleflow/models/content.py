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


@dataclass(frozen=True, slots=True)
class ContentDims:
    """Everything needed to build a `ContentNet`.

    Attributes:
        top: first row of the window that the network looks at, in the crop.
        left: its first column.
        size_px: its side; a multiple of 16.
        widths: channels after each of the four halvings.
        features: length of what it says about one frame.
    """

    top: int = 48
    left: int = 32
    size_px: int = 128
    widths: tuple[int, int, int, int] = (24, 32, 64, 96)
    features: int = 64

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        if not 16 <= self.size_px <= 1024 or self.size_px % 16:
            raise ValueError(f"size_px is a multiple of 16 up to 1024, not {self.size_px}")
        if len(self.widths) != 4 or not all(1 <= w <= 4096 for w in self.widths):
            raise ValueError(f"widths are four numbers in 1..4096, not {self.widths}")
        if not 1 <= self.features <= 4096:
            raise ValueError(f"features lies in 1..4096, not {self.features}")
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
    """Features of one frame, and where in it something looks synthesised."""

    def __init__(self, dims: ContentDims) -> None:
        super().__init__()
        self.dims = dims
        w = dims.widths
        self.stem = ConvNorm(6, w[0], kernel=5, stride=2)
        _seek_traces(self.stem.conv)
        self.fine = nn.Sequential(Residual(w[0], w[1], stride=2))
        self.middle = nn.Sequential(Residual(w[1], w[2], stride=2), Residual(w[2], w[2]))
        self.coarse = nn.Sequential(Residual(w[2], w[3], stride=2), Residual(w[3], w[3]))
        self.traces = nn.Conv2d(w[2], 1, 1)
        self.summary = nn.Linear(2 * w[3] + 2, dims.features)

    def forward(self, images: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a frame says.

        Args:
            images: windows of the aligned crops, `(B, S, S, 3)` RGB uint8.
            before: the same windows one sampled frame earlier; `images` where there is none.

        Returns:
            Features `(B, F)` and a map of traces `(B, S / 8, S / 8)`, logits per patch.
        """
        both = torch.cat([images, before], dim=-1).permute(0, 3, 1, 2)  # a channels_last view
        x = both.to(self.stem.conv.weight.dtype).mul_(1 / 127.5).sub_(1.0)
        x = self.middle(self.fine(self.stem(x)))
        traces = self.traces(x)  # (B, 1, S / 8, S / 8)
        y = self.coarse(x)
        flat = traces.flatten(1)
        seen = torch.cat(
            [
                y.mean(dim=(2, 3)),
                y.amax(dim=(2, 3)),
                flat.mean(dim=1, keepdim=True),
                flat.amax(dim=1, keepdim=True),
            ],
            dim=1,
        )
        features: Tensor = nn.functional.silu(self.summary(seen))
        return features, traces[:, 0]

    def folded(self) -> ContentNet:
        """Return a copy for inference whose batch normalisations live in its convolutions."""
        twin = copy.deepcopy(self).eval()
        for module in twin.modules():
            if isinstance(module, ConvNorm):
                module.fold()
        twin.requires_grad_(requires_grad=False)
        twin.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return twin


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
