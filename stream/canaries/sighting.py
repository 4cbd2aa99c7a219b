"""A sighting: what the events of one canary's stream amount to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from stream.canaries.records import Canary, Opinion, Sight
from stream.events import AbstainReason, Event, Score, StreamReport


@dataclass(slots=True)
class Sighting:
    """Takes the events of one canary's stream, and says what was seen.

    The ratings of warming up are left out, unless there are no others.

    Attributes:
        canary: which one.
        hop_s: longest that the last score may lie before the last picture.
    """

    canary: Canary
    hop_s: float = 0.5
    _scores: list[tuple[Score, float]] = field(default_factory=list)
    _fps: list[float] = field(default_factory=list)

    def take(self, event: Event, now: float) -> None:
        """Take in the next event, which was told at monotonic time `now`."""
        match event:
            case Score():
                self._scores.append((event, now))
            case StreamReport(fps=float(fps)):
                self._fps.append(fps)
            case _:
                pass

    @property
    def end(self) -> float:
        """Media time of the newest picture that was scored; 0 before the first."""
        return self._scores[-1][0].end if self._scores else 0.0

    def conclude(self, began: float | None = None, failure: str = "") -> Sight:
        """Return what was seen.

        Args:
            began: monotonic seconds at which the clip's media time was 0; None without a pace.
            failure: why the clip did not get through.
        """
        scores = [score for score, _ in self._scores]
        warm = [s for s in scores if AbstainReason.WARMING not in s.reasons] or scores
        detectors = dict.fromkeys(score.detector for score in warm)
        return Sight(
            canary=self.canary,
            opinions={
                name: _opinion([s for s in warm if s.detector == name]) for name in detectors
            },
            fps=self._fps[-1] if self._fps else None,
            face_px=_mean([s.quality.face_px for s in warm]),
            brightness=_mean([s.quality.brightness for s in warm]),
            sharpness=_mean([s.quality.sharpness for s in warm]),
            latency_s=None if began is None else self._latency_s(began),
            failure=failure,
        )

    def _latency_s(self, began: float) -> float | None:
        """Return the median time from the encoder to the score, in the first epoch."""
        if not self._scores:
            return None
        first = self._scores[0][0].epoch
        taken = [now - began - s.end for s, now in self._scores if s.epoch == first]
        return max(median(taken), 0.0)


def _opinion(scores: Sequence[Score]) -> Opinion:
    return Opinion(fmean(s.logit for s in scores), scores[-1].score, len(scores))


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
