"""The incident machine: suspect verdicts in, changes of incidents out. Pure; it reads no clock.

Theory of operation. A face is a track of a stream, and those that follow it: a track that begins
while all tracks of an incident are out of view goes on with that incident, for `merge_s`.

    a detector finds the face suspect ──▶ open ──── again within merge_s ──┐
                                          ▲ └──────────────────────────────┘
                  quiet for quiet_s, ◀────┘
                  or the stream is removed: closed

Suspicion is a level and not an edge: it begins with a verdict that turns suspect, and every further
suspect score renews it. So nothing is lost when a place becomes free, when a snooze ends, or when
the verdict's own event was dropped on an overloaded machine: the next score opens the incident.

Several detectors make one incident of a face. Each that finds it suspect extends it. The model that
found it suspect first leads: its highest score is the peak. One that may be trusted further takes
the lead when it turns suspect too, with its own scores. Severity comes from those detectors only
that may raise alarms, from their time of suspicion, and never falls. Where faces are looked at a
second time it is high only once the heavier detector leans to fake as well, and medium until then.
An ensemble is one more detector; `incidents.detectors` names it to have only its verdicts count.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from stream.event_log.event_log import StampedEvent
from stream.events import (
    EpochStarted,
    IncidentChanged,
    Score,
    StreamAdded,
    StreamDescribed,
    StreamRemoved,
    TrackEnded,
    TrackStarted,
    Verdict,
    VerdictChanged,
)
from stream.incident import Incident, IncidentStep, Severity, Snooze
from stream.incidents.settings import IncidentSettings
from stream.incidents.suspicion import OpenIncident, Rater, Sighting, finite, opens
from styleflow.cards import ModelCard

MAX_FACES = 256
"""Faces of one stream that are remembered as in view; the oldest gives way."""

MAX_LATENCY_S = 10.0
"""A packet that claims to have come longer ago came now: its stamp is no use."""


class Refused(StrEnum):
    """Why a suspect face has no incident. A closed list."""

    STREAM_FULL = "stream_full"  # max_open_per_stream are open
    FULL = "full"  # max_open are open
    SNOOZED = "snoozed"


def is_watched(added: StreamAdded) -> bool:
    """Say whether a stream may have incidents: what only plays or tests has none."""
    return not added.demo


@dataclass(slots=True)
class _Stream:
    """What is known of a stream that may have incidents."""

    added: StreamAdded
    models: dict[str, ModelCard]
    epoch: int = 0
    in_view: dict[int, None] = field(default_factory=dict)
    newest: dict[Rater, Score] = field(default_factory=dict)
    suspect: set[Rater] = field(default_factory=set)
    refused: dict[int, Refused] = field(default_factory=dict)
    open: dict[str, OpenIncident] = field(default_factory=dict)

    def show(self, track: int) -> None:
        """Take note that a face is in view."""
        if track not in self.in_view:
            self.in_view[track] = None
            if len(self.in_view) > MAX_FACES:
                self.lose(next(iter(self.in_view)))

    def lose(self, track: int) -> None:
        """Forget a face that is out of view."""
        self.in_view.pop(track, None)
        self.refused.pop(track, None)
        for rater in [r for r in self.newest if r[0] == track]:
            del self.newest[rater]
        self.suspect = {r for r in self.suspect if r[0] != track}
        for each in self.open.values():
            each.lose(track)

    def begin_epoch(self, epoch: int) -> None:
        """Forget every face: media time starts anew."""
        self.epoch = epoch
        for track in list(self.in_view):
            self.lose(track)
        self.newest.clear()
        self.suspect.clear()
        for each in self.open.values():
            each.lose()

    def of(self, track: int) -> OpenIncident | None:
        """Return the open incident of a face that it names."""
        return next((o for o in self.open.values() if track in o.incident.tracks), None)

    def left(self, moment: float, merge_s: float) -> OpenIncident | None:
        """Return the incident that a new face goes on with: the newest with nobody in view."""
        alone = [
            each
            for each in self.open.values()
            if moment - each.last <= merge_s and not self.in_view.keys() & each.incident.tracks
        ]
        return max(alone, key=lambda each: each.last, default=None)


class IncidentMachine:
    """Incidents that are open, of all streams; a pure and bounded object.

    Args:
        settings: when there is an incident, and how severe.
        snoozes: streams that open none now.

    Attributes:
        settings: see above.
        snoozes: by stream, in the order in which they were set.
        refused: suspect faces that got no incident, by why; only grows.
        reached: incidents that have reached a severity, each counted once for each; only grows.
    """

    def __init__(self, settings: IncidentSettings, snoozes: Iterable[Snooze] = ()) -> None:
        self.settings = settings
        self.snoozes = {snooze.stream: snooze for snooze in snoozes}
        self.refused: Counter[Refused] = Counter(dict.fromkeys(Refused, 0))
        self.reached: Counter[Severity] = Counter(dict.fromkeys(Severity, 0))
        self._streams: dict[str, _Stream] = {}
        self._open: dict[str, OpenIncident] = {}
        self._due = math.inf  # no incident is quiet long enough before

    # --- what is open -------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._open)

    def open(self) -> tuple[Incident, ...]:
        """Return every open incident, in the order of opening."""
        return tuple(each.incident for each in self._open.values())

    def get(self, name: str) -> Incident | None:
        """Return an open incident; None when it is closed or unknown."""
        known = self._open.get(name)
        return known.incident if known is not None else None

    def put(self, incident: Incident) -> None:
        """Replace what people have said of an open incident.

        Raises:
            KeyError: it is not open.
        """
        self._open[incident.id].incident = incident

    # --- events -------------------------------------------------------------------------------

    def take(self, stamped: StampedEvent) -> tuple[IncidentChanged, ...]:
        """Take note of an event, and return what follows from it."""
        event, now = stamped.event, stamped.now
        changes = list(self._quiet(now))
        match event:
            case StreamAdded():
                changes += self._close_all(event.stream, now)
                self._streams.pop(event.stream, None)
                if self.settings.enabled and is_watched(event):
                    models = {scoring.model.name: scoring.model for scoring in event.models}
                    self._streams[event.stream] = _Stream(event, models)
            case StreamRemoved():
                changes += self._close_all(event.stream, now)
                self._streams.pop(event.stream, None)
            case StreamDescribed() if event.stream in self._streams:
                known = self._streams[event.stream]
                known.added = replace(known.added, name=event.name, tags=event.tags)
            case EpochStarted() | TrackStarted() | TrackEnded() | VerdictChanged() | Score():
                stream = self._streams.get(event.stream)
                if stream is not None and event.epoch >= stream.epoch:
                    if event.epoch > stream.epoch:
                        stream.begin_epoch(event.epoch)
                    changes += self._face(stream, event, stamped)
            case _:
                pass
        return tuple(changes)

    def tick(self, now: float) -> tuple[IncidentChanged, ...]:
        """Return what the passing of time brings: incidents that have been quiet long enough."""
        return tuple(self._quiet(now))

    def wake(self, utc: datetime) -> tuple[Snooze, ...]:
        """End the snoozes whose time is over, and return them."""
        over = tuple(s for s in self.snoozes.values() if s.until <= utc)
        for snooze in over:
            del self.snoozes[snooze.stream]
        return over

    def _face(
        self,
        stream: _Stream,
        event: EpochStarted | TrackStarted | TrackEnded | VerdictChanged | Score,
        stamped: StampedEvent,
    ) -> Iterator[IncidentChanged]:
        match event:
            case EpochStarted():
                return
            case TrackEnded():
                stream.lose(event.track)
            case TrackStarted():
                stream.show(event.track)
            case Score():
                yield from self._score(stream, event, stamped)
            case VerdictChanged():
                yield from self._verdict(stream, event, stamped)

    def _score(
        self, stream: _Stream, score: Score, stamped: StampedEvent
    ) -> Iterator[IncidentChanged]:
        rater = score.track, score.detector
        if score.detector not in stream.models:
            return
        stream.show(score.track)
        before, stream.newest[rater] = stream.newest.get(rater), score
        if score.verdict is not Verdict.SUSPECT:
            self._calm(stream, rater)
        elif before is not None and before.verdict is Verdict.SUSPECT:
            stream.suspect.add(rater)  # also when the verdict's own event was lost
        if rater in stream.suspect:
            yield from self._suspect(stream, rater, score.score, stamped)

    def _verdict(
        self, stream: _Stream, event: VerdictChanged, stamped: StampedEvent
    ) -> Iterator[IncidentChanged]:
        rater = event.track, event.detector
        if event.detector not in stream.models:
            return
        stream.show(event.track)
        if event.verdict is Verdict.SUSPECT:
            stream.suspect.add(rater)
            yield from self._suspect(stream, rater, event.score, stamped)
        else:
            self._calm(stream, rater)

    @staticmethod
    def _calm(stream: _Stream, rater: Rater) -> None:
        stream.suspect.discard(rater)
        for each in stream.open.values():
            each.calm(rater)
        if not any(track == rater[0] for track, _ in stream.suspect):
            stream.refused.pop(rater[0], None)

    # --- suspicion ----------------------------------------------------------------------------

    def _suspect(
        self, stream: _Stream, rater: Rater, p: float, stamped: StampedEvent
    ) -> Iterator[IncidentChanged]:
        model = stream.models[rater[1]]
        if not opens(model, self.settings):
            return
        seen = _sighting(rater[0], model, p, stream.newest.get(rater), stamped.now)
        if stream.added.second_look is not None:
            seen = replace(seen, wants_second=True)
        mine = stream.of(seen.track)
        merge_s = self.settings.merge_s
        if mine and seen.moment - mine.last > merge_s and not mine.holds(rater):
            yield self._close(stream, mine, stamped.now)
            mine = None
        mine = mine or stream.left(seen.moment, merge_s)
        if mine is None:
            yield from self._begin(stream, seen, stamped)
            return
        rose = mine.see(seen, self.settings)
        self.reached[mine.incident.severity] += rose
        if rose or stamped.now - mine.told >= self.settings.extend_s:
            mine.told = stamped.now
            yield _changed(mine.incident, IncidentStep.EXTENDED)

    def _begin(
        self, stream: _Stream, seen: Sighting, stamped: StampedEvent
    ) -> Iterator[IncidentChanged]:
        reason = self._no_room(stream, stamped.utc)
        if reason is not None:
            if stream.refused.get(seen.track) is not reason:
                stream.refused[seen.track] = reason
                self.refused[reason] += 1
            return
        stream.refused.pop(seen.track, None)
        name = f"{stamped.utc:%Y%m%d-%H%M%S}-{stamped.id:x}"
        where = stream.added.stream, stream.added.name, stream.epoch
        begun = OpenIncident.begin(name, where, seen, stamped.now, stamped.utc)
        begun.see(seen, self.settings)
        self.reached[begun.incident.severity] += 1
        self._open[name] = stream.open[name] = begun
        self._due = min(self._due, begun.last + self.settings.quiet_s)
        yield _changed(begun.incident, IncidentStep.OPENED)

    def _no_room(self, stream: _Stream, utc: datetime) -> Refused | None:
        snooze = self.snoozes.get(stream.added.stream)
        if snooze is not None and utc < snooze.until:
            return Refused.SNOOZED
        if len(stream.open) >= self.settings.max_open_per_stream:
            return Refused.STREAM_FULL
        return Refused.FULL if len(self._open) >= self.settings.max_open else None

    # --- closing ------------------------------------------------------------------------------

    def _quiet(self, now: float) -> Iterator[IncidentChanged]:
        """Close what has been quiet long enough; looks through all only when one may be."""
        quiet_s = self.settings.quiet_s
        if now <= self._due:
            return
        for each in list(self._open.values()):
            if now - each.last > quiet_s:
                yield self._close(self._streams[each.incident.stream], each, now)
        self._due = min((e.last + quiet_s for e in self._open.values()), default=math.inf)

    def _close_all(self, stream: str, now: float) -> Iterator[IncidentChanged]:
        known = self._streams.get(stream)
        for each in list(known.open.values()) if known is not None else ():
            assert known is not None
            yield self._close(known, each, now)

    def _close(self, stream: _Stream, closing: OpenIncident, now: float) -> IncidentChanged:
        incident = closing.close(now)
        del self._open[incident.id], stream.open[incident.id]
        return _changed(incident, IncidentStep.CLOSED)


def _sighting(track: int, model: ModelCard, p: float, newest: Score | None, now: float) -> Sighting:
    """Return a sighting with the interval of the score behind it; without one, it has no width."""
    p = finite(p, 0.0)
    if newest is None or newest.verdict is not Verdict.SUSPECT:
        return Sighting(track, model, p, p, p, now)
    believed = 0.0 <= now - newest.arrived <= MAX_LATENCY_S
    moment = newest.arrived if believed else now
    p = finite(newest.score, p)
    low, high = finite(newest.low, p), finite(newest.high, p)
    return Sighting(track, model, p, low, high, moment, newest.second_look)


def _changed(incident: Incident, step: IncidentStep) -> IncidentChanged:
    return IncidentChanged(incident.stream, incident.epoch, incident, step)
