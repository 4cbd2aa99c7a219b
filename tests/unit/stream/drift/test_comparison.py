"""A day against the days before it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.drift.comparison import Comparison, compare, distance
from stream.drift.settings import DriftSettings
from stream.drift.sketch import Figure, Sketch
from stream.drift.words import sentence
from stream.events import AbstainReason, CaptureConditions
from styleflow.faces.face import FaceQuality
from tests.support.wire import score

SETTINGS = DriftSettings(distance=0.3, least_ratings=100, least_days=3)


def day(
    brightness: float = 130.0, seed: int = 0, ratings: int = 200, dark: float = 0.0, **more: float
) -> Sketch:
    """Return a day of faces about as bright as this, a share of them too dark for a verdict."""
    rng = np.random.default_rng(seed)
    made = Sketch()
    figures = {"face_px": 140.0, "sharpness": 90.0, **more}
    bits = figures.pop("bits_per_pixel", 0.05)
    for n in range(ratings):
        light = float(brightness + 12 * rng.normal())
        quality = FaceQuality(brightness=light, yaw_deg=0.0, **figures)
        reasons = (AbstainReason.DARK,) if n < dark * ratings else ()
        made.add(
            score(quality=quality, reasons=reasons, capture=CaptureConditions(bits_per_pixel=bits))
        )
    return made


WEEK = [day(seed=n) for n in range(1, 8)]


def changed(found: Comparison) -> set[Figure]:
    return {each.figure for each in found.changed}


def test_a_day_like_the_others_is_no_change() -> None:
    found = compare(day(seed=9), WEEK, SETTINGS)
    assert changed(found) == set()
    assert found.days == 7
    assert {each.figure for each in found.figures} == set(Figure)


def test_a_darker_picture_is_told_with_both_medians() -> None:
    found = compare(day(brightness=80.0), WEEK, SETTINGS)
    assert changed(found) == {Figure.BRIGHTNESS}
    (change,) = found.changed
    assert (change.now, change.before) == (
        pytest.approx(80 / 255, abs=0.03),
        pytest.approx(130 / 255, abs=0.03),
    )
    assert sentence(change) == (
        f"faces have become darker than in the last seven days: {change.distance:.0%} of the "
        f"ratings have moved, median {change.now:.2f}, was {change.before:.2f}"
    )


@pytest.mark.parametrize(
    ("more", "figure", "says"),
    [
        ({"sharpness": 20.0}, Figure.SHARPNESS, "more blurred"),
        ({"face_px": 60.0}, Figure.FACE_PX, "smaller"),
        ({"bits_per_pixel": 0.01}, Figure.BITS_PER_PIXEL, "compressed more"),
        ({"dark": 0.6}, Figure.REASONS, "60% of the ratings, was 0%"),
    ],
)
def test_every_figure_is_watched(more: dict[str, float], figure: Figure, says: str) -> None:
    found = compare(day(**more), WEEK, SETTINGS)
    assert changed(found) == {figure}
    assert says in sentence(found.changed[0])


def test_a_stream_that_differs_from_day_to_day_may_do_so_again() -> None:
    """What counts is learnt from the stream: here bright and dark days are as usual as others."""
    restless = [day(brightness=b, seed=n) for n, b in enumerate((130, 70, 190, 130, 80, 180, 120))]
    assert changed(compare(day(brightness=75.0), restless, SETTINGS)) == set()


def test_what_has_changed_stays_so_a_little_longer() -> None:
    """Or a stream at the limit would be told once an hour."""
    settings = DriftSettings(distance=0.5, margin=1.0, least_ratings=100)
    for brightness in np.arange(130.0, 90.0, -1.0):
        today = day(brightness=float(brightness))
        (moved,) = (each.distance for each in compare(today, WEEK, settings).figures[1:2])
        if moved > 0.44:
            break
    assert changed(compare(today, WEEK, settings)) == set()
    assert changed(compare(today, WEEK, settings, {Figure.BRIGHTNESS})) == {Figure.BRIGHTNESS}


def test_too_little_to_compare_says_what_is_missing() -> None:
    few = compare(day(), [day(), day(ratings=99), day(), Sketch()], SETTINGS)
    assert few.missing == "2 of 3 days with enough faces so far"
    assert few.figures == ()
    quiet = compare(day(ratings=5), WEEK, SETTINGS)
    assert "5 of 100 ratings" in quiet.missing


def test_a_figure_that_was_never_known_is_not_compared() -> None:
    unknown = [day(seed=n, bits_per_pixel=0.0) for n in range(4)]
    found = compare(day(), unknown, SETTINGS)
    assert Figure.BITS_PER_PIXEL not in {each.figure for each in found.figures}


COUNTS = st.lists(st.integers(0, 1000), min_size=20, max_size=20).filter(any)


@given(COUNTS, COUNTS, st.sampled_from(list(Figure)))
def test_a_distance_is_a_share_and_the_same_both_ways(one, other, figure) -> None:
    found = distance(figure, one, other)
    assert -1e-9 <= found <= 1 + 1e-9
    assert found == pytest.approx(distance(figure, other, one))
    assert distance(figure, one, [2 * each for each in one]) == pytest.approx(0.0)
