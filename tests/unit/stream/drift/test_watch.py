"""The watch over drift: eight days of a stream on a clock that is told the time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import structlog

from stream.drift.settings import DriftSettings
from stream.drift.watch import NO_STORE, NOT_YET, DriftWatch
from stream.store.access import DirectStore
from stream.store.database import Database
from stream.store.purge import PurgeWish, purge
from stream.store.tables import drift_hours
from tests.support.drift import HOUR, SETTINGS, DriftRig
from tests.support.store import StoreRig
from tests.support.wire import CARD, added, removed, score


async def test_a_stream_that_darkens_after_a_week_is_noticed_within_a_day(
    database: Database,
) -> None:
    rig = DriftRig(database)
    await rig.hours(7 * 24)
    await rig.watch.compare()
    assert rig.watch.drifted == ()
    assert rig.watch.state("lobby").missing == ""
    noticed = None
    for hour in range(1, 25):
        await rig.hours(1, brightness=60.0)
        await rig.watch.compare()
        if rig.watch.drifted and noticed is None:
            noticed = hour
    assert noticed is not None
    assert 14 <= noticed <= 17  # 0.6 of the last day's ratings have moved
    assert rig.watch.counts.noticed == 1
    (said,) = rig.watch.sentences("lobby")
    assert said == (
        "faces have become darker than in the last seven days: 99% of the ratings have moved, "
        "median 0.23, was 0.52"
    )
    assert rig.watch.sentences("hall") == ()


async def test_what_has_been_so_for_days_is_no_change_any_more(database: Database) -> None:
    rig = DriftRig(database)
    await rig.hours(7 * 24)
    await rig.hours(24, brightness=60.0)
    await rig.watch.compare()
    assert rig.watch.drifted == ("lobby",)
    await rig.hours(6 * 24, brightness=60.0)
    await rig.watch.compare()
    assert rig.watch.drifted == ()


async def test_a_restart_forgets_nothing(database: Database) -> None:
    rig = DriftRig(database)
    await rig.hours(4 * 24)
    await rig.hours(24, brightness=60.0)
    rig.start()
    rig.publish(added("lobby"))
    assert rig.watch.state("lobby").missing == NOT_YET
    await rig.watch.compare()
    assert rig.watch.drifted == ("lobby",)


async def test_other_weights_begin_anew(database: Database) -> None:
    rig = DriftRig(database)
    await rig.hours(4 * 24)
    told = added("lobby")
    newer = replace(told.models[0], model=replace(told.models[0].model, sha256="cd" * 32))
    rig.publish(replace(told, models=(newer,)))
    await rig.hours(24, brightness=60.0)
    await rig.watch.compare()
    assert rig.watch.state("lobby").missing == "0 of 3 days with enough faces so far"


async def test_a_stream_that_is_told_again_keeps_its_notice(database: Database) -> None:
    rig = DriftRig(database)
    await rig.hours(4 * 24)
    await rig.hours(24, brightness=60.0)
    await rig.watch.compare()
    rig.publish(replace(added("lobby"), name="Lobby, east"))
    assert rig.watch.drifted == ("lobby",)
    rig.publish(removed("lobby"))
    assert rig.watch.drifted == ()


async def test_only_the_first_detector_counts_and_no_demo(database: Database) -> None:
    rig = DriftRig(database)
    rig.publish(replace(added("played"), demo=True), score("played"))
    rig.publish(score("lobby", detector="another"), score("lobby"), score("unheard-of"))
    await rig.watch.save()
    (row,) = rig.rows(drift_hours)
    assert row["model"] == CARD.sha256
    assert '"reasons":[1,0' in row["data"]


async def test_an_hour_is_one_row_however_often_it_is_saved(database: Database) -> None:
    rig = DriftRig(database)
    for _ in range(5):
        rig.publish(score("lobby"))
        await rig.watch.save()
    (row,) = rig.rows(drift_hours)
    assert '"reasons":[5,0' in row["data"]
    assert rig.watch.waiting == 0


async def test_figures_are_kept_for_their_time_and_forgotten_with_their_stream(
    database: Database,
) -> None:
    rig = DriftRig(database)
    await rig.hours(3)
    await rig.hours(2, stream="hall")
    rig.clock.advance(8.9 * 24 * HOUR)
    rig.turn()
    for _ in range(4):
        rig.turn(61.0)
    assert len(rig.rows(drift_hours)) == 3  # of nine days
    wish = PurgeWish(stream="hall")
    done = purge(database, wish, rig.clock.utc(), "operator", even_open=True)
    assert done.rows["drift_hours"] == 2
    assert len(rig.rows(drift_hours)) == 1


async def test_what_cannot_be_written_waits_and_is_bounded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = DriftRig(database)
    monkeypatch.setattr("stream.drift.watch.MAX_UNSAVED", 3)
    rig.watch.store = StoreRig(database).writer  # its thread does not run, so it is closed below
    rig.watch.store.stop()
    rig.watch.store.run()
    await rig.hours(5)
    assert rig.watch.waiting == 3
    assert rig.watch.counts.failed == 5
    assert rig.watch.counts.lost == 2
    rig.watch.store = DirectStore(database.engine)
    await rig.watch.save()
    assert rig.watch.waiting == 0
    assert len(rig.rows(drift_hours)) == 3


async def test_without_a_store_it_says_so_once(database: Database) -> None:
    rig = DriftRig(database)
    rig.watch = DriftWatch(SETTINGS, rig.clock, None)
    rig.publish(added("lobby"), score("lobby"))
    with structlog.testing.capture_logs() as logs:
        await rig.watch.run()
    assert [line["reason"] for line in logs] == [NO_STORE]
    assert rig.watch.state("lobby").missing == NO_STORE
    assert rig.watch.waiting == 0
    off = DriftWatch(DriftSettings(enabled=False), rig.clock, None)
    assert off.state("lobby").missing == "turned off"
