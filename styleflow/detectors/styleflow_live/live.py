"""`styleflow-live` on live tracks: a look every so many sampled frames, a row of state each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.detectors.styleflow_live.network import StyleFlowLive, StyleFlowLiveDims
from styleflow.errors import ShapeMismatch, WeightsUnusable
from styleflow.lanes import sent
from styleflow.overlay import Patch, PointsAt

UNSAVED = ModelCard("styleflow-live", "unsaved", TemporalMode.CAUSAL, TrainingStatus.UNTRAINED, "")
"""Card of a network that no checkpoint has named."""

CUE_NAMES = ("whole face", "mouth and eyes", "style flow")


@dataclass(slots=True, eq=False)
class StyleFlowLiveState:
    """State of `N` tracks, on the weights' device.

    Attributes:
        hidden: hidden state of the causal StyleGRU, `(N, layers, H)`.
        last_latent: style latent of the newest look, `(N, L, D)`; zero before the first.
        looked: whether there was a look, `(N,)` bool.
        since: sampled frames since that look, missing ones counted, `(N,)` int64.
        evidence: weighted sum of the looks' logits, `(N,)`.
        weight: sum of the weights in it, `(N,)`.
        traces: what the heads say of every patch of the newest look, `(N, s, s)`.
    """

    hidden: Tensor
    last_latent: Tensor
    looked: Tensor
    since: Tensor
    evidence: Tensor
    weight: Tensor
    traces: Tensor


class StyleFlowLiveDetector(StyleFlowLive):
    """The network as a `Detector`: it knows its card and steps the state of tracks.

    `push`, `reanchor` and `rate` belong to inference: call `eval()` first, or take the network
    through `deploy`.
    """

    stateless: ClassVar[tuple[str, ...]] = ("encoder",)
    """Parts that keep nothing between calls, which a runtime may run in its own way."""

    steps: ClassVar[tuple[str, ...]] = ("advance",)
    """Methods from what rows remember to what they remember then, which an accelerator records."""

    reduced: ClassVar[tuple[str, ...]] = ("encoder",)
    """Those of them that half the precision serves as well: ratings moved by 1 % of the distance
    between real and fake on validation clips."""

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
        self.points_at: PointsAt | None = PointsAt.TRACES

    @property
    def cues(self) -> tuple[str, ...]:
        """Names of its cues, for a report."""
        return CUE_NAMES

    @torch.no_grad()
    def without(self, cue: str) -> StyleFlowLiveDetector:
        """Return a copy, ready for inference, whose rating one of its cues no longer moves.

        Raises:
            ValueError: it has no such cue.
        """
        if cue not in CUE_NAMES:
            raise ValueError(f"{cue!r} is not one of its cues: {', '.join(CUE_NAMES)}")
        twin = copy.deepcopy(self).eval()
        head = dict(zip(CUE_NAMES, (twin.face, twin.regions, twin.flow_head), strict=True))[cue]
        head.weight.zero_()
        head.bias.zero_()
        return twin

    def init_state(self, slots: int) -> StyleFlowLiveState:
        """Return the state of `slots` tracks that have seen nothing, on the weights' device."""
        dims, device = self.dims, self.style_gru.initial.device
        cells = dims.size_px // dims.backbone.patch_px
        return StyleFlowLiveState(
            hidden=self.style_gru.start(slots).detach().clone(),
            last_latent=torch.zeros(slots, dims.style_levels, dims.latent, device=device),
            looked=torch.zeros(slots, dtype=torch.bool, device=device),
            since=torch.zeros(slots, dtype=torch.int64, device=device),
            evidence=torch.zeros(slots, device=device),
            weight=torch.zeros(slots, device=device),
            traces=torch.zeros(slots, cells, cells, device=device),
        )

    @torch.no_grad()
    def clear(self, state: StyleFlowLiveState, rows: Tensor) -> None:
        """Make rows, `(B,)` int64, forget everything."""
        state.hidden[rows] = self.style_gru.initial
        for gathered in (
            state.last_latent,
            state.looked,
            state.since,
            state.evidence,
            state.weight,
            state.traces,
        ):
            gathered.index_fill_(0, rows, 0)

    @torch.no_grad()
    def push(
        self, state: StyleFlowLiveState, rows: Tensor, images: Tensor, missing: Tensor
    ) -> None:
        """Feed one sampled frame to each row; see `Detector.push`.

        A row looks at its first frame, and then at each that comes `look_every` sampled frames or
        more behind its last look.

        Raises:
            ShapeMismatch: crops of another size.
        """
        due = state.since[rows] + missing + 1 >= self.dims.look_every
        looks: list[bool] = (due | ~state.looked[rows]).tolist()
        self.push_looks(state, rows, images, missing, looks)

    @torch.no_grad()
    def begin_looks(self, images: Tensor) -> Callable[[], tuple[Tensor, ...]]:
        """Begin to look at crops, and return what waits for statistics and maps of them.

        Raises:
            ShapeMismatch: crops of another size.
        """
        self._check(images)
        return self.begin_look(images)

    @torch.no_grad()
    def push_looks(
        self,
        state: StyleFlowLiveState,
        rows: Tensor,
        images: Tensor,
        missing: Tensor,
        looks: Sequence[bool],
        seen: tuple[Tensor, ...] | None = None,
    ) -> None:
        """Feed one sampled frame to each row and look at some; see `Looking.push_looks`.

        Nothing waits for the device.

        Raises:
            ShapeMismatch: crops of another size, or other looks than were begun.
        """
        self._check(images)
        state.since[rows] = state.since[rows] + missing + 1
        at = [place for place, look in enumerate(looks) if look]
        if seen is not None and len(seen[0]) != len(at):
            raise ShapeMismatch("looks that were begun", f"({len(at)}, ...)", seen[0].shape)
        if not at:
            return
        if len(at) < len(looks):
            places = sent(at, rows.device)
            rows = rows[places]
            images = images if seen is not None else images[places]
        features, traces = self.look(images) if seen is None else seen
        self._take_in(state, rows, features, traces)

    def reanchor(self, state: StyleFlowLiveState, rows: Tensor, images: Tensor) -> None:
        """Do nothing: statistics over all patches hardly depend on where the crop begins.

        The delta to the next look is measured across the anchors, as in training.

        Raises:
            ShapeMismatch: crops of another size.
        """
        self._check(images)

    @torch.no_grad()
    def rate(self, state: StyleFlowLiveState, rows: Tensor) -> Tensor:
        """Return the logits of rows, `(B,)`; above 0 leans fake."""
        return state.evidence[rows] / state.weight[rows].clamp_min(1e-6)

    def patches(self, state: StyleFlowLiveState, rows: Tensor) -> tuple[tuple[Patch, ...], ...]:
        """Return which patches of the newest look lean synthesised.

        A patch's strength is the sigmoid of what the means' share of the head says of it, never
        calibrated; those below one half lean authentic and are left out. It is a copy of what
        `push` has seen, so asking costs little.
        """
        strengths = state.traces[rows].sigmoid() * state.looked[rows][:, None, None]
        side = 1 / state.traces.shape[-1]
        return tuple(
            tuple(
                Patch(column * side, row * side, (column + 1) * side, (row + 1) * side, strength)
                for row, cells in enumerate(grid)
                for column, strength in enumerate(cells)
                if strength > 0.5
            )
            for grid in strengths.cpu().tolist()
        )

    def deploy(
        self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> StyleFlowLiveDetector:
        """Make this network ready for inference, for good, and return it.

        Args:
            device: where weights and state live.
            dtype: what the encoder computes in; everything after it stays float32.

        Raises:
            WeightsUnusable: it stands on published weights and has not adopted them.
        """
        encoder = self.encoder
        if encoder is None:
            raise WeightsUnusable("foundation network", "they have not been adopted")
        blocks, width = encoder.pointing.shape
        with torch.no_grad():
            means = self.face.weight.view(blocks, -1, width)[:, 0]
            encoder.pointing.copy_(means)
        self.encoder = encoder.to(dtype)
        return self.eval().requires_grad_(requires_grad=False).to(device)

    def _check(self, images: Tensor) -> None:
        size = self.dims.size_px
        if images.ndim != 4 or images.shape[1:] != (size, size, 3):
            raise ShapeMismatch("aligned crops", f"(B, {size}, {size}, 3)", images.shape)

    def _take_in(
        self, state: StyleFlowLiveState, rows: Tensor, features: Tensor, traces: Tensor
    ) -> None:
        """Gather what was seen in frames, each the newest of its row."""
        known = (
            state.hidden,
            state.last_latent,
            state.looked,
            state.since,
            state.evidence,
            state.weight,
        )
        hidden, latents, evidence, weight = self.advance(features, *(t[rows] for t in known))
        state.hidden[rows], state.last_latent[rows] = hidden, latents
        state.evidence[rows], state.weight[rows] = evidence, weight
        state.traces[rows] = traces + self.map_bias
        state.looked.index_fill_(0, rows, value=True)
        state.since.index_fill_(0, rows, 0)

    def advance(
        self,
        features: Tensor,
        hidden: Tensor,
        last_latent: Tensor,
        looked: Tensor,
        since: Tensor,
        evidence: Tensor,
        weight: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what rows remember after a look: hidden states, latents, evidence and weight.

        Args:
            features: statistics of the looks, `(B, blocks, 4, D)`.
            hidden: what they remembered before, as are the rest; see `StyleFlowLiveState`.
            last_latent: likewise.
            looked: likewise.
            since: likewise, this frame counted.
            evidence: likewise.
            weight: likewise.
        """
        latents = self.latents(features)
        followed = self.follow(hidden, latents - last_latent, since)
        after = torch.where(looked[:, None, None], followed, hidden)
        kept = self.kept(since)
        logits = self.look_logits(features) + self.flow_logits(after, features)
        return after, latents, evidence * kept + logits, weight * kept + 1
