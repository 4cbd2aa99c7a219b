"""FakeSTormer on live tracks: the window of a track is rated as a clip, from scratch each time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.detectors.fakestormer.backbone import FakeStormerDims
from styleflow.detectors.fakestormer.network import (
    FakeStormer,
    FakeStormerPrediction,
    VulnerabilityMaps,
)
from styleflow.errors import ShapeMismatch
from styleflow.overlay import Patch, PointsAt

UNSAVED = ModelCard("fakestormer", "unsaved", TemporalMode.EXACT, TrainingStatus.UNTRAINED, "")
"""Card of a network that no checkpoint has named."""


class DeployableFakeStormer(FakeStormer):
    """A FakeSTormer network as a checkpoint builds it: with its card, and ready to be deployed."""

    def __init__(
        self,
        dims: FakeStormerDims,
        card: ModelCard = UNSAVED,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(dims)
        self.card = card
        self.calibration = calibration or Calibration()

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


@dataclass(slots=True, eq=False)
class FakeStormerState:
    """State of N tracks: their last T crops.

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
    steps: ClassVar[tuple[str, ...]] = ("score",)

    def __init__(self, model: DeployableFakeStormer) -> None:
        self.model = self.network = model
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
            logits[full] = self.score(self._window(state, rows[full]))
        return logits

    def score(self, clips: Tensor) -> Tensor:
        """Return the logits, `(B,)` float32, of clips, `(B, 3, T, S, S)`, normalised."""
        return self.model.score(clips).float()

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
