"""CADDM's crop: where the points land, and the way back to the picture."""

import numpy as np
import pytest

from styleflow.errors import ShapeMismatch
from styleflow.faces.crops.caddm import (
    Jitter,
    alignment,
    caddm_crop,
    crop_to_image,
    five_points,
    template,
)

TURN = np.deg2rad(20)
SPIN = np.array([[np.cos(TURN), -np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]])


def face(scale: float = 0.8, shift: tuple[float, float] = (150.0, 40.0)) -> np.ndarray:
    """Five points that fit the template exactly, turned, scaled and moved."""
    return (template() @ SPIN.T) * scale + np.array(shift)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return moved[:, :2] / moved[:, 2:]


def test_eyes_end_seventy_two_pixels_apart() -> None:
    left, right = template()[:2]
    assert right[0] - left[0] == pytest.approx(72.0)
    assert left[1] == pytest.approx(224 / 2.42)


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.3])
def test_left_eye_keeps_its_height_at_any_scale(scale: float) -> None:
    assert template(scale)[0, 1] == pytest.approx(224 / 2.42)


def test_points_land_on_the_template() -> None:
    assert np.allclose(apply(alignment(face()), face()), template(), atol=1e-9)


def test_shift_moves_the_crop() -> None:
    moved = apply(alignment(face(), Jitter(shift_px=(10.0, -7.0))), face())
    assert np.allclose(moved - template(), [10.0, -7.0], atol=1e-3)


def test_roll_turns_about_the_middle() -> None:
    """Positive is counter-clockwise, as seen on a screen."""
    moved = apply(alignment(face(), Jitter(roll_deg=90.0)), face()) - 112
    x, y = (template() - 112).T
    assert np.allclose(moved, np.column_stack([y, -x]), atol=1e-3)


def test_stretched_eyes_squeeze_the_mouth() -> None:
    moved = apply(alignment(face(), Jitter(stretch_eyes=1.03)), face())
    width, goal = moved[1, 0] - moved[0, 0], template()
    assert width == pytest.approx((goal[1, 0] - goal[0, 0]) * 1.03, abs=1e-3)
    assert moved[4, 0] - moved[3, 0] == pytest.approx((goal[4, 0] - goal[3, 0]) / 1.03, abs=1e-3)


def test_outside_the_picture_is_black() -> None:
    image = np.full((100, 100, 3), 255, np.uint8)
    crop = caddm_crop(image, face(shift=(-60.0, -60.0)))
    assert crop.shape == (224, 224, 3)
    assert crop.min() == 0
    assert crop.max() == 255


def test_boxes_find_their_way_back() -> None:
    """A box of the crop covers, in the picture, what it covered in the crop."""
    corners = crop_to_image(np.array([[10.0, 20.0, 60.0, 90.0]]), face())
    assert corners.shape == (1, 4, 2)
    again = apply(alignment(face()), corners[0])
    assert np.allclose(again, [[10, 20], [60, 20], [60, 90], [10, 90]])


def test_eye_centres_are_cut_to_whole_pixels() -> None:
    landmarks = np.zeros((68, 2))
    landmarks[36:42] = [[10, 7], [11, 7], [12, 7], [13, 7], [14, 8], [14, 8]]
    landmarks[30] = [50.0, 60.0]
    points = five_points(landmarks)
    assert points[0].tolist() == [12.0, 7.0]
    assert points[2].tolist() == [50.0, 60.0]


def test_too_few_landmarks_are_refused() -> None:
    with pytest.raises(ShapeMismatch, match="68"):
        five_points(np.zeros((5, 2)))
    with pytest.raises(ShapeMismatch, match="5, 2"):
        alignment(np.zeros((4, 2)))


@pytest.mark.parametrize("value", [3.0, np.nan])
def test_points_that_name_no_direction_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="coincide"):
        alignment(np.full((5, 2), value))
