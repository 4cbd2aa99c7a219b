"""FakeSTormer: a short clip in, one logit out, with maps of where and when a face is vulnerable.

Self-blended training clips have no manipulated pixels of their own, only a blending boundary that
wobbles from frame to frame. The network is therefore asked three questions about every clip of T
frames, each answered from other tokens of one vision transformer that divides attention into time
and space:

    class head f     from the temporal token           -> logit of the clip
    spatial head g   from the spatial token per frame  -> logit per frame: its strongest boundary
    temporal head h  from all patch tokens             -> change of the boundary, T x 14 x 14 (z)

Token names: P are patches `(B, T, N, D)`, s is the spatial token and t the temporal token of each
clip, `(B, D)`. A block attends over time at each place ([P of that place, t]), then over space in
each frame ([s, P of that frame]), then transforms every token alone.

Source: Vulnerability-Aware Spatio-Temporal Learning (Nguyen et al., ICCV 2025), release v1.
Departs: the released forward pass takes the temporal token of clip b from the first clip of the
batch (its patch b of frame 0), so scores depend on the neighbours; here every clip is treated as
the release treats a batch of one. The scrambled order in which patches reach the temporal head is
kept, because the weights were trained on it. What acts only in training (stochastic depth,
dropout) is not here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from styleflow.detectors.fakestormer.backbone import FakeStormerDims, Features, TimeViT, Tokens
from styleflow.errors import ShapeMismatch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ClassHead(nn.Module):
    """f: one logit per clip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc_out = nn.Linear(width, 1)

    def forward(self, temporal: Tensor) -> Tensor:
        """Return the logits, `(B,)`, of the temporal tokens, `(B, D)`."""
        return self.fc_out(temporal)[:, 0]  # type: ignore[no-any-return]


class SpatialHead(nn.Module):
    """g: one logit per frame, read from the frames' tokens together."""

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.fc1 = nn.Sequential(nn.Linear(width, width // frames), nn.GELU())
        self.fc_out = nn.Linear(width // frames * frames, frames)

    def forward(self, per_frame: Tensor) -> Tensor:
        """Return a logit per frame, `(B, T)`, of the frames' spatial tokens, `(B, T, D)`."""
        return self.fc_out(self.fc1(per_frame).flatten(1))  # type: ignore[no-any-return]


class TemporalHead(nn.Module):
    """h: how the boundary changes at each place, by three convolutions along time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before_proj = nn.Sequential(_along_time(width, width))
        self.proj = nn.Sequential(_along_time(width, width // 4), _time_conv(width // 4, 1))

    def forward(self, volume: Tensor) -> Tensor:
        """Return the map, `(B, T, G, G)`, of a volume, `(B, D, T, G, G)`."""
        return self.proj(self.before_proj(volume))[:, 0]  # type: ignore[no-any-return]


def _time_conv(width_in: int, width: int) -> nn.Conv3d:
    return nn.Conv3d(width_in, width, (3, 1, 1), padding=(1, 0, 0))


def _along_time(width_in: int, width: int) -> nn.Sequential:
    norm = nn.BatchNorm3d(width, momentum=0.05)
    return nn.Sequential(_time_conv(width_in, width), norm, nn.GELU())


class Heads(nn.Module):
    """The three heads under the names of the release."""

    def __init__(self, dims: FakeStormerDims) -> None:
        super().__init__()
        self.hm = TemporalHead(dims.width)
        self.cls = ClassHead(dims.width)
        self.temp_loc = SpatialHead(dims.width, dims.frames)


def head_volume(patches: Tensor, grid: int) -> Tensor:
    """Lay out patches as the temporal head was trained on them.

    The release keeps patches with the place outermost and time innermost and reshapes them as if
    it were the other way round, so each cell holds another place's token. Its weights know.

    Args:
        patches: `(B, T, N, D)`.
        grid: patches along one side, G; N is G x G.

    Returns:
        The volume, `(B, D, T, G, G)`.
    """
    B, T, _, D = patches.shape
    return patches.transpose(1, 2).reshape(B, T, grid, grid, D).permute(0, 4, 1, 2, 3)


def ordered_volume(patches: Tensor, grid: int) -> Tensor:
    """Lay out patches so that each cell holds its own token: what `head_volume` was meant to be."""
    B, T, _, D = patches.shape
    return patches.reshape(B, T, grid, grid, D).permute(0, 4, 1, 2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class FakeStormerPrediction:
    """Output of FakeSTormer for a batch of clips.

    Attributes:
        logit: above 0 leans fake, `(B,)`.
        spatial: spatial vulnerability: a logit per frame, how strong its strongest boundary is,
            `(B, T)` (released key `temp_loc`).
        temporal: temporal vulnerability: how the boundary changes at each place and frame, a
            z-score for relative display only, `(B, T, G, G)` (released key `hm`).
    """

    logit: Tensor
    spatial: Tensor
    temporal: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class VulnerabilityMaps:
    """Maps of where each frame of B clips is vulnerable; for people to look at.

    Attributes:
        spatial: where the frame's own answer comes from, `(B, T, G, G)` in [0, 1]: the attention
            of its spatial token, 1 where it looks most, times how vulnerable the spatial head
            calls the frame.
        temporal: how the boundary changes, a z-score, `(B, T, G, G)`.
    """

    spatial: Tensor
    temporal: Tensor


class FakeStormer(nn.Module):
    """The network: clips in, logit and vulnerability maps out."""

    def __init__(self, dims: FakeStormerDims) -> None:
        super().__init__()
        self.dims = dims
        self.backbone = TimeViT(dims)
        self.keypoint_head = Heads(dims)

    def forward(self, clips: Tensor) -> FakeStormerPrediction:
        """Judge clips, each as if it were alone in its batch.

        Args:
            clips: normalised crops, `(B, 3, T, S, S)`; see `network_input`.
        """
        patches = self.backbone.embed(clips)
        return self.judge(self.backbone.start(patches, self.backbone.seed(patches)))

    def judge(self, tokens: Tokens) -> FakeStormerPrediction:
        """Run blocks and heads on embedded clips."""
        return self.read(self.backbone(tokens))

    def read(self, features: Features) -> FakeStormerPrediction:
        """Run the heads."""
        lay_out = ordered_volume if self.dims.repaired else head_volume
        volume = lay_out(features.patches, self.dims.grid)
        return FakeStormerPrediction(
            logit=self.keypoint_head.cls(features.temporal),
            spatial=self.keypoint_head.temp_loc(features.per_frame),
            temporal=self.keypoint_head.hm(volume),
        )

    def explain(self, clips: Tensor) -> VulnerabilityMaps:
        """Return where clips are vulnerable, in space and in time, at the cost of `forward`."""
        G = self.dims.grid
        patches = self.backbone.embed(clips)
        tokens = self.backbone.until_last(self.backbone.start(patches, self.backbone.seed(patches)))
        said = self.read(self.backbone.finish(tokens))
        looked_at = self.backbone.last.looked_at(tokens)  # (B, T, N)
        share = looked_at / looked_at.amax(-1, keepdim=True)
        strength = torch.sigmoid(said.spatial)[..., None] * share
        return VulnerabilityMaps(strength.view(*share.shape[:2], G, G), said.temporal)

    def score(self, clips: Tensor) -> Tensor:
        """Return the logits of `forward`, `(B,)`, with 14 % fewer multiplications."""
        patches = self.backbone.embed(clips)
        tokens = self.backbone.start(patches, self.backbone.seed(patches))
        return self.keypoint_head.cls(self.backbone.temporal_only(tokens))  # type: ignore[no-any-return]

    def network_input(self, crops: Tensor) -> Tensor:
        """Return the network's input for crops in their order of time.

        Args:
            crops: `(B, T, S, S, 3)` RGB uint8.

        Returns:
            Normalised clips, `(B, 3, T, S, S)`.

        Raises:
            ShapeMismatch: another number of frames or another size; both are baked in.
        """
        T, S = self.dims.frames, self.dims.image_px
        if crops.shape[1:] != (T, S, S, 3):
            raise ShapeMismatch("FakeSTormer clips", f"(B, {T}, {S}, {S}, 3)", crops.shape)
        like = self.keypoint_head.cls.fc_out.weight
        mean = torch.tensor(IMAGENET_MEAN, device=like.device)
        std = torch.tensor(IMAGENET_STD, device=like.device)
        return ((crops / 255 - mean) / std).to(like.dtype).permute(0, 4, 1, 2, 3)
