"""Schedule of looks: which sampled frames of a track a detector of few looks spends itself on.

A look at a face is dear and neighbouring frames are alike. So a track is looked at often while it
is new, less often from then on, and seldom once it has a verdict. What is looked at is decided
here, frame by frame, and said in the plan (`Push.look`); detectors that use every frame ignore it.

A verdict must not move the schedule by when its answer happens to come: live video would look at
other frames than the same video from a file. So it counts from a fixed number of slots after the
frame that it is about, by which time its answer is there. One that comes later still counts at
once, and only then do the two differ.

Under overload frames give way, and what is left would then be looked at ever more often: a load
that is a little too high would bring down everything. So a frame that gave way does not count
towards the distance to the next look; looks become rare together with frames. And where so many
give way that there is no verdict for it, looks keep the distance that they have with one: otherwise
a load that costs verdicts would double the looks, and bring itself about.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from stream.engine.settings import EngineSettings
from styleflow.clips import ClipSpec

ANSWERED_S = 1.0
"""Media seconds within which the answer to a plan has nearly always come."""

_MOST_PENDING = 64


@dataclass(frozen=True, slots=True)
class LookPace:
    """Distances between looks, in slots of the cadence grid.

    Attributes:
        early: while a track is new.
        early_for: how long it is.
        usual: from then on, without a verdict.
        settled: with one.
        answered: slots from a frame to where its verdict counts.
    """

    early: int
    early_for: int
    usual: int
    settled: int
    answered: int

    @classmethod
    def of(cls, settings: EngineSettings, clip: ClipSpec) -> LookPace:
        """Return the pace that settings ask for on a detector's grid."""

        def slots(seconds: float) -> int:
            return max(1, round(seconds * clip.cadence_hz))

        return cls(
            slots(settings.look_early_every_s),
            round(settings.look_early_s * clip.cadence_hz),
            slots(settings.look_every_s),
            slots(settings.look_settled_every_s),
            slots(ANSWERED_S),
        )


class LookClock:
    """When one track is looked at."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._last = 0
        self._settled = False
        self._answers: deque[tuple[int, bool]] = deque(maxlen=_MOST_PENDING)

    def restart(self) -> None:
        """Begin anew: the next frame is the first."""
        self._first = None
        self._settled = False
        self._answers.clear()

    def answered(self, slot: int, *, settled: bool) -> None:
        """Take note of whether the track had a verdict as of the frame in `slot`."""
        self._answers.append((slot, settled))

    def looks(
        self,
        slot: int,
        pace: LookPace,
        factor: int = 1,
        overrun: int = 0,
        *,
        strained: bool = False,
    ) -> bool:
        """Return whether the frame in `slot`, later than every earlier one, is looked at.

        Args:
            slot: of the frame.
            pace: distances between looks.
            factor: times as long they are, under overload.
            overrun: sampled frames that gave way just before this one.
            strained: so many give way that the stream has no verdicts.
        """
        while self._answers and self._answers[0][0] + pace.answered <= slot:
            _, self._settled = self._answers.popleft()
        if self._first is None:
            self._first = self._last = slot
            return True
        self._last = min(self._last + max(overrun, 0), slot)
        if slot - self._first < pace.early_for:
            distance = pace.early
        else:
            distance = pace.settled if self._settled else pace.usual
        distance *= factor
        if strained:
            distance = max(distance, pace.settled)
        if slot - self._last < distance:
            return False
        self._last = slot
        return True
