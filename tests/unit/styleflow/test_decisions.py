"""Known trials: what a face's trial is compared with."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from styleflow.decisions import (
    Buckets,
    DecisionTable,
    Horizon,
    Quality,
    QualityFigure,
    Ranks,
    Trial,
    read_table,
)
from styleflow.errors import DecisionTableUnusable

HORIZON = Horizon(trial_s=4.0, least_s=1.5)


def table(reals: int = 19, fakes: int = 9 + 10) -> DecisionTable:
    return DecisionTable(
        "toy",
        "ab" * 32,
        "made up",
        HORIZON,
        tuple(float(i) for i in range(reals)),
        tuple(float(i) for i in range(fakes)),
    )


def trial(*logits: float, seconds: float = 0.5) -> Trial:
    one = Trial(HORIZON)
    for logit in logits:
        one.add(logit, seconds)
    return one


def test_a_trial_is_compared_only_with_enough_evidence():
    assert not trial(9.0, 9.0).comparable
    assert table().as_high(trial(9.0, 9.0)) == 1.0
    assert trial(9.0, 9.0, 9.0).comparable


def test_a_trial_remembers_how_far_its_running_mean_reached():
    one = trial(6.0, 0.0, 0.0, 6.0)
    assert one.highest == pytest.approx(3.0)
    assert one.lowest == pytest.approx(2.0)
    assert one.mean == pytest.approx(3.0)


def test_the_face_itself_is_one_of_the_sources_that_are_ranked():
    ranks = Ranks([1.0, 5.0, 3.0])
    assert ranks.sources == 3
    assert ranks.share_at_least(4.0) == pytest.approx((1 + 1) / 4)
    assert ranks.share_at_most(3.0) == pytest.approx((1 + 2) / 4)


def test_no_source_reaches_as_high_and_the_face_itself_still_counts():
    one = table()
    assert (
        one.as_high(trial(99.0, 99.0, 99.0)) == pytest.approx(one.finest) == pytest.approx(1 / 20)
    )
    assert one.as_low(trial(-9.0, -9.0, -9.0)) == pytest.approx(one.finest_miss)


def test_an_equal_value_counts_as_reached():
    assert table().as_high(trial(18.0, 18.0, 18.0)) == pytest.approx(2 / 20)


def test_of_exchangeable_sources_no_larger_share_is_rare_than_that_share():
    """The whole promise: a chance of at most `a` to be among the `a` highest, at any moment."""
    rng = np.random.default_rng(5)
    rare = 0
    for _ in range(400):
        paths = rng.normal(size=(20, 1)) + 0.1 * rng.normal(size=(20, 8))
        trials = [trial(*path) for path in paths]
        known = DecisionTable(
            "toy",
            "",
            "",
            HORIZON,
            tuple(each.highest or 0.0 for each in trials[1:]),
            (0.0,) * 10,
        )
        rare += any(known.as_high(trial(*paths[0][:n])) <= 0.1 for n in range(3, 9))
    assert rare / 400 < 0.1 + 3 * 0.015  # three standard errors of 400 draws


def test_a_table_survives_its_file(tmp_path):
    path = tmp_path / "table.json"
    table().write(path)
    assert read_table(path) == table()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 9}, "format 9"),
        ({"reals": [1.0]}, "1 real sources"),
        ({"fakes": "no"}, "not a table"),
        ({"trial_s": 0.1}, "trial of 0.1 s"),
        ({"reals": ["nan"] * 20}, "not a table"),
    ],
)
def test_a_table_that_is_none_says_why(tmp_path, change, says):
    path = tmp_path / "table.json"
    table().write(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(document | change), encoding="utf-8")
    with pytest.raises(DecisionTableUnusable, match=says):
        read_table(path)


def test_a_missing_table_names_the_file(tmp_path):
    with pytest.raises(DecisionTableUnusable, match=r"none\.json"):
        read_table(tmp_path / "none.json")


def bucketed(reals: int = 40, least: int = 19) -> DecisionTable:
    """Sharp real sources reach 0 to 19, blurred ones 20 to 39."""
    sharpness = tuple(200.0 if i < reals // 2 else 20.0 for i in range(reals))
    return replace(
        table(reals),
        buckets=Buckets(QualityFigure.SHARPNESS, (100.0,), sharpness),
        least_in_bucket=least,
    )


def rated(logit: float, sharpness: float, later: float | None = None) -> Trial:
    one = Trial(HORIZON)
    for n in range(6):
        now = sharpness if n < 3 or later is None else later
        one.add(logit, 0.5, Quality(sharpness=now))
    return one


def test_a_face_is_compared_with_real_sources_of_its_own_quality():
    one = bucketed()
    assert one.as_high(rated(19.5, sharpness=150.0)) == pytest.approx(1 / 21)
    assert one.as_high(rated(19.5, sharpness=50.0)) == pytest.approx(1.0)
    assert one.finest_of(rated(19.5, sharpness=150.0)) == pytest.approx(1 / 21)


def test_a_bucket_with_too_few_sources_takes_all_of_them():
    one = bucketed(reals=36)
    assert one.as_high(rated(17.5, sharpness=150.0)) == pytest.approx(19 / 37)
    assert one.finest_of(rated(17.5, sharpness=150.0)) == one.finest


def test_the_bucket_of_a_trial_is_settled_before_its_first_comparison():
    """Or a face could choose the null under which it alarms."""
    one = bucketed()
    assert one.as_high(rated(19.5, sharpness=50.0, later=500.0)) == pytest.approx(1.0)


def test_buckets_survive_their_file(tmp_path):
    path = tmp_path / "table.json"
    bucketed().write(path)
    assert read_table(path) == bucketed()


@pytest.mark.parametrize("edges", [(3.0, 1.0), (1.0,)])
def test_buckets_of_other_sources_are_no_table(edges):
    values = (1.0,) * (19 if edges[0] > 1 else 3)
    with pytest.raises(DecisionTableUnusable, match="buckets do not rise"):
        replace(table(), buckets=Buckets(QualityFigure.FACE_PX, edges, values))


def test_within_a_bucket_no_larger_share_is_rare_than_that_share():
    """Blurred real faces reach higher; the general null would alarm on them alone."""
    rng = np.random.default_rng(7)
    rare = {True: 0, False: 0}
    general = dict(rare)
    for _ in range(400):
        blurred = np.arange(41) % 2 == 0
        reached = rng.normal(size=41) + 2.0 * blurred
        values = tuple(np.where(blurred, 20.0, 200.0)[1:].tolist())
        known = DecisionTable("toy", "", "", HORIZON, tuple(reached[1:].tolist()), (0.0,) * 10)
        split = replace(known, buckets=Buckets(QualityFigure.SHARPNESS, (100.0,), values))
        for one, counts in ((split, rare), (known, general)):
            for mine in (True, False):
                # The face is exchangeable with the sources of its own bucket.
                logit = float(rng.normal() + 2.0 * mine)
                face = rated(logit, sharpness=20.0 if mine else 200.0)
                counts[mine] += one.as_high(face) <= 0.1
    allowed = 0.1 + 3 * 0.015  # three standard errors of 400 draws
    assert rare[True] / 400 < allowed
    assert rare[False] / 400 < allowed
    assert rare[False] > general[False]  # sharp faces get their share of what is looked at
    assert general[True] / 400 > allowed
