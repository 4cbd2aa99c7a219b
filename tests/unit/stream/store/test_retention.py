"""What is too old goes, a little at a time, and nothing else."""

from __future__ import annotations

from itertools import pairwise

from sqlalchemy import event

from stream.store.database import Database
from stream.store.settings import StoreSettings
from stream.store.tables import events, pulses, score_seconds, scores
from tests.support.store import StoreRig
from tests.support.wire import added, report, score, track_started

HOUR = 3600.0
TABLES = (scores, pulses, events, score_seconds)


def counts(rig: StoreRig) -> list[int]:
    """Return the rows of each table."""
    return [len(rig.rows(table)) for table in TABLES]


def filled(database: Database, settings: StoreSettings, hours: int = 6) -> StoreRig:
    """Return a store with ten scores, a report and an event an hour, of two streams."""
    rig = StoreRig(database, settings)
    rig.publish(added("a"), added("b"))
    for _ in range(hours):
        for stream in ("a", "b"):
            now = rig.clock.monotonic()
            rig.publish(*(score(stream, track=n, arrived=now - n / 100) for n in range(10)))
            rig.publish(report(stream), track_started(stream))
        rig.clock.advance(HOUR)
    return rig


def test_everything_has_its_own_age(database: Database) -> None:
    keep = StoreSettings(full_rate_hours=2.5, seconds_days=4 / 24, events_days=5 / 24)
    rig = filled(database, keep)
    rig.turn()
    for _ in range(10):
        rig.turn(61.0)
    # the newest hour's rows are an hour and a little old
    assert counts(rig) == [2 * 10 * 2, 2 * 3, 2 * 4, 2 * 10 * 3]
    oldest = min(row["at"] for row in rig.rows(scores))
    assert oldest >= (rig.clock.utc().timestamp() - 2.5 * HOUR) * 1e6
    assert rig.writer.deleted["scores"] == 2 * 10 * 4


def test_a_step_deletes_few_rows(database: Database) -> None:
    """Nobody waits for long: a transaction of retention is as small as it is told."""
    rig = filled(database, StoreSettings(full_rate_hours=0.01, purge_rows=7))
    seen = []
    event.listen(database.engine, "commit", lambda _: seen.append(rig.writer.deleted["scores"]))
    for _ in range(40):
        rig.turn(0.5)
    steps = [after - before for before, after in pairwise(seen)]
    assert max(steps) <= 7
    assert counts(rig)[0] == 0
    assert rig.writer.deleted["scores"] == 120


def test_events_go_on_being_written_meanwhile(database: Database) -> None:
    rig = filled(database, StoreSettings(full_rate_hours=0.01, purge_rows=1))
    rig.turn()
    for _ in range(5):
        rig.publish(score("a", arrived=rig.clock.monotonic()))
        before = rig.writer.written["scores"]
        rig.turn(0.5)
        assert rig.writer.written["scores"] == before + 1
        assert 0 < rig.writer.deleted["scores"] < 20


def test_a_file_that_grows_too_large_loses_its_oldest_scores(
    database: Database,
) -> None:
    """Those at full rate alone; PostgreSQL has no such limit."""
    rig = filled(database, StoreSettings(max_bytes=1, full_rate_hours=1000))
    rig.turn()
    before = counts(rig)
    for _ in range(2):
        rig.turn(61.0)
    after = counts(rig)
    assert after[1:] == before[1:]
    if database.file is None:
        assert after == before
    else:
        assert 0 < after[0] < before[0]
        assert min(row["at"] for row in rig.rows(scores)) > 1_767_225_600 * 1_000_000


def test_a_young_store_is_left_alone(database: Database) -> None:
    rig = filled(database, StoreSettings())
    rig.turn()
    before = counts(rig)
    for _ in range(3):
        rig.turn(61.0)
    assert counts(rig) == before
    assert sum(rig.writer.deleted.values()) == 0
