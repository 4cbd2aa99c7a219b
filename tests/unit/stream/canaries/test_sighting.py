"""A sighting: what the events of one canary amount to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.canaries.sighting import Sighting
from stream.events import AbstainReason
from tests.support.canaries import REAL
from tests.support.wire import report, score


def test_ratings_of_warming_up_do_not_count() -> None:
    sighting = Sighting(REAL)
    warming = replace(score(REAL.id), logit=9.0, reasons=(AbstainReason.WARMING,))
    sighting.take(warming, 1.0)
    sighting.take(replace(score(REAL.id), logit=1.0, reasons=()), 2.0)
    sighting.take(replace(score(REAL.id), logit=2.0, reasons=()), 3.0)
    opinion = next(iter(sighting.conclude().opinions.values()))
    assert (opinion.logit, opinion.ratings) == (1.5, 2)


def test_ratings_of_warming_up_count_where_there_are_no_others() -> None:
    sighting = Sighting(REAL)
    sighting.take(replace(score(REAL.id), logit=9.0, reasons=(AbstainReason.WARMING,)), 1.0)
    assert [o.logit for o in sighting.conclude().opinions.values()] == [9.0]


def test_every_detector_has_its_own_opinion() -> None:
    sighting = Sighting(REAL)
    sighting.take(replace(score(REAL.id), detector="a", logit=1.0, reasons=()), 1.0)
    sighting.take(replace(score(REAL.id), detector="b", logit=2.0, reasons=()), 1.0)
    found = sighting.conclude().opinions
    assert {name: opinion.logit for name, opinion in found.items()} == {"a": 1.0, "b": 2.0}


def test_latency_is_from_the_encoder_to_the_score_in_the_first_epoch() -> None:
    sighting = Sighting(REAL)
    first = replace(score(REAL.id), epoch=1, reasons=())
    for end, now in ((1.0, 101.2), (2.0, 102.3), (3.0, 103.4)):
        sighting.take(replace(first, end=end), now)
    sighting.take(replace(first, epoch=2, end=0.1), 110.0)
    assert sighting.conclude(began=100.0).latency_s == pytest.approx(0.3)
    assert sighting.conclude().latency_s is None
    assert sighting.end == 0.1


def test_the_last_report_says_how_many_pictures_come() -> None:
    sighting = Sighting(REAL)
    for fps in (None, 20.0, 25.0):
        sighting.take(replace(report(REAL.id), fps=fps), 1.0)
    assert sighting.conclude().fps == 25.0


def test_nothing_seen_is_nothing_said() -> None:
    seen = Sighting(REAL).conclude(began=1.0, failure="no call")
    assert (seen.opinions, seen.fps, seen.brightness, seen.latency_s) == ({}, None, None, None)
    assert seen.failure == "no call"
