"""Time of pictures whose stamps are no clock: frozen, doubled, or many times too fast or slow.

`SubstituteClock` judges the stamps of one connection, and once they are no clock gives every
picture a time of its own: of a camera when it arrived, smoothed; of a file when it is decoded, or
else by the frame rate that the file declares. Pure; no clock is read.

A file may have been made at any rate, from a screen that changes once in five seconds to a clip in
slow motion. So its stamps are too slow only where pictures are closer than any camera makes them,
and too fast only where they run on beyond the end that the file itself declares.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from itertools import pairwise

JUDGED = 16
CAMERA_FAULTS = 6
FILE_FAULTS = 4
"""Of so many pictures in a row, so many without a place make the stamps no clock."""

CROWDED_S = 0.002
"""Pictures of a file are at least so far apart, or half of what it declares where that is less."""

SPARSE = 4
SPARSE_RATIO = 8.0
BEYOND = 1.25
"""Stamps that run beyond a file's declared end by this ratio and a second, the last ones so many
declared distances apart, are too fast."""

WINDOW_S = 2.0
OFF_BY = 3.0
"""In two windows by arrival the stamps run so many times too fast, or so many too slow."""

SMOOTHED = 64
"""Arrivals whose mean distance is the pictures' own."""

PULL = 0.1
LONGEST_S = 1.0
USUAL_S = 0.04


class SubstituteClock:
    """Judge of one connection's stamps, and the clock in their stead.

    Args:
        arrivals: pictures arrive as they are made, as from a camera; not so from a file.

    Attributes:
        runs: whether the stamps are no clock, so that this one counts.
    """

    def __init__(self, *, arrivals: bool) -> None:
        self.runs = False
        self._by_arrival = arrivals
        self._faults: deque[bool] = deque(maxlen=JUDGED)
        self._arrived: deque[float] = deque(maxlen=SMOOTHED)
        self._pts: deque[int] = deque(maxlen=JUDGED)
        self._dts: deque[int | None] = deque(maxlen=JUDGED)
        self._window: tuple[float, int] | None = None
        self._off = 0
        self._smooth: float | None = None
        self._declared_s: float | None = None
        self._duration_s: float | None = None
        self._first: int | None = None
        self._too_fast = False

    def declared(self, frame_rate: Fraction | None, duration_s: float | None) -> None:
        """Take in what a file says of itself."""
        self._declared_s = None if not frame_rate else float(1 / frame_rate)
        self._duration_s = duration_s

    def hear(self, pts: int | None, dts: int | None, arrived: float, time_base: Fraction) -> None:
        """Take in what the next picture says of itself."""
        self._arrived.append(arrived)
        self._dts.append(dts)
        if pts is not None:
            self._pts.append(pts)
            self._first = pts if self._first is None else self._first
            if not self._by_arrival and self._is_too_sparse(pts, time_base):
                self.runs = self._too_fast = True

    @property
    def faults(self) -> int:
        """How many of the pictures judged last have no place by their stamps."""
        return sum(self._faults)

    def is_crowded(self, distance: int, time_base: Fraction) -> bool:
        """Return whether a file's pictures are closer, in `time_base` units, than they can be."""
        least = min(CROWDED_S, (self._declared_s or USUAL_S) / 2)
        return float(distance * time_base) < least

    def pardon(self, pictures: int) -> None:
        """Forget the newest faults: these pictures were the first of a new epoch."""
        for _ in range(min(pictures, len(self._faults))):
            self._faults.pop()

    def judge(self, pts: int | None, time_base: Fraction, *, placed: bool, began: bool) -> None:
        """Take in what became of the picture by its stamp."""
        if pts is None and not self._by_arrival:
            return  # a file without any stamps is refused as such
        self._faults.append(not placed)
        if placed and pts is not None and self._by_arrival:
            self._compare(pts, time_base, began=began)
        faults = CAMERA_FAULTS if self._by_arrival else FILE_FAULTS
        self.runs = self.runs or self.faults >= faults or abs(self._off) >= 2

    def step(self, time_base: Fraction) -> int:
        """Return how long after the one before the newest picture comes, in `time_base` units."""
        seconds = self._arrival_step() if self._by_arrival else self._file_step(time_base)
        return max(1, round(seconds / time_base))

    def is_beyond_end(self, pts: int, time_base: Fraction) -> bool:
        """Return whether a stamp lies well beyond the end that a file declares."""
        if self._duration_s is None or self._first is None:
            return False
        return float((pts - self._first) * time_base) > BEYOND * self._duration_s + LONGEST_S

    def _is_too_sparse(self, pts: int, time_base: Fraction) -> bool:
        if len(self._pts) < SPARSE or not self.is_beyond_end(pts, time_base):
            return False
        least = SPARSE_RATIO * (self._declared_s or USUAL_S) / time_base
        return all(b - a >= least for a, b in pairwise(list(self._pts)[-SPARSE:]))

    def _compare(self, pts: int, time_base: Fraction, *, began: bool) -> None:
        arrived = self._arrived[-1]
        if self._window is None or began:
            self._window = (arrived, pts)
            return
        passed = arrived - self._window[0]
        if passed < WINDOW_S:
            return
        rate = float((pts - self._window[1]) * time_base) / passed
        off = (rate > OFF_BY) - (rate < 1.0 / OFF_BY)
        self._off = self._off + off if off and self._off * off >= 0 else off
        self._window = (arrived, pts)

    def _arrival_step(self) -> float:
        arrived, before = self._arrived[-1], self._smooth
        period = USUAL_S
        if len(self._arrived) > 1:
            period = (arrived - self._arrived[0]) / (len(self._arrived) - 1)
        if before is None:
            before = arrived - period
        early = arrived - (before + period)
        step = arrived - before if early > LONGEST_S else max(period + PULL * early, period / 2)
        step = max(step, 0.001)
        self._smooth = before + step
        return step

    def _file_step(self, time_base: Fraction) -> float:
        dts = [one for one in self._dts if one is not None]
        rising = len(dts) == len(self._dts) and all(a < b for a, b in pairwise(dts))
        if rising and len(dts) > 1 and not self._too_fast:
            step = dts[-1] - dts[-2]
            if not self.is_crowded(step, time_base) and step * time_base <= LONGEST_S:
                return float(step * time_base)
        if self._declared_s is not None:
            return self._declared_s
        spread = max(self._pts) - min(self._pts) if self._pts else 0
        step_s = float(spread * time_base) / max(1, len(self._pts) - 1)
        return step_s if CROWDED_S <= step_s <= LONGEST_S else USUAL_S
