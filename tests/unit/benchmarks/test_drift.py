"""The benchmark of drift compares as the product does."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.drift import FIRST, course, hours_of, openings
from stream.drift.comparison import compare
from stream.drift.records import DAY_H, DAYS
from stream.drift.settings import DriftSettings
from stream.drift.sketch import Sketch
from stream.events import CaptureConditions
from styleflow.faces.face import FaceQuality
from tests.support.wire import score

SETTINGS = DriftSettings(distance=1e-9, margin=1.0, least_ratings=2000)


def person(brightness: float, sharpness: float) -> tuple[Sketch, ...]:
    made = Sketch()
    for n in range(8):
        quality = FaceQuality(140.0, sharpness, brightness + n, 0.0)
        made.add(score(quality=quality, capture=CaptureConditions(bits_per_pixel=0.05)))
    return (made,)


PEOPLE = [person(b, s) for b, s in ((60, 30), (110, 90), (160, 200), (220, 500))]
DARK = [person(20, 20)] * len(PEOPLE)


def test_all_hours_at_once_are_what_the_product_makes_of_each() -> None:
    camera = hours_of(PEOPLE, PEOPLE, 6, 12, np.random.default_rng(3))
    found = course(camera, SETTINGS)
    compared = 0
    for hour in range(0, len(found.enough), 7):
        end = FIRST + hour
        days = [camera.sketch(end - DAY_H * (n + 1), end - DAY_H * n) for n in range(DAYS + 1)]
        real = compare(days[0], days[1:], SETTINGS)
        assert bool(found.enough[hour]) is (real.missing == "")
        compared += not real.missing
        for one in real.figures:
            assert found.distance[one.figure][hour] == pytest.approx(one.distance)
            assert found.usual[one.figure][hour] == pytest.approx(one.limit, abs=1e-8)
    assert compared > 5


def test_a_camera_that_changes_is_noticed_once_and_one_that_does_not_is_not() -> None:
    rng = np.random.default_rng(4)
    changed = course(hours_of(PEOPLE, DARK, 40, 10, rng), DriftSettings())
    (hour,) = openings(changed, 0.5, 1.5)
    assert 0 < hour < 24
    same = course(hours_of(PEOPLE, PEOPLE, 40, 10, rng), DriftSettings())
    assert openings(same, 0.5, 1.5) == []
