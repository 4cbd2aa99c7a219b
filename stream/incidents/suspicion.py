"""Suspicion of one face, added up: how long it was suspect, by whom, and how badly. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from stream.events import SecondLook
from stream.incident import (
    Incident,
    IncidentStatus,
    Peak,
    ScoredBy,
    SecondOpinion,
    Severity,
)
from stream.incidents.settings import IncidentSettings
from stream.problems import notice
from styleflow.cards import ModelCard, TrainingStatus

MAX_TRACKS = 64
"""Faces that an incident names: the first, and the newest of those that followed."""

Rater = tuple[int, str]
"""A track and the detector that looks at it."""

_TRUST = {
    TrainingStatus.UNTRAINED: 0,
    TrainingStatus.UNCALIBRATED: 1,
    TrainingStatus.EXPERIMENTAL: 2,
    TrainingStatus.TRAINED: 3,
}


@dataclass(frozen=True, slots=True)
class Sighting:
    """A face that one detector finds suspect at one moment.

    Attributes:
        track: the face.
        model: the detector.
        p: its score.
        lo: lower end of the interval.
        hi: upper end of the interval.
        moment: monotonic seconds at which the newest packet behind it arrived.
        second: what a heavier detector said of it; None when it was not shown it.
        wants_second: it takes a heavier detector, too, for an incident to be of high severity.
    """

    track: int
    model: ModelCard
    p: float
    lo: float
    hi: float
    moment: float
    second: SecondLook | None = None
    wants_second: bool = False

    @property
    def rater(self) -> Rater:
        """Who says so of which face."""
        return self.track, self.model.name


@dataclass(slots=True)
class Span:
    """Seconds for which somebody found a face suspect; what nobody has seen does not count."""

    last: float
    seconds: float = 0.0
    held: set[Rater] = field(default_factory=set)

    def see(self, rater: Rater, moment: float) -> None:
        """Take note that the face is suspect now."""
        if self.held:
            self.seconds += max(moment - self.last, 0.0)
        self.last = max(self.last, moment)
        self.held.add(rater)


def may_alarm(model: ModelCard, settings: IncidentSettings) -> bool:
    """Say whether a model may raise alarms; the others give hints."""
    return model.status is TrainingStatus.TRAINED or settings.experimental_alarms


def opens(model: ModelCard, settings: IncidentSettings) -> bool:
    """Say whether a model's verdicts make incidents at all."""
    chosen = not settings.detectors or model.name in settings.detectors
    return chosen and model.status is not TrainingStatus.UNTRAINED


def backed(seen: Sighting, settings: IncidentSettings) -> bool:
    """Say whether a sighting may make an incident's severity high.

    Where faces are looked at a second time, both detectors have to lean to fake, and the second has
    to be one that may raise alarms; an untrained one never may.
    """
    if not seen.wants_second:
        return True
    second = seen.second
    if second is None or second.status is TrainingStatus.UNTRAINED:
        return False
    if not second.agrees or second.score <= 0.5:
        return False
    return second.status is TrainingStatus.TRAINED or settings.experimental_alarms


def severity_of(p: float, lo: float, seconds: float, settings: IncidentSettings) -> Severity:
    """Return the severity that a trusted model's score has after so much suspicion."""
    s = settings
    if seconds >= s.high_s and lo >= s.high_lo and p >= s.high_p:
        return Severity.HIGH
    if seconds >= s.medium_s and lo >= s.medium_lo:
        return Severity.MEDIUM
    return Severity.LOW


class OpenIncident:
    """An incident that goes on.

    Its times are those of the monotonic clock, told from the wall clock's at its beginning: a wall
    clock that is set meanwhile changes no duration.

    Args:
        incident: as it is opened.
        opened: monotonic seconds of that.
        told: monotonic seconds at which it was last told.

    Attributes:
        incident: as it is now.
        told: monotonic seconds at which it was last told.
    """

    def __init__(self, incident: Incident, opened: float, told: float) -> None:
        self.incident = incident
        self.told = told
        self._opened = opened
        self._all = Span(opened)
        self._trusted = Span(opened)  # by those who may raise alarms
        self._lead = TrainingStatus(incident.scored_by.status)

    @classmethod
    def begin(
        cls, name: str, where: tuple[str, str, int], seen: Sighting, now: float, utc: datetime
    ) -> OpenIncident:
        """Open an incident with the first sighting, which is still to be taken in.

        Args:
            name: its id.
            where: id and name of the stream, and the epoch.
            seen: what opens it.
            now: monotonic seconds.
            utc: wall clock.
        """
        stream, called, epoch = where
        at = utc - timedelta(seconds=max(now - seen.moment, 0.0))
        incident = Incident(
            id=name,
            stream=stream,
            name=called,
            epoch=epoch,
            tracks=(seen.track,),
            scored_by=scored_by(seen.model),
            severity=Severity.HINT,
            status=IncidentStatus.OPEN,
            opened=at,
            last_at=at,
            closed=None,
            suspect_s=0.0,
            peak=Peak(seen.p, seen.lo, seen.hi, at),
            notice=notice(seen.model, demo=False),
        )
        return cls(incident, seen.moment, now)

    @property
    def last(self) -> float:
        """Monotonic seconds at which it was last suspect."""
        return self._all.last

    def holds(self, rater: Rater) -> bool:
        """Say whether somebody has found a face of it suspect ever since the last sighting."""
        return rater in self._all.held

    def see(self, seen: Sighting, settings: IncidentSettings) -> bool:
        """Take in a sighting; return whether the severity rose."""
        before, alarms = self.incident.severity, may_alarm(seen.model, settings)
        moment = max(seen.moment, self._all.last)
        self._all.see(seen.rater, moment)
        severity = before
        if alarms:
            self._trusted.see(seen.rater, moment)
            graded = severity_of(seen.p, seen.lo, self._trusted.seconds, settings)
            if graded is Severity.HIGH and not backed(seen, settings):
                graded = Severity.MEDIUM
            severity = max(before, graded)
        self._lead_with(seen, self._at(moment))
        tracks = self.incident.tracks
        if seen.track not in tracks:
            tracks = (tracks[0], *(*tracks[1:], seen.track)[-(MAX_TRACKS - 1) :])
        self.incident = replace(
            self.incident,
            tracks=tracks,
            severity=severity,
            last_at=self._at(moment),
            suspect_s=round(self._all.seconds, 3),
            second_look=opinion(seen.second) or self.incident.second_look,
        )
        return severity > before

    def calm(self, rater: Rater) -> None:
        """Take note that somebody does not find a face suspect any more."""
        self._all.held.discard(rater)
        self._trusted.held.discard(rater)

    def lose(self, track: int | None = None) -> None:
        """Take note that a face is out of view; all of them, without one."""
        for span in (self._all, self._trusted):
            span.held = {r for r in span.held if track is not None and r[0] != track}

    def close(self, now: float) -> Incident:
        """Close it and return it."""
        closed = max(self._at(now), self.incident.last_at)
        self.incident = replace(self.incident, status=IncidentStatus.CLOSED, closed=closed)
        return self.incident

    def _lead_with(self, seen: Sighting, at: datetime) -> None:
        """Have the model that may be trusted furthest lead; among equals the first one does."""
        incident, peak = self.incident, Peak(seen.p, seen.lo, seen.hi, at)
        if seen.model.name == incident.scored_by.name:
            if seen.p > incident.peak.p:
                self.incident = replace(incident, peak=peak)
        elif _TRUST[seen.model.status] > _TRUST[self._lead]:
            self._lead = seen.model.status
            self.incident = replace(
                incident,
                scored_by=scored_by(seen.model),
                peak=peak,
                notice=notice(seen.model, demo=False),
            )

    def _at(self, moment: float) -> datetime:
        return self.incident.opened + timedelta(seconds=max(moment - self._opened, 0.0))


def opinion(look: SecondLook | None) -> SecondOpinion | None:
    """Return a second look as incidents tell of it."""
    if look is None:
        return None
    return SecondOpinion(look.detector, look.status.value, look.score, look.at, look.agrees)


def scored_by(model: ModelCard) -> ScoredBy:
    """Return a model as incidents name it."""
    return ScoredBy(model.name, model.version, model.mode.value, model.status.value, model.sha256)


def finite(value: float, otherwise: float) -> float:
    """Return a share of one, whatever a detector has made of it."""
    return min(max(value, 0.0), 1.0) if math.isfinite(value) else otherwise
