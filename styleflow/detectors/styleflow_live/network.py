"""Network of `styleflow-live`: foundation features of a face, seldom; style flow between the looks.

A look is one pass of a frozen vision transformer over the aligned crop (`face_encoder.py`). Linear
heads on its statistics say which way this look leans; the rating is a running mean over looks.
Mean and spread of the tokens at every depth, projected, are the face's style latent with levels
from fine to coarse; the difference to the latent of the look before is a step of the causal
StyleGRU, whose hidden state speaks beside the heads.

Looks are dear and neighbouring frames alike, so of the sampled frames only every so many is looked
at: a rule of the dimensions, the same in live video, offline and in training. The network itself
remembers nothing; what a track has gathered is `live`'s business.

The transformer's weights are somebody else's and stay so: they come from the user's cache
(`styleflow models fetch`), and a checkpoint of ours holds only what was learned on top.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from styleflow.clips import ClipSpec
from styleflow.detectors.layers.style_gru import CausalStyleGRU
from styleflow.detectors.layers.vision_transformer import DINOV2_S14, ViTDims
from styleflow.detectors.styleflow.style_attention import StyleAttention
from styleflow.detectors.styleflow_live.face_encoder import FaceEncoder
from styleflow.errors import ShapeMismatch, WeightsUnusable
from styleflow.runtime import begin

_MOST = {"size_px": 1024, "latent": 4096, "hidden": 8192, "layers": 8, "frames": 1024}
_WIDEST_ATTENTION = 4096
_STYLE = 2  # mean and spread of each depth are style; the regions are not


@dataclass(frozen=True, slots=True)
class StyleFlowLiveDims:
    """Everything needed to build a `StyleFlowLive`; it travels inside the checkpoint.

    Attributes:
        backbone: dimensions of the vision transformer.
        published: its weights are DINOv2's, from the user's cache; otherwise they are the
            checkpoint's own.
        blocks: after which blocks tokens are looked at, counted from 1.
        size_px: side of the aligned crop.
        latent: length of one level's style vector; there are two levels per block.
        hidden: width of the recurrent state.
        layers: stacked recurrent layers.
        attention: width of the style attention, a divisor of `hidden`: what the look shows at every
            depth looks up what the StyleGRU remembers. 0 leaves it out.
        gap_half_life: looks that did not happen after which half of the style flow is forgotten.
        frames: length of a window of evidence, in sampled frames.
        cadence_hz: sampled frames per second of media time.
        look_every: sampled frames from one look to the next, missing ones counted.
        evidence_half_life: sampled frames after which a look counts half in the rating.
    """

    backbone: ViTDims = DINOV2_S14
    published: bool = True
    blocks: tuple[int, ...] = (2, 4, 6, 8, 10, 12)
    size_px: int = 224
    latent: int = 32
    hidden: int = 64
    layers: int = 1
    attention: int = 0
    gap_half_life: float = 2.0
    frames: int = 32
    cadence_hz: float = 12.5
    look_every: int = 4
    evidence_half_life: float = 250.0

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        for name, most in _MOST.items():
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ValueError(f"{name} lies in 1..{most}, not {value}")
        if not 0 <= self.attention <= _WIDEST_ATTENTION:
            raise ValueError(f"attention lies in 0..{_WIDEST_ATTENTION}, not {self.attention}")
        if self.attention and self.hidden % self.attention:
            raise ValueError(f"attention divides hidden, {self.hidden}, unlike {self.attention}")
        if not 1 <= self.look_every <= self.frames:
            raise ValueError(f"look_every lies in 1..{self.frames}, not {self.look_every}")
        for name in ("gap_half_life", "cadence_hz"):
            value = getattr(self, name)
            if not 0 < value <= 1000:
                raise ValueError(f"{name} lies in 0..1000, not {value}")
        if not 0 < self.evidence_half_life <= 1e6:
            raise ValueError(f"evidence_half_life lies in 0..1e6, not {self.evidence_half_life}")
        if self.size_px % self.backbone.patch_px:
            raise ValueError(
                f"size_px is a multiple of {self.backbone.patch_px}, not {self.size_px}"
            )
        if list(self.blocks) != sorted(set(self.blocks) & set(range(1, self.backbone.depth + 1))):
            raise ValueError(f"blocks rise within 1..{self.backbone.depth}, unlike {self.blocks}")
        if not self.blocks:
            raise ValueError("blocks are one at least")

    @property
    def style_levels(self) -> int:
        """Style levels of a latent, `L`: mean and spread after each block."""
        return _STYLE * len(self.blocks)

    @property
    def clip(self) -> ClipSpec:
        """The format of the clips that this network rates."""
        # A mean that forgets with a half-life weighs as much as one over so many frames.
        memory = round(self.evidence_half_life / math.log(2))
        return ClipSpec(self.frames, self.cadence_hz, self.size_px, memory=memory)


def look_places(slots: Sequence[int], every: int) -> list[int]:
    """Return which of a track's frames are looked at, by their place among `slots`.

    The first is, and then each that lies `every` slots or more behind the last that was.

    Args:
        slots: where the track's frames lie on the cadence grid, rising.
        every: `look_every` of the dimensions.
    """
    chosen: list[int] = []
    for place, slot in enumerate(slots):
        if not chosen or slot - slots[chosen[-1]] >= every:
            chosen.append(place)
    return chosen


class StyleFlowLive(nn.Module):
    """What is learned on top of the foundation features, and, once it has them, the encoder.

    Source: StyleFlow (Choi et al., CVPR 2024), style flow of a face as evidence, and style
        attention where it is asked for; AdaIN's instance statistics (Huang and Belongie, ICCV 2017)
        as style.
    Departs: no generator and no inversion; a causal StyleGRU that steps from look to look, and
        linear heads on foundation features in place of a network over a whole clip.
    """

    def __init__(self, dims: StyleFlowLiveDims) -> None:
        super().__init__()
        self.dims = dims
        width = dims.backbone.width
        per_head = 2 * len(dims.blocks) * width
        self.face = nn.Linear(per_head, 1)
        self.regions = nn.Linear(per_head, 1)
        self.map_bias = nn.Parameter(torch.zeros(1))
        self.projection = nn.Parameter(torch.zeros(dims.style_levels, width, dims.latent))
        self.style_gru = CausalStyleGRU(
            dims.style_levels * dims.latent, dims.hidden, dims.layers, dims.gap_half_life
        )
        self.content: nn.Linear | None = None
        self.style_attention: StyleAttention | None = None
        if dims.attention:
            self.content = nn.Linear(width, dims.attention)
            self.style_attention = StyleAttention(dims.attention)
        said = dims.attention or dims.hidden
        self.flow_norm = nn.LayerNorm(said)
        self.flow_head = nn.Linear(said, 1)
        self.encoder: FaceEncoder | None = None
        if not dims.published:
            self.encoder = FaceEncoder(dims.backbone, dims.blocks, dims.size_px)

    @property
    def needs_backbone(self) -> bool:
        """True when the published weights have to be adopted before anything is computed."""
        return self.dims.published

    def adopt(self, published: Mapping[str, Tensor]) -> None:
        """Take over the published weights that no checkpoint holds; see `FaceEncoder.of`."""
        if self.needs_backbone:
            dims = self.dims
            self.encoder = FaceEncoder.of(dims.backbone, dims.blocks, dims.size_px, published)

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return statistics and maps of aligned crops, `(B, S, S, 3)` uint8; see `FaceEncoder`.

        Raises:
            WeightsUnusable: it stands on published weights and has not adopted them.
        """
        features, traces = self.begin_look(images)()
        return features, traces

    def begin_look(self, images: Tensor) -> Callable[[], tuple[Tensor, ...]]:
        """Begin a look, and return what waits for it; see `styleflow.runtime.begin`."""
        if self.encoder is None:
            raise WeightsUnusable("foundation network", "they have not been adopted")
        return cast(Callable[[], tuple[Tensor, ...]], begin(self.encoder, images))

    def look_logits(self, features: Tensor) -> Tensor:
        """Return what looks say by themselves, `(B,)`, of their statistics `(B, blocks, 4, D)`."""
        return self.face_logits(features) + self.region_logits(features)

    def face_logits(self, features: Tensor) -> Tensor:
        """Return what mean and spread over all patches say, `(B,)`."""
        logits: Tensor = self.face(features[..., :_STYLE, :].flatten(1))
        return logits.squeeze(-1)

    def region_logits(self, features: Tensor) -> Tensor:
        """Return what mouth and eyes against the rest of the face say, `(B,)`."""
        logits: Tensor = self.regions(features[..., _STYLE:, :].flatten(1))
        return logits.squeeze(-1)

    def latents(self, features: Tensor) -> Tensor:
        """Return style latents, `(B, L, latent)`, of statistics `(B, blocks, 4, D)`."""
        statistics = features[..., :_STYLE, :].flatten(1, 2)  # (B, L, D)
        return torch.einsum("bld,ldk->blk", statistics, self.projection)

    def flow_logits(self, hidden: Tensor, features: Tensor) -> Tensor:
        """Return what the style flow says, `(B,)`.

        Args:
            hidden: states of the StyleGRU after looks, `(B, layers, H)`.
            features: statistics of these looks, `(B, blocks, 4, D)`; only style attention asks for
                them: their means are its content, a token per depth.
        """
        said = hidden[:, -1]
        if self.content is not None and self.style_attention is not None:
            tokens = self.content(features[..., 0, :])  # (B, blocks, attention)
            # The content asks and is not handed on: the heads rate it already, far stiffer.
            said = self.style_attention.say(*self.style_attention.attend(tokens, said)).mean(dim=1)
        logits: Tensor = self.flow_head(self.flow_norm(said))
        return logits.squeeze(-1)

    def follow(self, hidden: Tensor, delta: Tensor, since: Tensor) -> Tensor:
        """Return the hidden state at a look; see `CausalStyleGRU.follow`.

        Args:
            hidden: at the look before, `(B, layers, H)`.
            delta: of the style latents, `(B, L, latent)`.
            since: sampled frames since the look before, missing ones counted, `(B,)` int64.
        """
        missed = (since // self.dims.look_every - 1).clamp_min(0)
        return self.style_gru.follow(hidden, delta, missed)

    def kept(self, since: Tensor) -> Tensor:
        """Return what remains of the evidence so many sampled frames later, `(B,)`."""
        return torch.exp2(-since.float() / self.dims.evidence_half_life)

    def score_clip(self, images: Tensor, missing: Tensor | None = None) -> Tensor:
        """Return the rating after every look of whole clips, `(B, looks)`; differentiable.

        Args:
            images: aligned crops of every sampled frame, `(B, T, S, S, 3)` RGB uint8.
            missing: frames missing before each frame, `(T,)` int64, the same for all clips; the
                first is not looked at. None anywhere when omitted.

        Raises:
            ShapeMismatch: not a batch of clips.
        """
        if images.ndim != 5:
            raise ShapeMismatch("clips", "(B, T, S, S, 3)", images.shape)
        gaps = torch.zeros(images.shape[1], dtype=torch.int64) if missing is None else missing
        places = [0, *(int(place) for place in (gaps[1:] + 1).cumsum(0))]
        chosen = look_places(places, self.dims.look_every)
        looks = images[:, chosen]
        features, _ = self.look(looks.flatten(0, 1))
        slots = torch.tensor([places[number] for number in chosen], device=images.device)
        return self.rate_looks(
            features.view(*looks.shape[:2], *features.shape[1:]), slots.expand(looks.shape[:2])
        )

    def rate_looks(self, features: Tensor, slots: Tensor) -> Tensor:
        """Return the rating after every look of whole clips, as `live` gives it; differentiable.

        Args:
            features: statistics of the looks, `(B, T, blocks, 4, D)`.
            slots: their places on the cadence grid, `(B, T)` int64, rising.

        Returns:
            Logits, `(B, T)`; above 0 leans fake.
        """
        hidden = self.style_gru.start(len(features))
        evidence = weight = torch.zeros_like(hidden[:, 0, 0])
        before: Tensor | None = None
        ratings = []
        for number, look in enumerate(features.unbind(1)):
            latents = self.latents(look)
            since = slots[:, number] - slots[:, max(number - 1, 0)]
            if before is not None:
                hidden = self.follow(hidden, latents - before, since)
            logits = self.look_logits(look) + self.flow_logits(hidden, look)
            kept = self.kept(since)
            evidence, weight = evidence * kept + logits, weight * kept + 1
            ratings.append(evidence / weight)
            before = latents
        return torch.stack(ratings, dim=1)
