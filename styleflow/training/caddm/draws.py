"""Sources of the random numbers of CADDM's pseudo-fakes.

The released program draws from NumPy's old global generator, in an order that `caddm_sample.py`
keeps. Behind this protocol the same code runs on the caller's own generator, and in the parity
tests on the released one.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]


class Draws(Protocol):
    """A stream of random numbers; every call moves it on."""

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number in [low, high)."""
        ...

    def integer(self, low: int, high: int) -> int:
        """Return one of low..high - 1."""
        ...

    def normal(self) -> float:
        """Return a number of mean 0 and standard deviation 1."""
        ...

    def normals(self, *shape: int) -> Field:
        """Return an array of such numbers; a last axis of three is red, green and blue."""
        ...

    def colour(self) -> Field:
        """Return three numbers in [0, 1): red, green and blue."""
        ...

    def ripple(self, height: int, width: int) -> tuple[int, Field, Field]:
        """Return what bends a mask: an amplitude of 300..500 and noise in [-1, 1) for x and y."""
        ...


class GeneratorDraws:
    """Numbers from the caller's generator.

    Args:
        rng: is moved on by every call.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number in [low, high)."""
        return float(self._rng.uniform(low, high))

    def integer(self, low: int, high: int) -> int:
        """Return one of low..high - 1."""
        return int(self._rng.integers(low, high))

    def normal(self) -> float:
        """Return a number of mean 0 and standard deviation 1."""
        return float(self._rng.standard_normal())

    def normals(self, *shape: int) -> Field:
        """Return an array of such numbers."""
        return self._rng.standard_normal(shape)

    def colour(self) -> Field:
        """Return three numbers in [0, 1)."""
        return self._rng.random(3)

    def ripple(self, height: int, width: int) -> tuple[int, Field, Field]:
        """Return an amplitude of 300..500 and noise in [-1, 1) for x and y, `(height, width)`."""
        amplitude = self.integer(300, 501)
        across, down = self._rng.uniform(-1, 1, (2, height, width))
        return amplitude, across, down
