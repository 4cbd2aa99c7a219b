"""Wanted streams in the database: complete, and without a credential in clear."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, select, update

from stream.ingest.source import Pace, SourceSettings, SourceUrl, Transport
from stream.store import audit
from stream.store.desired import DesiredStreams, WantedStream
from stream.store.secret_box import SecretBox
from stream.store.tables import metadata, streams

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "rtsp://admin:hunter2@camera/stream1?token=s3cr3t"
CAMERA = WantedStream(
    "lobby",
    SourceSettings(
        SourceUrl.parse(URL),
        Transport.UDP,
        timeout_s=4.0,
        tls_verify=False,
        tls_ca_file=Path("/etc/ca.pem"),
        pace=Pace.FAST,
        loop=True,
    ),
    name="Lobby",
    priority="low",
    thresholds={"enter": 0.9},
)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A database of its own."""
    made = create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    metadata.create_all(made)
    return made


@pytest.fixture
def desired(tmp_path: Path) -> DesiredStreams:
    """Reads and writes with a key beside the database."""
    return DesiredStreams(SecretBox(tmp_path / "store.key"))


def save(engine: Engine, desired: DesiredStreams, wanted: WantedStream) -> None:
    """Keep a stream, as an operator's token asks for it."""
    with engine.begin() as connection:
        desired.save(connection, wanted, AT, "guard", "stream.added")


def test_a_wanted_stream_comes_back_as_it_was(engine: Engine, desired: DesiredStreams) -> None:
    save(engine, desired, CAMERA)
    with engine.connect() as connection:
        (found,) = desired.wanted(connection)
    assert found == CAMERA
    assert found.source.url.reveal() == URL


def test_credentials_are_nowhere_in_clear(
    engine: Engine, desired: DesiredStreams, tmp_path: Path
) -> None:
    """Neither in the tables nor in the audit log, nor anywhere in the file."""
    save(engine, desired, CAMERA)
    with engine.begin() as connection:
        desired.note(connection, CAMERA, AT, "guard", "stream.changed")
    engine.dispose()
    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"camera/stream1" in data
    assert b"hunter2" not in data
    assert b"s3cr3t" not in data


def test_a_removed_stream_is_wanted_no_longer_and_its_credentials_go(
    engine: Engine, desired: DesiredStreams
) -> None:
    save(engine, desired, CAMERA)
    with engine.begin() as connection:
        desired.drop(connection, "lobby", AT, "guard")
        assert desired.wanted(connection) == ()
        assert connection.execute(streams.select()).one().secret is None
        assert audit.verify(connection).intact
        actions = [(entry.action, entry.by) for entry in audit.entries(connection)]
    assert actions == [("stream.removed", "guard"), ("stream.added", "guard")]


def test_a_lost_key_leaves_a_stream_that_says_so(
    engine: Engine, desired: DesiredStreams, tmp_path: Path
) -> None:
    save(engine, desired, CAMERA)
    (tmp_path / "store.key").unlink()
    with engine.connect() as connection:
        (found,) = desired.wanted(connection)
    assert "store.key, is missing" in found.source.url.fault
    assert found.source.url.redacted == CAMERA.source.url.redacted
    assert found.name == "Lobby"


def test_a_key_that_comes_back_opens_what_was_changed_meanwhile(
    engine: Engine, desired: DesiredStreams, tmp_path: Path
) -> None:
    """Without the key, another name does not cost the credentials."""
    save(engine, desired, CAMERA)
    key = tmp_path / "store.key"
    key.rename(tmp_path / "aside")
    with engine.connect() as connection:
        (locked,) = desired.wanted(connection)
    save(engine, desired, WantedStream("lobby", locked.source, "Entrance"))
    (tmp_path / "aside").rename(key)
    with engine.connect() as connection:
        (found,) = desired.wanted(connection)
    assert found.name == "Entrance"
    assert found.source.url.reveal() == URL


def test_the_audit_log_says_what_was_changed(engine: Engine, desired: DesiredStreams) -> None:
    save(engine, desired, CAMERA)
    with engine.begin() as connection:
        changed = WantedStream("lobby", CAMERA.source, "Entrance", "low", {"enter": 0.9})
        desired.save(connection, changed, AT, "guard", "stream.changed")
        newest = audit.entries(connection, subject="stream/lobby")[0]
    assert newest.detail == {"name": "Entrance"}


def test_one_stream_that_cannot_be_read_does_not_cost_the_others(
    engine: Engine, desired: DesiredStreams
) -> None:
    save(engine, desired, CAMERA)
    save(engine, desired, WantedStream("lift", SourceSettings(SourceUrl.parse("whip://"))))
    with engine.begin() as connection:
        broken = update(streams).where(streams.c.id == "lobby").values(settings="{")
        connection.execute(broken)
        assert [found.id for found in desired.wanted(connection)] == ["lift"]


def test_labels_are_kept_and_a_change_of_them_is_audited(
    engine: Engine, desired: DesiredStreams
) -> None:
    save(engine, desired, CAMERA)
    with engine.begin() as connection:
        pinned = replace(CAMERA, placement={"site": "north"})
        desired.save(connection, pinned, AT, "guard", "stream.changed")
        assert desired.wanted(connection)[0].placement == {"site": "north"}
        newest = audit.entries(connection, subject="stream/lobby")[0]
    assert newest.detail == {"placement": {"site": "north"}}


def test_a_stream_that_an_older_version_has_stored_is_pinned_to_nothing(
    engine: Engine, desired: DesiredStreams
) -> None:
    save(engine, desired, CAMERA)
    with engine.begin() as connection:
        row = connection.execute(select(streams.c.settings)).scalar_one()
        older = {key: value for key, value in json.loads(row).items() if key != "placement"}
        connection.execute(update(streams).values(settings=json.dumps(older)))
        assert desired.wanted(connection)[0].placement == {}
        desired.save(connection, replace(CAMERA, name="Door"), AT, "guard", "stream.changed")
        newest = audit.entries(connection, subject="stream/lobby")[0]
    assert newest.detail == {"name": "Door"}


def test_tags_are_kept_and_a_change_of_them_is_audited(
    engine: Engine, desired: DesiredStreams
) -> None:
    save(engine, desired, CAMERA)
    with engine.begin() as connection:
        tagged = replace(CAMERA, tags=("Berlin", "doors"))
        desired.save(connection, tagged, AT, "guard", "stream.changed")
        assert desired.wanted(connection)[0].tags == ("Berlin", "doors")
        newest = audit.entries(connection, subject="stream/lobby")[0]
    assert newest.detail == {"tags": ["Berlin", "doors"]}
