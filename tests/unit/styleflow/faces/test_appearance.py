import cv2
import numpy as np
import pytest

from styleflow.faces.align import apply, fit, template
from styleflow.faces.appearance import Appearance, describe, distance
from styleflow.faces.face import Box, Face, Image
from styleflow.faces.settings import TrackerSettings
from tests.support.faces import face_at, points_at, textured_face


def described(image: Image, face: Face) -> Appearance:
    found = describe(image, face)
    assert found is not None
    return found


def test_it_is_a_unit_vector_and_nearest_to_itself(portrait: Image) -> None:
    seen = described(portrait, face_at(224, 120, 90))
    assert seen.shape == (288,)
    assert np.linalg.norm(seen) == pytest.approx(1.0, abs=1e-5)
    assert distance(seen, seen) == 0.0


def test_light_and_colour_make_little_difference(portrait: Image) -> None:
    face = face_at(224, 120, 90)
    dark = np.asarray(portrait * 0.5, np.uint8)
    warm = np.asarray(np.clip(portrait * np.array([1.1, 1.0, 0.8]), 0, 255), np.uint8)
    seen = described(portrait, face)
    limit = TrackerSettings().max_change
    assert distance(seen, described(dark, face)) < limit / 3
    assert distance(seen, described(warm, face)) < limit / 3


def test_place_size_and_tilt_make_little_difference(portrait: Image) -> None:
    points = points_at(224, 120, 90)
    face = Face(Box(180, 76, 268, 164), points, 0.9)
    turn = cv2.getRotationMatrix2D((224, 120), 20, 1.5)
    turned = np.asarray(cv2.warpAffine(portrait, turn, (512, 512)), np.uint8)
    moved = Face(face.box, apply(turn, points), 0.9)
    assert np.allclose(apply(fit(moved.points), moved.points), template())
    assert distance(described(portrait, face), described(turned, moved)) < 0.2


def test_other_faces_are_further_than_the_limit() -> None:
    face = face_at(64, 64, 77)
    pictures = [textured_face(128, person) for person in range(6)]
    seen = [described(p, face) for p in pictures]
    limit = TrackerSettings().max_change
    for i, a in enumerate(seen):
        for b in seen[:i]:
            assert distance(a, b) > limit


PAIRS = ((0, 1), (0, 2), (1, 2))


@pytest.mark.parametrize(
    ("scale", "at", "apart"),
    [
        pytest.param(1, (64, 64), (0.544, 0.565, 0.535), id="small"),
        pytest.param(5, (320, 320), (0.550, 0.568, 0.544), id="large, averaged first"),
        pytest.param(1, (20, 110), (0.438, 0.472, 0.442), id="half out of the picture"),
    ],
)
def test_faces_are_as_far_apart_as_when_the_crop_was_cut_in_colour(
    scale: int, at: tuple[int, int], apart: tuple[float, float, float]
) -> None:
    """The figures are of cutting 64 pixels in colour and taking the window's luma from them."""
    face = face_at(*at, 77 * scale)
    pictures = [
        np.asarray(cv2.resize(textured_face(128, p), None, fx=scale, fy=scale, interpolation=2))
        for p in range(3)
    ]
    seen = [described(picture, face) for picture in pictures]
    found = [distance(seen[i], seen[j]) for i, j in PAIRS]
    assert found == pytest.approx(apart, abs=0.005)


def test_a_face_beyond_the_picture_has_an_appearance_of_nothing() -> None:
    seen = described(textured_face(128, 0), face_at(400, 400, 77))
    assert not seen.any()


def test_without_usable_points_there_is_no_appearance(portrait: Image) -> None:
    face = face_at(224, 120)
    assert describe(portrait, Face(face.box, np.full((5, 2), np.nan), 0.9)) is None


def test_a_plain_wall_has_an_appearance_without_warnings() -> None:
    seen = described(np.full((128, 128, 3), 80, np.uint8), face_at(64, 64))
    assert np.isfinite(seen).all()
