"""What counts as nothing having moved."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from styleflow.faces.face import Image
from styleflow.faces.sight import MOST_REUSED, Corners, Sight

BOX = (200.0, 100.0, 360.0, 300.0)


def picture(seed: int = 0) -> Image:
    """Return a picture of soft blobs, as far from noise as from a flat wall."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 200, (48, 64, 3), dtype=np.uint8)
    return np.asarray(coarse.repeat(10, 0).repeat(10, 1), np.uint8)


def sight(image: Image, box: Corners = BOX) -> Sight:
    found = Sight.of(image, box)
    assert found is not None
    return found


def test_the_same_pixels_are_seen_again_so_often_and_no_more() -> None:
    image, reused = picture(), []
    seen: Sight | None = sight(image)
    while seen is not None:
        reused.append(seen.reused)
        seen = seen.again(image.copy())
    assert reused == list(range(MOST_REUSED + 1))


@pytest.mark.parametrize("rows", [slice(150, 170), slice(240, 260)])
def test_eyes_or_a_mouth_that_move_alone_are_noticed(rows: slice) -> None:
    image = picture()
    later = image.copy()
    later[rows, 250:310] = 255 - later[rows, 250:310]
    assert sight(image).again(later) is None


@given(st.integers(-6, 6), st.integers(-6, 6))
def test_a_face_that_is_elsewhere_has_moved(x: int, y: int) -> None:
    image = picture()
    later = np.roll(image, (y, x), (0, 1))
    assert (sight(image).again(later) is None) == ((x, y) != (0, 0))


def test_what_moves_slowly_has_moved_before_long() -> None:
    image = picture()
    seen: Sight | None = sight(image)
    for step in range(1, MOST_REUSED + 1):  # one grey level a picture: never much from the last
        seen = None if seen is None else seen.again(image + np.uint8(step))
    assert seen is None


def test_a_level_of_noise_is_no_movement_and_what_lies_elsewhere_is_none_either() -> None:
    image = picture()
    noise = np.random.default_rng(1).integers(0, 2, image.shape, dtype=np.uint8)
    later = image + noise
    later[:, 450:] = 0
    found = sight(image).again(later)
    assert found is not None
    assert found.reused == 1


def test_a_picture_of_another_size_is_another_picture() -> None:
    image = picture()
    assert sight(image).again(image[:-2]) is None


@pytest.mark.parametrize(
    "box",
    [
        (700.0, 100.0, 800.0, 200.0),
        (-90.0, -90.0, -10.0, -10.0),
        (10.0, 10.0, float("nan"), 60.0),
        (10.0, 10.0, 11.0, 11.0),
    ],
)
def test_a_face_that_shows_nothing_has_no_sight(box: Corners) -> None:
    assert Sight.of(picture(), box) is None


def test_a_face_at_the_edge_is_seen_as_far_as_it_is_there() -> None:
    image = picture()
    found = Sight.of(image, (560.0, 400.0, 700.0, 520.0))
    assert found is not None
    assert found.again(image) is not None
