"""Motion of the demo sources' talking head, as a function of time and seed alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLINK_EVERY_S = 3.6
_BLINK_S = 0.3


@dataclass(frozen=True, slots=True)
class Pose:
    """Position of the head and state of the face at one moment.

    Attributes:
        x: shift to the right, portrait pixels.
        y: shift downwards, portrait pixels.
        roll: clockwise, radians.
        turn: how far the nose moves to the right against the ears, portrait pixels.
        nod: how far the nose moves down against the ears, portrait pixels.
        pucker: how much narrower the mouth is, 0..1.
        jaw: how far the lower lip is below its rest, portrait pixels.
        lids: how far the lids are closed, 0..1.
    """

    x: float
    y: float
    roll: float
    turn: float
    nod: float
    pucker: float
    jaw: float
    lids: float


class Drift:
    """A smooth, never repeating wander within -1..1: three sines of unrelated frequencies."""

    def __init__(self, rng: np.random.Generator, slow_hz: float, fast_hz: float) -> None:
        self._hz = rng.uniform(slow_hz, fast_hz, 3)
        self._phase = rng.uniform(0, 2 * math.pi, 3)

    def at(self, seconds: float) -> float:
        """Return where it is at a time."""
        return float(np.sin(2 * math.pi * self._hz * seconds + self._phase).mean())


class Motion:
    """Movement of head, face and camera over time.

    Args:
        seed: chooses motion and blinks.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])
        self._seed = seed
        self._x, self._y = Drift(rng, 0.05, 0.3), Drift(rng, 0.08, 0.35)
        self._roll = Drift(rng, 0.06, 0.25)
        self._turn, self._nod = Drift(rng, 0.08, 0.4), Drift(rng, 0.1, 0.7)
        self._talk, self._rhythm = Drift(rng, 0.08, 0.22), Drift(rng, 0.5, 1.1)
        self._loudness, self._pucker = Drift(rng, 0.6, 1.6), Drift(rng, 0.8, 1.7)
        self._light = [Drift(rng, 0.03, 0.15) for _ in range(4)]

    def at(self, t: float) -> Pose:
        """Return the pose at a media time in seconds."""
        talking = 1 / (1 + math.exp(-9 * (self._talk.at(t) + 0.15)))
        syllable = 0.5 + 0.5 * math.sin(2 * math.pi * 3.3 * t + 3 * self._rhythm.at(t))
        opening = syllable * (0.75 + 0.35 * self._loudness.at(t))
        return Pose(
            x=7.0 * self._x.at(t),
            y=3.5 * self._y.at(t),
            roll=0.055 * self._roll.at(t),
            turn=8.0 * self._turn.at(t),
            nod=4.5 * self._nod.at(t) + 0.5 * talking * syllable,
            pucker=talking * (0.5 + 0.5 * self._pucker.at(t)),
            jaw=talking * (6.0 * opening - 2.2),
            lids=self._lids(t),
        )

    def exposure(self, t: float) -> NDArray[np.float32]:
        """Return the camera's gain for red, green and blue at a media time in seconds."""
        together, *apart = (drift.at(t) for drift in self._light)
        return np.float32(1 + 0.04 * together) * (1 + 0.008 * np.array(apart, np.float32))

    def _lids(self, t: float) -> float:
        turn = math.floor(t / _BLINK_EVERY_S)
        early = np.random.default_rng([self._seed, 4, turn]).random()
        start = turn * _BLINK_EVERY_S + early * (_BLINK_EVERY_S - _BLINK_S)
        done = (t - start) / _BLINK_S
        if not 0 < done < 1:
            return 0.0
        return min(1.0, 1.3 * math.sin(math.pi * done**0.7))
