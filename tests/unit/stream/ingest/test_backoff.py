"""Waiting grows, is jittered, is bounded, and starts again after a healthy minute."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events import ReasonCode
from stream.ingest.backoff import PATIENT, Backoff

QUICK = sorted(set(ReasonCode) - PATIENT, key=lambda code: code.value)


def test_it_grows_from_half_a_second_to_thirty() -> None:
    backoff = Backoff(random.Random(0))
    delays = [backoff.after(ReasonCode.UNREACHABLE) for _ in range(12)]
    for n, delay in enumerate(delays):
        ceiling = min(30.0, 2.0**n)
        assert ceiling / 2 <= delay <= ceiling
    assert len(set(delays)) == len(delays)


@pytest.mark.parametrize("code", sorted(PATIENT, key=lambda code: code.value))
def test_what_only_a_person_can_remedy_waits_minutes(code: ReasonCode) -> None:
    backoff = Backoff(random.Random(0))
    delays = [backoff.after(code) for _ in range(6)]
    assert 60.0 <= delays[0] <= 120.0
    assert all(150.0 <= delay <= 300.0 for delay in delays[2:])


def test_a_healthy_minute_resets_it() -> None:
    backoff = Backoff(random.Random(0))
    for _ in range(8):
        backoff.after(ReasonCode.TIMEOUT)
    assert backoff.after(ReasonCode.TIMEOUT, healthy_s=59.0) >= 15.0
    assert backoff.after(ReasonCode.TIMEOUT, healthy_s=60.0) <= 1.0


def test_another_kind_of_reason_begins_anew() -> None:
    backoff = Backoff(random.Random(0))
    for _ in range(8):
        backoff.after(ReasonCode.TIMEOUT)
    assert backoff.after(ReasonCode.AUTH) <= 120.0
    assert backoff.after(ReasonCode.TIMEOUT) <= 1.0


@given(st.integers(), st.lists(st.tuples(st.sampled_from(QUICK), st.floats(0, 1e6)), max_size=50))
def test_it_stays_within_its_bounds(seed: int, story: list[tuple[ReasonCode, float]]) -> None:
    backoff = Backoff(random.Random(seed))
    assert all(0.5 <= backoff.after(code, healthy) <= 30.0 for code, healthy in story)
