"""Promises of the benchmark of the hot path."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cameras import render
from benchmarks.hotpath import AGREEMENT, SIDES, Floor, Run, cost_of, deal, decoded, table
from stream.events import CaptureConditions, Frame


def frames(count: int) -> list[Frame]:
    return [
        Frame(
            "s",
            0,
            n,
            n * 0.08,
            n * 0.08,
            np.full((2, 2, 3), n, np.uint8),
            capture=CaptureConditions(source_fps=25.0),
        )
        for n in range(count)
    ]


def run(number: int, cpu: list[float], logits: list[float]) -> Run:
    made = Run.__new__(Run)
    made.side, made.cpu, made.wall = SIDES[number], cpu, cpu
    made.logits = {("camera-0", n * 0.24, "d"): logit for n, logit in enumerate(logits)}
    return made


def test_a_clip_is_decoded_to_its_sampled_frames(tmp_path: Path) -> None:
    clip = render(tmp_path / "clip.mp4", 1.0, size=(64, 48))
    assert [frame.slot for frame in decoded(clip, 12.5)] == list(range(13))


def test_streams_go_to_and_fro_through_the_clip_without_a_jump() -> None:
    dealt = [moment for some in deal(frames(5), ["a", "b"], 3) for moment in some]
    for place in range(2):
        shown = [int(moment[place].image[0, 0, 0]) for moment in dealt]
        assert {abs(a - b) for a, b in pairwise(shown)} == {1}
        assert [moment[place].slot for moment in dealt] == list(range(len(dealt)))
    assert {moment[1].stream for moment in dealt} == {"b"}


def test_ratios_are_taken_within_rounds() -> None:
    """A round that everybody ran slowly weighs no more than another."""
    first = run(0, [9.0, 9.0, 4.0, 40.0, 8.0], [1.0, 2.0])
    cost = cost_of(run(3, [9.0, 9.0, 2.0, 10.0, 4.0], [1.0, 2.0]), first)
    assert cost.ratio == 2.0
    assert cost.scores == 2
    assert table([cost]).row_count == 1


@pytest.mark.parametrize("logits", [[1.0, 2.0 + 2 * AGREEMENT], [1.0]])
def test_sides_that_disagree_are_no_comparison(logits: list[float]) -> None:
    first = run(0, [1.0] * 4, [1.0, 2.0])
    with pytest.raises(SystemExit):
        cost_of(run(1, [1.0] * 4, logits), first)


def test_the_floor_is_the_sum_of_its_stages() -> None:
    assert Floor(1.0, 0.1, 0.2, 0.3, 0.4, 0.5).total == pytest.approx(2.5)
