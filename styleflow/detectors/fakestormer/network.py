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

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from styleflow.calibration import Calibration
from styleflow.clips import ClipSpec, Framing
from styleflow.detectors.layers.backbones import Attention, Mlp, PatchEmbed, layer_norm
from styleflow.detectors.protocol import ModelCard, TemporalMode, TrainingStatus
from styleflow.errors import ShapeMismatch
from styleflow.overlay import Patch, PointsAt

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

NAMES = ("fakestormer-c0", "fakestormer-c23", "fakestormer-c40")
"""The published detectors: one network, trained on three compression levels of FaceForensics++."""

UNSAVED = ModelCard("fakestormer", "unsaved", TemporalMode.EXACT, TrainingStatus.UNTRAINED, "")
"""What a network says about itself before a checkpoint gives it a name."""


@dataclass(frozen=True, slots=True)
class FakeStormerDims:
    """Everything needed to build a FakeSTormer; the default is base c0, c23 and c40.

    Attributes:
        image_px: side of the crop.
        patch_px: side of a patch.
        width: numbers per token, D.
        depth: blocks.
        heads: attention heads of each block.
        frames: frames per clip, T; baked into the weights.
        register_token: the weights carry one more token, which nothing uses (DINO's small ones).
        cadence_hz: sampled frames per second of media time when live.
        repaired: the temporal token is the learnt one and the temporal head sees patches in their
            order, as the paper has it; published weights need both of the release's slips.
    """

    image_px: int = 224
    patch_px: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    frames: int = 4
    register_token: bool = False
    cadence_hz: float = 2.5
    repaired: bool = False

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        for name, most in (
            ("image_px", 1024),
            ("patch_px", 64),
            ("width", 4096),
            ("depth", 64),
            ("frames", 64),
        ):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ValueError(f"{name} lies in 1..{most}, not {value}")
        if self.image_px % self.patch_px:
            raise ValueError(f"patch_px {self.patch_px} does not divide image_px {self.image_px}")
        for name in ("heads", "frames"):
            if getattr(self, name) < 1 or self.width % getattr(self, name):
                raise ValueError(f"{name} {getattr(self, name)} does not divide width {self.width}")
        if not 0 < self.cadence_hz <= 1000:
            raise ValueError(f"cadence_hz lies in 0..1000, not {self.cadence_hz}")

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_px // self.patch_px

    @property
    def clip(self) -> ClipSpec:
        """The format of its input."""
        return ClipSpec(self.frames, self.cadence_hz, self.image_px, Framing.FAKESTORMER)


# --- backbone -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """What flows from block to block.

    Attributes:
        patches: `(B, T, N, D)`.
        spatial: one token per clip that attends within frames, `(B, D)`.
        temporal: one token per clip that attends across frames, `(B, D)`.
    """

    patches: Tensor
    spatial: Tensor
    temporal: Tensor


class DividedBlock(nn.Module):
    """Attend over time, attend over space, transform: all on normalised tokens, all added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = layer_norm(width)
        self.attn = Attention(width, heads)
        self.temporal_norm1 = layer_norm(width)
        self.temporal_attn = Attention(width, heads)
        self.temporal_fc = nn.Linear(width, width)
        self.norm2 = layer_norm(width)
        self.mlp = Mlp(width)

    def forward(self, tokens: Tokens) -> tuple[Tokens, Tensor]:
        """Return the next tokens, and what the spatial token gathered in each frame.

        Returns:
            Tokens for the next block, and the bare attention output `(B, T, D)`.
        """
        T = tokens.patches.shape[1]
        gathered = self._over_time(tokens, slice(None))  # (B, N, T + 1, D)
        by_frame = gathered[:, :, :T].transpose(1, 2).contiguous()  # (B, T, N, D)
        patches = tokens.patches + self._time_update(by_frame)
        temporal = tokens.temporal + self._time_update(gathered[:, :, T].mean(1))
        per_frame, patch_update = self._over_space(tokens.spatial, patches)
        following = Tokens(
            self._transformed(patches + patch_update),
            self._transformed(tokens.spatial + per_frame.mean(1)),
            self._transformed(temporal),
        )
        return following, per_frame

    def last_temporal(self, tokens: Tokens) -> Tensor:
        """Return only the next temporal token, `(B, D)`: all the class head reads of a last block.

        Departs: spatial attention and the patches' own updates are skipped, because nothing that
        follows reads them; the token is the same.
        """
        T = tokens.patches.shape[1]
        gathered = self._over_time(tokens, slice(T, T + 1))  # (B, N, 1, D)
        return self._transformed(tokens.temporal + self._time_update(gathered[:, :, 0].mean(1)))

    def looked_at(self, tokens: Tokens) -> Tensor:
        """Return how each frame's spatial token divides its attention over patches, `(B, T, N)`.

        This is where the frame's answer of the spatial head comes from when the block is the last.
        """
        T = tokens.patches.shape[1]
        gathered = self._over_time(tokens, slice(0, T)).transpose(1, 2).contiguous()
        frames = self._frames(tokens.spatial, tokens.patches + self._time_update(gathered))
        shares = self.attn.first_looks_at(self.norm1(frames).flatten(0, 1))
        return shares.view(*frames.shape[:2], -1)[:, :, 1:]

    def _over_time(self, tokens: Tokens, queries: slice) -> Tensor:
        """Attend at each place over its T patches and the temporal token, `(B, N, queries, D)`.

        The temporal token is the same at every place, so it is projected once and its results are
        averaged before the output projection, which is linear: less work, the same token.
        """
        B, _, N, D = tokens.patches.shape
        attention = self.temporal_attn
        places = attention.qkv(self.temporal_norm1(tokens.patches)).transpose(1, 2)
        token = attention.qkv(self.temporal_norm1(tokens.temporal))  # (B, 3 D)
        sequence = torch.cat((places, token[:, None, None].expand(B, N, 1, 3 * D)), 2)
        return attention.mix(sequence.flatten(0, 1), queries).view(B, N, -1, D)

    def _time_update(self, gathered: Tensor) -> Tensor:
        return self.temporal_fc(self.temporal_attn.proj(gathered))  # type: ignore[no-any-return]

    def _over_space(self, spatial: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Attend in each frame over the spatial token and its patches: `(B,T,D)`, `(B,T,N,D)`."""
        frames = self._frames(spatial, patches)
        out = self.attn(self.norm1(frames).flatten(0, 1)).unflatten(0, frames.shape[:2])
        return out[:, :, 0], out[:, :, 1:]

    def _frames(self, spatial: Tensor, patches: Tensor) -> Tensor:
        """Put the spatial token before the patches of every frame, `(B, T, 1 + N, D)`."""
        B, T, _, D = patches.shape
        return torch.cat((spatial[:, None, None].expand(B, T, 1, D), patches), 2)

    def _transformed(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What the heads read.

    Attributes:
        temporal: normalised temporal token, `(B, D)`.
        per_frame: normalised spatial token of each frame, `(B, T, D)`.
        patches: normalised patches, `(B, T, N, D)`.
    """

    temporal: Tensor
    per_frame: Tensor
    patches: Tensor


class TimeViT(nn.Module):
    """TimeSformer with a temporal token beside the spatial one."""

    def __init__(self, dims: FakeStormerDims) -> None:
        super().__init__()
        D, places = dims.width, dims.grid**2
        self._learnt_seed = dims.repaired
        self.cls_token = nn.Parameter(torch.zeros(1, 1, D))
        self.pos_embed = nn.Parameter(torch.zeros(1, places + 1, D))
        if dims.register_token:
            self.register_token = nn.Parameter(torch.zeros(1, 1, D))  # never used
        self.temp_token = nn.Parameter(torch.zeros(1, 1, D))  # used when repaired, see `seed`
        self.time_embed = nn.Parameter(torch.zeros(1, dims.frames + 1, D))  # the last likewise
        self.patch_embed = PatchEmbed(dims.patch_px, D)
        self.blocks = nn.ModuleList(DividedBlock(D, dims.heads) for _ in range(dims.depth))
        self.norm = layer_norm(D)
        self.norm_s_cls = layer_norm(D)
        self.norm_t_cls = layer_norm(D)  # never used

    def embed(self, clips: Tensor) -> Tensor:
        """Return the patch tokens of clips with their places in space and time.

        Args:
            clips: normalised crops, `(B, 3, T, S, S)`.

        Returns:
            Patches, `(B, T, N, D)`.
        """
        B, _, T = clips.shape[:3]
        patches = self.patch_embed(clips.transpose(1, 2).flatten(0, 1)).unflatten(0, (B, T))
        patches = patches + self.pos_embed[:, None, 1:]
        return patches + self.time_embed[:, :T, None]  # type: ignore[no-any-return]

    def seed(self, patches: Tensor) -> Tensor:
        """Return the temporal token that each clip starts with, `(B, D)`.

        The release appends a learnt token and then, by a slip of the index, reads the first patch
        of the first frame instead. The weights grew up with that; repaired ones do as was meant.
        """
        if self._learnt_seed:
            token = self.temp_token + self.time_embed[:, -1:]
            return token[:, 0].expand(len(patches), -1)
        return patches[:, 0, 0]

    def start(self, patches: Tensor, temporal: Tensor) -> Tokens:
        """Return the tokens that enter the first block."""
        spatial = (self.cls_token + self.pos_embed[:, :1])[:, 0].expand(len(patches), -1)
        return Tokens(patches, spatial, temporal)

    def forward(self, tokens: Tokens) -> Features:
        """Run every block and return all that the three heads read."""
        return self.finish(self.until_last(tokens))

    def until_last(self, tokens: Tokens) -> Tokens:
        """Run every block but the last."""
        for block in self.blocks[:-1]:
            tokens, _ = block(tokens)
        return tokens

    def finish(self, tokens: Tokens) -> Features:
        """Run the last block and return all that the three heads read."""
        tokens, per_frame = self.blocks[-1](tokens)
        return Features(
            temporal=self.norm(tokens.temporal),
            per_frame=self.norm_s_cls(per_frame),
            patches=self.norm(tokens.patches),
        )

    def temporal_only(self, tokens: Tokens) -> Tensor:
        """Return the normalised temporal token alone, `(B, D)`, at less cost than `forward`."""
        return self.norm(self.last.last_temporal(self.until_last(tokens)))  # type: ignore[no-any-return]

    @property
    def last(self) -> DividedBlock:
        """The block that the heads read."""
        return cast(DividedBlock, self.blocks[-1])


# --- heads ----------------------------------------------------------------------------------


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


# --- the detector ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class FakeStormerPrediction:
    """What FakeSTormer says about clips.

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
    """Where each frame of B clips is vulnerable; for people to look at.

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

    def __init__(
        self,
        dims: FakeStormerDims,
        card: ModelCard = UNSAVED,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__()
        self.dims = dims
        self.card = card
        self.calibration = calibration or Calibration()
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

    def deploy(
        self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> FakeStormerDetector:
        """Make this network ready for inference, for good, and return its detector.

        Args:
            device: where weights and state live.
            dtype: what the network computes in; logits and maps are float32 always.
        """
        ready = self.eval().requires_grad_(requires_grad=False).to(device, dtype)
        return FakeStormerDetector(ready)

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


# --- live -----------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class FakeStormerState:
    """What each of N tracks keeps: its last T crops.

    Attributes:
        crops: ring of crops, `(N, T, S, S, 3)` uint8.
        pushed: frames seen since the last clear, `(N,)` int64; the newest is at `pushed - 1`.
    """

    crops: Tensor
    pushed: Tensor


class FakeStormerDetector:
    """FakeSTormer behind the `Detector` protocol.

    Every frame's tokens carry their place in the clip and are mixed over time by the first block,
    so nothing but the crops can be carried from one window to the next: `rate` recomputes.
    """

    points_at: PointsAt | None = PointsAt.VULNERABILITY

    def __init__(self, model: FakeStormer) -> None:
        self.model = model
        self.card = model.card
        self.clip = model.dims.clip
        self.calibration = model.calibration

    def init_state(self, slots: int) -> FakeStormerState:
        """Return the state of `slots` tracks that have seen nothing."""
        like = self.model.keypoint_head.cls.fc_out.weight
        shape = (slots, self.clip.frames, self.clip.size_px, self.clip.size_px, 3)
        return FakeStormerState(
            crops=torch.zeros(shape, dtype=torch.uint8, device=like.device),
            pushed=torch.zeros(slots, dtype=torch.int64, device=like.device),
        )

    def clear(self, state: FakeStormerState, rows: Tensor) -> None:
        """Make rows forget everything."""
        state.pushed[rows] = 0

    @torch.no_grad()
    def push(self, state: FakeStormerState, rows: Tensor, images: Tensor, missing: Tensor) -> None:
        """Append one crop to each row's window.

        A missing frame leaves no hole: the authors, too, string together the frames that have a
        face. Whoever calls clears rows after a gap or a cut.

        Args:
            state: from `init_state`, changed in place.
            rows: which tracks, `(B,)` int64.
            images: box crops without their margin, `(B, S, S, 3)` RGB uint8.
            missing: `(B,)` int64.
        """
        state.pushed[rows] += 1
        self._replace_newest(state, rows, images)

    @torch.no_grad()
    def reanchor(self, state: FakeStormerState, rows: Tensor, images: Tensor) -> None:
        """Replace the newest crop of each row by another; rows without one stay."""
        seen = state.pushed[rows] > 0
        self._replace_newest(state, rows[seen], images[seen])

    @torch.no_grad()
    def rate(self, state: FakeStormerState, rows: Tensor) -> Tensor:
        """Return the logit of each row's window, `(B,)`; NaN until it holds T frames."""
        logits = torch.full(rows.shape, math.nan, device=rows.device)
        full = self._full(state, rows)
        if full.any():
            logits[full] = self.model.score(self._window(state, rows[full])).float()
        return logits

    @torch.no_grad()
    def vulnerability(self, state: FakeStormerState, rows: Tensor) -> FakeStormerPrediction:
        """Return the whole prediction for each row's window; NaN until it holds T frames."""
        T, G = self.clip.frames, self.model.dims.grid
        empty = FakeStormerPrediction(
            *(
                torch.full((len(rows), *s), math.nan, device=rows.device)
                for s in ((), (T,), (T, G, G))
            )
        )
        full = self._full(state, rows)
        if full.any():
            known = self.model(self._window(state, rows[full]))
            for target, values in zip(_fields(empty), _fields(known), strict=True):
                target[full] = values.float()
        return empty

    @torch.no_grad()
    def maps(self, state: FakeStormerState, rows: Tensor) -> VulnerabilityMaps:
        """Return both maps of every frame of each row's window; NaN until it holds T frames."""
        shape = (len(rows), self.clip.frames, self.model.dims.grid, self.model.dims.grid)
        spatial, temporal = (torch.full(shape, math.nan, device=rows.device) for _ in range(2))
        full = self._full(state, rows)
        if full.any():
            known = self.model.explain(self._window(state, rows[full]))
            spatial[full], temporal[full] = known.spatial.float(), known.temporal.float()
        return VulnerabilityMaps(spatial, temporal)

    def patches(self, state: FakeStormerState, rows: Tensor) -> tuple[tuple[Patch, ...], ...]:
        """Return where each row's newest frame is most vulnerable, cell by cell of its patches.

        Spatial cells are where the frame gives itself away, at half of the strongest cell and
        more; their strength fades with the frame's own vulnerability. Temporal cells are where it
        differs from the frame before; their map is a z-score, so strengths are relative: 1 is the
        map's highest cell, 0 its mean, and cells in the upper half are returned.
        """
        maps = self.maps(state, rows)
        spatial, temporal = maps.spatial[:, -1].cpu(), maps.temporal[:, -1].cpu()  # (B, G, G)
        return tuple(
            _spatial_patches(frame) + _temporal_patches(change)
            for frame, change in zip(spatial, temporal, strict=True)
        )

    def _full(self, state: FakeStormerState, rows: Tensor) -> Tensor:
        return state.pushed[rows] >= self.clip.frames

    def _window(self, state: FakeStormerState, rows: Tensor) -> Tensor:
        """Return rows' clips from oldest to newest frame, ready for the network."""
        steps = torch.arange(self.clip.frames, device=rows.device)
        order = (state.pushed[rows, None] + steps) % self.clip.frames
        return self.model.network_input(state.crops[rows[:, None], order])

    def _replace_newest(self, state: FakeStormerState, rows: Tensor, images: Tensor) -> None:
        S = self.clip.size_px
        if images.shape[1:] != (S, S, 3):
            raise ShapeMismatch("FakeSTormer crops", f"(B, {S}, {S}, 3)", images.shape)
        state.crops[rows, (state.pushed[rows] - 1) % self.clip.frames] = images


def _spatial_patches(cells: Tensor) -> tuple[Patch, ...]:
    """Return the cells of a map `(G, G)` in [0, 1] at half of its highest and more."""
    kept = cells >= 0.5 * cells.max()
    return _patches(torch.where(kept, cells, 0.0), "spatial")


def _temporal_patches(cells: Tensor) -> tuple[Patch, ...]:
    """Return the cells of a map `(G, G)` that lie nearer to its highest than to its mean."""
    above = cells - cells.mean()
    strength = above / above.max().clamp_min(1e-6)
    return _patches(torch.where(strength >= 0.5, strength, 0.0), "temporal")


def _patches(strength: Tensor, kind: Literal["spatial", "temporal"]) -> tuple[Patch, ...]:
    """Return the cells of a map `(G, G)` that have a strength; none where it is not finite."""
    if not bool(strength.isfinite().all()):
        return ()
    side = 1 / len(strength)
    return tuple(
        Patch(column * side, row * side, (column + 1) * side, (row + 1) * side, value, kind)
        for row, values in enumerate(strength.tolist())
        for column, value in enumerate(values)
        if value > 0
    )


def _fields(prediction: FakeStormerPrediction) -> Iterable[Tensor]:
    return prediction.logit, prediction.spatial, prediction.temporal
