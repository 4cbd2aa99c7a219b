"""The law of the fence: once the new owner has spoken, the old one is not heard any more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.cluster.fence import Fence

OLD, NEW = 3, 4
STREAM = "lobby"

steps = st.lists(
    st.tuples(st.sampled_from(("says", "table", "close", "other")), st.sampled_from((OLD, NEW))),
    max_size=60,
)
"""What happens: an owner speaks, the table names one, a stream ends, another stream is heard of."""


def passed(given_steps: list[tuple[str, int]], fence: Fence) -> list[tuple[str, int, bool]]:
    told = []
    for what, generation in given_steps:
        if what == "says":
            told.append((what, generation, fence.passes(STREAM, generation)))
            continue
        if what == "table":
            fence.hear(STREAM, generation)
        elif what == "close":
            fence.close(STREAM, generation)
        else:
            fence.passes("other", generation)
        told.append((what, generation, False))
    return told


@given(steps)
def test_no_event_of_the_old_owner_passes_after_the_first_of_the_new_one(
    given_steps: list[tuple[str, int]],
) -> None:
    heard = False
    for what, generation, passes in passed(given_steps, Fence()):
        assert not (passes and generation == OLD and heard)
        heard = heard or (what == "says" and generation == NEW and passes)


@given(steps)
def test_nobody_is_heard_of_whom_a_higher_generation_is_known(
    given_steps: list[tuple[str, int]],
) -> None:
    fence, least, dropped = Fence(), 0, 0
    for what, generation, passes in passed(given_steps, fence):
        if what == "says":
            assert passes is (generation >= least)
            dropped += generation < least
        if what in ("says", "table"):
            least = max(least, generation)
        elif what == "close":
            least = max(least, generation + 1)
    assert fence.of(STREAM) == least
    assert fence.fenced >= dropped


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 9)), max_size=40))
def test_a_fence_remembers_so_many_streams_and_the_newest_of_them(
    heard: list[tuple[str, int]],
) -> None:
    fence = Fence(max_streams=3)
    for stream, generation in heard:
        fence.hear(stream, generation)
        assert fence.of(stream) >= generation
    assert sum(fence.of(stream) > 0 for stream in "abcdef") <= 3
