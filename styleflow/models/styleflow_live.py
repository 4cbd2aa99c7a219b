"""`styleflow-live`: the detector that watches live video, one step per sampled frame.

A frame becomes a style latent, the difference to the latent before becomes a step of the causal
StyleGRU, and a linear head on the hidden state says which way the evidence leans. What a track has
gathered lives in one row of `StyleFlowLiveState`; the network itself remembers nothing.

Training and evaluation call `score_clip` on whole clips. Live video calls `push`, `reanchor` and
`rate` on rows. Both give the same logits, which the tests hold to 1e-5.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from styleflow.calibration import Calibration
from styleflow.card import ModelCard, TemporalMode, TrainingStatus
from styleflow.clips import ClipSpec
from styleflow.errors import ShapeMismatch
from styleflow.models.style_encoder import StyleEncoder, StyleEncoderDims
from styleflow.models.style_gru import CausalStyleGRU, style_deltas

NAME = "styleflow-live"
UNSAVED = ModelCard(NAME, "unsaved", TemporalMode.CAUSAL, TrainingStatus.UNTRAINED, "")
"""What a network says about itself before a checkpoint gives it a name."""


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
    """

    encoder: StyleEncoderDims = field(default_factory=StyleEncoderDims)
    hidden: int = 256
    layers: int = 2
    gap_half_life: float = 6.0
    frames: int = 32
    cadence_hz: float = 12.5

    def __post_init__(self) -> None:
        """Refuse dimensions that no network can have."""
        for name, most in (("hidden", 8192), ("layers", 8), ("frames", 1024)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ValueError(f"{name} lies in 1..{most}, not {value}")
        for name in ("gap_half_life", "cadence_hz"):
            value = getattr(self, name)
            if not 0 < value <= 1000:
                raise ValueError(f"{name} lies in 0..1000, not {value}")

    @property
    def clip(self) -> ClipSpec:
        """The format of the clips that this network is trained on."""
        return ClipSpec(self.frames, self.cadence_hz, self.encoder.size_px)


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
    """

    hidden: Tensor
    last_latent: Tensor
    has_latent: Tensor
    latents: Tensor
    position: Tensor
    count: Tensor


class StyleFlowLive(nn.Module):
    """The causal detector; implements the `Detector` protocol.

    `push`, `reanchor` and `rate` belong to inference: call `eval()` first, or take the network
    through `deploy`.

    Source: StyleFlow (Choi et al., CVPR 2024), style flow of a face as evidence.
    Departs: a compact encoder, a causal StyleGRU that steps frame by frame, and a linear head in
        place of the content branch and its attention.
    """

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
        self.head_norm = nn.LayerNorm(dims.hidden)
        self.head = nn.Linear(dims.hidden, 1)

    def encode(self, images: Tensor) -> Tensor:
        """Return style latents, `(B, L, D)`, of aligned crops, `(B, S, S, 3)` RGB uint8.

        They are float32 whatever the encoder computes in: a style delta is the small difference of
        two of them.
        """
        latents: Tensor = self.encoder(images)
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
        if images.ndim != 5:
            raise ShapeMismatch("clips", "(B, T, S, S, 3)", images.shape)
        B, T = images.shape[:2]
        latents = self.encode(images.flatten(0, 1))
        latents = latents.view(B, T, *latents.shape[1:])
        tops = self.style_gru.start(B)[:, -1:]  # (B, 1, H): the first frame has no delta
        if T > 1:
            gaps = None if missing is None else missing[:, 1:]
            tops = torch.cat([tops, self.style_gru(style_deltas(latents), gaps)], dim=1)
        return self._logits(tops)

    def init_state(self, slots: int) -> StyleFlowLiveState:
        """Return the state of `slots` tracks that have seen nothing, on the weights' device."""
        dims, device = self.dims, self.style_gru.initial.device
        latent = (dims.encoder.style_levels, dims.encoder.latent)
        return StyleFlowLiveState(
            hidden=self.style_gru.start(slots).detach().clone(),
            last_latent=torch.zeros(slots, *latent, device=device),
            has_latent=torch.zeros(slots, dtype=torch.bool, device=device),
            latents=torch.zeros(slots, dims.frames, *latent, device=device),
            position=torch.zeros(slots, dtype=torch.int64, device=device),
            count=torch.zeros(slots, dtype=torch.int64, device=device),
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
        ):
            gathered[rows] = 0

    @torch.no_grad()
    def push(
        self, state: StyleFlowLiveState, rows: Tensor, images: Tensor, missing: Tensor
    ) -> None:
        """Feed one sampled frame to each row; see `Detector.push`."""
        latents = self.encode(images)
        hidden = state.hidden[rows]
        followed = self.style_gru.follow(hidden, latents - state.last_latent[rows], missing)
        seen = state.has_latent[rows]
        position = state.position[rows]
        state.hidden[rows] = torch.where(seen[:, None, None], followed, hidden)
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
        return self._logits(state.hidden[rows, -1])

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
        return self.eval().requires_grad_(requires_grad=False).to(device)

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(self.head_norm(hidden))
        return logits.squeeze(-1)
