import numpy as np
import pytest

from styleflow.faces.face import Box, Face, TrackEnd
from styleflow.faces.settings import TrackerSettings
from styleflow.faces.track import FaceTracker, TrackStep
from tests.support.faces import face_at, look, points_at

STEP = 1 / 25


def walk(tracker: FaceTracker, frames: int, start: float = 0.0, person: int = 1) -> TrackStep:
    """Show one person moving slowly to the right."""
    for i in range(frames):
        step = tracker.step(start + i * STEP, [face_at(100 + i, 100)], [look(person, i)])
    return step


def test_a_face_keeps_its_track() -> None:
    tracker = FaceTracker()
    first = tracker.step(0.0, [face_at(100, 100)], [look(1)])
    assert first.started == (1,)
    assert [t.track for t in first.tracked] == [1]
    last = walk(tracker, 50, start=STEP)
    assert last.started == ()
    assert last.ended == ()
    assert [t.track for t in last.tracked] == [1]


def test_a_short_occlusion_is_survived_and_a_long_one_is_not() -> None:
    for hidden_s, ended in ((1.0, ()), (1.04, ((1, TrackEnd.LOST),))):
        tracker = FaceTracker()
        tracker.step(5.0, [face_at(100, 100)], [look(1)])
        assert tracker.step(5.0 + hidden_s / 2, [], []).ended == ()
        back = tracker.step(5.0 + hidden_s, [face_at(110, 100)], [look(1, 3)])
        assert back.ended == ended
        assert [t.track for t in back.tracked] == [2 if ended else 1]


def test_another_face_in_the_same_place_gets_its_own_track_at_once() -> None:
    tracker = FaceTracker()
    walk(tracker, 20)
    cut = tracker.step(20 * STEP, [face_at(120, 100)], [look(2)])
    assert cut.ended == ((1, TrackEnd.APPEARANCE_CHANGED),)
    assert cut.started == (2,)
    assert [t.track for t in cut.tracked] == [2]


def test_the_same_face_in_another_place_gets_a_new_track() -> None:
    tracker = FaceTracker()
    walk(tracker, 20)
    jump = tracker.step(20 * STEP, [face_at(500, 300)], [look(1)])
    assert jump.ended == ((1, TrackEnd.JUMPED),)
    assert jump.started == (2,)


def test_a_face_that_doubles_in_size_is_not_the_same_track() -> None:
    tracker = FaceTracker()
    walk(tracker, 5)
    grown = tracker.step(5 * STEP, [face_at(105, 100, side=170)], [look(1)])
    assert grown.ended == ((1, TrackEnd.JUMPED),)


def test_looks_may_change_slowly_as_far_as_they_like() -> None:
    tracker = FaceTracker()
    a, b = look(1), look(2)
    for i in range(101):
        mixed = (1 - i / 100) * a + i / 100 * b
        mixed = np.asarray(mixed / np.linalg.norm(mixed), np.float32)
        step = tracker.step(i * STEP, [face_at(100, 100)], [mixed])
        assert [t.track for t in step.tracked] == [1]


def test_two_faces_that_cross_keep_their_own_tracks() -> None:
    tracker = FaceTracker()
    for i in range(101):
        left, right = face_at(100 + 4 * i, 100), face_at(500 - 4 * i, 104)
        step = tracker.step(i * STEP, [left, right], [look(1, i), look(2, i)])
        whose = {round(t.face.box.centre[1]): t.track for t in step.tracked}
        assert whose == {100: 1, 104: 2}


def test_a_damaged_picture_ends_nothing_starts_nothing_and_teaches_nothing() -> None:
    tracker = FaceTracker()
    walk(tracker, 20)
    broken = tracker.step(
        20 * STEP, [face_at(120, 100), face_at(400, 300)], [look(7), look(8)], damaged=True
    )
    assert broken == TrackStep((), (), ())
    same = tracker.step(21 * STEP, [face_at(120, 100)], [look(1, 20)], damaged=True)
    assert [t.track for t in same.tracked] == [1]
    healed = tracker.step(22 * STEP, [face_at(121, 100)], [look(1, 21)])
    assert [t.track for t in healed.tracked] == [1]


def test_when_tracks_are_all_taken_the_longest_waiting_gives_way() -> None:
    tracker = FaceTracker(TrackerSettings(max_tracks=2))
    tracker.step(0.0, [face_at(100, 100)], [look(1)])
    tracker.step(0.1, [face_at(400, 100)], [look(2)])
    third = tracker.step(0.2, [face_at(700, 100)], [look(3)])
    assert third.ended == ((1, TrackEnd.EVICTED),)
    assert third.started == (3,)
    assert len(tracker) == 2


def test_a_face_that_finds_no_place_is_counted_and_the_largest_come_first() -> None:
    tracker = FaceTracker(TrackerSettings(max_tracks=2))
    faces = [face_at(100, 100, 40), face_at(400, 100, 90), face_at(700, 100, 80)]
    step = tracker.step(0.0, faces, [look(1), look(2), look(3)])
    assert step.ignored == 1
    assert [t.face.box.side for t in step.tracked] == pytest.approx([90, 80])


def test_the_end_of_an_epoch_ends_everything_and_ids_go_on() -> None:
    tracker = FaceTracker()
    tracker.step(9.0, [face_at(100, 100), face_at(400, 100)], [look(1), look(2)])
    assert tracker.end(TrackEnd.EPOCH_ENDED) == (
        (1, TrackEnd.EPOCH_ENDED),
        (2, TrackEnd.EPOCH_ENDED),
    )
    assert tracker.end(TrackEnd.EPOCH_ENDED) == ()
    assert tracker.step(0.0, [face_at(100, 100)], [look(1)]).started == (3,)


def test_faces_that_are_not_numbers_are_left_out() -> None:
    nan = float("nan")
    broken = Face(Box(nan, 0, 10, 10), points_at(5, 5, 10), 0.9)
    empty = Face(Box(5, 5, 5, 5), points_at(5, 5, 10), 0.9)
    step = FaceTracker().step(0.0, [broken, empty, face_at(50, 50)], [look(1), look(2), None])
    assert step == TrackStep((), (), ())


def test_a_face_that_would_lose_its_track_is_told_before_anything_ends() -> None:
    """By place, by looks, or by a landmark that slid to a size no face grows to."""
    tracker = FaceTracker()
    walk(tracker, 20)
    at, here = 20 * STEP, face_at(120, 100)
    assert tracker.is_uncertain(at, [here], [look(2)])
    assert tracker.is_uncertain(at, [face_at(500, 300)], [look(1)])
    assert tracker.is_uncertain(at, [face_at(120, 100, side=20)], [look(2)])
    assert tracker.step(at, [here], [look(1)]).ended == ()


def test_who_stays_comes_or_goes_puts_no_track_in_doubt() -> None:
    tracker = FaceTracker()
    walk(tracker, 20)
    at, here, there = 20 * STEP, face_at(120, 100), face_at(500, 300)
    assert not tracker.is_uncertain(at, [here], [look(1)])
    assert not tracker.is_uncertain(at, [here, there], [look(1), look(2)])
    assert not tracker.is_uncertain(at, [], [])
    tracker.step(at, [], [])
    assert not tracker.is_uncertain(at + STEP, [there], [look(2)])
    assert not tracker.is_uncertain(at + 1.1, [here], [look(2)]), "the track is lost by now anyway"
