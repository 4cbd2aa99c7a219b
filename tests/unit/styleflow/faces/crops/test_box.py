"""FakeSTormer's crop: how much of the picture it shows."""

import numpy as np
import pytest

from styleflow.errors import ShapeMismatch
from styleflow.faces.crops.box import box_crop, cut_margin, enlarged, fakestormer_crop, shown_box
from styleflow.faces.face import Box


def ramps(width: int, height: int) -> np.ndarray:
    """A picture whose first channel is the column and whose second is the row."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x, y, np.zeros_like(x)], -1).astype(np.uint8)


def test_a_quarter_is_added_on_every_side() -> None:
    assert enlarged(Box(40, 60, 80, 100), 640, 480) == (30, 50, 90, 110)


def test_the_crop_stays_within_the_picture() -> None:
    assert enlarged(Box(5, 5, 105, 55), 100, 50) == (0, 0, 100, 50)
    assert box_crop(ramps(100, 50), Box(-20, -20, 30, 30)).shape == (256, 256, 3)


def test_proportions_are_lost() -> None:
    """A wide box fills the square, so columns and rows are stretched differently."""
    crop = box_crop(ramps(200, 100), Box(50, 40, 130, 60))
    assert crop.shape == (256, 256, 3)
    assert (crop[128, 0, 0], crop[128, -1, 0]) == (30, 149)
    assert (crop[0, 128, 1], crop[-1, 128, 1]) == (35, 64)


def test_margin_keeps_the_outer_pixels_in_place() -> None:
    crop = cut_margin(ramps(256, 256), 224, 15)
    assert crop.shape == (224, 224, 3)
    assert crop[0, 0, :2].tolist() == [15, 15]
    assert crop[-1, -1, :2].tolist() == pytest.approx([240, 240], abs=1)


@pytest.mark.parametrize("size", [112, 224])
def test_shown_box_is_what_the_crop_shows(size: int) -> None:
    box = Box(60, 50, 140, 110)
    crop = fakestormer_crop(ramps(200, 150), box, size)
    shown = shown_box(box, 200, 150)
    assert crop[size // 2, 0, 0] == pytest.approx(shown.x0, abs=1)
    assert crop[size // 2, -1, 0] == pytest.approx(shown.x1 - 1, abs=1)
    assert crop[0, size // 2, 1] == pytest.approx(shown.y0, abs=1)
    assert crop[-1, size // 2, 1] == pytest.approx(shown.y1 - 1, abs=1)


@pytest.mark.parametrize("box", [Box(300, 10, 340, 50), Box(50, 50, 50, 50)])
def test_a_box_without_picture_is_refused(box: Box) -> None:
    with pytest.raises(ValueError, match="outside"):
        box_crop(ramps(200, 100), box)


def test_a_crop_smaller_than_its_margins_is_refused() -> None:
    with pytest.raises(ShapeMismatch):
        cut_margin(ramps(30, 30), 224, 15)
    with pytest.raises(ShapeMismatch):
        cut_margin(ramps(256, 200))
