"""Streams after a restart: what the API did is there again, and nothing else."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine
from structlog.testing import capture_logs

from stream.analyzer.remembered_streams import RememberedStreams
from stream.analyzer.streams import Priority, StreamSpec
from stream.clock import ManualClock
from stream.errors import StreamExists, StreamUnknown, TooManyStreams
from stream.event_log.event_log import EventLog
from stream.ingest.source import SourceSettings, SourceUrl
from stream.store import audit, tables
from stream.store.access import DirectStore, StoreAccess
from stream.store.desired import DesiredStreams
from stream.store.secret_box import SecretBox
from tests.support.web import PlayedAnalyzer

URL = "rtsp://admin:hunter2@camera/stream1"


def spec(id: str = "lobby", **options: Any) -> StreamSpec:
    """Return a camera's settings."""
    return StreamSpec(id, SourceSettings(SourceUrl.parse(URL)), **options)


class Site:
    """A database, and the analyzers that run on it one after the other."""

    def __init__(self, folder: Path) -> None:
        self.engine: Engine = create_engine(f"sqlite:///{folder / 'store.db'}")
        self.key = folder / "store.key"
        tables.metadata.create_all(self.engine)

    def start(
        self, *configured: str, store: StoreAccess | None = None
    ) -> tuple[PlayedAnalyzer, RememberedStreams]:
        """Return a fresh analyzer, and the control that remembers."""
        analyzer, clock = PlayedAnalyzer(EventLog(ManualClock())), ManualClock()
        desired = DesiredStreams(SecretBox(self.key))
        streams = RememberedStreams(
            analyzer, store or DirectStore(self.engine), desired, clock, configured
        )
        return analyzer, streams

    def audited(self) -> list[tuple[str, str]]:
        """Return action and subject of every audit entry, oldest first."""
        with self.engine.connect() as connection:
            assert audit.verify(connection).intact
            found = [(e.action, e.subject) for e in audit.entries(connection)]
        return found[::-1]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site without streams."""
    return Site(tmp_path)


async def test_an_added_stream_is_there_after_a_restart(site: Site) -> None:
    _, streams = site.start()
    await streams.add(spec(name="Lobby", priority=Priority.LOW))
    analyzer, streams = site.start()
    await streams.restore()
    assert analyzer.specs == {"lobby": spec(name="Lobby", priority=Priority.LOW)}
    assert site.audited() == [("stream.added", "stream/lobby")]


async def test_changes_and_removals_last_too(site: Site) -> None:
    _, streams = site.start()
    await streams.add(spec("lobby"))
    await streams.add(spec("lift"))
    await streams.change(replace(streams.spec("lobby"), name="Entrance"))
    await streams.retune(replace(await streams.thresholds(), enter=0.95), "lobby")
    await streams.remove("lift")
    analyzer, streams = site.start()
    await streams.restore()
    assert list(analyzer.specs) == ["lobby"]
    assert analyzer.specs["lobby"].name == "Entrance"
    assert analyzer.engines["lobby"].enter == 0.95
    assert [action for action, _ in site.audited()] == [
        "stream.added",
        "stream.added",
        "stream.changed",
        "stream.changed",
        "stream.removed",
    ]


async def test_the_configuration_wins_over_a_stored_stream_of_its_name(site: Site) -> None:
    _, streams = site.start()
    await streams.add(spec(name="stored"))
    analyzer, streams = site.start("lobby")
    await analyzer.add(spec(name="of the file"))
    with capture_logs() as logs:
        await streams.restore()
    assert analyzer.specs["lobby"].name == "of the file"
    assert [(line["event"], line["stream"]) for line in logs] == [
        ("the configuration names a stored stream and wins", "lobby")
    ]
    await streams.remove("lobby")  # of the file: nothing is forgotten
    analyzer, streams = site.start()
    await streams.restore()
    assert analyzer.specs["lobby"].name == "stored"


async def test_streams_of_the_configuration_are_not_remembered_but_changes_are_noted(
    site: Site,
) -> None:
    analyzer, streams = site.start("lobby")
    await analyzer.add(spec())
    await streams.change(spec(name="changed"))
    analyzer, streams = site.start()
    await streams.restore()
    assert analyzer.specs == {}
    assert site.audited() == [("stream.changed", "stream/lobby")]


async def test_streams_that_calls_create_are_not_remembered(site: Site) -> None:
    analyzer, streams = site.start()
    await analyzer.add(StreamSpec("call", SourceSettings(SourceUrl.parse("whip://"))))
    await streams.change(replace(streams.spec("call"), name="somebody"))
    analyzer, streams = site.start()
    await streams.restore()
    assert analyzer.specs == {}


async def test_a_lost_key_lets_every_stream_come_back_and_say_so(site: Site) -> None:
    _, streams = site.start()
    await streams.add(spec())
    site.key.unlink()
    analyzer, streams = site.start()
    await streams.restore()
    assert "is missing" in analyzer.specs["lobby"].source.url.fault
    assert analyzer.specs["lobby"].source.url.redacted == "rtsp://***@camera/stream1"


async def test_a_stream_that_cannot_be_started_costs_no_other(site: Site) -> None:
    _, streams = site.start()
    await streams.add(spec("lift"))
    await streams.add(spec("lobby"))
    analyzer, streams = site.start()
    await analyzer.add(spec("lift", name="was there first"))
    with capture_logs() as logs:
        await streams.restore()
    assert sorted(analyzer.specs) == ["lift", "lobby"]
    assert "lift" in [line.get("stream") for line in logs]


async def test_what_is_refused_is_not_remembered(site: Site) -> None:
    _, streams = site.start()
    await streams.add(spec())
    with pytest.raises(StreamExists):
        await streams.add(spec(name="again"))
    with pytest.raises(StreamUnknown):
        await streams.remove("lift")
    assert site.audited() == [("stream.added", "stream/lobby")]


class BrokenStore:
    """A store whose disk is full."""

    def submit(self, write: Any) -> Future[Any]:
        """Fail."""
        future: Future[Any] = Future()
        future.set_exception(OSError("no space left on device"))
        return future

    def reading(self) -> AbstractContextManager[Connection]:
        """Fail."""
        raise StreamUnknown("any error of ours")


async def test_a_broken_store_stops_no_stream(site: Site) -> None:
    analyzer, streams = site.start(store=BrokenStore())
    assert not await streams.restore()
    with capture_logs() as logs:
        await streams.add(spec())
    assert list(analyzer.specs) == ["lobby"]
    assert streams.forgotten == 1
    assert logs[0]["event"] == "a change of a stream is not remembered"


async def test_a_stored_stream_that_cannot_be_started_can_be_removed(site: Site) -> None:
    _, streams = site.start()
    await streams.add(spec())
    await streams.add(spec("lift"))
    with site.engine.begin() as connection:
        where = tables.streams.c.id == "lift"
        connection.execute(tables.streams.update().where(where).values(settings="no JSON"))
    analyzer, streams = site.start()
    analyzer.full = TooManyStreams(1)
    await streams.restore()
    assert analyzer.specs == {}
    await streams.remove("lobby")
    await streams.remove("lift")
    with pytest.raises(StreamUnknown):
        await streams.remove("lift")
    analyzer, streams = site.start()
    await streams.restore()
    assert analyzer.specs == {}
    assert [each for each in site.audited() if each[0] == "stream.removed"] == [
        ("stream.removed", "stream/lobby"),
        ("stream.removed", "stream/lift"),
    ]


async def test_labels_of_its_worker_last_too(site: Site) -> None:
    _, streams = site.start()
    await streams.add(spec(placement={"site": "north"}))
    analyzer, streams = site.start()
    await streams.restore()
    assert analyzer.specs["lobby"].placement == {"site": "north"}


async def test_streams_that_another_gateway_has_started_are_no_fault(site: Site) -> None:
    _, streams = site.start()
    await streams.add(spec())
    analyzer, streams = site.start()
    await analyzer.add(spec())
    with capture_logs() as lines:
        assert await streams.restore()
    assert [line for line in lines if line["log_level"] == "error"] == []
    await streams.remove("lobby")
    again, streams = site.start()
    await streams.restore()
    assert again.specs == {}


async def test_stored_streams_can_be_started_in_another_way_than_added_ones(site: Site) -> None:
    _, streams = site.start()
    await streams.add(spec())
    analyzer, clock = PlayedAnalyzer(EventLog(ManualClock())), ManualClock()
    desired, wanted = DesiredStreams(SecretBox(site.key)), list[StreamSpec]()

    async def start(spec: StreamSpec) -> None:
        wanted.append(spec)

    streams = RememberedStreams(analyzer, DirectStore(site.engine), desired, clock, (), start)
    await streams.restore()
    assert wanted == [spec()]
    assert analyzer.specs == {}
    await streams.add(spec("lift"))
    assert list(analyzer.specs) == ["lift"]


async def test_a_name_and_tags_last_too(site: Site) -> None:
    _, streams = site.start()
    await streams.add(spec("lobby"))
    await streams.change(
        replace(streams.spec("lobby"), name="North door", tags=("Berlin", "doors"))
    )
    analyzer, streams = site.start()
    await streams.restore()
    assert analyzer.specs["lobby"].name == "North door"
    assert analyzer.specs["lobby"].tags == ("Berlin", "doors")
    assert site.audited()[-1] == ("stream.changed", "stream/lobby")
