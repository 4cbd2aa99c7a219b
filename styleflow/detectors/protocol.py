"""Interface of every deepfake detector, live and in evaluation alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.clips import ClipSpec
from styleflow.overlay import Patch, PointsAt

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Detector",
    "Explaining",
    "HopAware",
    "Looking",
    "ModelCard",
    "TemporalMode",
    "TrainingStatus",
    "points_at",
]


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
        """Return the logits of rows, `(B,)`; above 0 leans fake.

        NaN says that a row has not seen enough yet, as an exact detector before its first full
        window.
        """
        ...


@runtime_checkable
class HopAware(Protocol):
    """A detector whose state is laid out for ratings at one distance; others only cost more."""

    def every(self, hop: int) -> Detector:
        """Return the same detector, sharing its weights, for ratings every `hop` sampled frames."""
        ...


@runtime_checkable
class Looking(Protocol):
    """A detector that looks at few of its frames, and lets itself be told at which.

    What it sees in a frame depends on nothing but the frame, so a look may begin before its push.
    """

    def begin_looks(self, images: Tensor) -> Callable[[], tuple[Tensor, ...]]:
        """Begin to look at aligned crops, and return what waits for what is seen in them.

        It may be computed beside the caller. Of each answer, the first axis is that of `images`.
        """
        ...

    def push_looks(
        self,
        state: Any,
        rows: Tensor,
        images: Tensor,
        missing: Tensor,
        looks: Sequence[bool],
        seen: tuple[Tensor, ...] | None = None,
    ) -> None:
        """Feed one sampled frame to each row, as `push` does, and look at some of them.

        `looks`, one for each row, says at which: always at the first frame after `clear`. It is
        known to the caller so that nobody has to wait for the device. `seen` is what `begin_looks`
        gave for these frames, in their order; None looks now.
        """
        ...


@runtime_checkable
class Explaining(Protocol):
    """A detector that can also explain, at a cost, when it is asked.

    Attributes:
        points_at: kind of explanation; None where these weights have nothing to show.
    """

    points_at: PointsAt | None

    def patches(self, state: Any, rows: Tensor) -> tuple[tuple[Patch, ...], ...]:
        """Return the regions that stand out in the crop that each row was pushed last.

        There is nothing where there is none yet; a crop given to `reanchor` is not looked at.
        """
        ...


def points_at(detector: Detector) -> PointsAt | None:
    """Return the kind of explanation that a detector gives; None when it gives none."""
    return detector.points_at if isinstance(detector, Explaining) else None
