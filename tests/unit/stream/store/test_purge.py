"""What somebody asks to have forgotten is gone, what was not asked for stays, on both databases."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from stream.store import audit, purge
from stream.store.database import Database
from stream.store.errors import NothingStored, StillGoingOn
from stream.store.purge import PurgeWish
from stream.store.tables import (
    events,
    evidence,
    incident_notes,
    incidents,
    metadata,
    outbox,
    pulses,
    score_seconds,
    scores,
    snoozes,
    streams,
)
from tests.support import past
from tests.support.past import BEGAN

AT = datetime(2026, 3, 2, tzinfo=UTC)
US = 1_000_000


def at(second: float) -> datetime:
    """Return a moment so many seconds after the beginning."""
    return datetime.fromtimestamp(BEGAN + second, UTC)


def incident(connection: Any, id: str, stream: str, begin: int, end: int) -> None:
    """Store an incident of face 1 with a note, evidence, and an alert on its way."""
    connection.execute(
        insert(incidents).values(
            id=id,
            stream=stream,
            opened=(BEGAN + begin) * US,
            last_at=(BEGAN + end) * US,
            closed=(BEGAN + end) * US,
            status="closed",
            severity=1,
            acknowledged=False,
            peak=0.9,
            data=json.dumps({"id": id, "tracks": [1]}),
        )
    )
    connection.execute(
        insert(incident_notes).values(incident=id, at=0, by="guard", text="a person's name")
    )
    connection.execute(insert(evidence).values(incident=id, state="kept", file=f"{id}.mp4"))
    connection.execute(
        insert(outbox).values(
            id=f"to-{id}", rule="r", channel="c", incident=id, payload="{}", created=0, due=0,
            state="waiting",
        )
    )  # fmt: skip


@pytest.fixture
def filled(database: Database) -> Database:
    """A minute of two streams, with an incident each."""
    with database.writing() as connection:
        past.stream(connection)
        past.stream(connection, "lift", 2)
        for number in (1, 2):
            past.seconds(connection, [(s, t, 0.5, 4) for s in range(60) for t in (1, 2)], number)
            past.full(connection, [0.5] * 240, number)
            past.reports(connection, [25.0] * 60, number)
        past.verdicts(connection, range(10, 70))
        past.verdicts(connection, range(100, 160), "lift", 2)
        incident(connection, "i-lobby", "lobby", 10, 20)
        incident(connection, "i-lift", "lift", 30, 40)
        connection.execute(
            insert(snoozes).values(stream="lobby", reason="party", by="guard", at=0, until=1)
        )
    return database


def counts(database: Database) -> dict[str, int]:
    """Return how many rows every table has, but the audit log's."""
    with database.reading() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
            if not table.name.startswith("audit")
        }


def test_a_stream_is_forgotten_with_everything_that_hangs_on_it(filled: Database) -> None:
    before = counts(filled)
    done = purge.purge(filled, PurgeWish(stream="lobby"), AT, "guard")
    after = counts(filled)
    halved = ("scores", "score_seconds", "pulses", "events", "incidents", "incident_notes")
    for name in (*halved, "evidence", "outbox", "streams"):
        assert after[name] * 2 == before[name], name
    assert after["snoozes"] == 0
    assert done.files == ["i-lobby.mp4"]
    with filled.reading() as connection:
        assert connection.execute(select(streams.c.id)).scalars().all() == ["lift"]
        assert connection.execute(select(incidents.c.id)).scalars().all() == ["i-lift"]
        for table in (scores, score_seconds, pulses, events):
            assert set(connection.execute(select(table.c.stream)).scalars()) == {2}


def test_a_stretch_of_time_is_forgotten_of_one_stream_or_of_all(filled: Database) -> None:
    purge.purge(filled, PurgeWish(stream="lobby", begin=at(5), end=at(15)), AT, "guard")
    with filled.reading() as connection:
        lobby = score_seconds.c.stream == 1
        query = select(score_seconds.c.second - BEGAN).where(lobby).distinct()
        left = set(connection.execute(query).scalars())
        assert connection.execute(select(incidents.c.id)).scalars().all() == ["i-lift"]
        assert len(connection.execute(select(streams.c.id)).all()) == 2
    assert left == set(range(5)) | set(range(16, 60))
    purge.purge(filled, PurgeWish(begin=at(50)), AT, "guard")
    with filled.reading() as connection:
        assert connection.execute(select(func.max(scores.c.at))).scalar_one() < (BEGAN + 50) * US
        assert connection.execute(select(func.max(events.c.at))).scalar_one() < (BEGAN + 50) * US
        assert connection.execute(select(incidents.c.id)).scalars().all() == ["i-lift"]


def test_an_incident_is_forgotten_with_the_scores_of_its_face(filled: Database) -> None:
    with filled.writing() as connection:
        for seq, id in ((500, "i-lobby"), (501, "i-lift")):
            connection.execute(
                insert(events).values(
                    seq=seq, stream=1, epoch=1, at=BEGAN * US, kind="incident_changed",
                    message=json.dumps({"data": {"incident": {"id": id}}}),
                )
            )  # fmt: skip
    before = counts(filled)
    done = purge.purge(filled, PurgeWish(incident="i-lobby"), AT, "guard")
    after = counts(filled)
    assert before["score_seconds"] - after["score_seconds"] == 11  # 10 to 20, of face 1 alone
    assert before["scores"] - after["scores"] == 41
    assert before["events"] - after["events"] == 1
    assert before["pulses"] == after["pulses"]
    assert done.files == ["i-lobby.mp4"]
    with filled.reading() as connection:
        assert connection.execute(select(incidents.c.id)).scalars().all() == ["i-lift"]


def test_many_rows_go_in_steps(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "ROWS", 7)
    done = purge.purge(filled, PurgeWish(begin=at(0)), AT, "guard")
    assert done.rows["score_seconds"] == 240
    assert counts(filled)["scores"] == counts(filled)["events"] == counts(filled)["pulses"] == 0


def test_a_purge_stands_in_the_audit_log(filled: Database) -> None:
    purge.purge(filled, PurgeWish(stream="lobby", end=at(100)), AT, "guard")
    with filled.reading() as connection:
        (entry,) = audit.entries(connection)
        assert audit.verify(connection).intact
    assert (entry.by, entry.action, entry.subject) == ("guard", "store.purged", "store")
    assert entry.detail["stream"] == "lobby"
    assert entry.detail["rows"]["score_seconds"] == 120


def test_a_wanted_stream_stays_wanted(filled: Database) -> None:
    with filled.writing() as connection:
        connection.execute(streams.update().values(wanted=True))
    purge.purge(filled, PurgeWish(stream="lobby"), AT, "guard")
    assert counts(filled)["streams"] == 2


@pytest.mark.parametrize(
    "wish", [PurgeWish(incident="i-lobby"), PurgeWish(stream="lobby"), PurgeWish(begin=at(0))]
)
@pytest.mark.parametrize("going_on", ["open", "gathered"])
def test_an_incident_that_a_running_analyzer_would_write_again_is_refused(
    filled: Database, wish: PurgeWish, going_on: str
) -> None:
    with filled.writing() as connection:
        if going_on == "open":
            where = incidents.c.id == "i-lobby"
            connection.execute(incidents.update().where(where).values(closed=None))
        else:
            where = evidence.c.incident == "i-lobby"
            connection.execute(evidence.update().where(where).values(state="pending"))
    before = counts(filled)
    with pytest.raises(StillGoingOn, match="i-lobby still open or their video"):
        purge.purge(filled, wish, AT, "guard")
    assert counts(filled) == before
    purge.purge(filled, PurgeWish(incident="i-lift"), AT, "guard")
    purge.purge(filled, wish, AT, "guard", even_open=True)
    assert counts(filled)["incidents"] == 0


@pytest.mark.parametrize("wish", [PurgeWish(stream="hall"), PurgeWish(incident="i-hall")])
def test_what_is_not_there_cannot_be_forgotten(filled: Database, wish: PurgeWish) -> None:
    with pytest.raises(NothingStored):
        purge.purge(filled, wish, AT, "guard")


def test_nothing_of_it_can_be_read_in_the_file(tmp_path: Path) -> None:
    from stream.store.database import open_database

    database = open_database(f"sqlite:///{tmp_path / 'store.db'}", tmp_path)
    with database.writing() as connection:
        past.stream(connection)
        incident(connection, "i-lobby", "lobby", 10, 20)
    purge.purge(database, PurgeWish(stream="lobby"), AT, "guard")
    purge.reclaim(database)
    database.close()
    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"a person's name" not in data
