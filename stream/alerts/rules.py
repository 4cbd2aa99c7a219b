"""Rules at work: incidents and time in, alerts out. Pure; all times are wall clock, UTC.

Of every incident a rule tells at most two things: that it is there, once it is severe enough and
lasts long enough, and that it is over. What quiet hours or the rate limit hold back is told when
they allow it again and the incident is still open; the end of one that was told waits for the end
of quiet hours. Whoever acknowledges or labels an incident has seen it: nothing more is sent of it.

How long a face has been suspect is what the incident said last, and since then the time for which
one of its tracks still is; that follows from the changes of verdicts.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from stream.alerts.settings import WEEKDAYS, QuietHours, Rule, minute_of
from stream.events import (
    Event,
    IncidentChanged,
    StreamRemoved,
    TrackEnded,
    Verdict,
    VerdictChanged,
)
from stream.incident import Incident, IncidentStatus, IncidentStep
from stream.publish.patterns import PatternSet

MAX_INCIDENTS = 1024
"""Incidents that rules may still speak of; the oldest gives way and is counted."""

MAX_SUSPECT = 4096
"""Faces that are known to be suspect now; the oldest gives way."""

MAX_TOLD = 65536
"""Alerts that are remembered, so that none is sent twice; the oldest gives way."""


class AlertKind(StrEnum):
    """Occasion of an alert."""

    OPENED = "opened"
    CLOSED = "closed"
    TEST = "test"


class HeldBack(StrEnum):
    """Why a rule did not tell an incident when it would have. A closed list."""

    QUIET = "quiet"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class Alert:
    """What one rule says of one incident.

    Attributes:
        rule: the rule.
        kind: on which occasion.
        incident: as it is then.
        at: when.
    """

    rule: Rule
    kind: AlertKind
    incident: Incident
    at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """An alert of the past, as far as rules must know it after a restart."""

    rule: str
    incident: str
    stream: str
    kind: AlertKind
    at: datetime


@dataclass(slots=True)
class _Case:
    """One incident that is watched."""

    incident: Incident
    said: datetime
    suspect_s: float
    since: datetime | None  # one of its tracks has been suspect without a break
    over: bool = False
    held: set[tuple[str, HeldBack]] = field(default_factory=set)

    def lasted_s(self, now: datetime) -> float:
        going_on = (now - self.since).total_seconds() if self.since is not None else 0.0
        return self.suspect_s + max(going_on, 0.0)

    @property
    def is_seen(self) -> bool:
        return self.incident.acknowledged is not None or self.incident.label is not None


@dataclass(frozen=True, slots=True)
class _Face:
    stream: str
    epoch: int
    track: int


class RuleEngine:
    """Rules, and what they have told.

    Args:
        rules: those that hold.

    Attributes:
        held_back: incidents that a rule did not tell at once, by rule and why; once per incident.
        forgotten: incidents that gave way to newer ones.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.held_back: Counter[tuple[str, HeldBack]] = Counter()
        self.forgotten = 0
        self._rules: tuple[tuple[Rule, PatternSet], ...] = ()
        self._cases: OrderedDict[str, _Case] = OrderedDict()
        self._suspect: OrderedDict[_Face, Counter[str]] = OrderedDict()
        self._told: OrderedDict[tuple[str, str, AlertKind], None] = OrderedDict()
        self._sent: dict[tuple[str, str], deque[datetime]] = {}
        self.replace(rules)

    def replace(self, rules: Iterable[Rule]) -> None:
        """Have other rules hold from now on; what was told stays told."""
        self._rules = tuple((rule, PatternSet(rule.streams)) for rule in rules if rule.enabled)

    def restore(self, told: Iterable[Told]) -> None:
        """Remember alerts of before a restart, oldest first."""
        for one in told:
            self._remember(one.rule, one.incident, one.kind)
            if one.kind is AlertKind.OPENED:
                self._sent.setdefault((one.rule, one.stream), deque(maxlen=1000)).append(one.at)

    def accept(self, event: Event, now: datetime) -> list[Alert]:
        """Take note of an event and return what is to be told now."""
        match event:
            case IncidentChanged():
                return self._incident(event, now)
            case VerdictChanged():
                self._verdict(event, now)
            case TrackEnded(stream=stream, epoch=epoch, track=track):
                self._calm(_Face(stream, epoch, track), now)
            case StreamRemoved(stream=stream):
                for face in [face for face in self._suspect if face.stream == stream]:
                    self._calm(face, now)
        return []

    def tick(self, now: datetime) -> list[Alert]:
        """Return what time alone has brought due."""
        alerts = [alert for case in self._cases.values() for alert in self._due(case, now)]
        self._drop_finished(now)
        return alerts

    def _incident(self, event: IncidentChanged, now: datetime) -> list[Alert]:
        incident = event.incident
        case = self._cases.get(incident.id)
        ends = event.step is IncidentStep.CLOSED
        if case is None and incident.status is IncidentStatus.CLOSED and not ends:
            return []  # somebody looks at an old one
        since = now if self._is_suspect(incident) else None
        if case is None:
            case = _Case(incident, now, incident.suspect_s, since)
            self._watch(case)
        elif event.step in (IncidentStep.OPENED, IncidentStep.EXTENDED, IncidentStep.CLOSED):
            case.suspect_s, case.since = incident.suspect_s, since
        case.incident, case.said = incident, now
        case.over = incident.status is IncidentStatus.CLOSED
        if case.over:
            case.since = None
        alerts = list(self._due(case, now))
        self._drop_finished(now)
        return alerts

    def _watch(self, case: _Case) -> None:
        self._cases[case.incident.id] = case
        while len(self._cases) > MAX_INCIDENTS:
            self._cases.popitem(last=False)
            self.forgotten += 1

    def _verdict(self, event: VerdictChanged, now: datetime) -> None:
        face = _Face(event.stream, event.epoch, event.track)
        if event.verdict is Verdict.SUSPECT:
            self._suspect.setdefault(face, Counter())[event.detector] = 1
            self._suspect.move_to_end(face)
            while len(self._suspect) > MAX_SUSPECT:
                self._suspect.popitem(last=False)
            for case in self._cases_of(face):
                case.since = case.since or now
            return
        detectors = self._suspect.get(face)
        if detectors is not None:
            del detectors[event.detector]
            if not detectors:
                self._calm(face, now)

    def _calm(self, face: _Face, now: datetime) -> None:
        """A face is not suspect any more."""
        if self._suspect.pop(face, None) is None:
            return
        for case in self._cases_of(face):
            if case.since is not None and not self._is_suspect(case.incident):
                case.suspect_s, case.since = case.lasted_s(now), None

    def _cases_of(self, face: _Face) -> Iterator[_Case]:
        for case in self._cases.values():
            incident = case.incident
            if not case.over and incident.stream == face.stream and face.track in incident.tracks:
                yield case

    def _is_suspect(self, incident: Incident) -> bool:
        return any(
            face.stream == incident.stream and face.track in incident.tracks
            for face in self._suspect
        )

    def _due(self, case: _Case, now: datetime) -> Iterator[Alert]:
        if case.is_seen:
            return
        for rule, streams in self._rules:
            incident = case.incident
            if not streams.matches(incident.stream):
                continue
            if not self._was_told(rule.name, incident.id, AlertKind.OPENED):
                if incident.severity >= rule.least and case.lasted_s(now) >= rule.min_s:
                    yield from self._tell(rule, case, now)
            elif self._owes_the_end(rule, case) and not is_quiet(rule.quiet, now):
                self._remember(rule.name, incident.id, AlertKind.CLOSED)
                yield Alert(rule, AlertKind.CLOSED, incident, now)

    def _tell(self, rule: Rule, case: _Case, now: datetime) -> Iterator[Alert]:
        incident = case.incident
        if is_quiet(rule.quiet, now):
            self._hold(case, rule, HeldBack.QUIET)
            return
        sent = self._sent.setdefault((rule.name, incident.stream), deque(maxlen=1000))
        if sum(at > now - timedelta(seconds=rule.per_s) for at in sent) >= rule.most:
            self._hold(case, rule, HeldBack.RATE)
            return
        sent.append(now)
        self._remember(rule.name, incident.id, AlertKind.OPENED)
        if case.over:  # one message says both
            self._remember(rule.name, incident.id, AlertKind.CLOSED)
        yield Alert(rule, AlertKind.OPENED, incident, now)

    def _hold(self, case: _Case, rule: Rule, why: HeldBack) -> None:
        if (rule.name, why) not in case.held:
            case.held.add((rule.name, why))
            self.held_back[rule.name, why] += 1

    def _owes_the_end(self, rule: Rule, case: _Case) -> bool:
        told = self._was_told(rule.name, case.incident.id, AlertKind.CLOSED)
        return rule.updates and case.over and not told

    def _drop_finished(self, now: datetime) -> None:
        """Forget incidents that are over and of which nothing more is to be said."""
        for name, case in list(self._cases.items()):
            if case.over and (case.is_seen or not self._owes_an_end(case)):
                del self._cases[name]
        longest = max((rule.per_s for rule, _ in self._rules), default=0.0)
        since = now - timedelta(seconds=longest)
        for key in [key for key, sent in self._sent.items() if not sent or sent[-1] < since]:
            del self._sent[key]

    def _owes_an_end(self, case: _Case) -> bool:
        return any(
            self._was_told(rule.name, case.incident.id, AlertKind.OPENED)
            and self._owes_the_end(rule, case)
            for rule, streams in self._rules
            if streams.matches(case.incident.stream)
        )

    def _was_told(self, rule: str, incident: str, kind: AlertKind) -> bool:
        return (rule, incident, kind) in self._told

    def _remember(self, rule: str, incident: str, kind: AlertKind) -> None:
        self._told[rule, incident, kind] = None
        while len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)


def is_quiet(quiet: Sequence[QuietHours], now: datetime) -> bool:
    """Return whether a moment lies within one of some quiet hours."""
    return any(_within(hours, now) for hours in quiet)


def _within(hours: QuietHours, now: datetime) -> bool:
    local = now.astimezone(ZoneInfo(hours.zone))
    minute = local.hour * 60 + local.minute
    start, end = minute_of(hours.start), minute_of(hours.end)
    if start < end:
        return start <= minute < end and _begins(hours, local)
    if minute >= start:
        return _begins(hours, local)
    return minute < end and _begins(hours, local - timedelta(days=1))


def _begins(hours: QuietHours, day: datetime) -> bool:
    return not hours.days or WEEKDAYS[day.weekday()] in hours.days
