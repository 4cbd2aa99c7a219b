"""Stream state: what is known of one stream, folded from its events. Pure; it reads no clock.

This is the only projection of events: the analyzer answers `status` from one, and the hub makes
snapshots from another that was folded from the same events.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from stream.events import (
    ConnectionState,
    EpochStarted,
    Event,
    IncidentChanged,
    Score,
    StreamAdded,
    StreamChanged,
    StreamDescribed,
    StreamReport,
    TrackEnded,
)

MAX_TRACKS = 64

_LOST = (ConnectionState.BACKING_OFF, ConnectionState.FAILED)


@dataclass(slots=True)
class StreamState:
    """What the events of one stream so far amount to.

    Attributes:
        stream: id of the stream.
        max_tracks: faces whose newest scores are kept; the oldest gives way.
        added: what the stream said about itself; None before it was added.
        change: its newest connection event; None before the first.
        changed_at: monotonic seconds of that event, or of the adding.
        epoch: the newest epoch that any event belongs to.
        report: how it was doing last, with the newest epoch.
        scores: the newest score of every face by every detector, in order of their first score.
        reconnects: connections that were live and were lost.
    """

    stream: str
    max_tracks: int = MAX_TRACKS
    added: StreamAdded | None = None
    change: StreamChanged | None = None
    changed_at: float = 0.0
    epoch: int = 0
    report: StreamReport = field(init=False)
    scores: dict[tuple[int, str], Score] = field(default_factory=dict)
    reconnects: int = 0

    def __post_init__(self) -> None:
        self.report = StreamReport(self.stream, 0, None, None, 0, (), None)

    def is_late(self, event: Event) -> bool:
        """Say whether an event is a score from before the newest epoch, which nobody may see."""
        return isinstance(event, Score) and event.epoch < self.epoch

    def apply(self, event: Event, now: float) -> tuple[int, ...]:
        """Take in the next event of this stream; a late score changes nothing.

        An incident may be of an earlier run of the stream, so its epoch says nothing of this one.

        Args:
            event: what happened.
            now: monotonic seconds at which it was logged.

        Returns:
            Tracks whose scores are no longer kept.
        """
        if self.is_late(event):
            return ()
        if event.epoch > self.epoch and not isinstance(event, IncidentChanged):
            self.epoch = event.epoch
            self.report = replace(self.report, epoch=self.epoch)
        match event:
            case StreamAdded():
                self.added, self.changed_at = event, now
                return self._forget_late()
            case StreamDescribed() if self.added is not None:
                self.added = replace(self.added, name=event.name, tags=event.tags)
            case StreamChanged():
                self._change(event, now)
            case StreamReport():
                self.report = replace(event, epoch=self.epoch)
            case Score():
                self.scores[event.track, event.detector] = event
                return self._forget(self._surplus())
            case EpochStarted():
                return self._forget_late()
            case TrackEnded():
                return self._forget({event.track})
            case _:
                pass
        return ()

    def _change(self, event: StreamChanged, now: float) -> None:
        was_live = self.change is not None and self.change.state is ConnectionState.LIVE
        self.reconnects += was_live and event.state in _LOST
        self.change, self.changed_at = event, now

    def _forget_late(self) -> tuple[int, ...]:
        return self._forget({t for (t, _), s in self.scores.items() if self.is_late(s)})

    def _surplus(self) -> set[int]:
        """Return the track that has to give way to a newer one, if one has."""
        if len(self.scores) <= self.max_tracks:
            return set()
        tracks = dict.fromkeys(track for track, _ in self.scores)
        return {next(iter(tracks))} if len(tracks) > self.max_tracks else set()

    def _forget(self, tracks: set[int]) -> tuple[int, ...]:
        gone = [key for key in self.scores if key[0] in tracks]
        for key in gone:
            del self.scores[key]
        return tuple(dict.fromkeys(track for track, _ in gone))
