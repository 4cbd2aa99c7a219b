"""`styleflow-live`: the detector that watches live video, one step per sampled frame.

A frame becomes a style latent, the difference to the latent before becomes a step of the causal
StyleGRU. Beside it a content network, adapted from a published one, looks at the picture itself;
the content asks the style flow by attention, and a linear head on both says which way this frame
leans. The rating is a running mean over frames and how steady the face's detail has been. What a
track has gathered lives in one row of `StyleFlowLiveState`; the network itself remembers nothing.

Without `content` in the dimensions the style flow speaks alone, which is how much of the evidence
is its own can be measured.

Training and evaluation call `score_clip` on whole clips. Live video calls `push`, `reanchor` and
`rate` on rows. Both give the same logits, which the tests hold to 1e-5.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.clips import ClipSpec
from styleflow.detectors.layers.style_gru import CausalStyleGRU, style_deltas
from styleflow.detectors.styleflow_live.content import (
    FEATURES,
    PATCH_STRIDE,
    ContentDims,
    ContentNet,
)
from styleflow.detectors.styleflow_live.style_encoder import StyleEncoder, StyleEncoderDims
from styleflow.detectors.styleflow_live.temporal_stability import (
    CUES,
    Restlessness,
    RestlessnessHead,
)
from styleflow.errors import ShapeMismatch
from styleflow.overlay import Patch, PointsAt

NAME = "styleflow-live"
UNSAVED = ModelCard(NAME, "unsaved", TemporalMode.CAUSAL, TrainingStatus.UNTRAINED, "")
"""What a network says about itself before a checkpoint gives it a name."""


CUE_NAMES = ("style flow", "content", "steadiness")
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


@dataclass(slots=True, eq=False)
class StyleFlowLiveState:
    """What `N` tracks have gathered, on the weights' device.

    Attributes:
        hidden: hidden state of the causal StyleGRU, `(N, layers, H)`.
        last_latent: style latent of the newest frame, `(N, L, D)`; zero before the first.
        has_latent: whether there was a frame, `(N,)` bool.
        latents: the newest style latents in a ring, `(N, frames, L, D)`.
        position: where in the ring the next latent goes, `(N,)` int64.
        count: frames pushed since the row was cleared, `(N,)` int64.
        evidence: weighted sum of the frames' logits, `(N,)`.
        weight: sum of the weights in it, `(N,)`.
        recent: recent mean of fine detail, `(N, CUES)`; this and the next two: `Restlessness`.
        surprise: how far frames lay from it, `(N, CUES)`.
        steps: sum of the weights in that, `(N,)`.
        traces: map of traces of the frame pushed last, `(N, s, s)`; s is 0 without content.
    """

    hidden: Tensor
    last_latent: Tensor
    has_latent: Tensor
    latents: Tensor
    position: Tensor
    count: Tensor
    evidence: Tensor
    weight: Tensor
    recent: Tensor
    surprise: Tensor
    steps: Tensor
    traces: Tensor


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
    """The causal detector; implements the `Detector` protocol.

    `push`, `reanchor` and `rate` belong to inference: call `eval()` first, or take the network
    through `deploy`.

    Source: StyleFlow (Choi et al., CVPR 2024), style flow of a face as evidence.
    Departs: a compact encoder, a causal StyleGRU that steps frame by frame, and a content network
        on single frames in place of one over a whole clip.
    """

    stateless: ClassVar[tuple[str, ...]] = ("encoder", "content")
    """Parts that keep nothing between calls, which a runtime may run in its own way."""

    def __init__(
        self,
        dims: StyleFlowLiveDims,
        card: ModelCard = UNSAVED,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__()
        self.dims = dims
        self.card = card
        self.clip = dims.clip
        self.calibration = calibration or Calibration()
        features = dims.encoder.style_levels * dims.encoder.latent
        self.encoder = StyleEncoder(dims.encoder)
        self.style_gru = CausalStyleGRU(features, dims.hidden, dims.layers, dims.gap_half_life)
        self.content: ContentNet | None = None
        traces = None if dims.content is None else PointsAt.TRACES
        self.points_at: PointsAt | None = traces
        if dims.content is None:
            self.head_norm = nn.LayerNorm(dims.hidden)
            self.head = nn.Linear(dims.hidden, 1)
        else:
            self.content = ContentNet(dims.content)
            self.fusion = StyleFusion(FEATURES, dims.hidden, dims.attention)
            self.restlessness = RestlessnessHead()

    @property
    def needs_backbone(self) -> bool:
        """Whether the published kernels have to be adopted before anything is computed."""
        return self.content is not None

    def adopt(self, published: Mapping[str, Tensor]) -> None:
        """Take over the published kernels that no checkpoint holds; see `LiteTrunk.adopt`."""
        if self.content is not None:
            self.content.adopt(published)

    @property
    def cues(self) -> tuple[str, ...]:
        """What it looks at, in words for a report."""
        return ("style flow",) if self.content is None else CUE_NAMES

    @torch.no_grad()
    def without(self, cue: str) -> StyleFlowLive:
        """Return a copy, ready for inference, whose rating one of its cues no longer moves.

        Raises:
            ValueError: it has no such cue, or no other one.
        """
        if cue not in self.cues or len(self.cues) == 1:
            raise ValueError(f"{cue!r} is not one of several cues: {', '.join(self.cues)}")
        twin = copy.deepcopy(self).eval()
        if cue == "style flow":
            twin.fusion.flow_head.weight.zero_()
        elif cue == "content":
            twin.fusion.content_head.weight.zero_()
            twin.fusion.query.weight.zero_()  # nor does it choose what the style flow answers
        else:
            twin.restlessness.weights.zero_()
        return twin

    def encode(self, images: Tensor) -> Tensor:
        """Return style latents, `(B, L, D)`, of aligned crops, `(B, S, S, 3)` RGB uint8.

        They are float32 whatever the encoder computes in: a style delta is the small difference of
        two of them.
        """
        latents: Tensor = self.encoder(self._shrunk(images))
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
        return ratings if self.content is None else ratings + self._steadiness(images, gaps)

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
            return self._flow_logits(states[:, :, -1]), states[:, :, -1]
        windows = self.window(images.flatten(0, 1))
        features = self.content(windows)[0]
        logits: Tensor = self.fusion(features.float(), states.flatten(0, 1))
        return logits.view(B, T), states[:, :, -1]

    def init_state(self, slots: int) -> StyleFlowLiveState:
        """Return the state of `slots` tracks that have seen nothing, on the weights' device."""
        dims, device = self.dims, self.style_gru.initial.device
        cells = dims.content.size_px // PATCH_STRIDE if dims.content else 0
        latent = (dims.encoder.style_levels, dims.encoder.latent)
        return StyleFlowLiveState(
            hidden=self.style_gru.start(slots).detach().clone(),
            last_latent=torch.zeros(slots, *latent, device=device),
            has_latent=torch.zeros(slots, dtype=torch.bool, device=device),
            latents=torch.zeros(slots, dims.frames, *latent, device=device),
            position=torch.zeros(slots, dtype=torch.int64, device=device),
            count=torch.zeros(slots, dtype=torch.int64, device=device),
            evidence=torch.zeros(slots, device=device),
            weight=torch.zeros(slots, device=device),
            recent=torch.zeros(slots, CUES, device=device),
            surprise=torch.zeros(slots, CUES, device=device),
            steps=torch.zeros(slots, device=device),
            traces=torch.zeros(slots, cells, cells, device=device),
        )

    @torch.no_grad()
    def clear(self, state: StyleFlowLiveState, rows: Tensor) -> None:
        """Make rows, `(B,)` int64, forget everything."""
        state.hidden[rows] = self.style_gru.initial
        for gathered in (
            state.last_latent,
            state.has_latent,
            state.latents,
            state.position,
            state.count,
            state.evidence,
            state.weight,
            state.recent,
            state.surprise,
            state.steps,
            state.traces,
        ):
            gathered[rows] = 0

    @torch.no_grad()
    def push(
        self, state: StyleFlowLiveState, rows: Tensor, images: Tensor, missing: Tensor
    ) -> None:
        """Feed one sampled frame to each row; see `Detector.push`."""
        latents = self.encode(images)
        seen = state.has_latent[rows]
        hidden = state.hidden[rows]
        followed = self.style_gru.follow(hidden, latents - state.last_latent[rows], missing)
        hidden = torch.where(seen[:, None, None], followed, hidden)
        kept = self._kept(torch.where(seen, missing, 0))
        state.evidence[rows] = state.evidence[rows] * kept + self._look(state, rows, images, hidden)
        state.weight[rows] = state.weight[rows] * kept + 1
        if self.content is not None:
            gathered = self.restlessness.step(
                _restlessness(state, rows), self.window(images), missing, kept
            )
            state.recent[rows], state.surprise[rows] = gathered.recent, gathered.surprise
            state.steps[rows] = gathered.steps
        position = state.position[rows]
        state.hidden[rows] = hidden
        state.last_latent[rows] = latents
        state.has_latent[rows] = True
        state.latents[rows, position] = latents
        state.position[rows] = (position + 1) % self.dims.frames
        state.count[rows] += 1

    @torch.no_grad()
    def reanchor(self, state: StyleFlowLiveState, rows: Tensor, images: Tensor) -> None:
        """Replace each row's newest frame by the same frame under its new anchor.

        The hidden state stays: the delta that led to this frame was measured under the old anchor.
        The next one will be measured against the latent given here.
        """
        latents = self.encode(images)
        state.last_latent[rows] = latents
        state.latents[rows, (state.position[rows] - 1) % self.dims.frames] = latents

    @torch.no_grad()
    def rate(self, state: StyleFlowLiveState, rows: Tensor) -> Tensor:
        """Return the logits of rows, `(B,)`; above 0 leans fake."""
        newest = self._flow_logits(state.hidden[rows, -1]) if self.content is None else 0.0
        weight = state.weight[rows]
        rated = state.evidence[rows] / weight.clamp_min(1e-6)
        if self.content is not None:
            rated = rated + self.restlessness(_restlessness(state, rows))
        return torch.where(weight > 0, rated, newest)

    def patches(self, state: StyleFlowLiveState, rows: Tensor) -> tuple[tuple[Patch, ...], ...]:
        """Return which patches of the frame that each row was pushed last lean synthesised.

        A patch's strength is the sigmoid of its logit, never calibrated; those below one half lean
        authentic and are left out. It is a copy of what `push` has seen, so asking costs little.
        """
        window = self.dims.content
        if window is None:
            return ((),) * len(rows)
        strengths = state.traces[rows].sigmoid() * (state.count[rows] > 0)[:, None, None]
        side, left, top = (n / self.dims.crop_px for n in (PATCH_STRIDE, window.left, window.top))
        return tuple(
            tuple(
                Patch(
                    left + column * side,
                    top + row * side,
                    left + (column + 1) * side,
                    top + (row + 1) * side,
                    strength,
                )
                for row, cells in enumerate(grid)
                for column, strength in enumerate(cells)
                if strength > 0.5
            )
            for grid in strengths.cpu().tolist()
        )

    def recent_latents(self, state: StyleFlowLiveState, row: int) -> Tensor:
        """Return the style latents that a track still keeps, oldest first, `(n, L, D)`."""
        kept = min(int(state.count[row]), self.dims.frames)
        ages = torch.arange(kept, 0, -1, device=state.latents.device)
        return state.latents[row, (state.position[row] - ages) % self.dims.frames]

    def deploy(
        self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> StyleFlowLive:
        """Make this network ready for inference, for good, and return it.

        Args:
            device: where weights and state live.
            dtype: what the encoder computes in; everything after it stays float32.
        """
        self.encoder = self.encoder.folded().to(dtype)
        if self.content is not None:
            self.content = self.content.folded().to(dtype)
        return self.eval().requires_grad_(requires_grad=False).to(device)

    def _look(
        self, state: StyleFlowLiveState, rows: Tensor, images: Tensor, hidden: Tensor
    ) -> Tensor:
        """Return the logits of new frames alone, `(B,)`, and keep their maps of traces."""
        if self.content is None:
            return self._flow_logits(hidden[:, -1])
        windows = self.window(images)
        features, state.traces[rows], _ = self.content(windows)
        logits: Tensor = self.fusion(features.float(), hidden)
        return logits

    def _flow_logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(self.head_norm(hidden))
        return logits.squeeze(-1)

    def _running_mean(self, logits: Tensor, missing: Tensor | None) -> Tensor:
        """Return the rating after every frame, `(B, T)`, as `push` and `rate` would give it."""
        gaps = torch.zeros_like(logits) if missing is None else missing
        evidence = weight = torch.zeros_like(logits[:, 0])
        ratings = []
        for logit, gap in zip(logits.unbind(1), gaps.unbind(1), strict=True):
            kept = self._kept(gap)
            evidence, weight = evidence * kept + logit, weight * kept + 1
            ratings.append(evidence / weight)
        return torch.stack(ratings, dim=1)

    def _steadiness(self, images: Tensor, missing: Tensor | None) -> Tensor:
        """Return what the restlessness of whole clips adds to their ratings, `(B, T)`."""
        B, T = images.shape[:2]
        gaps = missing if missing is not None else torch.zeros(B, T, device=images.device)
        state, added = self.restlessness.start(B), []
        for frame, gap in zip(images.unbind(1), gaps.unbind(1), strict=True):
            state = self.restlessness.step(state, self.window(frame), gap, self._kept(gap))
            added.append(self.restlessness(state))
        return torch.stack(added, dim=1)

    def _kept(self, missing: Tensor) -> Tensor:
        """Return what remains of the evidence one frame and so many missing ones later, `(B,)`."""
        if self.dims.evidence_half_life == 0:
            return torch.zeros_like(missing, dtype=torch.float32)
        return torch.exp2(-(missing.float() + 1) / self.dims.evidence_half_life)

    def _shrunk(self, images: Tensor) -> Tensor:
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


def _restlessness(state: StyleFlowLiveState, rows: Tensor) -> Restlessness:
    return Restlessness(
        state.recent[rows], state.surprise[rows], state.steps[rows], state.count[rows].float()
    )
