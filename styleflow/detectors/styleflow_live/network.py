"""Network of `styleflow-live`: causal, one step per sampled frame.

A frame becomes a style latent, the difference to the latent before becomes a step of the causal
StyleGRU. Beside it a content network, adapted from a published one, looks at the picture itself;
the content asks the style flow by attention, and a linear head on both says which way this frame
leans. The rating is a running mean over frames plus the temporal stability of the face's detail.
The network itself remembers nothing; what a live track has gathered is `live`'s business.

Without `content` in the dimensions the style flow speaks alone, which is how much of the evidence
is its own can be measured.

Training and evaluation call `score_clip` on whole clips; `live` steps frame by frame. Both give the
same logits, which the tests hold to 1e-5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from styleflow.clips import ClipSpec
from styleflow.detectors.layers.style_gru import CausalStyleGRU, style_deltas
from styleflow.detectors.styleflow_live.content import (
    FEATURES,
    ContentDims,
    ContentNet,
)
from styleflow.detectors.styleflow_live.style_encoder import StyleEncoder, StyleEncoderDims
from styleflow.detectors.styleflow_live.temporal_stability import (
    TemporalStabilityHead,
)
from styleflow.errors import ShapeMismatch

_MOST = {"hidden": 8192, "layers": 8, "frames": 1024, "shrink": 16, "attention": 8192}


@dataclass(frozen=True, slots=True)
class StyleFlowLiveDims:
    """Everything needed to build a `StyleFlowLive`; it travels inside the checkpoint.

    Attributes:
        encoder: dimensions of the style encoder.
        hidden: width of the recurrent state.
        layers: stacked recurrent layers.
        gap_half_life: missing frames after which half of the past is forgotten; 6 frames at
            12.5 Hz are the 0.48 s that SPEC H.3 asks for.
        frames: length of a training clip, and how many latents a track keeps.
        cadence_hz: sampled frames per second of media time.
        shrink: crops are so many times larger than what the encoder looks at.
        content: dimensions of the content network, which sees crops at their own size; None
            leaves it out.
        attention: width of the attention between content and style flow.
        evidence_half_life: frames after which a frame's logit counts half in the rating; 0 rates
            by the newest frame alone.
    """

    encoder: StyleEncoderDims = field(default_factory=StyleEncoderDims)
    hidden: int = 256
    layers: int = 2
    gap_half_life: float = 6.0
    frames: int = 32
    cadence_hz: float = 12.5
    shrink: int = 1
    content: ContentDims | None = None
    attention: int = 64
    evidence_half_life: float = 0.0

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        for name, most in _MOST.items():
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ValueError(f"{name} lies in 1..{most}, not {value}")
        for name in ("gap_half_life", "cadence_hz"):
            value = getattr(self, name)
            if not 0 < value <= 1000:
                raise ValueError(f"{name} lies in 0..1000, not {value}")
        if not 0 <= self.evidence_half_life <= 1e6:
            raise ValueError(f"evidence_half_life is 0 or more, not {self.evidence_half_life}")
        window = self.content
        if window and max(window.top, window.left) + window.size_px > self.crop_px:
            raise ValueError(f"content looks beyond the crop of {self.crop_px} pixels")

    @property
    def crop_px(self) -> int:
        """Side of the aligned crops."""
        return self.encoder.size_px * self.shrink

    @property
    def clip(self) -> ClipSpec:
        """The format of the clips that this network is trained on."""
        # A mean that forgets with a half-life weighs as much as one over so many frames.
        memory = round(self.evidence_half_life / math.log(2))
        return ClipSpec(self.frames, self.cadence_hz, self.crop_px, memory=memory)


class StyleFusion(nn.Module):
    """Let the content of a frame ask the style flow, and say which way both lean.

    Source: StyleFlow (Choi et al., CVPR 2024), the style attention module: content asks, style
        flow answers.
    Departs: one query per frame and one key per recurrent layer, so that a step stays O(1).
    """

    def __init__(self, features: int, hidden: int, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(features, width)
        self.key = nn.Linear(hidden, width)
        self.value = nn.Linear(hidden, width)
        self.flow_norm = nn.LayerNorm(hidden)
        self.answer_norm = nn.LayerNorm(width)
        self.flow_head = nn.Linear(width, 1)
        self.content_head = nn.Linear(features, 1)

    def forward(self, content: Tensor, hidden: Tensor) -> Tensor:
        """Return logits, `(B,)`.

        Args:
            content: features of the frames, `(B, F)`.
            hidden: hidden states of all recurrent layers, `(B, layers, H)`.
        """
        flow = self.flow_norm(hidden)
        keys, values = self.key(flow), self.value(flow)  # (B, layers, W)
        affinity = torch.einsum("bw,blw->bl", self.query(content), keys) / keys.shape[-1] ** 0.5
        answer = torch.einsum("bl,blw->bw", affinity.softmax(dim=-1), values)
        logits = self.content_head(content) + self.flow_head(self.answer_norm(answer))
        return torch.as_tensor(logits).squeeze(-1)


class StyleFlowLive(nn.Module):
    """The causal network: clips in, a rating after every frame out.

    Source: StyleFlow (Choi et al., CVPR 2024), style flow of a face as evidence.
    Departs: a compact encoder, a causal StyleGRU that steps frame by frame, and a content network
        on single frames in place of one over a whole clip.
    """

    def __init__(self, dims: StyleFlowLiveDims) -> None:
        super().__init__()
        self.dims = dims
        features = dims.encoder.style_levels * dims.encoder.latent
        self.encoder = StyleEncoder(dims.encoder)
        self.style_gru = CausalStyleGRU(features, dims.hidden, dims.layers, dims.gap_half_life)
        self.content: ContentNet | None = None
        if dims.content is None:
            self.head_norm = nn.LayerNorm(dims.hidden)
            self.head = nn.Linear(dims.hidden, 1)
        else:
            self.content = ContentNet(dims.content)
            self.fusion = StyleFusion(FEATURES, dims.hidden, dims.attention)
            self.restlessness = TemporalStabilityHead()  # its name in every checkpoint

    @property
    def needs_backbone(self) -> bool:
        """True when the published kernels have to be adopted before anything is computed."""
        return self.content is not None

    def adopt(self, published: Mapping[str, Tensor]) -> None:
        """Take over the published kernels that no checkpoint holds; see `LiteTrunk.adopt`."""
        if self.content is not None:
            self.content.adopt(published)

    def encode(self, images: Tensor) -> Tensor:
        """Return style latents, `(B, L, D)`, of aligned crops, `(B, S, S, 3)` RGB uint8.

        They are float32 whatever the encoder computes in: a style delta is the small difference of
        two of them.
        """
        latents: Tensor = self.encoder(self.shrunk(images))
        return latents.float()

    def score_clip(self, images: Tensor, missing: Tensor | None = None) -> Tensor:
        """Return what `rate` would say after every frame of whole clips; differentiable.

        Args:
            images: aligned crops, `(B, T, S, S, 3)` RGB uint8.
            missing: frames missing before each frame, `(B, T)` int64; the first column is not
                looked at. None anywhere when omitted.

        Returns:
            Logits, `(B, T)`; above 0 leans fake.

        Raises:
            ShapeMismatch: not a batch of clips.
        """
        gaps = None if missing is None else missing.clone()
        if gaps is not None:
            gaps[:, 0] = 0
        ratings = self._running_mean(self.frame_logits(images, gaps), gaps)
        return ratings if self.content is None else ratings + self._stability(images, gaps)

    def frame_logits(self, images: Tensor, missing: Tensor | None = None) -> Tensor:
        """Return what every frame of whole clips says by itself, `(B, T)`; see `score_clip`."""
        return self.frame_logits_and_flow(images, missing)[0]

    def frame_logits_and_flow(
        self, images: Tensor, missing: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return what every frame of whole clips says by itself; differentiable.

        Args:
            images: aligned crops, `(B, T, S, S, 3)` RGB uint8.
            missing: as for `score_clip`.

        Returns:
            Logits `(B, T)`, and the top hidden states of the style flow `(B, T, H)`.

        Raises:
            ShapeMismatch: not a batch of clips.
        """
        if images.ndim != 5:
            raise ShapeMismatch("clips", "(B, T, S, S, 3)", images.shape)
        B, T = images.shape[:2]
        latents = self.encode(images.flatten(0, 1))
        latents = latents.view(B, T, *latents.shape[1:])
        states = self.style_gru.start(B)[:, None]  # (B, 1, layers, H): the first has no delta
        if T > 1:
            gaps = None if missing is None else missing[:, 1:]
            states = torch.cat([states, self.style_gru.states(style_deltas(latents), gaps)], dim=1)
        if self.content is None:
            return self.flow_logits(states[:, :, -1]), states[:, :, -1]
        windows = self.window(images.flatten(0, 1))
        features = self.content(windows)[0]
        logits: Tensor = self.fusion(features.float(), states.flatten(0, 1))
        return logits.view(B, T), states[:, :, -1]

    def flow_logits(self, hidden: Tensor) -> Tensor:
        """Return what the style flow says alone, `(B,)`, of its top hidden states `(B, H)`."""
        logits: Tensor = self.head(self.head_norm(hidden))
        return logits.squeeze(-1)

    def _running_mean(self, logits: Tensor, missing: Tensor | None) -> Tensor:
        """Return the rating after every frame, `(B, T)`, as `push` and `rate` would give it."""
        gaps = torch.zeros_like(logits) if missing is None else missing
        evidence = weight = torch.zeros_like(logits[:, 0])
        ratings = []
        for logit, gap in zip(logits.unbind(1), gaps.unbind(1), strict=True):
            kept = self.kept(gap)
            evidence, weight = evidence * kept + logit, weight * kept + 1
            ratings.append(evidence / weight)
        return torch.stack(ratings, dim=1)

    def _stability(self, images: Tensor, missing: Tensor | None) -> Tensor:
        """Return what the temporal stability of whole clips adds to their ratings, `(B, T)`."""
        B, T = images.shape[:2]
        gaps = missing if missing is not None else torch.zeros(B, T, device=images.device)
        state, added = self.restlessness.start(B), []
        for frame, gap in zip(images.unbind(1), gaps.unbind(1), strict=True):
            state = self.restlessness.step(state, self.window(frame), gap, self.kept(gap))
            added.append(self.restlessness(state))
        return torch.stack(added, dim=1)

    def kept(self, missing: Tensor) -> Tensor:
        """Return what remains of the evidence one frame and so many missing ones later, `(B,)`."""
        if self.dims.evidence_half_life == 0:
            return torch.zeros_like(missing, dtype=torch.float32)
        return torch.exp2(-(missing.float() + 1) / self.dims.evidence_half_life)

    def shrunk(self, images: Tensor) -> Tensor:
        """Return crops at the encoder's size, `(B, s, s, 3)` uint8."""
        n = self.dims.shrink
        if n == 1:
            return images
        if images.ndim != 4 or images.shape[1:] != (self.dims.crop_px, self.dims.crop_px, 3):
            size = self.dims.crop_px
            raise ShapeMismatch("aligned crops", f"(B, {size}, {size}, 3)", images.shape)
        planes = images.permute(0, 3, 1, 2).float()
        mean = nn.functional.avg_pool2d(planes, n)
        return mean.round().to(torch.uint8).permute(0, 2, 3, 1)

    def window(self, images: Tensor) -> Tensor:
        """Return what the content network looks at, `(B, s, s, 3)` uint8."""
        window = self.dims.content
        if window is None:
            raise ValueError("a network without content has no window")
        rows = slice(window.top, window.top + window.size_px)
        columns = slice(window.left, window.left + window.size_px)
        return images[:, rows, columns].contiguous()
