"""A stream as subscribers are told of it: its state, its newest messages and its last events."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial

from stream.event_log.event_log import StampedEvent
from stream.events import (
    Event,
    IncidentChanged,
    Score,
    StreamAdded,
    StreamDescribed,
    StreamRemoved,
    TrackEnded,
    VerdictChanged,
)
from stream.publish.client_messages import ResumePoint
from stream.publish.encode import Context, StreamInfo, View, encode, encode_snapshot, state_of
from stream.publish.schema import STATE_RANK
from stream.publish.send_queues import Backlog, Message
from stream.stream_state import StreamState

CRITICAL = (VerdictChanged, TrackEnded, StreamRemoved)
"""A subscriber that loses one of these is disconnected rather than left ignorant."""


class PublishedStream:
    """Messages of one stream, and what a subscriber needs that comes late or comes back.

    Args:
        added: the event that announces the stream.
        capacity: events that a subscriber may be behind or resume from.
        max_tracks: faces whose newest scores are kept.

    Attributes:
        state: what the events so far amount to.
        info: what every message says besides the event itself.
        seq: number of the newest event.
        backlog: the newest events.
        status: the newest status message.
        scores: the newest score message of every face by every detector.
    """

    def __init__(self, added: StampedEvent, capacity: int, max_tracks: int) -> None:
        assert isinstance(added.event, StreamAdded)
        self.id = added.event.stream
        self.state = StreamState(self.id, max_tracks)
        self.info = StreamInfo.of(added.event)
        self.seq = self._floor = added.id - 1
        self.backlog = Backlog(capacity, self.seq)
        self.status: Message | None = None
        self.scores: dict[tuple[int, str], Message] = {}
        self._snapshot: Message | None = None

    def apply(self, stamped: StampedEvent) -> tuple[int, ...]:
        """Take in an event that is not late; return the tracks that are no longer shown."""
        if isinstance(stamped.event, StreamAdded):
            self.info = StreamInfo.of(stamped.event)
        elif isinstance(stamped.event, StreamDescribed):
            self.info = self.info.described(stamped.event)
        self.seq = stamped.id
        self._snapshot = None
        gone = self.state.apply(stamped.event, stamped.now)
        if gone:
            self.scores = {k: m for k, m in self.scores.items() if k[0] not in gone}
        return gone

    def event_message(self, stamped: StampedEvent) -> Message:
        """Return the message about an event, and keep it for those who are behind."""
        event = stamped.event
        message = Message(
            self.id,
            stamped.id,
            "event",
            self._text(event, stamped),
            track=getattr(event, "track", None),
            critical=isinstance(event, CRITICAL),
        )
        self.backlog.append(message)
        return message

    def score_message(self, score: Score, stamped: StampedEvent) -> Message:
        """Return the message about a score; it is the newest of its face and detector."""
        message = Message(
            self.id,
            stamped.id,
            "score",
            self._text(score, stamped),
            track=score.track,
            detector=score.detector,
            rank=STATE_RANK[state_of(score)],
        )
        self.scores[score.track, score.detector] = message
        return message

    def status_message(self, stamped: StampedEvent) -> Message:
        """Return the message about how the stream is doing now."""
        self.status = Message(self.id, stamped.id, "status", self._text(self.state.report, stamped))
        return self.status

    def snapshot(self, now: float, utc: datetime) -> Message:
        """Return where the stream stands; made once for all who ask before it changes."""
        if self._snapshot is None:
            view = View(self.state.report, tuple(self.state.scores.values()))
            text = partial(encode_snapshot, self.id, view, self._context(self.seq, now, utc))
            self._snapshot = Message(self.id, self.seq, "snapshot", text)
        return self._snapshot

    def settle(self) -> None:
        """Let nobody resume before the newest event: what was before it is not all here."""
        self._floor = self.seq

    def place_of(self, point: ResumePoint | None) -> int | None:
        """Return the ordinal to go on from; None if the point is missing, too old or foreign."""
        if point is None or not self._floor <= point.seq <= self.seq:
            return None
        return None if point.epoch > self.state.epoch else self.backlog.after(point.seq)

    def _text(self, event: Event, stamped: StampedEvent) -> partial[str]:
        if isinstance(event, StreamAdded | StreamRemoved | IncidentChanged):
            event = replace(event, epoch=self.state.epoch)
        return partial(encode, event, self._context(stamped.id, stamped.now, stamped.utc))

    def _context(self, seq: int, now: float, utc: datetime) -> Context:
        return Context(self.info, seq, now, utc, self.state.change)
