"""The one writer: what is written when, what is lost while the database is away, and the return."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import Connection, create_engine, event, insert, select, text

from stream.clock import SystemClock
from stream.event_log.event_log import EventLog
from stream.events import IncidentChanged, StreamDescribed
from stream.incident import Incident, IncidentStatus, IncidentStep, Peak, ScoredBy, Severity
from stream.store import history, stored_events
from stream.store.access import DirectStore, to_us
from stream.store.database import Database, open_database
from stream.store.errors import StoreUnavailable
from stream.store.settings import StoreSettings
from stream.store.tables import (
    audit,
    events,
    incidents,
    models,
    pulses,
    score_seconds,
    scores,
    snoozes,
    streams,
)
from stream.store.writer import StoreWriter
from tests.support.databases import Postgres
from tests.support.store import StoreRig
from tests.support.wire import (
    INFO,
    added,
    removed,
    report,
    score,
    stamped,
    track_started,
    verdict_changed,
)

SPAN = history.Span(0, to_us(datetime(2100, 1, 1, tzinfo=UTC)))


def snooze(stream: str) -> Any:
    """Return a write that leaves a row."""

    def write(connection: Connection) -> str:
        connection.execute(insert(snoozes).values(stream=stream, reason="", by="", at=0, until=1))
        return stream

    return write


def test_events_become_rows(database: Database) -> None:
    rig = StoreRig(database)
    first, second = rig.publish(added(), score(arrived=99.5, value=0.25))
    rig.publish(report(), verdict_changed(), removed())
    rig.turn()
    (stream,) = rig.rows(streams)
    (model,) = rig.rows(models)
    assert (stream["id"], stream["name"], stream["wanted"]) == ("lobby", "Lobby", False)
    assert (model["name"], model["status"]) == (INFO.model.name, "trained")
    (row,) = rig.rows(scores)
    assert row["stream"] == stream["number"]
    assert row["model"] == model["number"]
    assert row["seq"] == second
    assert row["at"] == rows_began(rig) - 500_000
    assert (row["p"], row["lo"], row["hi"], row["logit"]) == (0.25, 0.125, 0.625, -1.1)
    assert (row["state"], row["face_px"], row["sharpness"]) == (2, 140.0, 90.0)
    (pulse,) = rig.rows(pulses)
    assert (pulse["fps"], pulse["loss"], pulse["tracks"]) == (25.0, 0.0, 1)
    told = rig.rows(events)
    assert [row["kind"] for row in told] == ["stream_added", "verdict_changed", "stream_removed"]
    assert told[0]["seq"] == first


def test_a_new_name_is_stored_and_the_source_stays(database: Database) -> None:
    rig = StoreRig(database)
    rig.publish(replace(added(), source="rtsp://camera/1"))
    rig.turn()
    rig.publish(StreamDescribed("lobby", 1, "North door", ("Berlin",)))
    rig.turn()
    (stream,) = rig.rows(streams)
    assert (stream["name"], stream["source"]) == ("North door", "rtsp://camera/1")
    assert [row["kind"] for row in rig.rows(events)] == ["stream_added", "stream_described"]


def incident(stream: str) -> Incident:
    """Return a closed incident."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    by = ScoredBy("styleflow-live", "0.1", "causal", "trained", "ab" * 32)
    return Incident(
        "i-1", stream, "Lobby", 3, (1,), by, Severity.LOW, IncidentStatus.CLOSED, at, at, at, 2.0,
        Peak(0.9, 0.8, 0.95, at),
    )  # fmt: skip


def rows_began(rig: StoreRig) -> int:
    """Return the clock's wall time in microseconds."""
    return round(rig.clock.utc().timestamp() * 1_000_000)


def test_scores_of_an_epoch_that_has_ended_are_nobodys(database: Database) -> None:
    """Subscribers never saw them either."""
    rig = StoreRig(database)
    rig.publish(added(), score(epoch=2), score(epoch=1), score(epoch=2))
    rig.turn()
    assert [row["epoch"] for row in rig.rows(scores)] == [2, 2]
    assert rig.writer.lost == 0


def test_a_second_is_written_once_it_is_over(database: Database) -> None:
    rig = StoreRig(database)
    rig.publish(added())
    for value in (0.2, 0.4, 0.9):
        rig.publish(score(value=value, arrived=rig.clock.monotonic()))
        rig.clock.advance(0.25)
    rig.turn()
    assert rig.rows(score_seconds) == []
    rig.turn(3.0)
    (row,) = rig.rows(score_seconds)
    assert (row["count"], row["p_min"], row["p_max"]) == (3, 0.2, 0.9)
    assert row["p_mean"] == pytest.approx(0.5)
    assert row["lo"] == pytest.approx(0.25)
    assert row["hi"] == pytest.approx(0.75)
    assert row["second"] * 1_000_000 == rig.rows(scores)[0]["at"]


def test_a_late_score_joins_the_second_that_is_written_already(database: Database) -> None:
    rig = StoreRig(database)
    began = rig.clock.monotonic()
    rig.publish(added(), score(value=0.2, arrived=began), score(value=0.4, arrived=began))
    rig.turn(4.0)
    rig.publish(score(value=1.0, arrived=began, track=1))
    rig.turn(4.0)
    (row,) = rig.rows(score_seconds)
    assert (row["count"], row["p_min"], row["p_max"]) == (3, 0.2, 1.0)
    assert row["p_mean"] == pytest.approx(1.6 / 3)


def test_a_score_that_is_no_number_is_kept_as_none(database: Database) -> None:
    rig = StoreRig(database)
    rig.publish(added(), score(score=float("nan"), low=float("inf"), high=float("nan")))
    rig.turn(5.0)
    (row,) = rig.rows(scores)
    assert (row["p"], row["lo"], row["hi"]) == (None, None, None)
    (second,) = rig.rows(score_seconds)
    assert (second["count"], second["p_mean"], second["p_min"]) == (0, None, None)


def test_what_a_killed_process_had_in_memory_is_made_up_for(database: Database) -> None:
    """The means of its last seconds come from the scores that are on disk."""
    rig = StoreRig(database)
    began = rig.clock.monotonic()
    rig.publish(added(), score(value=0.2, arrived=began), score(value=0.4, arrived=began))
    rig.turn()  # and it is killed before the second is over
    assert rig.rows(score_seconds) == []
    again = StoreRig(database)
    again.turn()
    (row,) = again.rows(score_seconds)
    assert (row["count"], row["p_min"], row["p_max"]) == (2, 0.2, 0.4)
    assert row["p_mean"] == pytest.approx(0.3)


def test_writes_are_answered_when_they_are_committed(database: Database) -> None:
    rig = StoreRig(database)
    future = rig.writer.submit(snooze("lobby"))
    assert not future.done()
    rig.turn()
    assert future.result(0) == "lobby"
    assert len(rig.rows(snoozes)) == 1


def test_a_write_that_fails_is_undone_alone(database: Database) -> None:
    rig = StoreRig(database)

    def fail(connection: Connection) -> None:
        snooze("half")(connection)
        raise KeyError("mine")

    rig.publish(added(), score())
    good, bad, double = (rig.writer.submit(w) for w in (snooze("a"), fail, snooze("a")))
    last = rig.writer.submit(snooze("b"))
    rig.turn()
    assert good.result(0) == "a"
    with pytest.raises(KeyError):
        bad.result(0)
    with pytest.raises(Exception, match=r"(?i)unique"):
        double.result(0)
    assert last.result(0) == "b"
    assert [row["stream"] for row in rig.rows(snoozes)] == ["a", "b"]
    assert len(rig.rows(scores)) == 1
    assert not rig.writer.failing


def test_a_write_that_was_called_off_is_not_made(database: Database) -> None:
    rig = StoreRig(database)
    future = rig.writer.submit(snooze("lobby"))
    assert future.cancel()
    rig.turn()
    assert rig.rows(snoozes) == []


def test_too_many_writes_are_refused_at_once(database: Database) -> None:
    rig = StoreRig(database, StoreSettings(writes=2))
    futures = [rig.writer.submit(snooze(str(n))) for n in range(3)]
    with pytest.raises(StoreUnavailable, match="too many"):
        futures[2].result(0)
    assert rig.writer.refused_writes == 1
    rig.turn()
    assert [future.result(0) for future in futures[:2]] == ["0", "1"]


def test_a_row_that_the_database_refuses_costs_itself_alone(database: Database) -> None:
    rig = StoreRig(database)
    rig.publish(added(), score(track=1), score(track=2**63 - 1), score(track=3))
    rig.publish(score(track=2**70))
    rig.turn()
    stored = [row["track"] for row in rig.rows(scores)]
    assert {1, 3} <= set(stored)
    assert len(stored) + rig.writer.lost == 4
    assert rig.writer.lost >= 1
    assert not rig.writer.failing
    rig.publish(score(track=4))
    rig.turn()
    assert rig.rows(scores)[-1]["track"] == 4


def test_the_queue_is_bounded_and_what_gave_way_is_counted(database: Database) -> None:
    """The announcement of the stream is not forgotten, even when it gave way itself."""
    rig = StoreRig(database, StoreSettings(queue=16))
    rig.publish(added(), *(score(track=n) for n in range(100)), verdict_changed())
    rig.turn()
    assert len(rig.rows(scores)) == 15
    assert rig.writer.lost == 86
    assert [row["kind"] for row in rig.rows(events)] == ["events_lost", "verdict_changed"]
    assert rig.rows(models)[0]["sha256"] == INFO.model.sha256


class Full:
    """A disk that can be filled and cleared; SQLite's own limit on pages."""

    def __init__(self, database: Database) -> None:
        self.pages = 1 << 30
        event.listen(database.engine, "checkout", self._limit)

    def _limit(self, driver: Any, *_: object) -> None:
        driver.execute(f"PRAGMA max_page_count={self.pages}")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_full_disk_is_counted_said_and_survived(database: Database) -> None:
    disk = Full(database)
    rig = StoreRig(database, StoreSettings(queue=2000))
    rig.publish(added())
    rig.turn()
    disk.pages = 1  # no further page may be had than there are
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            rig.publish(*(score(track=n) for n in range(1000)))
            rig.turn(20.0)
        waiting = rig.writer.submit(snooze("lobby"))
        rig.turn(20.0)
        assert "full" in rig.writer.failing
        assert "full" in rig.writer.detail
        began = rig.writer.failing_since
        assert began is not None
        assert began < rig.clock.utc()
        with pytest.raises(StoreUnavailable, match="full"):
            waiting.result(0)
        assert rig.writer.waiting <= 3000
        disk.pages = 1 << 30
        rig.turn(20.0)
    assert not rig.writer.failing
    assert rig.writer.failing_since is None
    assert rig.writer.lost >= 2000
    assert len(rig.rows(scores)) + rig.writer.lost == 5000
    told = [entry["event"] for entry in logs]
    assert told == [
        "the store cannot be written; scoring goes on",
        "the store is written again",
    ]
    assert logs[1]["events_lost"] == rig.writer.lost
    assert rig.writer.detail == f"ok; {rig.writer.lost} events lost"


def test_a_store_that_is_away_is_asked_less_and_less_often(database: Database) -> None:
    rig = StoreRig(database)
    rig.publish(added())
    rig.turn()

    def away(*_: object) -> None:
        raise ConnectionError("nobody there")

    event.listen(database.engine, "begin", away)
    for _ in range(240):
        rig.publish(score())
        rig.turn(0.5)
    assert 12 <= rig.writer.failures <= 20  # of 240 turns in two minutes
    event.remove(database.engine, "begin", away)
    rig.turn(10.0)
    assert len(rig.rows(scores)) == 240
    assert rig.writer.lost == 0


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_server_that_is_restarted_is_written_again(
    database: Database, postgres: Postgres
) -> None:
    rig = StoreRig(database)
    rig.publish(added(), score(track=1))
    rig.turn()
    postgres.stop()
    try:
        rig.publish(score(track=2))
        waiting = rig.writer.submit(snooze("lobby"))
        rig.turn(1.0)
        assert rig.writer.failing
        assert "hunter2" not in rig.writer.detail
        with pytest.raises(StoreUnavailable):
            waiting.result(0)
        with pytest.raises(StoreUnavailable), rig.writer.reading():
            pass
    finally:
        postgres.start()
    rig.publish(score(track=3))
    rig.turn(30.0)
    assert not rig.writer.failing
    assert [row["track"] for row in rig.rows(scores)] == [1, 2, 3]
    assert rig.writer.lost == 0


def test_a_batch_whose_commit_was_cut_off_is_not_doubled(database: Database) -> None:
    """Nobody knows whether it was committed, so it is written again."""
    rig = StoreRig(database)
    rig.turn()
    rig.publish(added(), score(), report(), track_started())
    cut = {"left": 1}

    def after(*_: object) -> None:
        if cut["left"]:
            cut["left"] -= 1
            raise ConnectionError("cut off after the commit")

    def commit(connection: Connection) -> None:
        connection.connection.driver_connection.commit()
        after()

    event.listen(database.engine, "commit", commit)
    rig.turn()
    assert rig.writer.failing
    assert len(rig.rows(scores)) == 1
    rig.turn(5.0)
    assert not rig.writer.failing
    assert [len(rig.rows(table)) for table in (scores, pulses, events)] == [1, 1, 2]


def test_events_whose_numbers_are_taken_are_counted(database: Database) -> None:
    """Two machines that write into one database count alike; that must not pass in silence."""
    rig, other = StoreRig(database), StoreRig(database)
    rig.publish(added(), track_started())
    rig.turn()
    other.publish(added("door"), track_started("door"), track_started("door"))
    with structlog.testing.capture_logs() as logs:
        other.turn()
    assert other.writer.lost == other.writer.collisions == 2
    assert [entry["count"] for entry in logs] == [2]
    assert "a database of its own in store.url" in logs[0]["hint"]
    assert "2 of them because another analyzer writes into this database" in other.writer.detail
    assert len(rig.rows(events)) == 3


def test_numbers_are_asked_for_again_when_rows_were_deleted(database: Database) -> None:
    """Another process may delete a stream's rows; the next sweep notices."""
    rig = StoreRig(database)
    rig.publish(added(), score())
    rig.turn()
    with database.writing() as connection:
        for table in (scores, streams):
            connection.execute(table.delete())
    rig.turn(61.0)
    rig.publish(score(track=2))
    rig.turn()
    (row,), (stream,) = rig.rows(scores), rig.rows(streams)
    assert row["stream"] == stream["number"]


def test_the_newest_event_on_disk_is_told(database: Database) -> None:
    told: list[int] = []
    rig = StoreRig(database, committed=told.append)
    numbers = rig.publish(added(), score(), report())
    rig.turn()
    assert told == [numbers[-1]]


def test_an_old_incident_of_a_stream_that_is_gone_is_told(database: Database) -> None:
    rig = StoreRig(database)
    rig.publish(IncidentChanged("gone", 3, incident("gone"), IncidentStep.LABELLED, by="ann"))
    rig.turn()
    (row,) = rig.rows(events)
    message = json.loads(row["message"])
    assert (row["kind"], message["stream"], message["data"]["by"]) == (
        "incident_changed",
        "gone",
        "ann",
    )
    assert rig.rows(incidents) == []  # those who own them write them


def test_nothing_waits_for_the_thread(database: Database) -> None:
    """The real thread: events and a write are on disk when it has ended."""
    clock = SystemClock()
    writer = StoreWriter(database, StoreSettings(), clock)
    log = EventLog(clock)
    log.attach(writer)
    thread = threading.Thread(target=writer.run)
    thread.start()
    for event_ in (added(), *(score(track=n) for n in range(500))):
        log.append(event_)
    assert writer.submit(snooze("lobby")).result(60) == "lobby"
    log.append(score(track=501))
    writer.stop()
    thread.join(60)
    assert not thread.is_alive()
    with database.reading() as connection:
        assert len(connection.execute(select(scores)).all()) == 501
        assert connection.execute(select(score_seconds.c.second)).all()
    with pytest.raises(StoreUnavailable, match="closed"):
        writer.submit(snooze("late")).result(0)


def test_what_cannot_be_written_at_the_end_is_counted(database: Database) -> None:
    rig = StoreRig(database)
    rig.publish(added(), score(), score())
    waiting = rig.writer.submit(snooze("lobby"))

    def away(*_: object) -> None:
        raise ConnectionError("nobody there")

    event.listen(database.engine, "begin", away)
    rig.writer.stop()
    rig.writer.run()
    assert rig.writer.lost == 3
    with pytest.raises(StoreUnavailable):
        waiting.result(0)


def test_commands_write_without_the_thread(database: Database) -> None:
    store = DirectStore(database.engine)
    assert store.submit(snooze("lobby")).result(0) == "lobby"
    with store.reading() as connection:
        assert connection.execute(select(snoozes.c.stream)).scalars().all() == ["lobby"]
        assert connection.execute(select(audit)).all() == []
        assert connection.execute(text("SELECT 1")).scalar() == 1
    with pytest.raises(Exception, match=r"(?i)unique"):
        store.submit(snooze("lobby")).result(0)


def test_events_of_streams_that_were_never_announced_are_counted(database: Database) -> None:
    rig = StoreRig(database)
    rig.writer.accept(stamped(track_started("ghost"), id=5))
    rig.writer.accept(stamped(score("ghost"), id=6))
    rig.turn()
    assert rig.writer.lost == 1
    assert len(rig.rows(scores)) == 1


@pytest.mark.parametrize("tuned", [True, False])
def test_commands_take_their_turn_before_they_read(tmp_path: Path, tuned: bool) -> None:
    """What begins to write only after it has read fails where somebody else was quicker."""
    opened = open_database(f"sqlite:///{tmp_path / 'store.db'}", tmp_path)
    engine = opened.engine if tuned else create_engine(f"sqlite:///{tmp_path / 'store.db'}")

    def read_then_write(connection: Connection) -> str:
        connection.execute(select(snoozes)).all()
        with closing(sqlite3.connect(tmp_path / "store.db", timeout=0)) as other:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
        return str(snooze("lobby")(connection))

    store = DirectStore(engine)
    assert store.submit(read_then_write).result(0) == "lobby"
    with store.reading() as connection:
        assert connection.execute(select(snoozes.c.stream)).scalars().all() == ["lobby"]
    engine.dispose()
    opened.close()


def test_events_that_the_full_queue_lost_are_marked_in_the_past(database: Database) -> None:
    """Whoever reads the past sees that something is missing, where, and how much."""
    rig = StoreRig(database, StoreSettings(queue=4))
    rig.publish(added(), added("door"))
    rig.turn()
    rig.clock.advance(1.0)
    stored = rig.publish(*(track_started() for _ in range(10)))
    rig.turn()
    marks = [row for row in rig.rows(events) if row["kind"] == "events_lost"]
    assert [row["seq"] for row in marks] == stored[:2]
    said = [json.loads(row["message"]) for row in marks]
    assert {each["stream"] for each in said} == {"lobby", "door"}
    assert {each["data"]["count"] for each in said} == {6} == {rig.writer.lost}
    first = said[0]["data"]
    assert first["since"] < first["until"] == said[0]["ts_emit"]
    with database.reading() as connection:
        wanted = stored_events.EventFilter(stream="door", kind="events_lost")
        page = stored_events.find(connection, wanted, None, 10)
        assert len(page.messages) == 1
        assert stored_events.after(connection, "door", stored[0] - 1, 10)
        past = history.read(connection, "door", SPAN, 3600, max_events=10)
        assert "events_lost" in past.events[-1]


def test_a_queue_that_is_full_all_the_time_is_marked_once_a_second(database: Database) -> None:
    rig = StoreRig(database, StoreSettings(queue=2))
    rig.publish(added())
    rig.turn()
    for _ in range(8):
        rig.clock.advance(0.25)
        rig.publish(*(track_started() for _ in range(4)))
        rig.turn()
    marks = [
        json.loads(row["message"])["data"]
        for row in rig.rows(events)
        if row["kind"] == "events_lost"
    ]
    assert len(marks) == 2
    assert sum(mark["count"] for mark in marks) <= rig.writer.lost == 16
