"""The past of one stream, read from the store: scores, reports and events of any span of time.

Columns are arrays, because a day at one point per second has 86,400 points a face. Coarser
resolutions are made in the database, of the means per second. Everything here waits for the
database: not on the event loop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from stream.errors import StreamUnknown
from stream.publish.schema import STATE_RANK
from stream.store.errors import TooManyPoints
from stream.store.tables import events, models, pulses, score_seconds, scores, streams

MAX_POINTS = 200_000
"""Most points of one answer: a day at one per second, of two faces."""

_US = 1_000_000
_AT_ONCE = 4096
_WORDS = np.array(sorted(STATE_RANK, key=lambda word: STATE_RANK[word]), dtype=object)
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time.

    Attributes:
        begin: first microsecond since 1970.
        end: the one after the last.
    """

    begin: int
    end: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end - self.begin) / _US


@dataclass(frozen=True, slots=True)
class ScoreColumns:
    """Scores, oldest first; the n-th entries of all columns belong together. NaN is no number.

    Attributes:
        t: seconds since 1970, of the score or of the beginning of its step.
        epoch: the stretch of continuous media time.
        track: whose score.
        detector: by whom.
        p: the score, or the mean of the step.
        p_min: least of the step.
        p_max: greatest of the step.
        lo: lower end of the interval, or its mean.
        hi: upper end of the interval, or its mean.
        state: the state, or the highest of the step.
        face_px: side of the face in source pixels; NaN beyond full rate.
        sharpness: of the face; NaN beyond full rate.
    """

    t: Floats
    epoch: Integers
    track: Integers
    detector: Words
    p: Floats
    p_min: Floats
    p_max: Floats
    lo: Floats
    hi: Floats
    state: Words
    face_px: Floats
    sharpness: Floats


@dataclass(frozen=True, slots=True)
class PulseColumns:
    """Reports about the stream as a whole, oldest first; means of the step."""

    t: Floats
    epoch: Integers
    fps: Floats
    loss: Floats
    tracks: Integers


@dataclass(frozen=True, slots=True)
class StoredHistory:
    """A stretch of one stream's past.

    Attributes:
        stream: id of the stream.
        resolution: seconds of a step; None means every score.
        scores: of all faces and detectors.
        pulses: reports.
        events: messages as on the wire, oldest first.
    """

    stream: str
    resolution: int | None
    scores: ScoreColumns
    pulses: PulseColumns
    events: tuple[str, ...]


def read(
    connection: Connection,
    stream: str,
    span: Span,
    resolution: int | None,
    *,
    max_events: int,
    limit: int = MAX_POINTS,
) -> StoredHistory:
    """Return a stretch of a stream's past, also of one that is removed.

    Args:
        connection: to read with.
        stream: its id.
        span: which stretch.
        resolution: seconds of a step; None means every score.
        max_events: events at most; the oldest give way.
        limit: scores and reports at most, of each.

    Raises:
        StreamUnknown: nothing was ever stored of it.
        TooManyPoints: there is more; says at which resolution there is not.
    """
    number, bounds = _number_of(connection, stream), _Bounds(span, resolution, limit)
    return StoredHistory(
        stream,
        resolution,
        _scores(connection, number, bounds),
        _pulses(connection, number, bounds),
        _events(connection, number, span, max_events),
    )


def fitting(span: Span, points: int) -> int:
    """Return the resolution in seconds at which a span has at most so many steps."""
    return step_of(span.seconds / points)


def step_of(seconds: float) -> int:
    """Return the least step of a round number of seconds that is not below this."""
    for step in _STEPS:
        if step >= seconds:
            return step
    return math.ceil(seconds / 86_400) * 86_400


def _number_of(connection: Connection, stream: str) -> int:
    query = select(streams.c.number).where(streams.c.id == stream)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise StreamUnknown(stream)
    return int(found)


def _columns(
    connection: Connection,
    query: Select[Any],
    bounds: _Bounds,
    kinds: str,
    unit: int = 1,
) -> list[npt.NDArray[Any]]:
    """Return the columns of a query, the first of which is the time in units of microseconds.

    Rows are the driver's own plain tuples, and become arrays some at a time: both halve the time
    that a day takes.

    Args:
        connection: to read with.
        query: what is asked.
        bounds: how much may come.
        kinds: of each column, `i` for integers and `f` for other numbers.
        unit: microseconds of the first column's unit.
    """
    types = [np.int64 if kind == "i" else np.float64 for kind in kinds]
    parts: list[list[npt.NDArray[Any]]] = [[np.empty(0, kind)] for kind in types]
    cursor = connection.execute(query.limit(bounds.limit + 1)).cursor
    while cursor is not None and (rows := cursor.fetchmany(_AT_ONCE)):
        for part, kind, values in zip(parts, types, zip(*rows, strict=True), strict=True):
            part.append(np.array(values, dtype=kind))
    columns = [np.concatenate(part) for part in parts]
    if len(columns[0]) > bounds.limit:
        raise bounds.exceeded(int(columns[0][0]) * unit, int(columns[0][-1]) * unit)
    return columns


@dataclass(frozen=True, slots=True)
class _Bounds:
    """How much one answer may hold, and what was asked for."""

    span: Span
    resolution: int | None
    limit: int

    def exceeded(self, first: int, last: int) -> TooManyPoints:
        """Return the refusal; the points that fit lie between these microseconds."""
        begin = max(self.span.begin, first)
        coarser = (self.resolution or 1) * (self.span.end - begin) / max(last - begin, 1)
        return TooManyPoints(self.limit, step_of(max(coarser, (self.resolution or 0) + 1)))


def _scores(connection: Connection, stream: int, bounds: _Bounds) -> ScoreColumns:
    span, resolution = bounds.span, bounds.resolution
    if resolution is None:
        found = _columns(connection, _at_full_rate(stream, span), bounds, "iiiifffiff")
        t, epoch, track, model, p, lo, hi, state, face_px, sharpness = found
        return ScoreColumns(
            t=(t / _US).round(3),
            epoch=epoch,
            track=track,
            detector=_names(connection, model),
            p=p.round(4),
            p_min=p.round(4),
            p_max=p.round(4),
            lo=lo.round(4),
            hi=hi.round(4),
            state=_WORDS[state],
            face_px=face_px.round(4),
            sharpness=sharpness.round(4),
        )
    steps = _steps(stream, span, resolution)
    found = _columns(connection, steps, bounds, "iiiifffffi", _US)
    t, epoch, track, model, p, p_min, p_max, lo, hi, state = found
    unknown = np.full(len(t), np.nan)
    return ScoreColumns(
        t=t.astype(np.float64),
        epoch=epoch,
        track=track,
        detector=_names(connection, model),
        p=p.round(4),
        p_min=p_min.round(4),
        p_max=p_max.round(4),
        lo=lo.round(4),
        hi=hi.round(4),
        state=_WORDS[state],
        face_px=unknown,
        sharpness=unknown,
    )


def _names(connection: Connection, numbers: Integers) -> Words:
    """Return the names of models; empty for one that is not known."""
    names = {row.number: row.name for row in connection.execute(select(models))}
    kinds, places = np.unique(numbers, return_inverse=True)
    return np.array([names.get(int(kind), "") for kind in kinds], dtype=object)[places]


def _at_full_rate(stream: int, span: Span) -> Select[Any]:
    c = scores.c
    return (
        select(
            *(c.at, c.epoch, c.track, c.model, c.p, c.lo, c.hi, c.state),
            *(c.face_px, c.sharpness),
        )
        .where(c.stream == stream, c.at >= span.begin, c.at < span.end)
        .order_by(c.at, c.seq)
    )


def _steps(stream: int, span: Span, resolution: int) -> Select[Any]:
    """Return the question for steps of some seconds; each belongs to the second it begins in."""
    c = score_seconds.c
    first = span.begin // _US // resolution * resolution
    last = -(-span.end // _US)
    within = (c.stream == stream, c.second >= first, c.second < last)
    if resolution == 1:
        columns = (c.epoch, c.track, c.model, c.p_mean, c.p_min, c.p_max, c.lo, c.hi, c.state)
        return select(c.second, *columns).where(*within).order_by(c.second, c.track, c.model)
    step = (c.second - c.second % resolution).label("step")
    return (
        select(
            step,
            func.max(c.epoch),
            c.track,
            c.model,
            _mean(c.p_mean),
            func.min(c.p_min),
            func.max(c.p_max),
            _mean(c.lo),
            _mean(c.hi),
            func.max(c.state),
        )
        .where(*within)
        .group_by(step, c.track, c.model)
        .order_by(step, c.track, c.model)
    )


def _mean(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the mean of means, each weighted by how many scores it is of."""
    count = score_seconds.c.count
    weighed = func.sum(case((column.is_not(None), column * count), else_=0.0))
    weight = func.sum(case((column.is_not(None), count), else_=0))
    return weighed / func.nullif(weight, 0)


def _pulses(connection: Connection, stream: int, bounds: _Bounds) -> PulseColumns:
    c, span, resolution = pulses.c, bounds.span, bounds.resolution
    within = (c.stream == stream, c.at >= span.begin, c.at < span.end)
    if resolution is None:
        query = select(c.at, c.epoch, c.fps, c.loss, c.tracks).where(*within).order_by(c.at)
    else:
        step = (c.at - c.at % (resolution * _US)).label("step")
        query = (
            select(step, func.max(c.epoch), func.avg(c.fps), func.avg(c.loss), func.max(c.tracks))
            .where(*within)
            .group_by(step)
            .order_by(step)
        )
    t, epoch, fps, loss, tracks = _columns(connection, query, bounds, "iiffi")
    return PulseColumns((t / _US).round(3), epoch, fps.round(4), loss.round(4), tracks)


def _events(connection: Connection, stream: int, span: Span, count: int) -> tuple[str, ...]:
    c = events.c
    query = (
        select(c.message)
        .where(c.stream == stream, c.at >= span.begin, c.at < span.end)
        .order_by(c.seq.desc())
        .limit(count)
    )
    return tuple(reversed(connection.execute(query).scalars().all()))
