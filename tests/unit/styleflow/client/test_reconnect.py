from __future__ import annotations

from random import Random

import pytest

from styleflow.client.reconnect import Reconnect


@pytest.mark.parametrize("attempt", [1, 2, 7, 1000, 10**9])
def test_waits_grow_up_to_a_bound_and_are_never_in_step(attempt: int) -> None:
    policy = Reconnect(first_s=0.5, most_s=30.0)
    longest = min(30.0, 0.5 * 2.0 ** min(attempt - 1, 32))
    waits = {policy.wait_s(attempt, Random(seed)) for seed in range(50)}
    assert all(longest / 2 <= wait <= longest for wait in waits)
    assert len(waits) == 50


def test_tries_are_bounded_unless_told_otherwise() -> None:
    assert not Reconnect().gives_up(20)
    assert Reconnect().gives_up(21)
    assert not Reconnect(attempts=None).gives_up(10**6)
