"""Promises of the overload benchmark: what it sums up."""

import math

from benchmarks.latency import Spread
from benchmarks.overload import Minute, table, worst_ratio


def minute(number, p99_ms):
    spread = Spread(100, 40.0, 90.0, p99_ms)
    return Minute(number, spread, 1000, {"overrun": 3}, 0, "longer_hop", 0.97, 500.0)


def test_the_worst_later_minute_counts():
    minutes = [minute(1, 100.0), minute(2, 140.0), minute(3, 90.0)]
    assert worst_ratio(minutes) == 1.4
    assert table(minutes).row_count == 3


def test_one_minute_says_nothing():
    assert math.isnan(worst_ratio([minute(1, 100.0)]))
