"""The cadence grid on which live video, training and evaluation sample a video's frames.

`GridSampler` picks, for every point of the grid, the source frame nearest to it. Nothing is
duplicated and nothing is invented: a grid point without a frame within half a step stays empty.
Live video pushes frames as they come; `sample` runs the same sampler over a file's media times, so
that a file gives the very same frames wherever it is read. Pure: no torch and no pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sampled(Generic[T]):
    """A source frame chosen for one point of the grid."""

    slot: int
    at: float
    item: T


class GridSampler(Generic[T]):
    """Choose source frames on a grid of `cadence_hz`, whose origin is the epoch's first frame.

    Each slot gets at most one frame and each frame at most one slot: the one whose grid point is
    nearest. A frame at or after its grid point, or less than a tenth of a step before it, is
    chosen at once; an earlier one waits for the next frame, which may be nearer. At most one frame
    waits, so memory is bounded, and the choice depends only on the frames, not on how they come.
    """

    EARLY = 0.1

    def __init__(self, cadence_hz: float) -> None:
        if not cadence_hz > 0:
            raise ValueError(f"a cadence is above 0 Hz, not {cadence_hz}")
        self.cadence_hz = cadence_hz
        self._decided = -1
        self._waiting: Sampled[T] | None = None

    def push(self, at: float, item: T) -> list[Sampled[T]]:
        """Take the next frame of this epoch; return what is thereby chosen, in slot order."""
        position = at * self.cadence_hz
        slot = floor(position + 0.5)
        offset = position - slot
        chosen: list[Sampled[T]] = []
        waiting = self._waiting
        if waiting is not None:
            self._waiting = None
            early = waiting.slot - waiting.at * self.cadence_hz
            if waiting.slot != slot or early <= abs(offset):
                chosen.append(self._decide(waiting))
        if slot > self._decided:
            frame = Sampled(slot, at, item)
            if offset >= -self.EARLY:
                chosen.append(self._decide(frame))
            else:
                self._waiting = frame
        return chosen

    def finish(self) -> list[Sampled[T]]:
        """End the epoch: return the waiting frame, if any, and be ready for the next epoch."""
        waiting, self._waiting, self._decided = self._waiting, None, -1
        return [] if waiting is None else [waiting]

    def _decide(self, frame: Sampled[T]) -> Sampled[T]:
        self._decided = frame.slot
        return frame


def sample(
    times: Iterable[float], cadence_hz: float, *, ends: bool = True
) -> tuple[Sampled[int], ...]:
    """Return which frames are sampled, by their numbers, in order.

    Args:
        times: media seconds of each frame, rising; the first is the grid's origin.
        cadence_hz: points of the grid per second.
        ends: the video ends after the last frame; otherwise it goes on, and a last frame that only
            a nearer one may still replace is not sampled.

    Raises:
        ValueError: the cadence is not above 0 Hz.
    """
    sampler: GridSampler[int] = GridSampler(cadence_hz)
    origin: float | None = None
    chosen: list[Sampled[int]] = []
    for number, at in enumerate(times):
        origin = at if origin is None else origin
        chosen += sampler.push(at - origin, number)
    return (*chosen, *sampler.finish()) if ends else tuple(chosen)
