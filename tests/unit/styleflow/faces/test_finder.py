from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from styleflow.faces.face import Box, Face, FaceRequest, Image
from styleflow.faces.finder import FaceFinder
from styleflow.faces.mesh import FaceMesh
from styleflow.faces.networks import FaceMeshNet
from styleflow.faces.sight import MOST_REUSED
from tests.support.faces import face_at

BLANK = np.zeros((480, 640, 3), np.uint8)


class Eye:
    """A detector that sees what it is told."""

    def __init__(self, *faces: Face, smallest: float = 40.0) -> None:
        self.faces = faces
        self.smallest = smallest

    def detect(self, image: Image) -> tuple[Face, ...]:
        return self.faces

    def detect_all(self, pictures: Sequence[tuple[Image, int]]) -> list[tuple[Face, ...]]:
        return [self.faces for _ in pictures]

    def smallest_px(self, image: Image, tiles: int = 0) -> float:
        return self.smallest


class Believer(FaceMesh):
    """A mesh that leaves faces where they are and believes in those on the left."""

    def __init__(self) -> None:
        super().__init__(FaceMeshNet())

    def refine_all(
        self, pictures: Sequence[tuple[Image, Sequence[Face]]]
    ) -> list[tuple[tuple[Face, float], ...]]:
        return [
            tuple(
                (
                    Face(f.box, f.points, f.confidence, np.zeros((468, 2))),
                    0.9 if f.box.x0 < 320 else 0.1,
                )
                for f in faces
            )
            for _, faces in pictures
        ]


def test_faces_that_the_mesh_doubts_are_left_out() -> None:
    finder = FaceFinder(Eye(face_at(100, 100), face_at(500, 100)), Believer())
    assert [f.box.centre for f in finder.find(BLANK)] == [(100, 100)]


def test_two_meshes_on_one_face_become_one() -> None:
    finder = FaceFinder(Eye(), Believer())
    assert len(finder.follow(BLANK, [face_at(100, 100), face_at(104, 102)])) == 1


def test_a_face_outside_the_picture_is_gone() -> None:
    finder = FaceFinder(Eye(), Believer())
    assert finder.follow(BLANK, [face_at(-30, 100), face_at(100, 500)]) == ()


def test_an_overlooked_face_fades_until_it_is_gone() -> None:
    finder = FaceFinder(Eye(), Believer())
    known = finder.follow(BLANK, [face_at(100, 100)])
    seen = []
    while known:
        seen.append(known[0].confidence)
        known = finder.find(BLANK, known=known)
        assert len(seen) < 20
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 5


def test_a_face_too_small_for_this_look_does_not_fade() -> None:
    finder = FaceFinder(Eye(smallest=90.0), Believer())
    known = (face_at(100, 100, side=80),)
    for _ in range(30):
        known = finder.find(BLANK, known=known)
    assert known[0].confidence == pytest.approx(0.9)


def test_a_detection_on_a_known_face_starts_from_its_landmarks() -> None:
    known = Believer().refine(BLANK, [face_at(100, 100)])[0][0]
    finder = FaceFinder(Eye(face_at(106, 100, confidence=0.7)), Believer())
    (face,) = finder.find(BLANK, known=[known])
    assert face.box.centre == (100, 100)
    assert face.confidence == pytest.approx(0.7)


def test_a_face_that_moved_starts_from_its_detection_and_is_found_once() -> None:
    """A face a third of its side further on left its landmarks behind, and no second face."""
    known = Believer().refine(BLANK, [face_at(100, 100)])[0][0]
    finder = FaceFinder(Eye(face_at(128, 100)), Believer())
    assert [f.box.centre for f in finder.find(BLANK, known=[known])] == [(128, 100)]


def test_a_face_beside_a_detected_one_is_overlooked_and_kept() -> None:
    known = Believer().refine(BLANK, [face_at(160, 100)])[0][0]
    finder = FaceFinder(Eye(face_at(100, 100)), Believer())
    assert [f.box.centre for f in finder.find(BLANK, known=[known])] == [(100, 100), (160, 100)]


def test_following_keeps_to_the_face(finder: FaceFinder, portrait: Image) -> None:
    """Twelve frames of a face drifting by 2 px each, found once."""
    (start,) = finder.find(portrait)
    faces: tuple[Face, ...] = (start,)
    for i in range(1, 13):
        moved = np.roll(portrait, 2 * i, axis=1)
        faces = finder.follow(moved, faces)
        assert len(faces) == 1
        drift = faces[0].points - start.points - np.array([2 * i, 0])
        assert np.abs(drift).max() < 1.5


def test_a_face_that_outran_its_landmarks_is_found_where_it_is(
    finder: FaceFinder, portrait: Image
) -> None:
    """A third of a face's side within one sampled frame: followed, the mesh lies on the collar."""
    (start,) = finder.find(portrait)
    up = round(0.33 * start.box.side)
    moved = np.roll(portrait, -up, axis=0)
    (there,) = finder.find(moved)
    for known in (start, replace(start, mesh=None)):
        (face,) = finder.find(moved, known=[known])
        assert np.abs(face.points - there.points).max() < 0.02 * start.box.side


def test_following_into_nothing_ends(finder: FaceFinder, portrait: Image) -> None:
    faces = finder.find(portrait)
    empty = np.full_like(portrait, 128)
    assert finder.follow(empty, faces) == ()


def test_several_faces_in_one_pass_equal_one_by_one(finder: FaceFinder, portrait: Image) -> None:
    both = np.concatenate([portrait, portrait[:, ::-1]], axis=1)
    faces = finder.find(both, tiles=1)
    assert len(faces) == 2
    together = finder.follow(both, faces)
    apart = [finder.follow(both, [face])[0] for face in faces]
    for a, b in zip(together, apart, strict=True):
        assert np.abs(a.points - b.points).max() < 1e-2


def test_broken_points_are_survived(finder: FaceFinder, portrait: Image) -> None:
    broken = Face(Box(170, 60, 280, 180), np.full((5, 2), np.nan), 0.9)
    assert len(finder.follow(portrait, [broken])) == 1


class Layer(Believer):
    """A mesh that counts the faces that it is laid over, and names each by when it was laid."""

    def __init__(self) -> None:
        super().__init__()
        self.laid: list[int] = []

    def refine_all(
        self, pictures: Sequence[tuple[Image, Sequence[Face]]]
    ) -> list[tuple[tuple[Face, float], ...]]:
        self.laid.append(sum(len(faces) for _, faces in pictures))
        number = float(len(self.laid))
        return [
            tuple((replace(f, mesh=np.full((468, 2), number)), 0.9) for f in faces)
            for _, faces in pictures
        ]


def blobs() -> Image:
    coarse = np.random.default_rng(0).integers(40, 200, (48, 64, 3), dtype=np.uint8)
    return np.asarray(coarse.repeat(10, 0).repeat(10, 1), np.uint8)


def test_the_mesh_is_not_laid_again_where_nothing_moved() -> None:
    mesh, image = Layer(), blobs()
    finder = FaceFinder(Eye(), mesh)
    known = finder.follow(image, [face_at(150, 200), face_at(450, 200)])
    moved = image.copy()
    moved[150:250, 400:500] = np.roll(image, 5, 0)[150:250, 400:500]
    later = finder.follow(moved, known)
    assert [f.box.centre for f in later] == [f.box.centre for f in known]
    assert [f.mesh[0, 0] for f in later if f.mesh is not None] == [1.0, 2.0]
    assert mesh.laid == [2, 1]
    assert (finder.laid, finder.reused) == (3, 1)


def test_a_detection_lays_the_mesh_anew_and_so_does_time() -> None:
    mesh, image = Layer(), blobs()
    finder = FaceFinder(Eye(face_at(150, 200)), mesh)
    known = finder.find(image)
    known = finder.find(image, known=known)
    assert mesh.laid == [1, 1]
    for _ in range(MOST_REUSED + 1):
        known = finder.follow(image, known)
    assert mesh.laid == [1, 1, *[0] * MOST_REUSED, 1]


def test_requests_answer_alike_alone_and_together() -> None:
    image = blobs()
    moved = np.roll(image, 7, 1)
    requests = []
    for start in (face_at(150, 200), face_at(300, 300)):
        known = FaceFinder(Eye(), Layer()).follow(image, [start])
        requests += [FaceRequest(image, known), FaceRequest(moved, known)]
    together = FaceFinder(Eye(), Layer()).find_all(requests)
    alone = [FaceFinder(Eye(), Layer()).find_all([request])[0] for request in requests]
    for ours, theirs in zip(together, alone, strict=True):
        assert [f.box for f in ours] == [f.box for f in theirs]
        assert all(np.array_equal(a.mesh, b.mesh) for a, b in zip(ours, theirs, strict=True))
