"""Deciders: how the ratings of one face become its verdict.

Two are there. `Thresholds` hold the smoothed score against two limits, with hysteresis, as
`stream/engine/verdict.py` says. `Budget` compares trials with those of known sources and pays for
each from an account of false alarms, as `stream/engine/budget.py` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from stream.engine.settings import EngineSettings
from stream.events import Decision, Verdict
from styleflow.decisions import DecisionTable, Quality


@dataclass(frozen=True, slots=True)
class Smoothed:
    """What smoothing makes of the ratings so far, the newest included.

    Attributes:
        score: smoothed probability.
        seen_s: media seconds since the rating before that were seen; 0 after abstaining.
        near_chance: validation says that such a score tells little.
        settings: thresholds and dwell.
        quality: of the pictures behind the newest rating; None where it is unknown.
    """

    score: float
    seen_s: float
    near_chance: bool
    settings: EngineSettings
    quality: Quality | None = None


class Decider(Protocol):
    """Verdict about one face. It is never asked while the engine abstains."""

    def rate(self, logit: float, seconds: float, smoothed: Smoothed) -> Verdict:
        """Take in a rating that is evidence and return the verdict.

        Args:
            logit: raw and finite.
            seconds: media seconds of usable frames that it speaks for, above 0.
            smoothed: the same after smoothing.
        """
        ...

    def restart(self) -> None:
        """Forget the evidence: it was interrupted."""
        ...

    @property
    def undecided(self) -> bool:
        """Whether the verdict is kept back although there is evidence enough."""
        ...

    def decision(self) -> Decision | None:
        """Return what is decided and how; None when thresholds say it all."""
        ...


class Deciders(Protocol):
    """Makes the deciders of one stream's faces."""

    def earn(self, seconds: float) -> None:
        """Take note that the stream was watched for so many media seconds more."""
        ...

    def compare_with(self, own: Callable[[DecisionTable], DecisionTable]) -> None:
        """Have trials that begin from now on compared with what this returns."""
        ...

    def face(self) -> Decider:
        """Return the decider of one more face."""
        ...
