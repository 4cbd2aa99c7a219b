"""Summary of one face's ratings over a whole video."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Summary:
    """What the ratings of a track amount to.

    Ratings of single windows count alike. A detector whose rating sums up the track so far
    (`ClipSpec.memory`) would have its first frames counted again in every rating; of it, the last
    rating of each stretch as long as its memory counts, by the stretch's length.

    Attributes:
        memory: sampled frames that one rating sums up; 0 for its window alone.
    """

    memory: int = 0
    total: float = 0.0
    weight: float = 0.0
    newest: float = 0.0
    frames: int = 0  # of the stretch that goes on
    begun: int = 0  # frames of evidence when it began

    def add(self, logit: float, frames: int) -> None:
        """Take in a rating and how many frames of evidence the track had then."""
        if self.memory == 0:
            self.total += logit
            self.weight += 1
            return
        anew = frames < self.begun + self.frames
        if anew or frames - self.begun > self.memory:
            weight = self.frames / self.memory
            self.total += weight * self.newest
            self.weight += weight
            self.begun = 0 if anew else self.begun + self.memory
        self.newest, self.frames = logit, max(frames - self.begun, 1)

    @property
    def logit(self) -> float | None:
        """The track's logit; None before the first rating."""
        weight = self.frames / self.memory if self.memory else 0.0
        if self.weight + weight == 0:
            return None
        return (self.total + weight * self.newest) / (self.weight + weight)
