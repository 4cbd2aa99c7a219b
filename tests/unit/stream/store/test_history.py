"""The stored past of a stream: every score, steps of seconds, and bounds; on both databases."""

from __future__ import annotations

import math

import pytest
from sqlalchemy import delete

from stream.errors import StreamUnknown
from stream.store import history
from stream.store.database import Database
from stream.store.errors import TooManyPoints
from stream.store.history import Span, StoredHistory
from stream.store.tables import streams
from tests.support import past
from tests.support.past import BEGAN


def span(begin: float, end: float) -> Span:
    """Return seconds after the beginning."""
    return Span(round((BEGAN + begin) * 1e6), round((BEGAN + end) * 1e6))


def read(
    database: Database, begin: float, end: float, resolution: int | None, limit: int = 1000
) -> StoredHistory:
    """Read the lobby's past."""
    with database.reading() as connection:
        return history.read(
            connection, "lobby", span(begin, end), resolution, max_events=10, limit=limit
        )


def test_every_score_of_a_span_is_there_at_full_rate(database: Database) -> None:
    with database.writing() as connection:
        past.stream(connection)
        past.stream(connection, "lift", 2)
        past.full(connection, [0.1, 0.2, None, 0.4, 0.5])
        past.full(connection, [0.9], number=2)
    found = read(database, 0.25, 1.0, None).scores
    assert found.t.tolist() == [BEGAN + 0.25, BEGAN + 0.5, BEGAN + 0.75]
    assert found.p.tolist()[::2] == [0.2, 0.4]
    assert math.isnan(found.p[1])
    assert found.p_min.tolist()[0] == found.p_max.tolist()[0] == 0.2
    assert found.detector.tolist() == ["styleflow-live"] * 3
    assert found.state.tolist() == ["ok"] * 3
    assert found.face_px.tolist() == [96.5] * 3


def test_a_second_has_its_least_mean_and_greatest(database: Database) -> None:
    with database.writing() as connection:
        past.stream(connection)
        past.seconds(connection, [(0, 1, 0.3, 4), (1, 1, 0.8, 4), (1, 2, 0.5, 2), (5, 1, 0.3, 4)])
    found = read(database, 0, 5, 1).scores
    assert found.t.tolist() == [BEGAN, BEGAN + 1, BEGAN + 1]
    assert found.track.tolist() == [1, 1, 2]
    assert found.p.tolist() == [0.3, 0.8, 0.5]
    assert found.p_min.tolist() == [0.2, 0.7, 0.4]
    assert found.p_max.tolist() == [0.4, 0.9, 0.6]
    assert found.state.tolist() == ["ok", "suspect", "ok"]


def test_a_coarser_step_weighs_seconds_by_their_scores(database: Database) -> None:
    """A second without a number counts for nothing, and does not hide the others."""
    with database.writing() as connection:
        past.stream(connection)
        past.seconds(
            connection,
            [(0, 1, 0.2, 1), (1, 1, 0.8, 3), (2, 1, None, 0), (3, 2, None, 0), (10, 1, 0.5, 1)],
        )
    found = read(database, 0, 20, 10).scores
    assert found.t.tolist() == [BEGAN, BEGAN, BEGAN + 10]
    assert found.track.tolist() == [1, 2, 1]
    assert found.p.tolist()[::2] == [0.65, 0.5]
    assert math.isnan(found.p[1])
    assert found.p_min.tolist()[0] == 0.1
    assert found.p_max.tolist()[0] == 0.9
    assert found.lo.tolist()[0] == 0.45
    assert found.state.tolist() == ["suspect", "ok", "ok"]


def test_reports_and_events_come_along(database: Database) -> None:
    with database.writing() as connection:
        past.stream(connection)
        past.reports(connection, [10.0, 20.0, 30.0])
        past.verdicts(connection, [5, 6, 7])
    found = read(database, 0, 2, 2)
    assert found.pulses.t.tolist() == [BEGAN]
    assert found.pulses.fps.tolist() == [15.0]
    assert found.pulses.tracks.tolist() == [1]
    assert [message.count('"seq":5') for message in found.events] == [1, 0]
    assert len(found.scores.t) == 0
    every = read(database, 0, 9, None)
    assert every.pulses.fps.tolist() == [10.0, 20.0, 30.0]


@pytest.mark.parametrize("resolution", [None, 1, 10])
def test_too_many_points_are_refused_with_a_resolution_that_fits(
    database: Database, resolution: int | None
) -> None:
    """Whoever asks with the one that is named is answered."""
    with database.writing() as connection:
        past.stream(connection)
        past.seconds(connection, [(s, 1, 0.5, 4) for s in range(600)])
        past.full(connection, [0.5] * 2400)
    with pytest.raises(TooManyPoints) as caught:
        read(database, 0, 600, resolution, limit=50)
    advised = caught.value.resolution
    assert advised > (resolution or 0)
    assert 0 < len(read(database, 0, 600, advised, limit=50).scores.t) <= 50
    assert f"resolution={advised}" in caught.value.hint


def test_a_stream_that_was_never_stored_is_unknown(database: Database) -> None:
    with pytest.raises(StreamUnknown):
        read(database, 0, 10, None)


def test_a_model_that_is_gone_does_not_hide_its_scores(database: Database) -> None:
    with database.writing() as connection:
        past.stream(connection)
        past.full(connection, [0.5])
        connection.execute(delete(history.models))
        assert connection.execute(streams.select()).all()
    assert read(database, 0, 9, None).scores.detector.tolist() == [""]


@pytest.mark.parametrize(
    ("seconds", "step"), [(0.2, 1), (1, 1), (1.01, 2), (86.4, 120), (86_401, 172_800)]
)
def test_steps_are_round_numbers(seconds: float, step: int) -> None:
    assert history.step_of(seconds) == step


def test_a_span_chooses_its_resolution() -> None:
    assert history.fitting(span(0, 600), 1000) == 1
    assert history.fitting(span(0, 86_400), 1000) == 120
