from dataclasses import replace

import cv2
import numpy as np
import pytest

from stream.errors import SettingInvalid
from stream.events import CaptureConditions, Frame, Perceived
from stream.perception.perception import Grid, Perception
from stream.perception.settings import PerceptionSettings
from styleflow.clips import ClipSpec
from styleflow.faces.face import Face, Image, TrackEnd
from styleflow.faces.settings import TrackerSettings
from styleflow.faces.track import FaceTracker
from tests.support.faces import LaggingFinder, ScriptedFinder, face_at, textured_face

CLIP = ClipSpec(frames=32, cadence_hz=25.0, size_px=128)
PLAIN = PerceptionSettings(detect_every=5, tiles=1, tiles_every=10, retry_every=2)


def picture(faces: tuple[Face, ...], people: tuple[int, ...]) -> Image:
    """A dark picture in which every face shows its person."""
    image = np.full((480, 640, 3), 30, np.uint8)
    for face, person in zip(faces, people, strict=True):
        side = round(face.box.side * 1.6)
        x, y = (round(c - side / 2) for c in face.box.centre)
        image[y : y + side, x : x + side] = textured_face(side, person)
    return image


class Video:
    """Plays scenes of (faces, people) through a Perception, 25 frames a second."""

    def __init__(
        self, settings: PerceptionSettings = PLAIN, finder: ScriptedFinder | None = None
    ) -> None:
        self.finder = finder or ScriptedFinder([()])
        self.perception = Perception(self.finder, [CLIP], settings)
        self.slot = 0

    def show(
        self,
        *people: tuple[Face, int],
        frames: int = 1,
        epoch: int = 0,
        contaminated: bool = False,
        overrun: int = 0,
    ) -> list[Perceived]:
        faces = tuple(face for face, _ in people)
        image = picture(faces, tuple(person for _, person in people))
        seen = []
        for _ in range(frames):
            self.finder.now = faces
            capture = CaptureConditions(contaminated, source_fps=25.0)
            at, self.slot = self.slot / 25, self.slot + 1
            frame = Frame("hall", epoch, self.slot, at, 100 + at, image, capture)
            (view,) = self.perception.perceive(frame, overrun)
            assert view is not None
            seen.append(view)
        return seen


def test_the_detector_runs_now_and_then_and_looks_closely_more_rarely() -> None:
    video = Video()
    video.show((face_at(200, 200), 1), frames=21)
    expected = ["find1", *["follow"] * 4, "find0", *["follow"] * 4] * 2 + ["find1"]
    assert [a.replace("find0", "find") for a in video.finder.asked] == [
        a.replace("find0", "find") if i != 10 else "find1" for i, a in enumerate(expected)
    ]
    assert video.perception.detections == 5


def test_a_vanished_face_is_looked_for_in_the_same_frame() -> None:
    video = Video()
    video.show((face_at(200, 200), 1), frames=2)
    video.finder.asked.clear()
    video.show()
    assert video.finder.asked == ["follow", "find0"]


def test_a_small_face_that_is_lost_from_sight_is_looked_for_closely() -> None:
    """Six faces of a gallery of nine were gone for a second and more, until tiles were due."""
    video = Video(replace(PLAIN, tiles_every=50))
    two = (face_at(200, 200), 1), (face_at(400, 200), 2)
    video.show(*two, frames=12)
    video.finder.asked.clear()
    video.show(two[0], frames=10)
    assert video.finder.asked[:4] == ["follow", "find0", "follow", "find1"]
    assert [asked for asked in video.finder.asked if asked == "find1"] == ["find1"]


def test_a_face_that_flickers_is_looked_for_closely_at_most_with_every_detection() -> None:
    video = Video(replace(PLAIN, tiles_every=50))
    two = (face_at(200, 200), 1), (face_at(400, 200), 2)
    for _ in range(25):
        video.show(*two)
        video.show(two[0])
    assert video.finder.asked.count("find1") <= 1 + 50 // PLAIN.detect_every


def test_without_faces_the_picture_is_searched_more_often() -> None:
    video = Video()
    video.show(frames=9)
    assert [a[:4] for a in video.finder.asked].count("find") == 5


def test_a_frame_becomes_perceived_with_all_that_it_says() -> None:
    (seen,) = Video().show((face_at(200, 200), 1), contaminated=False, overrun=3)
    assert (seen.stream, seen.epoch, seen.slot, seen.at) == ("hall", 0, 1, 0.0)
    assert (seen.arrived, seen.capture.source_fps, seen.overrun) == (100.0, 25.0, 3)
    assert seen.started == (1,)
    (face,) = seen.faces
    assert face.track == 1
    assert face.image.shape == (128, 128, 3)
    assert face.reanchored is None
    assert face.quality.face_px == pytest.approx(80)


def test_the_anchor_of_a_track_settles_once() -> None:
    seen = Video().show((face_at(200, 200), 1), frames=30)
    assert [i for i, s in enumerate(seen) if s.faces[0].reanchored is not None] == [7]


def test_a_new_epoch_ends_all_tracks_with_its_first_frame() -> None:
    video = Video()
    video.show((face_at(200, 200), 1), (face_at(450, 200), 2), frames=3)
    video.slot = 0
    (seen,) = video.show((face_at(200, 200), 1), epoch=1)
    assert [(e.track, e.reason) for e in seen.ended] == [
        (1, TrackEnd.EPOCH_ENDED),
        (2, TrackEnd.EPOCH_ENDED),
    ]
    assert seen.started == (3,)
    assert seen.faces[0].reanchored is None
    assert video.finder.asked[-1].startswith("find")


def test_a_cut_to_another_person_ends_the_track() -> None:
    video = Video()
    video.show((face_at(200, 200), 1), frames=12)
    (seen,) = video.show((face_at(200, 200), 2))
    assert [(e.track, e.reason) for e in seen.ended] == [(1, TrackEnd.APPEARANCE_CHANGED)]
    assert [f.track for f in seen.faces] == [2]
    assert seen.faces[0].reanchored is None


def ends(seen: list[Perceived]) -> list[tuple[int, TrackEnd]]:
    return [(e.track, e.reason) for view in seen for e in view.ended]


def test_a_face_that_outruns_its_landmarks_keeps_its_track() -> None:
    """Sampled at 12.5 Hz, a dancer used to begin a track with nearly every frame."""
    finder = LaggingFinder()
    video = Video(finder=finder)
    seen = []
    for x in (200, 235, 270, 240, 200, 165, 200, 240, 280, 240, 210):
        seen += video.show((face_at(x, 200), 1))
    assert ends(seen) == []
    assert {f.track for view in seen for f in view.faces} == {1}
    assert finder.asked[:4] == ["find1", "follow", "find0", "follow"]
    assert not any(finder.trusted), "landmarks that are in doubt were trusted again"
    assert video.perception.redetections == 10
    assert video.perception.detections == 11


def test_a_face_that_stays_is_never_looked_at_twice() -> None:
    video = Video(finder=LaggingFinder())
    video.show((face_at(200, 200), 1), frames=30)
    assert video.perception.redetections == 0


@pytest.mark.parametrize("frames", [5, 7])
def test_another_person_is_looked_at_twice_and_ends_the_track(frames: int) -> None:
    """Where the detector's turn was in that very frame, and where it was not."""
    video = Video(finder=LaggingFinder())
    video.show((face_at(200, 200), 1), frames=frames)
    seen = video.show((face_at(200, 200), 2), frames=3)
    assert ends(seen) == [(1, TrackEnd.APPEARANCE_CHANGED)]
    assert [f.track for view in seen for f in view.faces] == [2, 2, 2]
    assert video.perception.redetections == 1


def test_two_people_who_trade_places_both_lose_their_tracks() -> None:
    video = Video(finder=LaggingFinder())
    here, there = face_at(200, 200), face_at(450, 200)
    video.show((here, 1), (there, 2), frames=7)
    (seen,) = video.show((here, 2), (there, 1))
    assert ends([seen]) == [
        (1, TrackEnd.APPEARANCE_CHANGED),
        (2, TrackEnd.APPEARANCE_CHANGED),
    ]
    assert seen.started == (3, 4)
    assert video.perception.redetections == 1


def test_a_close_search_is_not_undone_by_a_redetection() -> None:
    video = Video(finder=LaggingFinder())
    video.show((face_at(200, 200), 1), frames=10)
    video.show((face_at(200, 200), 2))
    assert video.finder.asked[-2:] == ["find1", "find1"]


def test_a_damaged_picture_is_not_looked_at_twice() -> None:
    video = Video(finder=LaggingFinder())
    video.show((face_at(200, 200), 1), frames=7)
    video.show((face_at(200, 200), 2), contaminated=True)
    assert video.perception.redetections == 0


@pytest.mark.parametrize(("factor", "most"), [(1, 80), (4, 20)])
def test_redetections_are_bounded_and_rarer_when_there_is_too_much_to_do(
    factor: int, most: int
) -> None:
    """Somebody else at every frame: each is a track of its own, however often is looked."""
    video = Video(finder=LaggingFinder())
    video.perception.detect_factor = factor
    people = [video.show((face_at(200, 200), person))[0] for person in range(80)]
    assert [f.track for view in people for f in view.faces] == list(range(1, 81))
    assert most - 5 <= video.perception.redetections <= most


def test_contaminated_frames_deliver_faces_but_decide_nothing() -> None:
    video = Video()
    video.show((face_at(200, 200), 1), frames=12)
    same = video.show((face_at(200, 200), 1), contaminated=True)[0]
    assert [f.track for f in same.faces] == [1]
    assert same.capture.contaminated
    smeared = video.show((face_at(200, 200), 9), (face_at(450, 200), 8), contaminated=True)[0]
    assert (smeared.started, smeared.ended, smeared.faces) == ((), (), ())
    healed = video.show((face_at(200, 200), 1))[0]
    assert [f.track for f in healed.faces] == [1]


def test_small_and_surplus_faces_are_left_alone_the_largest_kept() -> None:
    settings = PerceptionSettings(max_faces=2, min_face_px=40)
    people = [(face_at(90 + 130 * i, 200, side), i) for i, side in enumerate((30, 50, 90, 70))]
    (seen,) = Video(settings).show(*people)
    assert sorted(round(f.quality.face_px) for f in seen.faces) == [70, 90]


def test_faces_without_a_free_track_wait_and_are_counted() -> None:
    video = Video(PerceptionSettings(tracker=TrackerSettings(max_tracks=1)))
    seen = video.show((face_at(200, 200), 1), (face_at(450, 200), 2), frames=2)
    assert [view.waiting for view in seen] == [1, 1]


def test_a_ninth_face_that_was_never_looked_at_gets_its_turn() -> None:
    settings = PerceptionSettings(max_faces=2, turn_s=1.0)
    video = Video(settings)
    people = [(face_at(100 + 180 * i, 200, side), i) for i, side in enumerate((90, 85, 80))]
    seen = video.show(*people, frames=60)
    assert {view.waiting for view in seen} == {1}
    places = {round((f.face.box.centre[0] - 100) / 180) for view in seen for f in view.faces}
    assert places == {0, 1, 2}
    ended = [each for view in seen for each in view.ended]
    assert ended
    assert {each.reason for each in ended} == {TrackEnd.EVICTED}
    assert all(len(view.faces) == 2 for view in seen)
    (view,) = video.show(*people[:2])
    (view,) = video.show(*people[:2], epoch=1)
    assert view.waiting == 0


def test_memory_does_not_grow_with_the_tracks_that_were() -> None:
    video = Video()
    for i in range(60):
        video.show((face_at(200, 200), i), frames=2)
    assert video.perception.views[0].remembered == 1
    assert [e.track for e in video.perception.close(TrackEnd.LOST)] == [60]
    assert video.perception.views[0].remembered == 0
    assert video.perception.close() == ()


def scaled(frame: Frame, factor: float) -> Frame:
    """Return a frame whose picture has another size and the same shape."""
    height, width = frame.image.shape[:2]
    size = (round(width * factor), round(height * factor))
    return replace(frame, image=np.asarray(cv2.resize(frame.image, size), np.uint8))


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.5])
def test_a_face_keeps_its_track_when_its_picture_is_scaled(factor: float) -> None:
    """Browsers scale with the bandwidth; evidence must not be lost with it."""
    video = Video()
    face, small = face_at(200, 200), face_at(200 * factor, 200 * factor, 80 * factor)
    before = video.show((face, 1), frames=20)[-1]
    image = picture((face,), (1,))
    crops = [before.faces[0].image]
    for n in range(20, 30):
        video.finder.now = (small,)
        at = n / 25
        frame = scaled(
            Frame(
                "hall", 0, n + 1, at, 100 + at, image, capture=CaptureConditions(source_fps=25.0)
            ),
            factor,
        )
        (seen,) = video.perception.perceive(frame)
        assert seen is not None
        assert [tracked.track for tracked in seen.faces] == [1]
        assert seen.ended == ()
        assert seen.faces[0].reanchored is None
        crops.append(seen.faces[0].image)
    # The crop shows the same part of the face: nothing jumps where the size changes.
    difference = np.abs(crops[-1].astype(int) - crops[0]).mean()
    assert difference < 6
    assert seen.faces[0].quality.face_px == pytest.approx(80 * factor, rel=0.01)


def test_what_is_known_of_a_face_is_mapped_onto_the_new_size() -> None:
    tracker = FaceTracker(TrackerSettings(max_reach=0.2, max_jump=0.2))
    looks = [np.ones(8, np.float32)]
    tracker.step(0.0, [face_at(100, 100, 60)], looks)
    tracker.rescale(2.0, 2.0)
    assert tracker.step(0.04, [face_at(200, 200, 120)], looks).started == ()


def spec(cadence_hz: float) -> ClipSpec:
    return ClipSpec(4, cadence_hz, 32)


@pytest.mark.parametrize(
    ("cadences", "grid_hz", "strides"),
    [
        ((12.5,), 12.5, (1,)),
        ((25.0, 5.0, 2.5), 25.0, (1, 5, 10)),
        ((12.5, 5.0), 25.0, (2, 5)),
        ((2.5, 12.5), 12.5, (5, 1)),
    ],
)
def test_clips_meet_on_the_coarsest_common_grid(cadences, grid_hz, strides) -> None:
    assert Grid.common([spec(hz) for hz in cadences]) == Grid(grid_hz, strides)


def test_cadences_that_never_meet_are_refused() -> None:
    with pytest.raises(SettingInvalid, match="25, 7"):
        Grid.common([spec(25.0), spec(7.0)])


class Slots:
    """Frames by slot, seen by one fast and one slow clip."""

    def __init__(self) -> None:
        self.finder = ScriptedFinder([()])
        self.perception = Perception(self.finder, [spec(10.0), spec(2.0)], PLAIN)

    def show(self, slot: int, *people: tuple[Face, int], overrun: int = 0, epoch: int = 0):
        self.finder.now = tuple(face for face, _ in people)
        image = picture(self.finder.now, tuple(person for _, person in people))
        at = slot / 10
        frame = Frame(
            "hall", epoch, slot, at, 100 + at, image, capture=CaptureConditions(source_fps=10.0)
        )
        return self.perception.perceive(frame, overrun)


ONE, TWO = (face_at(200, 200), 1), (face_at(450, 200), 2)


def test_a_slow_clip_takes_the_next_frame_when_its_own_is_missing() -> None:
    slots = Slots()
    seen = {slot: slots.show(slot, ONE) for slot in (0, 1, 4, 6, 7, 10)}
    assert [slot for slot, (_, slow) in seen.items() if slow is not None] == [0, 6, 10]
    assert [slow.slot for _, slow in seen.values() if slow is not None] == [0, 1, 2]
    assert all(fast is not None for fast, _ in seen.values())


def test_a_slow_clip_learns_later_what_began_and_ended() -> None:
    slots = Slots()
    slots.show(0, ONE)
    started = [slots.show(slot, ONE, TWO) for slot in range(1, 6)]
    assert [view.started for view, _ in started if view.started] == [(2,)]
    (_, slow) = started[-1]
    assert slow is not None
    assert slow.started == (2,)
    gone = [slots.show(slot, TWO) for slot in range(6, 21)]
    (ended,) = [fast.ended for fast, _ in gone if fast.ended]
    (told,) = [slow.ended for _, slow in gone if slow is not None and slow.ended]
    assert told == ended


def test_a_face_between_two_frames_of_a_slow_clip_was_never_there_for_it() -> None:
    slots = Slots()
    slots.show(0)
    slots.show(1, ONE)
    slots.perception.close()
    (_, slow) = slots.show(5)
    assert slow is not None
    assert (slow.started, slow.ended) == ((), ())


def test_a_new_epoch_is_due_for_every_clip_at_once() -> None:
    slots = Slots()
    slots.show(0, ONE)
    fast, slow = slots.show(0, ONE, epoch=1)
    assert fast is not None
    assert slow is not None
    assert fast.ended == slow.ended != ()


def test_overrun_is_counted_in_each_clips_own_frames() -> None:
    slots = Slots()
    slots.show(0)
    slots.show(4, overrun=3)
    _, slow = slots.show(12, overrun=7)
    assert slow is not None
    assert slow.overrun == 2
