"""`styleflow baseline`: known-real video becomes a file that the analyzer looks at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import baseline as work
from cli import wiring
from cli.baseline_wiring import baselines_kept
from cli.main import app
from stream.baseline.book import BaselineBook
from stream.baseline.settings import BaselineSettings
from stream.baseline.shelf import BaselineShelf
from stream.clock import ManualClock
from stream.event_log.event_log import EventLog
from stream.events import Event
from stream.store import audit
from stream.store.database import open_database
from tests.support.baselines import H264, baseline, rated
from tests.support.media import encode, moving_pictures
from tests.support.path import EAGER, toy_pipeline
from tests.support.wire import score

RUNNER = CliRunner()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store, a folder of baselines, a short video, and a toy network that rates it."""
    monkeypatch.setenv("STYLEFLOW__STORE__URL", f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.setenv("STYLEFLOW__BASELINE__FOLDER", str(tmp_path / "kept"))
    monkeypatch.setattr(wiring, "pipeline", lambda *_, **__: toy_pipeline(settings=EAGER))
    encode(tmp_path / "lobby.mp4", moving_pictures(40), gop=20)
    return tmp_path


def plays(monkeypatch: pytest.MonkeyPatch, minutes: float) -> None:
    """Have every file be so many minutes of one face."""

    def replay(_: Any, pipeline: Any, on_event: Callable[[Event], None], **__: Any) -> None:
        name = pipeline.device.detector.card.name
        for n in range(round(minutes * 240)):
            at = (n + 1) * 0.25
            on_event(score(end=at, logit=0.3 + (n % 40) / 100, capture=H264, detector=name))

    monkeypatch.setattr(work, "replay", replay)


def run(*words: str, ends: int = 0) -> str:
    """Run a command of `baseline` and return what it says."""
    result = RUNNER.invoke(app, ["baseline", *words])
    assert result.exit_code == ends, result.output
    return result.output


def test_a_file_becomes_a_baseline_that_is_listed_and_forgotten(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays(monkeypatch, 5.0)
    said = run("add", "lobby", "--from", str(site / "lobby.mp4"), "--name", "The lobby")
    assert "lobby: 4.9 min of evidence in 74 trials of 1 faces" in said
    assert "decision.by to budget" in said
    listed = run("list")
    assert all(word in listed for word in ("lobby", "The lobby", "the file lobby.mp4"))
    (kept,) = json.loads(run("list", "--json"))
    assert kept["statistics"]["conditions"]["codecs"] == ["h264"]
    run("remove", "lobby")
    assert run("list").strip() == "no baselines"
    database = open_database(f"sqlite:///{site / 'store.db'}", site)
    with database.reading() as connection:
        found = audit.entries(connection, subject="stream/lobby")
    database.close()
    assert [entry.action for entry in found] == ["baseline.removed", "baseline.added"]
    assert found[1].by.startswith("command line")


@pytest.mark.usefixtures("site")
def test_without_a_store_there_is_no_audit_log_and_a_baseline_all_the_same(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLEFLOW__STORE__ENABLED", "false")
    plays(monkeypatch, 5.0)
    run("add", "lobby", "--from", str(site / "lobby.mp4"))
    assert set(BaselineShelf(site / "kept").all()) == {"lobby"}
    assert not (site / "store.db").exists()


def test_a_real_file_that_is_too_short_says_how_long_it_must_be(site: Path) -> None:
    said = run("add", "lobby", "--from", str(site / "lobby.mp4"), ends=1)
    assert "a baseline needs 3" in said
    assert not (site / "kept").exists()


def test_what_is_no_stream_or_no_file_is_refused(site: Path) -> None:
    assert "no stream can have the id" in run("add", "a/b", "--from", "x.mp4", ends=2)
    assert "no.mp4" in run("add", "a", "--from", str(site / "no.mp4"), ends=1)
    assert "no baseline" in run("remove", "lobby", ends=1)


async def test_an_analyzer_has_them_before_its_first_stream(tmp_path: Path) -> None:
    BaselineShelf(tmp_path).put(baseline(days=36500))
    book, log, clock = BaselineBook(decides=True), EventLog(ManualClock()), ManualClock()
    settings = BaselineSettings(folder=tmp_path)
    async with baselines_kept(book, rated(), log, clock, settings, None) as baselines:
        assert [kept.baseline.stream for kept in baselines.all()] == ["lobby"]
        assert book.get("lobby") is not None
