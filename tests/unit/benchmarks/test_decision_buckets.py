"""Buckets of quality find more only where quality moves the ratings of real faces."""

from __future__ import annotations

from benchmarks.decision_buckets import share
from styleflow.decisions import Horizon, Quality, QualityFigure, Trial


def trial(logit: float, sharpness: float) -> Trial:
    one = Trial(Horizon())
    for _ in range(4):
        one.add(logit, 0.5, Quality(sharpness=sharpness))
    return one


BLURRED = [trial(2.0 + n / 100, 10.0 + n) for n in range(20)]
SHARP = [trial(n / 100, 100.0 + n) for n in range(20)]
FAKES = [trial(1.0, 150.0), trial(3.0, 15.0), trial(2.0, 15.0), trial(0.0, 150.0)]


def test_a_sharp_fake_below_blurred_real_faces_is_found_by_its_bucket() -> None:
    assert share([*BLURRED, *SHARP], FAKES, None) == 0.25
    assert share([*BLURRED, *SHARP], FAKES, QualityFigure.SHARPNESS) == 0.5


def test_too_few_sources_make_no_buckets() -> None:
    few = [*BLURRED[:15], *SHARP[:15]]
    assert share(few, FAKES, QualityFigure.SHARPNESS) == share(few, FAKES, None)
