"""`styleflow-live` on live tracks: one step per sampled frame, a row of state per track."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.detectors.styleflow_live.content import PATCH_STRIDE
from styleflow.detectors.styleflow_live.network import StyleFlowLive, StyleFlowLiveDims
from styleflow.detectors.styleflow_live.temporal_stability import CUES, StabilityState
from styleflow.overlay import Patch, PointsAt

UNSAVED = ModelCard("styleflow-live", "unsaved", TemporalMode.CAUSAL, TrainingStatus.UNTRAINED, "")
"""Card of a network that no checkpoint has named."""

CUE_NAMES = ("style flow", "content", "steadiness")


@dataclass(slots=True, eq=False)
class StyleFlowLiveState:
    """State of `N` tracks, on the weights' device.

    Attributes:
        hidden: hidden state of the causal StyleGRU, `(N, layers, H)`.
        last_latent: style latent of the newest frame, `(N, L, D)`; zero before the first.
        has_latent: whether there was a frame, `(N,)` bool.
        latents: the newest style latents in a ring, `(N, frames, L, D)`.
        position: where in the ring the next latent goes, `(N,)` int64.
        count: frames pushed since the row was cleared, `(N,)` int64.
        evidence: weighted sum of the frames' logits, `(N,)`.
        weight: sum of the weights in it, `(N,)`.
        recent: recent mean of fine detail, `(N, CUES)`; this and the next two: `StabilityState`.
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


class StyleFlowLiveDetector(StyleFlowLive):
    """The network as a `Detector`: it knows its card and steps the state of tracks.

    `push`, `reanchor` and `rate` belong to inference: call `eval()` first, or take the network
    through `deploy`.
    """

    stateless: ClassVar[tuple[str, ...]] = ("encoder", "content")
    """Parts that keep nothing between calls, which a runtime may run in its own way."""

    def __init__(
        self,
        dims: StyleFlowLiveDims,
        card: ModelCard = UNSAVED,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(dims)
        self.card = card
        self.clip = dims.clip
        self.calibration = calibration or Calibration()
        self.points_at: PointsAt | None = PointsAt.TRACES if dims.content else None

    @property
    def cues(self) -> tuple[str, ...]:
        """Names of its cues, for a report."""
        return ("style flow",) if self.content is None else CUE_NAMES

    @torch.no_grad()
    def without(self, cue: str) -> StyleFlowLiveDetector:
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
        kept = self.kept(torch.where(seen, missing, 0))
        state.evidence[rows] = state.evidence[rows] * kept + self._look(state, rows, images, hidden)
        state.weight[rows] = state.weight[rows] * kept + 1
        if self.content is not None:
            gathered = self.restlessness.step(
                _stability_state(state, rows), self.window(images), missing, kept
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
        newest = self.flow_logits(state.hidden[rows, -1]) if self.content is None else 0.0
        weight = state.weight[rows]
        rated = state.evidence[rows] / weight.clamp_min(1e-6)
        if self.content is not None:
            rated = rated + self.restlessness(_stability_state(state, rows))
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
    ) -> StyleFlowLiveDetector:
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
            return self.flow_logits(hidden[:, -1])
        windows = self.window(images)
        features, state.traces[rows], _ = self.content(windows)
        logits: Tensor = self.fusion(features.float(), hidden)
        return logits


def _stability_state(state: StyleFlowLiveState, rows: Tensor) -> StabilityState:
    return StabilityState(
        state.recent[rows], state.surprise[rows], state.steps[rows], state.count[rows].float()
    )
