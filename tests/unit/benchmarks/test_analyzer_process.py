"""Promises of the pinned analyzer: whose CPU time is whose, and where it may run."""

from __future__ import annotations

import os
import threading

import pytest

from benchmarks.analyzer_process import cpu_seconds, pinned, rates


def test_cpu_time_is_told_per_second_and_part() -> None:
    before, after = {"server": 1.0, "workers": 4.0}, {"server": 1.5, "workers": 12.0}
    assert rates(before, after, 10.0) == {"server": 0.05, "workers": 0.8}


def test_the_cpu_time_of_a_process_is_read_and_that_of_none_is_an_error() -> None:
    assert cpu_seconds(os.getpid()) > 0
    with pytest.raises(OSError, match=r"."):
        cpu_seconds(2**22 + 1)


def test_a_thread_and_what_it_starts_are_kept_to_some_cores_for_a_while() -> None:
    before = os.sched_getaffinity(0)
    one, seen = min(before), []
    with pinned([one]):
        thread = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
        thread.start()
        thread.join()
    assert seen == [{one}]
    assert os.sched_getaffinity(0) == before
