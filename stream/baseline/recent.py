"""The newest trials of every stream, so that somebody may say that they were real.

A sink of the event log. Per stream there are at most `MAX_RECENT` trials of the last `KEPT_S`
seconds; the oldest gives way. That is what "the last minutes" are made of, also without a store.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from stream.baseline.trials import Look, RealTrial, TrialMaker
from stream.event_log.event_log import StampedEvent
from stream.events import Score, StreamAdded, StreamRemoved
from styleflow.decisions import Horizon

KEPT_S = 3600.0
"""Monotonic seconds after which a trial is forgotten."""
MAX_RECENT = 2048
"""Trials per stream: more than two faces' of an hour."""


@dataclass(slots=True)
class _Stream:
    maker: TrialMaker
    trials: deque[tuple[float, RealTrial]] = field(default_factory=lambda: deque(maxlen=MAX_RECENT))


class RecentTrials:
    """Trials that were over lately, by stream. Belongs to the log's thread.

    Args:
        detector: whose ratings count.
        horizon: times of a trial.
    """

    def __init__(self, detector: str, horizon: Horizon) -> None:
        self._detector = detector
        self._horizon = horizon
        self._streams: dict[str, _Stream] = {}

    def accept(self, stamped: StampedEvent) -> None:
        """Take in a score; forget a stream when it is removed."""
        event = stamped.event
        match event:
            case StreamAdded():
                self._streams.setdefault(event.stream, _Stream(TrialMaker(self._horizon)))
            case StreamRemoved():
                self._streams.pop(event.stream, None)
            case Score() if event.detector == self._detector:
                self._take(event, stamped.now)
            case _:
                pass

    def _take(self, score: Score, now: float) -> None:
        stream = self._streams.get(score.stream)
        trial = None if stream is None else stream.maker.add(Look.of(score))
        if stream is None or trial is None:
            return
        stream.trials.append((now, trial))
        while stream.trials[0][0] < now - KEPT_S:
            stream.trials.popleft()

    def since(self, stream: str, now: float, seconds: float) -> tuple[RealTrial, ...]:
        """Return the trials of a stream that were over in the last so many seconds."""
        found = self._streams.get(stream)
        return () if found is None else tuple(t for at, t in found.trials if at >= now - seconds)
