"""What every deepfake detector looks like from outside, live and in evaluation alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from torch import Tensor

from styleflow.calibration import Calibration
from styleflow.clips import ClipSpec


class TemporalMode(Enum):
    """How a detector looks at time; the numbers of one mode never stand for the other's."""

    CAUSAL = "causal"  # one step per frame, O(1); ours
    EXACT = "exact"  # the whole window is recomputed from the rolling buffer; the published models


class TrainingStatus(Enum):
    """How far a checkpoint's scores may be trusted."""

    UNTRAINED = "untrained"  # seeded random weights: shows that the path works, means nothing
    UNCALIBRATED = "uncalibrated"  # trained, but its logits were never fitted to probabilities
    TRAINED = "trained"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What every message says about the model behind a score.

    Attributes:
        name: the model's published name, for example `styleflow-live`.
        version: version of the weights.
        mode: how it looks at time.
        status: how far its scores may be trusted.
        sha256: digest of the checkpoint's tensors, hexadecimal.
    """

    name: str
    version: str
    mode: TemporalMode
    status: TrainingStatus
    sha256: str


class Detector(Protocol):
    """A detector whose per-track state lives in numbered slots on the device.

    `state` is opaque to the caller and holds every slot. `rows` are slot numbers, `(B,)` int64,
    each at most once per call. Rows that are not named remain bit-identical.
    """

    card: ModelCard
    clip: ClipSpec
    calibration: Calibration

    def init_state(self, slots: int) -> Any:
        """Return the state of `slots` tracks that have seen nothing, on the weights' device."""
        ...

    def clear(self, state: Any, rows: Tensor) -> None:
        """Make rows forget everything."""
        ...

    def push(self, state: Any, rows: Tensor, images: Tensor, missing: Tensor) -> None:
        """Feed one sampled frame to each row.

        Args:
            state: from `init_state`, changed in place.
            rows: which tracks, `(B,)` int64.
            images: aligned crops, `(B, S, S, 3)` RGB uint8.
            missing: grid slots without a usable frame since the row's previous push, `(B,)` int64.
        """
        ...

    def reanchor(self, state: Any, rows: Tensor, images: Tensor) -> None:
        """Replace the newest frame of each row by the same frame under its new anchor.

        Args:
            state: from `init_state`, changed in place.
            rows: which tracks, `(B,)` int64.
            images: aligned crops under the new anchor, `(B, S, S, 3)` RGB uint8.
        """
        ...

    def rate(self, state: Any, rows: Tensor) -> Tensor:
        """Return the logits of rows, `(B,)`; above 0 leans fake."""
        ...
