"""Rows of the store: made of events, and not yet in the database.

`Collector` is a sink of the event log, behind a queue; it belongs to the writer's thread. A score
becomes numbers, everything else that happens becomes its message, as it goes over the wire.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from stream.event_log.event_log import StampedEvent
from stream.event_log.queued_sink import Gap
from stream.events import (
    IncidentChanged,
    Score,
    StreamAdded,
    StreamDescribed,
    StreamRemoved,
    StreamReport,
)
from stream.publish.encode import Context, StreamInfo, event_id, message, state_of
from stream.publish.incidents import incident_changed_data
from stream.publish.schema import STATE_RANK, EventMessage, EventsLostData
from stream.store.access import to_us
from stream.store.seconds import SecondMeans, SecondRow

_NAME = 128

MARK_S = 1.0
"""Seconds between two notes that events are missing, at least."""


class ModelKey(NamedTuple):
    """What tells a model from others."""

    name: str
    version: str = ""
    mode: str = ""
    status: str = ""
    sha256: str = ""


class StreamRow(NamedTuple):
    """What a stream said about itself last."""

    id: str
    name: str
    source: str
    changed: int


class ScoreRow(NamedTuple):
    """One score, its stream and model by name; in the order of `stream.store.tables.scores`."""

    stream: str
    at: int
    seq: int
    epoch: int
    track: int
    model: ModelKey
    p: float | None
    lo: float | None
    hi: float | None
    logit: float | None
    state: int
    face_px: float | None
    sharpness: float | None


class PulseRow(NamedTuple):
    """One report, in the order of `stream.store.tables.pulses`."""

    stream: str
    at: int
    epoch: int
    fps: float | None
    loss: float | None
    tracks: int


class EventRow(NamedTuple):
    """One event, with its message as on the wire; in the order of `stream.store.tables.events`."""

    seq: int
    stream: str
    epoch: int
    at: int
    kind: str
    message: str


@dataclass(slots=True)
class Batch:
    """Rows that are committed together.

    Attributes:
        streams: what streams said about themselves, by their id.
        scores: at full rate.
        seconds: means of the seconds that are over.
        pulses: reports.
        events: everything else.
        newest: number of the newest event in it; 0 before the first.
    """

    streams: dict[str, StreamRow] = field(default_factory=dict)
    scores: list[ScoreRow] = field(default_factory=list)
    seconds: list[SecondRow[ModelKey]] = field(default_factory=list)
    pulses: list[PulseRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    newest: int = 0

    def __len__(self) -> int:
        parts = (self.streams, self.scores, self.seconds, self.pulses, self.events)
        return sum(len(part) for part in parts)

    @property
    def taken(self) -> int:
        """How many rows came of an event of their own."""
        return len(self.scores) + len(self.pulses) + len(self.events)


@dataclass(slots=True)
class _Known:
    """A stream that was announced."""

    info: StreamInfo
    source: str = ""
    epoch: int = 0
    models: dict[str, ModelKey] = field(default_factory=dict)

    def model_of(self, detector: str) -> ModelKey:
        found = self.models.get(detector)
        if found is None:
            card = self.info.model_of(detector).model
            found = ModelKey(
                clean(card.name),
                clean(card.version, 64),
                card.mode.value,
                card.status.value,
                clean(card.sha256, 64),
            )
            self.models[detector] = found
        return found


class Collector:
    """Makes rows of events, in their order.

    Args:
        announced: returns how a stream was announced, when the queue has lost that.

    Attributes:
        batch: rows that wait for their commit.
        lost: events that could not be made into rows.
    """

    def __init__(self, announced: Callable[[str], StreamAdded | None]) -> None:
        self.batch = Batch()
        self.lost = 0
        self._announced = announced
        self._known: dict[str, _Known] = {}
        self._means: SecondMeans[ModelKey] = SecondMeans()
        self._gap: Gap | None = None  # what is missing and not yet noted
        self._free = range(0)  # numbers of its longest run: nobody else has them
        self._since: datetime | None = None
        self._newest: datetime | None = None
        self._mark_at = 0.0

    def accept(self, stamped: StampedEvent) -> None:
        """Add the row of an event; a score from before the newest epoch has none."""
        self.batch.newest = stamped.id
        event = stamped.event
        if isinstance(event, StreamRemoved) and event.moved:
            self._known.pop(event.stream, None)
            return
        if isinstance(event, StreamAdded):
            self._add(event, to_us(stamped.utc))
        known = self._known.get(event.stream) or self._late(event.stream)
        self._mark(stamped)
        self._newest = stamped.utc
        if isinstance(event, StreamDescribed) and known is not None:
            self._describe(event, known, to_us(stamped.utc))
        match event:
            case Score():
                if known is not None and event.epoch < known.epoch:
                    return
                self._score(event, stamped, known)
            case StreamReport():
                self._pulse(event, stamped)
            case IncidentChanged():
                self._incident(event, stamped, known)
            case _ if known is None:
                self.lost += 1
                return
            case _:
                self._event(stamped, known)
        if known is not None and not isinstance(event, IncidentChanged):
            known.epoch = max(known.epoch, event.epoch)
        if isinstance(event, StreamRemoved):
            self._known.pop(event.stream, None)

    def miss(self, gap: Gap) -> None:
        """Go on after a gap, which is noted with the next event; the queue counts it."""
        if self._gap is None:
            self._since = self._newest
            self._free = range(0)
        self._gap = gap if self._gap is None else self._gap.joined(gap)
        if gap.count > len(self._free):
            self._free = range(gap.first_id, gap.first_id + gap.count)

    def take(self, until: float) -> Batch:
        """Return the rows, with the means of seconds over at a UTC second, and begin anew."""
        taken, self.batch = self.batch, Batch()
        taken.seconds = self._means.over(until)
        return taken

    def _add(self, event: StreamAdded, at: int) -> None:
        before = self._known.get(event.stream)
        epoch = max(before.epoch, event.epoch) if before else event.epoch
        known = _Known(StreamInfo.of(event), clean(event.source, 4096), epoch)
        self._known[event.stream] = known
        self._announce(event.stream, known, at)

    def _describe(self, event: StreamDescribed, known: _Known, at: int) -> None:
        known.info = known.info.described(event)
        self._announce(event.stream, known, at)

    def _announce(self, stream: str, known: _Known, at: int) -> None:
        row = StreamRow(stream, clean(known.info.name), known.source, at)
        self.batch.streams[stream] = row

    def _late(self, stream: str) -> _Known | None:
        event = self._announced(stream)
        if event is None:
            return None
        self._known[stream] = known = _Known(StreamInfo.of(event), clean(event.source, 4096))
        return known

    def _score(self, score: Score, stamped: StampedEvent, known: _Known | None) -> None:
        detector = score.detector
        model = known.model_of(detector) if known else ModelKey(clean(detector))
        at, state = to_us(stamped.utc) - _age_us(score, stamped), STATE_RANK[state_of(score)]
        p, lo, hi = _number(score.score), _number(score.low), _number(score.high)
        row = ScoreRow(
            score.stream,
            at,
            stamped.id,
            score.epoch,
            score.track,
            model,
            p,
            lo,
            hi,
            _number(score.logit),
            state,
            _number(score.quality.face_px),
            _number(score.quality.sharpness),
        )
        self.batch.scores.append(row)
        key = (score.stream, score.track, model)
        self._means.add(at // 1_000_000, key, score.epoch, (p, lo, hi), state)

    def _pulse(self, report: StreamReport, stamped: StampedEvent) -> None:
        self.batch.pulses.append(
            PulseRow(
                report.stream,
                to_us(stamped.utc),
                report.epoch,
                _number(report.fps),
                _number(report.loss),
                report.tracks,
            )
        )

    def _event(self, stamped: StampedEvent, known: _Known) -> None:
        event = stamped.event
        if isinstance(event, StreamAdded | StreamRemoved):
            event = replace(event, epoch=known.epoch)
        context = Context(known.info, stamped.id, stamped.now, stamped.utc)
        told = message(event, context)
        assert isinstance(told, EventMessage)  # scores and reports are taken before
        self._append(told)

    def _mark(self, stamped: StampedEvent) -> None:
        """Say in every stream's past that events are missing, once a second at most.

        The marks take the numbers of the missing events, so there are no more marks than those.
        """
        gap = self._gap
        if gap is None or stamped.now < self._mark_at:
            return
        self._gap, self._mark_at = None, stamped.now + MARK_S
        for seq, (stream, known) in zip(self._free, self._known.items(), strict=False):
            data = EventsLostData(
                id=event_id(stream, seq), count=gap.count, since=self._since, until=stamped.utc
            )
            told = EventMessage(
                stream=stream, epoch=known.epoch, seq=seq, ts_emit=stamped.utc, data=data
            )
            self._append(told)

    def _incident(
        self, event: IncidentChanged, stamped: StampedEvent, known: _Known | None
    ) -> None:
        """Add what was said of an incident; its stream may be gone."""
        told = EventMessage(
            stream=event.stream,
            epoch=known.epoch if known else event.epoch,
            seq=stamped.id,
            ts_emit=stamped.utc,
            data=incident_changed_data(event_id(event.stream, stamped.id), event),
        )
        self._append(told)

    def _append(self, told: EventMessage) -> None:
        at, text = to_us(told.ts_emit), told.model_dump_json()
        row = EventRow(told.seq, told.stream, told.epoch, at, told.data.kind, text)
        self.batch.events.append(row)


def clean(text: str, longest: int = _NAME) -> str:
    """Return a text that both databases take: not too long, and of characters that exist."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")[:longest]


def _age_us(score: Score, stamped: StampedEvent) -> int:
    """Return how long ago a score's newest packet came in, in microseconds."""
    age = stamped.now - score.arrived
    return int(age * 1e6) if 0.0 < age < 1e6 else 0


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
