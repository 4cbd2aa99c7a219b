"""Clocks: the machine's and the one that tests turn by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stream.clock import ManualClock, SystemClock


def test_manual_time_moves_only_when_told() -> None:
    clock = ManualClock(start=5.0, epoch=datetime(2026, 1, 1, tzinfo=UTC))
    assert clock.monotonic() == 5.0
    assert clock.advance(1.5) == 6.5
    assert clock.utc() == datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)


async def test_manual_sleep_advances() -> None:
    clock = ManualClock()
    await clock.sleep(2.0)
    assert clock.monotonic() == 2.0


def test_manual_time_never_runs_backwards() -> None:
    with pytest.raises(ValueError, match="forwards"):
        ManualClock().advance(-1)


async def test_system_time_runs_forwards_in_utc() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.utc().tzinfo is UTC
