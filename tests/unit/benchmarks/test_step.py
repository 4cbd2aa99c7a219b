"""Promises of the benchmark of the causal step."""

import pytest

from benchmarks.hardware import hardware
from benchmarks.step import chart, compare, recurrent, table, whole_model
from tests.support.models import crops, toy_network


@pytest.mark.parametrize("sides", [recurrent, whole_model])
def test_both_sides_compute_the_same_logits(sides):
    step, window, difference = sides(toy_network(), crops(0, 2, 4))
    assert difference < 1e-5
    step()
    assert window().shape[0] == 2


def test_sides_that_disagree_are_no_comparison():
    with pytest.raises(SystemExit, match=r"differ by 0\.5"):
        compare("nothing", 1, (lambda: 0, lambda: 0, 0.5), 1, lambda: None)


def test_a_comparison_becomes_a_row_and_a_chart(tmp_path):
    ticks = []
    sides = recurrent(toy_network(), crops(0, 1, 4))
    found = compare("recurrent", 1, sides, 2, lambda: ticks.append(1))
    assert found.repetitions == 2
    assert len(ticks) == 4, "two rounds warm up"
    assert table([found]).row_count == 1
    chart([found], hardware(), tmp_path / "step.png")
    assert (tmp_path / "step.png").read_bytes().startswith(b"\x89PNG")


def test_a_result_names_its_hardware_and_commit():
    named = hardware().to_json()
    assert all(named[key] for key in ("cpu", "cores", "torch", "commit", "measured"))
