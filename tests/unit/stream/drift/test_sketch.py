"""Sketches: counts of a fixed size that add up."""

from __future__ import annotations

import json
import math

import pytest

from stream.drift.sketch import BINS, Figure, Sketch, median, merged, parsed
from stream.events import AbstainReason, CaptureConditions
from styleflow.faces.face import FaceQuality
from tests.support.wire import score


def sketch(*brightness: float, **changes: object) -> Sketch:
    made = Sketch()
    for each in brightness:
        quality = FaceQuality(face_px=140.0, sharpness=90.0, brightness=each, yaw_deg=0.0)
        made.add(score(quality=quality, **changes))
    return made


def test_a_sketch_has_the_same_size_whatever_it_is_of() -> None:
    few, many = sketch(100.0), sketch(*range(0, 255, 2), 1e9, -1e9)
    for one in (few, many):
        assert {figure: len(counts) for figure, counts in one.counts.items()} == BINS
    assert many.ratings == 130


def test_what_is_no_number_or_unknown_is_left_out() -> None:
    one = sketch(math.nan, 100.0)
    assert one.ratings == 2
    assert sum(one.counts[Figure.BRIGHTNESS]) == 1
    assert sum(one.counts[Figure.BITS_PER_PIXEL]) == 0
    assert (
        sum(
            sketch(100.0, capture=CaptureConditions(bits_per_pixel=0.05)).counts[
                Figure.BITS_PER_PIXEL
            ]
        )
        == 1
    )


def test_sketches_add_up_and_survive_their_json() -> None:
    whole = merged([sketch(10.0, 20.0), sketch(200.0)])
    assert whole == sketch(10.0, 20.0, 200.0)
    assert parsed(json.loads(json.dumps(whole.shown()))) == whole


def test_the_most_fundamental_reason_counts() -> None:
    reasons = (AbstainReason.DARK, AbstainReason.UNDECIDED)
    shown = sketch(10.0, reasons=reasons).shown()["reasons"]
    assert sum(shown) == 1
    assert shown[1 + list(AbstainReason).index(AbstainReason.DARK)] == 1


@pytest.mark.parametrize("middle", [12.0, 100.0, 131.0, 240.0])
def test_the_median_is_right_to_within_a_bin(middle: float) -> None:
    one = sketch(*(middle + x for x in range(-11, 12)))
    found = median(Figure.BRIGHTNESS, one.counts[Figure.BRIGHTNESS])
    assert found == pytest.approx(middle / 255, abs=0.05)
    assert median(Figure.BRIGHTNESS, Sketch().counts[Figure.BRIGHTNESS]) is None


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"brightness": [1]}, {"reasons": "none"}, {"sharpness": None}]
)
def test_another_format_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"sketch|invalid"):
        parsed({**Sketch().shown(), **change})
