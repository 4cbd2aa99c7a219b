"""Promises of the law: exact through two points, honest about what they leave open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.capacity_law import PROJECTED, Counted, Law, fit


@given(st.floats(1, 20), st.floats(0, 0.5))
def test_the_law_is_found_again_in_what_it_says(a: float, s: float) -> None:
    law = Law(a, s)
    found = Law.through({cores: law.at(cores) for cores in (1, 2, 4, 8)})
    assert (found.a, found.s) == (pytest.approx(a, rel=1e-6), pytest.approx(s, abs=1e-6))


def test_more_than_in_proportion_is_in_proportion() -> None:
    law = Law.through({1: 9.0, 2: 20.0})
    assert law.s == 0.0
    assert law.at(2) == pytest.approx(19.0, abs=0.1)


def test_two_points_leave_nothing_to_check_the_law_with_and_much_open() -> None:
    found = fit([Counted(1, 10, 10, 10), Counted(2, 18, 18, 18)], gateway_cpu=0.01)
    assert found is not None
    assert found.spare == 0
    assert found.law.at(1) == pytest.approx(10)
    assert found.law.at(2) == pytest.approx(18)
    assert found.least_s < found.law.s < found.most_s
    assert [one.cores for one in found.projected] == list(PROJECTED)
    for one in found.projected:
        assert one.least < one.streams < one.most
    # 57 streams of 0.01 cores each fit into one gateway, 89 do not.
    assert [one.gateways for one in found.projected] == [1, 1, 2]


def test_rounds_that_differ_leave_more_open() -> None:
    sure = fit([Counted(1, 10, 10, 10), Counted(2, 18, 18, 18)])
    unsure = fit([Counted(1, 10, 9, 11), Counted(2, 18, 17, 19)])
    assert sure is not None
    assert unsure is not None
    assert unsure.projected[-1].least < sure.projected[-1].least
    assert sure.projected[-1].most < unsure.projected[-1].most
    assert sure.projected[-1].gateways is None


def test_one_number_of_cores_or_nothing_held_makes_no_law() -> None:
    assert fit([Counted(1, 10, 10, 10)]) is None
    assert fit([Counted(1, 0, 0, 0), Counted(2, 2, 2, 2)]) is None
