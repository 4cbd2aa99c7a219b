"""Promises of the regression check: which ratios it compares, and when it complains."""

import json

import pytest

from benchmarks.check import RESULTS, Comparison, compare, newest, ratios, table


def hotpath(ratio, measured="2026-01-01"):
    sides = [{"side": "torch, one by one", "ratio": 1.0}, {"side": "compiled", "ratio": ratio}]
    return {"benchmark": "hotpath", "hardware": {"measured": measured}, "sides": sides}


def step(ratio):
    one = {"what": "recurrent", "tracks": 1, "ratio": ratio}
    return {"benchmark": "step", "hardware": {"measured": "2026-01-01"}, "comparisons": [one]}


def test_a_ratio_may_lose_the_slack_and_no_more():
    (one,) = compare(hotpath(3.0), hotpath(2.2))
    assert one == Comparison("hotpath: compiled", 3.0, 2.2)
    assert one.holds(0.3)
    assert not one.holds(0.2)
    assert table([one], 0.2).row_count == 1


def test_a_ratio_that_is_gone_is_a_regression():
    (gone,) = compare(step(11.0), {**step(11.0), "comparisons": []})
    assert gone.now is None
    assert not gone.holds(1.0)


def test_the_newest_result_counts(tmp_path):
    (tmp_path / "hotpath-b.json").write_text(json.dumps(hotpath(2.0, "2026-01-01")))
    (tmp_path / "hotpath-a.json").write_text(json.dumps(hotpath(3.0, "2026-02-01")))
    assert ratios(newest("hotpath", tmp_path)) == {"hotpath: compiled": 3.0}
    with pytest.raises(FileNotFoundError, match="make bench"):
        newest("step", tmp_path)


@pytest.mark.parametrize("benchmark", ["step", "hotpath", "startup"])
def test_committed_results_have_ratios(benchmark):
    assert all(value > 0 for value in ratios(newest(benchmark, RESULTS)).values())
