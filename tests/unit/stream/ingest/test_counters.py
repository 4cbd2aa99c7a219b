"""Totals of a stream's ingest, over the ingests that it has had."""

from __future__ import annotations

from stream.ingest.counters import Tally
from stream.ingest.packets import PacketLogCounters
from stream.ingest.timeline import Discard

LOG = PacketLogCounters(0, 0, 0, 0)


def test_the_newest_picture_is_the_last_one_of_the_last_ingest_that_had_one() -> None:
    first, second = Tally(), Tally()
    assert first.counters(LOG).newest is None
    for arrived in (3.0, 4.0):
        first.picture(next(iter(Discard)), arrived)
    assert first.counters(LOG).plus(second.counters(LOG)).newest == 4.0
    second.picture(next(iter(Discard)), 9.0)
    assert first.counters(LOG).plus(second.counters(LOG)).newest == 9.0
