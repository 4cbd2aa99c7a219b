"""Time of pictures whose stamps are no clock: frozen, doubled, or many times too fast or slow.

`SubstituteClock` judges the stamps of one connection, and once they are no clock gives every
picture a time of its own: of a camera when it arrived, smoothed; of a file when it is decoded, or
else the mean distance. Pure; no clock is read.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from itertools import pairwise

JUDGED = 16
"""Of so many pictures in a row, half without a place make the stamps no clock."""

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

    def hear(self, pts: int | None, dts: int | None, arrived: float) -> None:
        """Take in what the next picture says of itself."""
        self._arrived.append(arrived)
        self._dts.append(dts)
        if pts is not None:
            self._pts.append(pts)

    def judge(self, pts: int | None, time_base: Fraction, *, placed: bool, began: bool) -> None:
        """Take in what became of the picture by its stamp."""
        if pts is None and not self._by_arrival:
            return  # a file without any stamps is refused as such
        self._faults.append(not placed)
        if placed and pts is not None and self._by_arrival:
            self._compare(pts, time_base, began=began)
        self.runs = self.runs or 2 * sum(self._faults) >= JUDGED or abs(self._off) >= 2

    def step(self, time_base: Fraction) -> int:
        """Return how long after the one before the newest picture comes, in `time_base` units."""
        seconds = self._arrival_step() if self._by_arrival else self._file_step(time_base)
        return max(1, round(seconds / time_base))

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
        if rising and len(dts) > 1:
            step = float((dts[-1] - dts[-2]) * time_base)
        else:
            spread = max(self._pts) - min(self._pts) if self._pts else 0
            step = float(spread * time_base) / max(1, len(self._pts) - 1)
        return step if 0.0 < step <= LONGEST_S else USUAL_S
