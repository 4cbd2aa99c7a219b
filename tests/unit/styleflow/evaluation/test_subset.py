"""Which clips a short evaluation looks at."""

from pathlib import Path

import pytest

from styleflow.data.index import Entry
from styleflow.evaluation.subset import balanced

REALS = [Entry(Path(f"r{n}"), "dev", 0, group) for n, group in enumerate("aaab")]
FAKES = [Entry(Path(f"f{n}"), "dev", 1, group) for n, group in enumerate("aabc")]


def names(limit):
    return [entry.path.name for entry in balanced([*FAKES, *REALS], limit)]


def test_labels_and_groups_take_turns() -> None:
    assert names(6) == ["r0", "f0", "r3", "f2", "r1", "f3"]


@pytest.mark.parametrize("limit", [None, 8, 100])
def test_without_a_tight_limit_everything_stays_in_order(limit) -> None:
    assert names(limit) == ["f0", "f1", "f2", "f3", "r0", "r1", "r2", "r3"]


def test_a_smaller_limit_chooses_some_of_a_larger_ones() -> None:
    assert names(7)[:3] == names(3)


def test_where_one_label_runs_out_the_other_goes_on() -> None:
    assert len(balanced([*REALS[:1], *FAKES], 4)) == 4
