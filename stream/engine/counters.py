"""Counters of one engine."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class EngineCounters:
    """Totals of one engine since it began; every figure only grows.

    Attributes:
        pushes: frames handed to the device, one per track.
        looks: those of them that are looked at, see `looks.py`.
        ratings: logits asked for.
        scores: scores published.
        contaminated: sampled frames that were no evidence.
        late_frames: frames that were not newer than the one before; not used.
        foreign_faces: faces of tracks that never started or have ended; not used.
        late_answers: answers that came twice, out of order, for another stream, or too late.
        unanswered: plans whose answer never came or was overtaken.
        unrated: ratings without a usable logit, for example before an exact window is full.
        refusals: pushes that found no slot on the device.
        evictions: tracks ended to make room for others.
        turned_away: tracks that were not followed because `max_tracks` were in sight.
    """

    pushes: int = 0
    looks: int = 0
    ratings: int = 0
    scores: int = 0
    contaminated: int = 0
    late_frames: int = 0
    foreign_faces: int = 0
    late_answers: int = 0
    unanswered: int = 0
    unrated: int = 0
    refusals: int = 0
    evictions: int = 0
    turned_away: int = 0


class Tally:
    """Counts what one engine does.

    Attributes:
        counters: the totals so far.
    """

    def __init__(self) -> None:
        self.counters = EngineCounters()

    def count(self, **increments: int) -> None:
        """Add to counters by their names."""
        self.counters = replace(
            self.counters,
            **{key: getattr(self.counters, key) + n for key, n in increments.items()},
        )
