"""Promises of the startup benchmark: what it compares."""

from benchmarks.check import ratios
from benchmarks.startup import once, summary, table


def test_medians_are_compared_with_an_interpreter_that_does_nothing():
    found = summary(
        {"nothing": [(0.02, 0.03), (0.04, 0.9), (0.02, 0.03)], "help": [(0.16, 0.3)] * 3}
    )
    assert [one.program for one in found] == ["nothing", "help"]
    assert [one.ratio for one in found] == [1.0, 8.0]
    assert found[0].cpu_s == 0.02
    assert table(found).row_count == 2


def test_a_process_is_measured_by_its_own_cpu_time():
    cpu, wall = once(("-c", "sum(range(3_000_000))"))
    idle, waited = once(("-c", "import threading; threading.Event().wait(0.3)"))
    assert 0 < cpu < wall + 1
    assert idle < waited
    assert waited > 0.3


def test_the_check_guards_commands_and_not_the_server():
    starts = [
        {"program": "nothing", "ratio": 1.0},
        {"program": "help", "ratio": 8.0},
        {"program": "serve", "ratio": 200.0},
    ]
    assert ratios({"benchmark": "startup", "target": 12.0, "starts": starts}) == {
        "startup: 12 times python -c pass over help": 1.5
    }
