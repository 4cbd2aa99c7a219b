"""A rolling upgrade of real workers: `styleflow cluster upgrade` beside a gateway that goes on.

The figures of the round are logged: pauses of scores are of this machine, at this load.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import pytest
import structlog

from benchmarks.fault_judge import Heard, heard, judge
from tests.support.ray_head import RayHead
from tests.support.server import Server, Watcher, score_of

pytest.importorskip("ray", reason="the extra `cluster` is not installed")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

log = structlog.get_logger(__name__)

ROOT = Path(__file__).resolve().parents[2]
STREAMS = ("lobby", "gate", "yard", "door")
SETTLE_S = 5.0


def config(folder: Path, room: int) -> Path:
    """Return a configuration file; workers of another room are other workers."""
    urls = ("authentic", "tampered")
    streams = [
        {"id": id, "source": {"url": f"demo://{urls[number % 2]}"}}
        for number, id in enumerate(STREAMS)
    ]
    parts = {
        "streams": streams,
        "evidence": {"enabled": False},
        "analyzer": {"max_streams": room},
        "overload": {"enabled": False},
        "store": {"url": f"sqlite:///{folder}/store.db"},
    }
    path = folder / f"{room}.yaml"
    path.write_text(json.dumps(parts))
    return path


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayHead]:
    data = tmp_path_factory.mktemp("data")
    with RayHead(2, {"XDG_DATA_HOME": str(data)}) as head:
        yield head


def workers(server: Server) -> dict[str, dict[str, Any]]:
    """Return the workers by name."""
    told = httpx.get(f"{server.url}/api/v1/workers", timeout=20).json()["workers"]
    return {worker["name"]: worker for worker in told}


def until(holds: Callable[[], bool], what: str, within_s: float = 60) -> None:
    """Wait until something holds."""
    pause = threading.Event()
    for _ in range(int(within_s / 0.2)):
        if holds():
            return
        pause.wait(0.2)
    raise AssertionError(f"not {what} within {within_s} s")


def upgrade(head: RayHead, config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Make a round."""
    command = [sys.executable, "-m", "cli.main", "cluster", "upgrade", "--config", str(config)]
    return subprocess.run(
        [*command, "--cluster", head.address, *options],
        env={**os.environ, **head.env, "COLUMNS": "200"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def at(message: dict[str, Any]) -> float:
    """Return when the event behind a message was logged, seconds since 1970."""
    return datetime.fromisoformat(message["ts_emit"]).timestamp()


def stored(server: Server, since: float) -> list[Heard]:
    """Return the stored events since a time."""
    query: dict[str, Any] = {"from": since, "limit": 500}
    found: list[Heard] = []
    while True:
        answer = httpx.get(f"{server.url}/api/v1/events", params=query, timeout=20)
        page = answer.raise_for_status().json()
        found += [each for m in page["events"] if (each := heard(m, at(m))) is not None]
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]


def pauses(watcher: Watcher, since: float) -> list[float]:
    """Return for each move how long its stream was without a score, by when they were made."""
    found = []
    for stream in STREAMS:
        scores = [m for m in watcher.messages if score_of(stream)(m) and at(m) >= since]
        for before, after in pairwise(scores):
            if before["epoch"] >> 20 != after["epoch"] >> 20:
                found.append(at(after) - at(before))
    return found


def test_a_round_replaces_every_worker_and_loses_no_event(head: RayHead, tmp_path: Path) -> None:
    old, new = config(tmp_path, 16), config(tmp_path, 17)
    arguments = ("--cluster", head.address, "--workers", "2")
    with (
        Server(old, head.env, arguments=arguments) as server,
        server.watching() as watcher,
    ):
        for stream in STREAMS:
            watcher.wait(score_of(stream), f"score of {stream}", 120)
        before = workers(server)
        assert [worker["outdated"] for worker in before.values()] == [False, False]
        since = at(watcher.messages[-1])
        done = upgrade(head, new)
        assert done.returncode == 0, done.stderr
        assert "Replaced: worker-1, worker-2." in done.stderr
        until(lambda: len(workers(server)) == 2, "two workers")
        after = workers(server)
        for name, worker in after.items():
            assert worker["pid"] != before[name]["pid"]
            assert (worker["max_streams"], worker["alive"], worker["draining"]) == (17, True, False)
            assert worker["outdated"]  # than this gateway, whose settings are the old ones
            assert len(worker["streams"]) == 2
        newest = {m["stream"]: m["seq"] for m in watcher.messages}
        for stream in STREAMS:
            watcher.wait(score_of(stream, newest[stream]), f"score of {stream}")
        settled = at(watcher.messages[-1])
        threading.Event().wait(SETTLE_S)
        told = [each for m in watcher.messages if (each := heard(m, at(m))) is not None]
        verdict = judge(
            "upgrade",
            since,
            told,
            stored(server, since),
            affected={},
            noticed=None,
            moves=True,
            since=since,
            settled=settled,
        )
        moved = pauses(watcher, since)
        log.info(
            "a round",
            workers=len(after),
            streams=len(STREAMS),
            moves=len(moved),
            pause_s=round(median(moved), 2),
            pause_most_s=round(max(moved), 2),
            lost=verdict.lost,
            split_brain=verdict.split_brain,
            told=done.stderr.splitlines(),
        )
        assert watcher.code is None  # nobody was sent away
        assert (verdict.unstored, verdict.unshown, verdict.split_brain) == ((), (), 0)
        assert (verdict.stored_late, verdict.repeated) == (0, 0)

        again = upgrade(head, new)
        assert (again.returncode, "Every worker is up to date." in again.stderr) == (0, True)
