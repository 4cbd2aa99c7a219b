"""Whole trials of ratings, as a baseline is made of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.baseline.trials import MAX_FACES, Look, TrialMaker, whole_trials
from stream.events import AbstainReason
from tests.support.baselines import H264, HORIZON, looks
from tests.support.wire import score


def test_ratings_of_a_face_become_whole_trials_with_their_mean_conditions() -> None:
    bright = [replace(one, brightness=100.0 + n % 2) for n, one in enumerate(looks(13.0))]
    found = list(whole_trials(bright, HORIZON))
    assert [trial.seconds for trial in found] == [pytest.approx(4.0, abs=0.25)] * 3
    assert [trial.highest for trial in found] == [-1.0] * 3
    assert found[0].brightness == pytest.approx(100.5, abs=0.1)
    assert found[0].sharpness is None


def test_the_value_of_a_trial_is_how_far_its_running_mean_reached() -> None:
    rising = [replace(one, logit=one.end) for one in looks(4.5)]
    (found,) = whole_trials(rising, HORIZON)
    assert found.highest == pytest.approx(2.2, abs=0.1)  # the mean of all, reached at the end


def test_ratings_that_are_no_evidence_are_in_no_trial() -> None:
    dark = [replace(one, counts=False) for one in looks(60)]
    assert list(whole_trials(dark, HORIZON)) == []
    odd = [replace(one, logit=float("nan")) for one in looks(60)]
    assert list(whole_trials(odd, HORIZON)) == []


def test_a_gap_begins_a_trial_anew() -> None:
    before, after = list(looks(3.5)), [replace(o, end=o.end + 60) for o in looks(3.5)]
    assert list(whole_trials([*before, *after], HORIZON)) == []
    assert (
        len(
            list(whole_trials([*before, *(replace(o, end=o.end + 3.5) for o in looks(1))], HORIZON))
        )
        == 1
    )


def test_time_without_evidence_counts_for_nobody() -> None:
    rare = [replace(one, counts=n % 4 == 0) for n, one in enumerate(looks(16.0))]
    (found, *more) = whole_trials(rare, HORIZON)  # 16 ratings that count for half a second each
    assert found.seconds == pytest.approx(4.0, abs=0.5)
    assert len(more) == 0 or more[0].seconds == pytest.approx(4.0, abs=0.5)


def test_faces_under_way_are_bounded_and_the_longest_unseen_gives_way() -> None:
    maker = TrialMaker(HORIZON)
    for face in range(10 * MAX_FACES):
        for look in looks(3.5, face=face):
            maker.add(look)
    assert all(maker.add(replace(one, end=one.end + 3.5)) is None for one in looks(1.0, face=1))
    last = 10 * MAX_FACES - 1
    assert any(maker.add(replace(one, end=one.end + 3.5)) for one in looks(1.0, face=last))


def test_a_published_score_is_a_look_with_its_conditions() -> None:
    look = Look.of(score(logit=-0.5, capture=H264, reasons=(AbstainReason.UNDECIDED,)))
    assert (look.logit, look.counts, look.codec, look.size) == (-0.5, True, "h264", (1280, 720))
    assert look.brightness == 120.0
    assert not Look.of(score(reasons=(AbstainReason.DARK,))).counts
