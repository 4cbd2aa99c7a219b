"""A camera's picture now against what its baseline was made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stream.baseline.changes import LATELY, LEAST, Lately, changed
from stream.baseline.statistics import Conditions
from stream.events import CaptureConditions
from tests.support.baselines import DAYLIGHT, H264, SMALL, VP8, baseline

MADE_OF = baseline().statistics.conditions


def lately(count: int = LEAST, capture: CaptureConditions = H264, **quality: Any) -> Lately:
    now = Lately()
    for _ in range(count):
        now.note(capture, replace(DAYLIGHT, **quality))
    return now


def test_the_same_picture_has_not_changed() -> None:
    assert changed(MADE_OF, lately()) == ""
    assert changed(MADE_OF, Lately()) == ""


@pytest.mark.parametrize(
    ("capture", "said"),
    [
        (VP8, "the video is vp8 now, and the baseline is of h264"),
        (
            SMALL,
            "pictures are 640 × 360 now, and the baseline is of 1280 × 720",
        ),
    ],
)
def test_another_encoder_or_size_is_noticed_at_once(capture: CaptureConditions, said: str) -> None:
    assert changed(MADE_OF, lately(1, capture)) == said


@pytest.mark.parametrize(
    ("figure", "value", "said"),
    [
        ("brightness", 60.0, "faces are darker than in the baseline: 60 of 255, there 120 to 120"),
        ("brightness", 200.0, "faces are brighter"),
        ("sharpness", 50.0, "faces are less sharp"),
        ("sharpness", 900.0, "faces are sharper"),
        ("face_px", 60.0, "faces are smaller"),
        ("face_px", 400.0, "faces are larger"),
    ],
)
def test_another_light_or_framing_is_noticed_after_some_seconds(
    figure: str, value: float, said: str
) -> None:
    assert changed(MADE_OF, lately(LEAST - 1, **{figure: value})) == ""
    assert changed(MADE_OF, lately(LEAST, **{figure: value})).startswith(said)


def test_an_encoder_that_saves_bits_is_noticed() -> None:
    poor = lately(capture=replace(H264, bits_per_pixel=0.02))
    assert changed(MADE_OF, poor).startswith("the encoder spends fewer bits per pixel")


def test_light_that_comes_back_is_the_baseline_s_again() -> None:
    now = lately(LATELY, brightness=30.0)
    assert changed(MADE_OF, now)
    for _ in range(LATELY):
        now.note(H264, DAYLIGHT)
    assert changed(MADE_OF, now) == ""


def test_what_either_side_does_not_know_is_not_compared() -> None:
    assert changed(Conditions(), lately(brightness=1.0)) == ""
    blind = lately(capture=CaptureConditions(), brightness=None, sharpness=None, face_px=None)
    assert changed(MADE_OF, blind) == ""


def test_a_moment_of_another_picture_is_forgotten_with_its_format() -> None:
    now = lately(LATELY, brightness=30.0)
    now.note(VP8, DAYLIGHT)
    assert now.middle("brightness") is None
