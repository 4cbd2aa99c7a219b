"""Laws of the tracker that hold for any input."""

from hypothesis import given
from hypothesis import strategies as st

from styleflow.faces.face import Face, TrackEnd
from styleflow.faces.settings import TrackerSettings
from styleflow.faces.track import FaceTracker, TrackStep
from tests.support.faces import face_at, look

PEOPLE = 5
Seen = list[tuple[float, float, float, int]]  # x, y, side, who

seen = st.lists(
    st.tuples(
        st.floats(0, 640),
        st.floats(0, 480),
        st.floats(10, 200),
        st.integers(0, PEOPLE - 1),
    ),
    max_size=6,
)
videos = st.lists(st.tuples(st.floats(0.01, 0.7), seen, st.booleans()), max_size=25)


def play(
    video: list[tuple[float, Seen, bool]], settings: TrackerSettings, order: int = 1
) -> tuple[list[TrackStep], list[int]]:
    tracker = FaceTracker(settings)
    at, steps, sizes = 0.0, [], []
    for wait, people, damaged in video:
        at += wait
        shown = people[::order]
        faces: list[Face] = [face_at(x, y, side) for x, y, side, _ in shown]
        looks = [look(who) for *_, who in shown]
        steps.append(tracker.step(at, faces, looks, damaged=damaged))
        sizes.append(len(tracker))
    return steps, sizes


def summary(steps: list[TrackStep]) -> list[object]:
    return [
        ([(t.track, t.face.box) for t in s.tracked], s.started, s.ended, s.ignored) for s in steps
    ]


@given(videos, st.integers(1, 4))
def test_memory_is_bounded_and_every_track_begins_once_and_ends_at_most_once(
    video: list[tuple[float, Seen, bool]], limit: int
) -> None:
    steps, sizes = play(video, TrackerSettings(max_tracks=limit))
    assert all(size <= limit for size in sizes)
    alive: set[int] = set()
    used: set[int] = set()
    for step, size in zip(steps, sizes, strict=True):
        started = set(step.started)
        assert not started & used, "an id was used again"
        used |= started
        ended = {track for track, _ in step.ended}
        assert ended <= alive, "a track ended that was not there"
        alive = (alive | started) - ended
        tracked = [t.track for t in step.tracked]
        assert len(tracked) == len(set(tracked))
        assert set(tracked) <= alive
        assert started <= set(tracked)
        assert size == len(alive)


@given(videos)
def test_a_history_never_passes_to_another_person(
    video: list[tuple[float, Seen, bool]],
) -> None:
    """People differ by more than the limit, so each track shows one of them only."""
    steps, _ = play(video, TrackerSettings())
    who: dict[int, set[int]] = {}  # whom a track may show: two may stand in one place
    for step, (_, people, _) in zip(steps, video, strict=True):
        for t in step.tracked:
            shown = {p for x, y, side, p in people if face_at(x, y, side).box == t.face.box}
            who[t.track] = shown & who.get(t.track, shown)
            assert who[t.track]


@given(videos)
def test_the_order_of_detections_changes_nothing(
    video: list[tuple[float, Seen, bool]],
) -> None:
    distinct = [
        (wait, list({(x, y, s): (x, y, s, p) for x, y, s, p in people}.values()), damaged)
        for wait, people, damaged in video
    ]
    there, _ = play(distinct, TrackerSettings(max_tracks=3))
    back, _ = play(distinct, TrackerSettings(max_tracks=3), order=-1)
    assert summary(there) == summary(back)


@given(videos, st.sampled_from([0.5, 16.0, 1024.0]))
def test_shifting_media_time_changes_nothing(
    video: list[tuple[float, Seen, bool]], shift: float
) -> None:
    # On a grid of 1/64 s, so that the shifted times are exact.
    grid = [(max(1, round(w * 64)) / 64, people, damaged) for w, people, damaged in video]
    here, _ = play(grid, TrackerSettings())
    there, _ = play([(shift, [], False), *grid], TrackerSettings())
    assert summary(here) == summary(there[1:])


@given(st.floats(0.01, 1.0), st.floats(-60, 60), st.floats(-60, 60))
def test_any_short_occlusion_of_a_face_that_stays_near_is_survived(
    hidden_s: float, dx: float, dy: float
) -> None:
    tracker = FaceTracker()
    tracker.step(0.0, [face_at(300, 200, 200)], [look(1)])
    tracker.step(hidden_s / 2, [], [])
    step = tracker.step(hidden_s, [face_at(300 + dx, 200 + dy, 200)], [look(1, 2)])
    assert [t.track for t in step.tracked] == [1]


@given(st.integers(1, 60), st.floats(1, 12), st.integers(-30, 30))
def test_crossing_faces_never_swap(frames: int, speed: float, dy: int) -> None:
    tracker = FaceTracker()
    whose: dict[int, set[int]] = {1: set(), 2: set()}
    for i in range(frames):
        faces = [face_at(100 + speed * i, 200), face_at(400 - speed * i, 200 + dy)]
        step = tracker.step(i / 25, faces, [look(1, i), look(2, i)])
        for t in step.tracked:
            whose[1 if t.face is faces[0] else 2].add(t.track)
    assert not whose[1] & whose[2]
    assert len(whose[1]) == len(whose[2]) == 1


@given(videos)
def test_ending_an_epoch_leaves_nothing_behind(video: list[tuple[float, Seen, bool]]) -> None:
    tracker = FaceTracker()
    at = 0.0
    for wait, people, damaged in video:
        at += wait
        faces = [face_at(x, y, side) for x, y, side, _ in people]
        tracker.step(at, faces, [look(p) for *_, p in people], damaged=damaged)
    before = len(tracker)
    ended = tracker.end(TrackEnd.EPOCH_ENDED)
    assert len(ended) == before
    assert len(tracker) == 0
