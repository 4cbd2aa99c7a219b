"""Promises of the search for the edge: to one stream, nothing measured twice, near means short."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.held import edge


@given(st.integers(0, 80), st.integers(1, 64), st.integers(1, 70))
def test_the_edge_is_found_to_one_stream_and_nothing_is_tried_twice(
    held: int, most: int, near: int
) -> None:
    asked: list[int] = []

    def holds(streams: int) -> bool:
        asked.append(streams)
        return streams <= held

    assert edge(holds, near, most) == min(held, most)
    assert len(asked) == len(set(asked)) <= 14
    assert all(1 <= streams <= most for streams in asked)


def test_where_the_edge_is_known_two_loads_are_enough() -> None:
    asked: list[int] = []

    def holds(streams: int) -> bool:
        asked.append(streams)
        return streams <= 18

    assert edge(holds, 18, 64) == 18
    assert asked == [18, 19]
