"""Incidents that recorded clips would have opened: their verdicts, played to the incident machine.

The clips come one after the other as one stream, each an epoch of its own and so long after the one
before that no incident goes on. The time in between counts for nothing. Verdicts are those that
were recorded, or those that a budget of false alarms makes of the recorded ratings; its account
earns while there is video, and lasts from one clip to the next, as on a camera.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from stream.engine.budget import Budget
from stream.engine.decider import Decider, Smoothed
from stream.engine.settings import EngineSettings
from stream.event_log.event_log import StampedEvent
from stream.events import (
    EpochCause,
    EpochStarted,
    Event,
    Score,
    ScoringModel,
    StreamAdded,
    TrackEnd,
    TrackEnded,
    TrackStarted,
    Verdict,
    VerdictChanged,
)
from stream.incident import IncidentStep
from stream.incidents.machine import IncidentMachine
from stream.incidents.settings import IncidentSettings
from styleflow.cards import ModelCard
from styleflow.evaluation.record import ClipRecord, Rating
from styleflow.faces.face import Box, FaceQuality

_STREAM = "recorded"
_BEGAN = datetime(2000, 1, 1, tzinfo=UTC)
_NO_BOX = Box(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class IncidentCount:
    """Incidents of recorded clips.

    Attributes:
        incidents: how many were opened.
        hours: of video in which they were.
    """

    incidents: int
    hours: float


def count_incidents(
    records: Sequence[ClipRecord],
    model: ModelCard,
    settings: IncidentSettings,
    engine: EngineSettings,
    budget: Budget | None = None,
) -> IncidentCount:
    """Return how many incidents these clips open.

    Args:
        records: of the clips, each under one condition.
        model: whose ratings they are; one that is untrained opens none.
        settings: when there is an incident.
        engine: with the hop of the ratings.
        budget: decides anew; the recorded verdicts count when None.
    """
    machine = IncidentMachine(settings)
    log = _Log(machine)
    scoring = (ScoringModel(model, calibrated=True),)
    log.take(0.0, StreamAdded(_STREAM, 0, _STREAM, scoring))
    begin, seconds = 0.0, 0.0
    for epoch, record in enumerate(records, start=1):
        log.take(begin, EpochStarted(_STREAM, epoch, EpochCause.CONNECTED))
        for at, event in _Clip(record, epoch, begin, model.name, engine, budget).events():
            log.take(begin + at, event)
        seconds += record.duration_s
        begin += record.duration_s + settings.quiet_s + settings.merge_s + 1.0
    return IncidentCount(log.opened, seconds / 3600.0)


@dataclass(slots=True)
class _Log:
    """Stamps events for the machine, and counts what it opens."""

    machine: IncidentMachine
    opened: int = 0
    events: int = 0

    def take(self, now: float, event: Event) -> None:
        self.events += 1
        stamped = StampedEvent(self.events, now, _BEGAN + timedelta(seconds=now), event)
        changes = self.machine.take(stamped)
        self.opened += sum(change.step is IncidentStep.OPENED for change in changes)


@dataclass(slots=True)
class _Clip:
    """Ratings of one clip as events."""

    record: ClipRecord
    epoch: int
    begin: float
    detector: str
    engine: EngineSettings
    budget: Budget | None
    faces: dict[int, _Face] = field(default_factory=dict)

    def events(self) -> Iterator[tuple[float, Event]]:
        """Yield what happens in the clip, each with its media time."""
        earned_s = 0.0
        for rating in sorted(self.record.ratings, key=lambda each: each.end):
            if self.budget is not None:
                self.budget.earn(max(rating.end - earned_s, 0.0))
                earned_s = max(earned_s, rating.end)
            for event in self._rate(rating):
                yield rating.end, event
        end = self.record.duration_s
        if self.budget is not None:
            self.budget.earn(max(end - earned_s, 0.0))
        for track in self.faces:
            yield end, TrackEnded(_STREAM, self.epoch, track, end, TrackEnd.EPOCH_ENDED)

    def _rate(self, rating: Rating) -> Iterator[Event]:
        face = self.faces.get(rating.track)
        if face is None:
            decider = self.budget.face() if self.budget is not None else None
            face = self.faces[rating.track] = _Face(decider, self.engine)
            yield TrackStarted(_STREAM, self.epoch, rating.track, rating.end)
        before, face.shown = face.shown, face.verdict(rating)
        yield self._score(rating, face.shown)
        if face.shown is not before:
            yield VerdictChanged(
                *(_STREAM, self.epoch, rating.track, rating.end),
                before,
                face.shown,
                rating.score,
                self.detector,
            )

    def _score(self, rating: Rating, verdict: Verdict) -> Score:
        p = rating.score
        return Score(
            stream=_STREAM,
            epoch=self.epoch,
            track=rating.track,
            start=0.0,
            end=rating.end,
            frames=rating.frames,
            missing=0,
            logit=rating.logit,
            probability=p,
            score=p,
            low=p,
            high=p,
            verdict=verdict,
            reasons=(),
            quality=FaceQuality(rating.face_px, rating.sharpness, rating.brightness, 0.0),
            box=_NO_BOX,
            arrived=self.begin + rating.end,
            detector=self.detector,
        )


@dataclass(slots=True)
class _Face:
    """One face: what decides it, and what is shown of it."""

    decider: Decider | None
    engine: EngineSettings
    shown: Verdict = Verdict.PENDING
    before: Rating | None = None

    def verdict(self, rating: Rating) -> Verdict:
        """Return the verdict after a rating."""
        before, self.before = self.before, rating
        if self.decider is None:
            return Verdict(rating.verdict)
        if before is not None and rating.frames < before.frames:
            self.decider.restart()  # the evidence was interrupted, and begins anew
        if not rating.counts:
            return Verdict.PENDING
        hop_s = self.engine.hop_s
        seconds = hop_s if before is None else min(rating.end - before.end, 2 * hop_s)
        smoothed = Smoothed(
            rating.score, seconds, near_chance=False, settings=self.engine, quality=rating.quality
        )
        return self.decider.rate(rating.logit, seconds, smoothed) if seconds > 0 else self.shown
