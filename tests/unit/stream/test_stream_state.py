"""Stream state: what the events of one stream amount to, without a clock or a thread."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.events import (
    ConnectionState,
    EpochCause,
    EpochStarted,
    Event,
    IncidentChanged,
    StreamChanged,
    StreamDescribed,
    StreamReport,
)
from stream.incident import IncidentStep
from stream.stream_state import StreamState
from tests.support.incidents import incident
from tests.support.wire import added, report, score, track_ended

LIVE, LOST = ConnectionState.LIVE, ConnectionState.BACKING_OFF


def folded(*events: Event, max_tracks: int = 64) -> StreamState:
    state = StreamState("lobby", max_tracks)
    for second, event in enumerate(events):
        state.apply(event, float(second))
    return state


def test_the_newest_score_of_every_face_and_detector_is_kept() -> None:
    state = folded(score(value=0.1), score(detector="caddm"), score(track=2), score(value=0.9))
    assert [(s.track, s.detector, s.score) for s in state.scores.values()] == [
        (1, "styleflow-live", 0.9),
        (1, "caddm", 0.25),
        (2, "styleflow-live", 0.25),
    ]


def test_a_new_epoch_ends_every_face_and_makes_older_scores_late() -> None:
    state = folded(score(track=3))
    assert state.apply(EpochStarted("lobby", 2, EpochCause.CONNECTED), 1.0) == (3,)
    assert state.is_late(score())
    assert state.apply(score(), 2.0) == ()
    assert state.scores == {}
    assert not state.is_late(score(epoch=2))
    assert (state.epoch, state.report.epoch) == (2, 2)


def test_a_face_that_ends_takes_the_scores_of_all_detectors_with_it() -> None:
    state = folded(score(), score(detector="caddm"), score(track=2))
    assert state.apply(track_ended(), 3.0) == (1,)
    assert [track for track, _ in state.scores] == [2]
    assert state.apply(track_ended(track=9), 4.0) == ()


def test_of_too_many_faces_the_oldest_gives_way() -> None:
    state = folded(*(score(track=track) for track in range(5)), max_tracks=3)
    assert [track for track, _ in state.scores] == [2, 3, 4]


@pytest.mark.parametrize(
    ("states", "reconnects"),
    [
        ([LIVE, LOST, LIVE, ConnectionState.FAILED], 2),
        ([ConnectionState.CONNECTING, LOST, LOST], 0),
        ([LIVE, ConnectionState.STALLED, LIVE, ConnectionState.ENDED], 0),
    ],
)
def test_only_a_live_connection_can_be_lost(states: list[ConnectionState], reconnects: int) -> None:
    state = folded(added(), *(StreamChanged("lobby", 1, s) for s in states))
    assert state.reconnects == reconnects
    assert state.changed_at == len(states)
    assert state.change is not None
    assert state.change.state is states[-1]


def test_a_report_of_an_older_epoch_is_shown_with_the_newest() -> None:
    state = folded(EpochStarted("lobby", 4, EpochCause.PTS_JUMP), report())
    assert state.report == replace(report(), epoch=4)


def test_a_stream_that_has_said_nothing_has_an_empty_report() -> None:
    assert StreamState("lobby").report == StreamReport("lobby", 0, None, None, 0, (), None)


def test_what_is_said_of_an_incident_of_an_earlier_run_begins_no_epoch() -> None:
    """Labelling last week's incident must not make today's scores late."""
    state = folded(score())
    state.apply(IncidentChanged("lobby", 500, incident(epoch=500), IncidentStep.LABELLED), 1.0)
    assert state.epoch == 1
    assert not state.is_late(score())


def test_a_new_name_leaves_everything_else_as_it_was() -> None:
    state = folded(added(), StreamChanged("lobby", 1, LIVE), score())
    state.apply(StreamDescribed("lobby", 1, "North door", ("Berlin",)), 9.0)
    assert state.added == replace(added(), name="North door", tags=("Berlin",))
    assert (state.changed_at, len(state.scores)) == (1.0, 1)


def test_scores_of_an_earlier_owner_are_forgotten_when_the_stream_is_added_anew() -> None:
    state = folded(added(), score(track=1), score(track=2))
    gone = state.apply(replace(added(), epoch=1 << 20), 9.0)
    assert (gone, state.scores, state.epoch) == ((1, 2), {}, 1 << 20)
