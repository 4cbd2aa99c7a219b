"""The benchmark of the store: it stores what it says, and counts what it measures."""

from __future__ import annotations

from sqlalchemy import func, select

from benchmarks import store as benchmark
from stream.store.database import Database
from stream.store.tables import scores


def test_a_load_is_stored_and_measured(database: Database, monkeypatch) -> None:
    monkeypatch.setattr(benchmark, "STREAMS", 8)
    cost = benchmark.under_load(database, 1.0)
    assert cost.lost == 0
    with database.reading() as connection:
        stored = connection.execute(select(func.count()).select_from(scores)).scalar_one()
    assert stored == 8 * benchmark.FACES * benchmark.RATE_HZ
    assert cost.to_disk.count == stored + 8
    assert cost.writer_cpu > 0


def test_a_flood_is_stored(database: Database, monkeypatch) -> None:
    monkeypatch.setattr(benchmark, "FLOOD", 1000)
    assert benchmark.flood(database) > 0
