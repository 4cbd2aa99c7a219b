"""A running analyzer remembers: scores and events are in its database when it has gone."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Table, func, select

from stream.store.database import FILE, open_database
from stream.store.tables import events, pulses, score_seconds, scores, streams
from tests.support.databases import EmptyDatabase, Postgres
from tests.support.server import Server

pytestmark = pytest.mark.e2e


def config(folder: Path, url: str = "", **more: Any) -> Path:
    """Return a file of settings."""
    file = folder / "config.yaml"
    keys = "".join(f"  {key}: {value}\n" for key, value in more.items())
    file.write_text(f"store:\n  url: '{url}'\n{keys}log: {{level: info}}\n")
    return file


def count(url: str, folder: Path, table: Table) -> int:
    """Return how many rows a table has."""
    database = open_database(url, folder)
    with database.reading() as connection:
        found = connection.execute(select(func.count()).select_from(table)).scalar_one()
    database.close()
    return int(found)


def details(server: Server) -> dict[str, str]:
    """Return what `/readyz` says."""
    told: dict[str, str] = httpx.get(f"{server.url}/readyz", timeout=20).json()["details"]
    return told


@pytest.mark.timeout(200)
def test_what_was_scored_is_in_the_database(empty_database: EmptyDatabase, tmp_path: Path) -> None:
    """Demo streams, too; a second process finds it and goes on."""
    url, kept = empty_database.url, []
    for _ in range(2):
        with Server(config(tmp_path, url)) as server:
            if "lobby" not in httpx.get(f"{server.url}/api/v1/streams", timeout=20).text:
                assert server.add("lobby", "demo://authentic").status_code == 201
            server.wait_for_metric("styleflow_scores_total", 3, 90)
            server.wait_for_metric("styleflow_store_rows_total", 6, 30)
            assert details(server)["store"] == "ok"
        assert server.exit_code == 0
        kept.append([count(url, tmp_path, table) for table in (scores, pulses, events)])
    assert all(before < after for before, after in zip(*kept, strict=True))
    assert count(url, tmp_path, score_seconds) > 0
    assert count(url, tmp_path, streams) == 1


@pytest.mark.timeout(200)
def test_a_killed_analyzer_is_remembered(tmp_path: Path) -> None:
    env = {"XDG_DATA_HOME": str(tmp_path)}
    with Server(env=env) as server:
        assert server.add("lobby", "demo://authentic").status_code == 201
        server.wait_for_metric("styleflow_scores_total", 2, 90)
        server.wait_for_metric("styleflow_store_rows_total", 8, 30)
        os.kill(server.pid, signal.SIGKILL)
    url = f"sqlite:///{tmp_path / 'styleflow' / FILE}"
    assert count(url, tmp_path, events) > 0
    assert count(url, tmp_path, pulses) > 0
    with Server(env=env) as server:
        assert details(server)["store"] == "ok"


@pytest.mark.timeout(200)
def test_a_server_that_goes_away_and_returns(postgres: Postgres, tmp_path: Path) -> None:
    """Scoring goes on, `/readyz` and the log say what is wrong, and nothing needs to be done."""
    url = postgres.empty()
    with Server(config(tmp_path, url)) as server:
        assert server.add("lobby", "demo://authentic").status_code == 201
        server.wait_for_metric("styleflow_store_rows_total", 6, 90)
        postgres.stop()
        try:
            server.wait_for_metric("styleflow_store_failures_total", 1, 30)
            scored = server.metric("styleflow_scores_total")
            assert server.metric("styleflow_store_up") == 0
            assert details(server)["store"].startswith("failing: ")
            server.wait_for_metric("styleflow_scores_total", scored + 2, 60)
        finally:
            postgres.start()
        stored = server.metric("styleflow_store_rows_total")
        server.wait_for_metric("styleflow_store_rows_total", stored + 1, 60)
        assert server.metric("styleflow_store_up") == 1
        assert server.metric("styleflow_store_events_lost_total") == 0
    told = "\n".join(server.log)
    assert told.count("the store cannot be written") == 1
    assert told.count("the store is written again") == 1
    assert "hunter2" not in told


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    with Server(config(tmp_path, enabled="false"), {"XDG_DATA_HOME": str(tmp_path)}) as server:
        assert details(server)["store"] == "off: turned off"
    assert not (tmp_path / "styleflow" / FILE).exists()


def test_a_home_that_cannot_be_written_is_said_and_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Server(env={"XDG_DATA_HOME": str(tmp_path / "file")}) as server:
        assert "Not a directory" in details(server)["store"]
        assert httpx.get(f"{server.url}/readyz", timeout=20).json()["ready"]
    assert "nothing is stored" in "\n".join(server.log)


@pytest.mark.timeout(200)
def test_a_stream_that_was_added_is_there_after_a_restart(tmp_path: Path) -> None:
    """Without its password anywhere on disk; a key that is lost is said."""
    url = f"sqlite:///{tmp_path / 'store' / 'store.db'}"
    (tmp_path / "store").mkdir()
    with Server(config(tmp_path, url)) as server:
        assert server.add("gate", "rtsp://admin:hunter2@127.0.0.1:9/live").status_code == 201
        assert server.add("gone", "demo://authentic").status_code == 201
        assert httpx.delete(f"{server.url}/api/v1/streams/gone", timeout=20).status_code == 204
    stored = {path: path.read_bytes() for path in (tmp_path / "store").iterdir()}
    assert not [path for path, data in stored.items() if b"hunter2" in data]
    key = tmp_path / "store" / "store.key"
    assert key.stat().st_mode & 0o777 == 0o600
    with Server(config(tmp_path, url)) as server:
        found = httpx.get(f"{server.url}/api/v1/streams", timeout=20).json()["streams"]
        assert [(one["id"], one["source"]) for one in found] == [
            ("gate", "rtsp://***@127.0.0.1:9/live")
        ]
        audit = httpx.get(f"{server.url}/api/v1/audit", timeout=20).json()["entries"]
        assert [entry["action"] for entry in audit] == [
            "stream.removed",
            "stream.added",
            "stream.added",
        ]
    key.unlink()
    with Server(config(tmp_path, url)) as server:
        with server.watching("gate") as watcher:
            watcher.wait(lambda message: '"auth"' in json.dumps(message), "a failure that is told")
        told = httpx.get(f"{server.url}/api/v1/streams/gate", timeout=20).json()
        assert "store.key, is missing" in told["detail"]
