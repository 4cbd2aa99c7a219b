"""GenD's crop: where the points land, how large it is, and what cannot be cut out."""

from __future__ import annotations

import numpy as np
import pytest

from styleflow.errors import ShapeMismatch
from styleflow.faces.crops.gend import (
    MAX_SIDE_PX,
    TEMPLATE,
    alignment,
    crop_corners,
    gend_crop,
    resized,
    source_crop,
    source_side,
)

TURN = np.deg2rad(20)
SPIN = np.array([[np.cos(TURN), -np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]])


def face(scale: float = 200.0, shift: tuple[float, float] = (150.0, 40.0)) -> np.ndarray:
    """Five points that fit the template exactly, turned, scaled and moved."""
    return (TEMPLATE @ SPIN.T) * scale + np.array(shift)


def test_the_crop_shows_the_templates_square_and_a_margin() -> None:
    """1.3 times its side: eyes end at (0.34 + 0.15) / 1.3 and (0.66 + 0.15) / 1.3 of it."""
    side = source_side(face())
    assert side == 260
    matrix = alignment(face(), side)
    moved = face() @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(moved / side, (TEMPLATE + 0.15) / 1.3, atol=1e-3)
    corners = crop_corners(face())
    assert np.linalg.norm(corners[1] - corners[0]) == pytest.approx(260, abs=0.5)


def test_a_face_becomes_224_px_whatever_its_size() -> None:
    image = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    for scale in (20.0, 170.0, 600.0):
        crop = gend_crop(image, face(scale))
        assert crop.shape == (224, 224, 3)
        assert crop.dtype == np.uint8
        assert crop.flags.c_contiguous


def test_reduction_averages_what_would_alias() -> None:
    """Stripes of one pixel become grey, not other stripes."""
    stripes = np.zeros((896, 896, 3), np.uint8)
    stripes[:, ::2] = 255
    for cubic in (True, False):
        small = resized(stripes, cubic=cubic)[20:-20, 20:-20]
        assert np.abs(small.astype(int) - 127).max() <= 2


def test_a_crop_of_the_right_size_is_left_as_it_is() -> None:
    image = np.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    assert np.array_equal(resized(image), image)


def test_what_lies_outside_the_picture_is_black() -> None:
    crop = source_crop(np.full((50, 50, 3), 255, np.uint8), face(200.0, (0.0, 0.0)))
    assert crop[-1, -1].tolist() == [0, 0, 0]


def test_the_side_is_bounded() -> None:
    assert source_side(face(1e6)) == MAX_SIDE_PX
    assert source_side(np.zeros((5, 2))) == 1


def test_points_that_name_no_direction_are_refused() -> None:
    with pytest.raises(ValueError, match="coincide"):
        gend_crop(np.zeros((9, 9, 3), np.uint8), np.full((5, 2), 4.0))
    with pytest.raises(ValueError, match="no numbers"):
        source_side(np.full((5, 2), np.nan))
    with pytest.raises(ShapeMismatch):
        source_side(np.zeros((4, 2)))
