"""Laws of perception, whatever becomes of the landmarks that are followed."""

from collections.abc import Sequence

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stream.events import CaptureConditions, Frame, Perceived
from stream.perception.perception import Perception
from stream.perception.settings import PerceptionSettings
from styleflow.clips import ClipSpec
from styleflow.faces.face import Face, Image
from tests.support.faces import LaggingFinder, face_at, textured_face

PLACES = ((110, 120), (310, 120))
SIDE = 80
CLIP = ClipSpec(frames=8, cadence_hz=12.5, size_px=32)
Scene = tuple[tuple[int | None, int | None], tuple[int, int], tuple[int, int]]
"""Who is at each place, how far everybody has moved from it, and how far landmarks slide."""


class SlidingFinder(LaggingFinder):
    """Finds every face; followed landmarks end up somewhere near where they were."""

    slide: tuple[int, int] = (0, 0)

    def follow(self, image: Image, faces: Sequence[Face]) -> tuple[Face, ...]:
        x, y = self.slide
        moved = (face_at(f.box.centre[0] + x, f.box.centre[1] + y, SIDE) for f in faces)
        height, width = image.shape[:2]
        return tuple(
            f for f in moved if 0 < f.box.centre[0] < width and 0 < f.box.centre[1] < height
        )


def shift(limit: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(-limit, limit), st.integers(-limit, limit))


people = st.tuples(st.sampled_from([0, 1, 2, None]), st.sampled_from([0, 1, 2, None])).filter(
    lambda pair: pair[0] is None or pair[0] != pair[1]
)
scenes = st.lists(st.tuples(people, shift(30), shift(25)), min_size=2, max_size=16)


def play(video: Sequence[Scene], factor: int) -> tuple[list[tuple[Perceived, Scene]], Perception]:
    finder = SlidingFinder()
    perception = Perception(finder, [CLIP], PerceptionSettings(tiles=0))
    perception.detect_factor = factor
    seen = []
    for slot, scene in enumerate(video):
        who, (dx, dy), finder.slide = scene
        image = np.full((260, 420, 3), 30, np.uint8)
        faces = []
        for (x, y), person in zip(PLACES, who, strict=True):
            if person is None:
                continue
            faces.append(face_at(x + dx, y + dy, SIDE))
            half = round(SIDE * 0.8)
            rows, columns = slice(y + dy - half, y + dy + half), slice(x + dx - half, x + dx + half)
            image[rows, columns] = textured_face(2 * half, person)
        finder.now = tuple(faces)
        at = slot / CLIP.cadence_hz
        (view,) = perception.perceive(
            Frame("hall", 0, slot, at, at, image, capture=CaptureConditions(source_fps=12.5))
        )
        assert view is not None
        seen.append((view, scene))
    return seen, perception


def owner(face: Face, scene: Scene) -> int | None:
    """Return whose face this is, where it lies on somebody's."""
    who, (dx, dy), _ = scene
    for (x, y), person in zip(PLACES, who, strict=True):
        if person is not None and face.box.iou(face_at(x + dx, y + dy, SIDE).box) > 0.8:
            return person
    return None


@given(scenes, st.sampled_from([1, 4]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_history_passes_to_another_person_however_landmarks_slide(
    video: list[Scene], factor: int
) -> None:
    """People come, go and trade places at any frame; a track shows one of them only."""
    seen, _ = play(video, factor)
    whose: dict[int, int] = {}
    for view, scene in seen:
        for face in view.faces:
            person = owner(face.face, scene)
            if person is not None:
                assert whose.setdefault(face.track, person) == person


@given(scenes, st.sampled_from([1, 2, 4]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_looks_stay_within_their_bound(video: list[Scene], factor: int) -> None:
    """At most one second look per frame, and per `factor` frames where there is too much to do."""
    seen, perception = play(video, factor)
    assert perception.redetections <= -(-len(seen) // factor)
    assert perception.detections <= len(seen) + perception.redetections


@given(st.lists(shift(18), min_size=2, max_size=20))
@example([(-18, 18), (18, -18)])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_face_that_outruns_its_landmarks_keeps_one_track(path: list[tuple[int, int]]) -> None:
    """Any way of moving by up to 0.64 of its side per frame, with landmarks that stay behind."""
    seen, _ = play([((0, None), place, (0, 0)) for place in path], factor=1)
    assert {face.track for view, _ in seen for face in view.faces} == {1}
    assert all(view.ended == () for view, _ in seen)
