"""Artefact rise: a change with its interval, or too few ratings to say so."""

import numpy as np
import pytest

from stream.challenge.rise import Rating, rise


def ratings(level: float, seconds: float, begin: float = 0.0, hz: float = 4.0) -> list[Rating]:
    rng = np.random.default_rng(int(begin))
    times = np.arange(begin, begin + seconds, 1 / hz)
    return [(float(at), level + float(rng.normal(0, 0.07))) for at in times]


@pytest.mark.parametrize(("level", "word"), [(0.9, "synthesised"), (-0.9, "real")])
def test_a_change_is_told_with_its_interval(level: float, word: str) -> None:
    found = rise(ratings(0.0, 5), ratings(level, 6, 10.0))
    assert found.change == pytest.approx(level, abs=0.1)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.change < found.high  # type: ignore[operator]
    assert word in found.sentence


def test_ratings_that_stay_are_said_to_stay() -> None:
    assert "did not change" in rise(ratings(0.3, 5), ratings(0.3, 6, 10.0)).sentence


def test_neighbouring_ratings_are_not_counted_as_news() -> None:
    """Each second has a level of its own: a hundred ratings of it are one observation."""
    rng = np.random.default_rng(2)
    before = [(at, float(level)) for at, level in enumerate(rng.normal(0, 0.5, 5))]
    thick = [(at + n / 100, level) for at, level in before for n in range(100)]
    inside = ratings(0.2, 6, 10.0)
    few, many = rise(before * 2, inside), rise(thick, inside)
    assert few.high is not None and few.low is not None  # noqa: PT018
    assert many.high is not None and many.low is not None  # noqa: PT018
    assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.4)


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_ratings_say_nothing(count: int) -> None:
    found = rise(ratings(0.0, 5), ratings(2.0, 5, 10.0)[:count])
    assert found.change is None
    assert found.sentence.startswith("Too few ratings")
    assert found.ratings_inside == count
