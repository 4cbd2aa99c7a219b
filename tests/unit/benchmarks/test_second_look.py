"""The benchmark of second looks: its streams alarm, and its account is kept."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.second_look import (
    RULES,
    STEP_S,
    Clip,
    Costs,
    World,
    become_high,
    clip_figures,
    coarse,
)
from stream.second_look.settings import SecondLookSettings
from styleflow.evaluation.record import PLAIN, ClipRecord

COSTS = Costs(0.03, 0.3)
LOOKS = SecondLookSettings()


def suspicious(second: float) -> dict[str, list[Clip]]:
    """Return one clip that the first detector is sure of."""
    return {"someone": [Clip(((8.0, STEP_S),) * 4, second)]}


def test_ratings_are_taken_some_at_a_time_and_the_rest_is_left_out() -> None:
    steps = tuple((float(n), 0.24) for n in range(9))
    assert np.array(coarse(steps)) == pytest.approx(np.array([(1.5, STEP_S), (5.5, STEP_S)]))


@pytest.mark.parametrize(
    ("settings", "second", "high"), [(None, 0.1, 1), (LOOKS, 0.9, 1), (LOOKS, 0.6, 0)]
)
def test_a_clip_becomes_high_alone_or_when_both_lean_to_fake(
    settings: SecondLookSettings | None, second: float, high: int
) -> None:
    def made(streams: int) -> World:
        return World(settings, COSTS, streams)

    assert become_high(made, suspicious(second)) == dict.fromkeys(RULES, (high, 1))


def test_second_looks_cost_no_more_than_their_share() -> None:
    world = World(SecondLookSettings(every_s=1, share=0.1), COSTS, 2)
    for stream in ("s0", "s1"):
        world.show(stream, suspicious(0.9)["someone"][0], 1000.0)
    for _ in range(200):
        world.step()
    assert 0.09 * 200 * STEP_S < world.second_s <= 0.1 * 200 * STEP_S + 1e-9


def test_clips_are_compared_by_every_way_to_score_them() -> None:
    records = [
        ClipRecord(f"c{n}", PLAIN, n % 2, f"g{n}", "", "", "", "", 4.0, score, 0.0, 1.0, "", "")
        for n, score in enumerate((0.1, 0.9, 0.2, 0.4, 0.45, 0.8))
    ]
    second = {r.clip: 0.9 if r.label else 0.1 for r in records}
    first = {r.clip: r.score or 0.0 for r in records}
    found = clip_figures(records, second, first, 0.4, np.random.default_rng(0))
    assert found["leaning"] == pytest.approx(4 / 6)
    assert found["auc"]["first alone"]["value"] == pytest.approx(8 / 9)
    assert found["auc"]["both, always"]["value"] == 1.0
    assert found["auc"]["first alone, denser looks"]["gain"] == 0.0
