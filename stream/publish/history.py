"""The last minutes of one stream, for whoever opens its page late.

Scores are thinned: one per face, detector and half second, and one more whenever its state changes.
Both rings are bounded by count and by age; the oldest gives way.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from stream.errors import StreamUnknown
from stream.event_log.event_log import StampedEvent
from stream.events import Score, StreamAdded, StreamRemoved, StreamReport
from stream.publish.encode import state_of
from stream.publish.schema import State


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """Bounds of the past that is kept of a stream.

    Attributes:
        span_s: age at which a point is dropped.
        step_s: least time between two points of one face, unless its state changes.
        points: scores at most.
        pulses: reports at most.
    """

    span_s: float = 600.0
    step_s: float = 0.5
    points: int = 4096
    pulses: int = 1200


@dataclass(frozen=True, slots=True)
class Point:
    """One score as it was published.

    Attributes:
        t: steady seconds at which the newest packet behind it arrived, see `StreamHistories`.
        epoch: the stretch of continuous media time it belongs to.
        track: whose score.
        detector: by whom.
        p: the score; None when it is no number.
        lo: lower end of its interval.
        hi: upper end of its interval.
        state: its state.
        face_px: side of the face in source pixels.
        sharpness: of the face.
    """

    t: float
    epoch: int
    track: int
    detector: str
    p: float | None
    lo: float | None
    hi: float | None
    state: State
    face_px: float | None
    sharpness: float | None


@dataclass(frozen=True, slots=True)
class Pulse:
    """One report: how the stream as a whole was doing at steady second `t`."""

    t: float
    epoch: int
    fps: float | None
    loss: float | None
    tracks: int


class History:
    """The newest scores and reports of one stream, in two rings. Belongs to the log's thread."""

    def __init__(self, settings: HistorySettings | None = None) -> None:
        self.settings = settings or HistorySettings()
        self._points: deque[Point] = deque(maxlen=self.settings.points)
        self._pulses: deque[Pulse] = deque(maxlen=self.settings.pulses)
        self._newest: dict[tuple[int, str], Point] = {}

    def note_score(self, score: Score, t: float) -> None:
        """Remember a score whose packet arrived at steady second `t`."""
        point = Point(
            t,
            score.epoch,
            score.track,
            score.detector,
            _number(score.score),
            _number(score.low),
            _number(score.high),
            state_of(score),
            _number(score.quality.face_px),
            _number(score.quality.sharpness),
        )
        last = self._newest.get((point.track, point.detector))
        if last is not None and _alike(last, point) and t - last.t < self.settings.step_s:
            return
        self._newest[point.track, point.detector] = point
        self._points.append(point)
        self._drop(t)

    def note_report(self, report: StreamReport, t: float) -> None:
        """Remember how the stream was doing at steady second `t`."""
        self._pulses.append(
            Pulse(t, report.epoch, _number(report.fps), _number(report.loss), report.tracks)
        )
        self._drop(t)

    def points(self, since: float = -math.inf) -> tuple[Point, ...]:
        """Return the scores from a steady second on, oldest first."""
        return tuple(point for point in self._points if point.t >= since)

    def pulses(self, since: float = -math.inf) -> tuple[Pulse, ...]:
        """Return the reports from a steady second on, oldest first."""
        return tuple(pulse for pulse in self._pulses if pulse.t >= since)

    def _drop(self, now: float) -> None:
        oldest = now - self.settings.span_s
        while self._points and self._points[0].t < oldest:
            gone = self._points.popleft()
            if self._newest.get((gone.track, gone.detector)) is gone:
                del self._newest[gone.track, gone.detector]
        while self._pulses and self._pulses[0].t < oldest:
            self._pulses.popleft()
        if len(self._newest) > self.settings.points:
            self._newest.clear()


class StreamHistories:
    """The histories of all streams; a sink of the event log.

    Times are *steady seconds*: the wall clock's at the first event, and monotonic from then on. A
    wall clock that is set back or forth neither hides what is kept nor drops it.

    Args:
        settings: how much of every stream's past is kept.
    """

    def __init__(self, settings: HistorySettings | None = None) -> None:
        self._settings = settings or HistorySettings()
        self._streams: dict[str, History] = {}
        self._offset: float | None = None

    def steady(self, monotonic: float) -> float:
        """Return the steady second of a monotonic one."""
        return monotonic + (self._offset or 0.0)

    def accept(self, stamped: StampedEvent) -> None:
        """Remember a score or a report; forget a stream when it is removed."""
        if self._offset is None:
            self._offset = stamped.utc.timestamp() - stamped.now
        event = stamped.event
        match event:
            case StreamAdded():
                self._streams.setdefault(event.stream, History(self._settings))
            case StreamRemoved():
                self._streams.pop(event.stream, None)
            case Score():
                arrived = min(event.arrived, stamped.now)
                self.of(event.stream).note_score(event, self.steady(arrived))
            case StreamReport():
                self.of(event.stream).note_report(event, self.steady(stamped.now))
            case _:
                pass

    def of(self, stream: str) -> History:
        """Return the last minutes of a stream. Raises StreamUnknown."""
        known = self._streams.get(stream)
        if known is None:
            raise StreamUnknown(stream)
        return known


def _alike(one: Point, other: Point) -> bool:
    return one.epoch == other.epoch and one.state == other.state


def _number(value: float | None) -> float | None:
    return round(value, 4) if value is not None and math.isfinite(value) else None
