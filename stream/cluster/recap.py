"""Recap of streams: the events that a new reader has to be told first to follow them. Pure.

It is a selection of events that were logged already, with the times that they had. Whoever folds
them stands where somebody stands who has heard everything. All of a stream's are stamped with the
number of its newest event: what came before that is to be had from the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from stream.event_log.event_log import StampedEvent
from stream.events import (
    EpochStarted,
    IncidentChanged,
    Score,
    StreamAdded,
    StreamChanged,
    StreamDescribed,
    StreamRemoved,
    StreamReport,
)
from stream.stream_state import StreamState

_Face = tuple[int, str]


@dataclass(slots=True, eq=False)
class _Stream:
    """One stream's newest events of every kind that a recap is made of."""

    state: StreamState
    added: StampedEvent
    newest: int
    changed: StampedEvent | None = None
    epoch: StampedEvent | None = None
    report: StampedEvent | None = None
    scores: dict[_Face, StampedEvent] = field(default_factory=dict)

    def take(self, stamped: StampedEvent) -> None:
        """Keep what is newest of it."""
        event = stamped.event
        if self.state.is_late(event):
            return
        for track in self.state.apply(event, stamped.now):
            self.scores = {face: score for face, score in self.scores.items() if face[0] != track}
        match event:
            case StreamDescribed() if self.state.added is not None:
                self.added = replace(self.added, event=self.state.added)
            case StreamChanged():
                self.changed = stamped
            case EpochStarted():
                self.epoch = stamped
            case StreamReport():
                self.report = stamped
            case Score():
                self.scores[event.track, event.detector] = stamped
            case _:
                pass

    def told(self) -> tuple[StampedEvent, ...]:
        """Return what a new reader is told, in the order in which it may be folded."""
        state = (self.added, self.changed, self.epoch, self.report)
        chosen = (*(each for each in state if each is not None), *self.scores.values())
        return tuple(replace(each, id=self.newest) for each in chosen)


class Recap:
    """What a new reader must know of every stream; a sink of the event log.

    As much is kept of a stream as `StreamState` keeps: the newest scores of so many faces.
    """

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that it knows of, ordered by id."""
        return tuple(sorted(self._streams))

    def accept(self, stamped: StampedEvent) -> None:
        """Take the next event; those of a stream that was never added are of no use."""
        event = stamped.event
        if isinstance(event, StreamRemoved):
            self.forget(event.stream)
            return
        known = self._streams.get(event.stream)
        if isinstance(event, StreamAdded):
            known = _Stream(StreamState(event.stream), stamped, stamped.id)
            self._streams[event.stream] = known
        if known is None:
            return
        if not isinstance(event, IncidentChanged):
            known.take(stamped)
        known.newest = stamped.id

    def forget(self, stream: str) -> None:
        """Leave a stream out from now on; nothing happens if it is not there."""
        self._streams.pop(stream, None)

    def of(self, stream: str) -> tuple[StampedEvent, ...]:
        """Return the recap of one stream; none of one that is not there."""
        known = self._streams.get(stream)
        return known.told() if known is not None else ()
