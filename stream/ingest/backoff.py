"""Backoff between attempts to connect. Pure: the random generator is handed in."""

from __future__ import annotations

import random

from stream.events import ReasonCode

PATIENT = frozenset({ReasonCode.AUTH, ReasonCode.NOT_FOUND, ReasonCode.TLS, ReasonCode.CODEC})
"""Reasons that only a person can remedy; asking often would lock accounts and help nobody."""

HEALTHY_S = 60.0
"""A connection that was live for this long has proved itself: the next failure is a new one."""


class Backoff:
    """Jittered exponential waiting: 0.5 s to 30 s, or one to five minutes for patient reasons.

    Each delay is drawn from the upper half of a doubling range, so that cameras that fell together
    do not return together.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0
        self._patient = False

    def after(self, code: ReasonCode, healthy_s: float = 0.0) -> float:
        """Return how many seconds to wait after this failure.

        Args:
            code: why it failed.
            healthy_s: how long the connection had been live before; a healthy minute resets.
        """
        patient = code in PATIENT
        if healthy_s >= HEALTHY_S or patient != self._patient:
            self._failures = 0
        self._patient = patient
        first, most = (120.0, 300.0) if patient else (1.0, 30.0)
        ceiling = min(most, first * 2.0**self._failures)
        if ceiling < most:
            self._failures += 1
        return self._rng.uniform(ceiling / 2, ceiling)
