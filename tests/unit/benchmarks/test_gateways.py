"""Tests of what the benchmark of gateways makes of what it saw."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from benchmarks.cluster_program import Gateway
from benchmarks.gateways import Sample, memory, parts, quantiles


def _samples(*rss: float) -> list[Sample]:
    return [Sample(float(n), 0, mb, 0.0, 1, 0) for n, mb in enumerate(rss)]


def test_memory_that_stays_is_flat_and_memory_that_grows_is_not() -> None:
    """The last third is compared with the first."""
    flat = memory(_samples(100, 101, 100, 102, 101, 100))
    assert flat is not None
    assert flat.flat
    grown = memory(_samples(100, 102, 104, 106, 108, 110))
    assert grown is not None
    assert (grown.first_mb, grown.last_mb, grown.flat) == (101.0, 109.0, False)


def test_few_samples_say_nothing_of_memory() -> None:
    """Two thirds of five are no thirds."""
    assert memory(_samples(1, 2, 3, 4, 5)) is None


def test_ages_are_told_by_quantiles() -> None:
    """Nothing read means nothing known."""
    ages = quantiles(array("d", [n / 100 for n in range(101)]))
    assert ages == pytest.approx({"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0})
    assert set(quantiles(array("d")).values()) == {None}


def test_clients_are_spread_evenly_over_gateways_and_streams(tmp_path: Path) -> None:
    """Every gateway has every stream, whichever process a client is in."""
    made = [Gateway((), "here", port, (), {}, tmp_path) for port in (1, 2)]
    pairs = [pair for urls, ids in parts(16, 4, made) for pair in zip(urls, ids, strict=True)]
    assert len(pairs) == 16
    assert {pairs.count(pair) for pair in pairs} == {2}
    assert len(set(pairs)) == 8
