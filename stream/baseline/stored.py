"""Trials of stored scores: an earlier stretch of a stream, such as a participant's earlier calls.

The store keeps a score's logit and state, and of the conditions sharpness and the size of the face.
Its reasons are not kept. A score without a verdict is "warming" in the store when nothing spoke
against it; so those are evidence, except in a face's first `WARM_UP_S`, and those that abstained
are not. Codec, picture size and light of stored video are not known, and not compared later.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select

from stream.baseline.errors import BaselineSpanTooLong
from stream.baseline.trials import MAX_GAP_S, Look, RealTrial, whole_trials
from stream.errors import StreamUnknown
from stream.publish.schema import STATE_RANK
from stream.store.history import Span
from stream.store.tables import models, scores, streams
from styleflow.decisions import Horizon

WARM_UP_S = 2.0
"""Seconds of a face, or after a gap, whose ratings are not yet evidence."""

MAX_SCORES = 200_000
"""Scores of one stretch: half a day of one face."""

_AT_ONCE = 4096


def stored_trials(
    connection: Connection, stream: str, span: Span, detector: str, digest: str, horizon: Horizon
) -> tuple[RealTrial, ...]:
    """Return the whole trials of a stored stretch, also of a stream that is gone.

    Args:
        connection: to read with.
        stream: id of the stream.
        span: which stretch.
        detector: whose ratings.
        digest: SHA-256 of its weights; ratings of others are left out.
        horizon: times of a trial.

    Raises:
        StreamUnknown: nothing was ever stored of it.
        BaselineSpanTooLong: the stretch has more scores than are taken.
    """
    number = connection.execute(select(streams.c.number).where(streams.c.id == stream)).scalar()
    if number is None:
        raise StreamUnknown(stream)
    return tuple(whole_trials(_looks(connection, number, span, detector, digest), horizon))


def _looks(
    connection: Connection, stream: int, span: Span, detector: str, digest: str
) -> Iterator[Look]:
    c = scores.c
    query = (
        select(c.at, c.epoch, c.track, c.logit, c.state, c.face_px, c.sharpness)
        .join(models, models.c.number == c.model)
        .where(
            c.stream == stream,
            c.at >= span.begin,
            c.at < span.end,
            models.c.name == detector,
            models.c.sha256 == digest,
        )
        .order_by(c.at, c.seq)
        .limit(MAX_SCORES + 1)
    )
    begins: dict[tuple[int, int], tuple[float, float]] = {}  # of a face: began, newest
    rows = connection.execution_options(yield_per=_AT_ONCE).execute(query)
    for count, row in enumerate(rows):
        if count >= MAX_SCORES:
            raise BaselineSpanTooLong(MAX_SCORES)
        face, at = (row.epoch, row.track), row.at / 1e6
        began, newest = begins.get(face, (at, at))
        if at - newest > MAX_GAP_S:
            began = at
        begins[face] = began, at
        counts = row.state != STATE_RANK["abstain"] and at - began >= WARM_UP_S
        logit = float("nan") if row.logit is None else row.logit
        yield Look(face, at, logit, counts, sharpness=row.sharpness, face_px=row.face_px)
