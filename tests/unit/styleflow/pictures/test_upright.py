"""Pictures are seen as they are meant to: mirrored, turned, and with square pixels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from styleflow.pictures.upright import Orientation, square

ONE = 1 << 16
MATRICES = {
    # (a, b, c, d): where the corners tl, tr, bl, br of the stored picture are seen
    (1, 0, 0, 1): "tl tr bl br",
    (-1, 0, 0, 1): "tr tl br bl",
    (1, 0, 0, -1): "bl br tl tr",
    (-1, 0, 0, -1): "br bl tr tl",
    (0, 1, -1, 0): "tr br tl bl",
    (0, -1, 1, 0): "bl tl br tr",
    (0, 1, 1, 0): "tl bl tr br",
    (0, -1, -1, 0): "br tr bl tl",
}
CORNERS = {"tl": (0, 0), "tr": (0, -1), "bl": (-1, 0), "br": (-1, -1)}


def matrix(a: int, b: int, c: int, d: int) -> tuple[int, ...]:
    return (a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize("numbers", MATRICES)
def test_a_mirrored_picture_is_not_turned_upside_down(numbers: tuple[int, int, int, int]) -> None:
    """Every corner of a stored picture is seen where the matrix takes it."""
    stored = np.zeros((4, 6, 3), np.uint8)
    for value, place in enumerate(CORNERS.values(), 1):
        stored[place] = value
    seen = Orientation.of_matrix(matrix(*numbers)).upright(stored)
    assert seen.shape == ((4, 6, 3) if numbers[0] else (6, 4, 3))
    assert seen.flags.c_contiguous
    for value, corner in enumerate(MATRICES[numbers].split(), 1):
        assert seen[CORNERS[corner]][0] == value, corner


def test_a_matrix_that_is_slightly_off_means_the_nearest_quarter_turn() -> None:
    off = (int(0.99 * ONE), int(0.1 * ONE), 0, int(-0.1 * ONE), int(0.99 * ONE), 0, 0, 0, 1 << 30)
    assert Orientation.of_matrix(off) == Orientation()


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (None, (120, 160)),
        (Fraction(0), (120, 160)),
        (Fraction(1), (120, 160)),
        (Fraction(101, 100), (120, 160)),
        (Fraction(4, 3), (120, 213)),
        (Fraction(1, 2), (240, 160)),
        (Fraction(1000), (120, 160)),
    ],
)
def test_pixels_become_square_before_faces_are_looked_for(
    aspect: Fraction | None, size: tuple[int, int]
) -> None:
    image = np.zeros((120, 160, 3), np.uint8)
    assert square(image, aspect, 10**6).shape[:2] == size


@pytest.mark.parametrize("aspect", [Fraction(8), Fraction(1, 8)])
def test_a_made_up_pixel_aspect_does_not_ask_for_more_memory(aspect: Fraction) -> None:
    seen = square(np.zeros((120, 160, 3), np.uint8), aspect, 120 * 160)
    assert seen.shape[0] * seen.shape[1] <= 120 * 160
    assert seen.shape[1] / seen.shape[0] == pytest.approx(160 / 120 * float(aspect), rel=0.05)
