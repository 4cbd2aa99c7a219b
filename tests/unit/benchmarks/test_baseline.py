"""What the benchmark of baselines makes of records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.baseline import Judged, areas, halves, held_to_stakes, judged, relative_auc
from styleflow.data.index import FAKE, REAL
from styleflow.evaluation.record import ClipRecord, Rating
from tests.support.baselines import table

REAL_CLIP = ClipRecord(
    "r.mp4", "as it is", REAL, "anna", "", "", "there", "p1", 7.0, 0.5, 0.1, 0.9, "pending", ""
)


def clip(name: str, first: float, second: float, **changes) -> ClipRecord:
    """Return a clip of seven seconds whose two halves score so."""
    ratings = tuple(
        Rating(1, 0.24 * (n + 1), n, first if n < 15 else second, 0.5, "pending") for n in range(30)
    )
    return replace(REAL_CLIP, clip=name, ratings=ratings, **changes)


def test_evidence_is_cut_in_two_by_its_seconds() -> None:
    steps = ((1.0, 2.0), (2.0, 1.0), (3.0, 1.0))
    assert halves(steps) == (((1.0, 2.0),), ((2.0, 1.0), (3.0, 1.0)))


def test_a_fake_is_judged_by_its_pair_s_baseline_else_by_its_group_s() -> None:
    found = judged(
        [
            clip("r1", 1.0, 1.1),
            clip("r2", 3.0, 3.1, pair="p2"),
            clip("f1", 9.0, 2.0, label=FAKE, kind="lip_sync"),
            clip("f2", 9.0, 2.0, label=FAKE, kind="lip_sync", pair=""),
            clip("f3", 9.0, 2.0, label=FAKE, kind="lip_sync", pair="", group="bert"),
        ],
        table(),
    )
    assert [(one.level, one.reached) for one in found] == [
        (1.0, pytest.approx(1.1)),
        (3.0, pytest.approx(3.1)),
        (1.0, pytest.approx(2.0)),
        (2.0, pytest.approx(2.0)),
    ]


def made_up(count: int) -> list[Judged]:
    """Return reals that stay near their own level, and fakes half a logit above it."""
    rng = np.random.default_rng(3)
    ones = []
    for n in range(count):
        level = float(rng.normal(1.5, 1.0))
        ones.append(Judged(REAL, f"g{n}", "", level, level + float(rng.normal(0, 0.1))))
        ones.append(Judged(FAKE, f"g{n}", "swap", level, level + 0.5))
    return ones


def test_where_clips_differ_more_than_fakes_do_a_baseline_tells_them_apart() -> None:
    ones = made_up(40)
    assert relative_auc(ones, 0.0) < 0.75
    assert relative_auc(ones, 1.0) > 0.95
    found = areas(ones, rounds=50, seed=1)
    gain = found["gain"]
    assert 0 < gain["low"] <= gain["auc"] <= gain["high"]


def test_stakes_are_kept_by_reals_and_more_fakes_are_found_with_more_of_the_camera_s_null() -> None:
    found = held_to_stakes(made_up(60), table())
    assert found["0.75"]["0.1"]["real"]["alarms"] <= 0.1 * 60 + 3
    assert found["0.75"]["0.1"]["fake"]["alarms"] > found["none"]["0.1"]["fake"]["alarms"]
