"""`serve --workers 2`, over real Ray: streams are spread, drained, killed, and gone at last.

One server for all of them, in the order in which they stand here: what each leaves is what the next
one begins with. Where Ray is not installed there is nothing to test.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stream.publish.schema import CloseCode
from tests.support.server import Server, Watcher, score_of

pytest.importorskip("ray", reason="the extra `cluster` is not installed")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

STREAMS = """\
streams:
  - {id: lobby, source: {url: "demo://authentic"}}
  - {id: gate, source: {url: "demo://tampered"}}
evidence: {enabled: false}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("cluster")
    config = folder / "config.yaml"
    config.write_text(STREAMS)
    env = {"XDG_DATA_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    with Server(config, env, arguments=("--workers", "2")) as server:
        yield server


@pytest.fixture(scope="module")
def watcher(server: Server) -> Iterator[Watcher]:
    with server.watching() as watcher:
        yield watcher


def workers(server: Server) -> dict[str, dict[str, Any]]:
    """Return the workers by name."""
    told = httpx.get(f"{server.url}/api/v1/workers", timeout=20).json()["workers"]
    return {worker["name"]: worker for worker in told}


def owner(server: Server, stream: str) -> str:
    """Return the name of the worker that runs a stream; empty while nobody does."""
    found = [name for name, worker in workers(server).items() if stream in worker["streams"]]
    return found[0] if found else ""


def until(holds: Callable[[], bool], what: str, within_s: float = 60) -> None:
    """Wait until something holds."""
    pause = threading.Event()
    for _ in range(int(within_s / 0.2)):
        if holds():
            return
        pause.wait(0.2)
    raise AssertionError(f"not {what} within {within_s} s")


def newest(watcher: Watcher, stream: str) -> int:
    """Return the number of the newest score of a stream."""
    scores = [m["seq"] for m in watcher.messages if score_of(stream)(m)]
    return max(scores, default=0)


def test_streams_are_spread_and_all_scores_come_over_one_websocket(
    server: Server, watcher: Watcher
) -> None:
    for stream in ("lobby", "gate"):
        watcher.wait(score_of(stream), f"score of {stream}")
    assert {owner(server, "lobby"), owner(server, "gate")} == {"worker-1", "worker-2"}
    pids = {worker["pid"] for worker in workers(server).values()}
    assert len(pids) == 2
    assert server.pid not in pids
    assert any("worker=worker-1" in line for line in server.log)


def test_pictures_and_thresholds_come_from_the_worker_that_has_the_stream(server: Server) -> None:
    for stream in ("lobby", "gate"):
        picture = f"{server.url}/api/v1/streams/{stream}/picture.jpg"
        until(lambda at=picture: httpx.get(at, timeout=20).status_code == 200, "a picture")  # type: ignore[misc]
    thresholds = f"{server.url}/api/v1/streams/lobby/thresholds"
    assert httpx.patch(thresholds, json={"enter": 0.83}, timeout=20).status_code == 200
    assert httpx.get(thresholds, timeout=20).json()["current"]["enter"] == 0.83


def test_a_drained_worker_s_streams_are_scored_elsewhere_by_the_same_thresholds(
    server: Server, watcher: Watcher
) -> None:
    drained, before = owner(server, "lobby"), newest(watcher, "lobby")
    drain = f"{server.url}/api/v1/workers/{drained}/drain"
    assert httpx.put(drain, timeout=20).status_code == 200
    until(lambda: owner(server, "lobby") not in ("", drained), "moved")
    moved = newest(watcher, "lobby")
    assert moved >= before
    watcher.wait(score_of("lobby", after=moved), "score at the new worker")
    told = httpx.get(f"{server.url}/api/v1/streams/lobby/thresholds", timeout=20).json()
    assert told["current"]["enter"] == 0.83
    assert workers(server)[drained]["streams"] == []
    assert httpx.delete(drain, timeout=20).status_code == 200


def test_a_killed_worker_s_streams_are_scored_elsewhere_and_its_process_is_started_again(
    server: Server, watcher: Watcher
) -> None:
    name = owner(server, "gate")
    killed = workers(server)[name]
    epochs = {m["stream"]: m["epoch"] for m in watcher.messages if m["type"] == "score"}
    os.kill(killed["pid"], signal.SIGKILL)
    until(lambda: watcher.code is not None, "asked to connect again")
    assert (
        watcher.code == CloseCode.RESTARTING
    )  # what the old owner said last may be in the store only
    with server.watching() as again:
        for stream in killed["streams"]:
            newer = score_of(stream, epoch=epochs[stream] + 1)
            again.wait(newer, f"score of {stream} by its next owner")
            until(lambda at=stream: owner(server, at) not in ("", name), "moved")  # type: ignore[misc]
    watcher.messages += again.messages
    until(lambda: workers(server)[name]["pid"] != killed["pid"], "started again", 120)
    until(lambda: workers(server)[name]["alive"], "alive")


def test_no_score_of_an_old_owner_comes_after_the_new_one_s_first(watcher: Watcher) -> None:
    for stream in ("lobby", "gate"):
        told = [m for m in watcher.messages if score_of(stream)(m)]
        assert [m["seq"] for m in told] == sorted(m["seq"] for m in told)
        assert [m["epoch"] for m in told] == sorted(m["epoch"] for m in told)


def test_nothing_is_left_when_the_serving_process_is_killed(server: Server) -> None:
    """Ray's two helpers of a node look for it now and then, and end a minute later."""
    started = {pid: command(pid) for pid in descendants(server.pid)}
    kinds = ("/raylet ", "/gcs_server ", "ray::WorkerActor", "ray::DirectorActor")
    kept = {pid for pid, name in started.items() if any(kind in name for kind in kinds)}
    assert all(any(kind in name for name in started.values()) for kind in kinds)
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not any(is_running(pid) for pid in kept), "all ended")


def descendants(pid: int) -> set[int]:
    """Return the processes below a process."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue  # it has ended meanwhile
        parents[int(stat.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found, todo = set(), {pid}
    while todo:
        todo = {child for child, parent in parents.items() if parent in todo} - found
        found |= todo
    return found


def command(pid: int) -> str:
    """Return what a process was started as; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def is_running(pid: int) -> bool:
    """Say whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
