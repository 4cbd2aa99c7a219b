"""The analyzer's memory: it opens, says how it is doing, and is done without where it must be."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr
from sqlalchemy import Connection, select
from typer.testing import CliRunner

from cli.errors import ConfigInvalid
from cli.main import app
from cli.memory import Memory, restored, watched
from cli.settings import Settings, load
from cli.validation import validate
from stream.analyzer.remembered_streams import RememberedStreams
from stream.clock import SystemClock
from stream.drift.settings import DriftSettings
from stream.event_log.event_log import EventLog
from stream.ingest.source import SourceSettings, SourceUrl
from stream.monitoring.metrics import Metrics
from stream.store.access import DirectStore
from stream.store.database import FILE, Database, open_database
from stream.store.desired import DesiredStreams, WantedStream
from stream.store.errors import StoreUnavailable, StoreUrlInvalid
from stream.store.secret_box import SecretBox
from stream.store.settings import StoreSettings
from stream.store.tables import drift_hours, events, scores
from tests.support.databases import EmptyDatabase, Postgres
from tests.support.store import StoreRig
from tests.support.threads import SteppedThreads
from tests.support.web import PlayedAnalyzer
from tests.support.wire import added, score, track_started


async def test_what_is_queued_at_the_end_is_stored(empty_database: EmptyDatabase) -> None:
    settings = StoreSettings(url=SecretStr(empty_database.url))
    memory = Memory.open(settings, SystemClock(), empty_database.folder)
    log = EventLog(SystemClock())
    memory.attach(log)
    async with memory:
        for event in (added(), score(), score()):
            log.append(event)
    assert memory.health() == {"store": "ok"}
    with empty_database.open().reading() as connection:
        assert len(connection.execute(select(scores)).all()) == 2
        assert len(connection.execute(select(events)).all()) == 1


async def test_what_drift_has_gathered_at_the_end_is_stored(empty_database: EmptyDatabase) -> None:
    settings = StoreSettings(url=SecretStr(empty_database.url))
    memory = Memory.open(settings, SystemClock(), empty_database.folder)
    log = EventLog(SystemClock())
    memory.attach(log)
    drift = memory.drift(log, SystemClock(), DriftSettings())
    async with memory, watched(drift):
        for event in (added(), score(), score()):
            log.append(event)
    assert drift.waiting == 0
    with empty_database.open().reading() as connection:
        (row,) = connection.execute(select(drift_hours)).all()
    assert '"reasons":[2,' in row.data


def test_the_newest_number_is_known_from_the_start(database: Database, tmp_path: Path) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    settings = StoreSettings(url=SecretStr(url))
    assert Memory.open(settings, SystemClock(), tmp_path).newest == 0
    rig = StoreRig(database)
    numbers = rig.publish(added(), track_started())
    rig.turn()
    assert Memory.open(settings, SystemClock(), tmp_path).newest == numbers[-1]


async def test_it_can_be_turned_off(tmp_path: Path) -> None:
    memory = Memory.open(StoreSettings(enabled=False), SystemClock(), tmp_path)
    memory.attach(EventLog(SystemClock()))
    async with memory:
        assert memory.store is None
        assert memory.health() == {"store": "off: turned off"}
        assert list(memory.figures()) == []
    assert not (tmp_path / FILE).exists()


async def test_without_a_folder_to_write_in_nothing_is_stored_and_it_is_said(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "styleflow"
    with structlog.testing.capture_logs() as logs:
        memory = Memory.open(StoreSettings(), SystemClock(), folder)
    async with memory:
        said = memory.health()["store"]
    assert said.startswith("off: ")
    assert "Not a directory" in said
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert "--no-store" in logs[0]["hint"]


def test_a_server_that_is_away_is_waited_for(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.empty()
    threads = SteppedThreads()
    postgres.stop()
    try:
        settings = StoreSettings(url=SecretStr(url))
        memory = Memory.open(settings, SystemClock(), tmp_path, threads)
        log = EventLog(SystemClock())
        memory.attach(log)
        log.append(added())
        assert memory.writer is not None
        memory.writer.turn()
        assert memory.health()["store"].startswith("failing: ")
        assert "hunter2" not in memory.health()["store"]
    finally:
        postgres.start()

    async def run() -> None:
        async with memory:
            assert memory.writer is not None
            memory.writer.stop()
            threads.named("store").run()

    asyncio.run(run())
    assert memory.health() == {"store": "ok"}
    with open_database(url, tmp_path).reading() as connection:
        assert len(connection.execute(select(events)).all()) == 1


def test_the_figures_are_metrics(tmp_path: Path) -> None:
    memory = Memory.open(StoreSettings(), SystemClock(), tmp_path)
    metrics = Metrics(CollectorRegistry())
    metrics.scraped.attach(memory.figures)
    text = generate_latest(metrics.registry).decode()
    assert "styleflow_store_up 1.0" in text
    assert "styleflow_store_events_lost_total 0.0" in text
    assert (tmp_path / FILE).exists()


def test_an_address_that_is_no_database_is_refused_by_its_key(tmp_path: Path) -> None:
    settings = load(None, {"STYLEFLOW__STORE__URL": "mysql://user:hunter2@host/name"})
    with pytest.raises(ConfigInvalid, match=r"store\.url: it begins with") as caught:
        validate(settings, "file")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(StoreUrlInvalid):
        Memory.open(settings.store, SystemClock(), tmp_path)
    assert "hunter2" not in repr(settings)
    assert Settings().store.url.get_secret_value() == ""


@pytest.mark.parametrize(("options", "enabled"), [([], True), (["--no-store"], False)])
def test_an_option_turns_it_off(
    monkeypatch: pytest.MonkeyPatch, options: list[str], enabled: bool
) -> None:
    seen: list[Settings] = []
    monkeypatch.setattr("cli.serve.run", lambda settings, *_, **__: seen.append(settings))
    assert CliRunner().invoke(app, ["serve", *options]).exit_code == 0
    assert seen[0].store.enabled is enabled


class FlakyStore(DirectStore):
    """A store that cannot be read a few times."""

    away = 2

    def reading(self) -> AbstractContextManager[Connection]:
        """Fail while the database is away."""
        if self.away:
            self.away -= 1
            raise StoreUnavailable("postgresql://db", "it is away")
        return super().reading()


class QuickClock(SystemClock):
    """A clock whose waits are over at once."""

    async def sleep(self, seconds: float) -> None:
        """Let others have their turn."""
        await asyncio.sleep(0)


async def test_streams_come_back_when_the_database_does(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'store.db'}", tmp_path)
    desired = DesiredStreams(SecretBox(tmp_path / "store.key"))
    wanted = WantedStream("lobby", SourceSettings(SourceUrl.parse("rtsp://camera/1")))
    with database.writing() as connection:
        desired.save(connection, wanted, SystemClock().utc(), "guard", "stream.added")
    analyzer, clock = PlayedAnalyzer(EventLog(SystemClock())), QuickClock()
    editor = RememberedStreams(analyzer, FlakyStore(database.engine), desired, clock)
    async with restored(editor, clock):
        assert analyzer.specs == {}
        async with asyncio.timeout(30):
            while not analyzer.specs:
                await clock.sleep(1)
    assert list(analyzer.specs) == ["lobby"]
    database.close()


async def test_without_a_store_nothing_is_restored() -> None:
    async with restored(None, SystemClock()):
        pass
