"""The whole path: real RTSP servers, a real analyzer process, real WebSockets.

The camera plays a face: a real clip where the shared clips are at hand, otherwise the demo's.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import websockets.sync.client
from websockets.typing import Subprotocol

from stream.publish.schema import SUBPROTOCOL
from tests.support.media import encode, face_pictures
from tests.support.rtsp import Media, RtspServer
from tests.support.server import Server, score_of, state_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Media]:
    folder = tmp_path_factory.mktemp("cameras")
    pictures = face_pictures(150)
    return {
        "/h264": Media(encode(folder / "h264.mp4", pictures, "h264", gop=12)),
        "/h265": Media(encode(folder / "h265.mp4", pictures, "hevc", gop=25)),
    }


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def camera(cameras: dict[str, Media]) -> Iterator[RtspServer]:
    with RtspServer(cameras) as running:
        yield running


@pytest.mark.parametrize("path", ["/h264", "/h265"])
def test_a_camera_becomes_scores(server: Server, camera: RtspServer, path: str) -> None:
    """POST a camera, and its scores arrive; every one says that the model is experimental."""
    stream = f"cam{path.replace('/', '-')}"
    with server.watching(f"{stream}*") as watcher:
        answer = server.add(stream, camera.url(path))
        assert answer.status_code == 201
        message = watcher.wait(score_of(stream), "score")
    data = message["data"]
    assert 0 <= data["lo"] <= data["p"] <= data["hi"] <= 1
    assert "untrained" not in data["reasons"]
    assert "experimental" in data["notice"]
    assert data["model"]["status"] == "experimental"
    assert data["model"]["mode"] == "causal"
    assert data["latency_ms"] > 0
    assert data["box"]["x1"] > data["box"]["x0"]
    assert server.remove(stream).status_code in (200, 204)
    assert httpx.get(f"{server.url}/api/v1/streams/{stream}", timeout=20).status_code == 404


def test_a_camera_that_dies_comes_back_in_a_new_epoch(server: Server, camera: RtspServer) -> None:
    """Down and up are events, scores resume, and the stream beside it notices nothing."""
    with server.watching() as watcher:
        server.add("dying", camera.url("/h264"))
        server.add("steady", "demo://authentic")
        before = watcher.wait(score_of("dying"), "score before")
        steady = watcher.wait(score_of("steady"), "score of the other stream")
        camera.kill()
        down = watcher.wait(state_of("dying", "backing_off", before["seq"]), "down event")
        assert down["data"]["code"] in ("ended", "unreachable", "corrupt", "timeout")
        assert down["data"]["retry_in_s"] <= 30
        camera.start()
        up = watcher.wait(state_of("dying", "live", down["seq"]), "up event")
        after = watcher.wait(score_of("dying", after=up["seq"]), "score after")
        assert after["epoch"] > before["epoch"]
        later = watcher.wait(score_of("steady", after=steady["seq"] + 3), "later score")
        assert later["epoch"] == steady["epoch"]
        disturbed = [
            m["data"]["kind"]
            for m in watcher.messages
            if m["type"] == "event" and m["stream"] == "steady" and m["seq"] > steady["seq"]
        ]
        assert "stream_changed" not in disturbed
        assert "track_ended" not in disturbed
    assert server.metric("styleflow_reconnects_total", stream="dying") >= 1
    server.remove("dying")
    server.remove("steady")


def test_a_wrong_password_is_said_and_never_shown(
    server: Server, cameras: dict[str, Media]
) -> None:
    secret = "hunter2-p@ss/w:rd"
    with RtspServer(cameras, user="viewer", password="right") as camera:
        with server.watching("locked*") as watcher:
            answer = server.add("locked", camera.url("/h264", "viewer", secret))
            assert answer.status_code == 201
            failed = watcher.wait(state_of("locked", "failed"), "failed event")
            assert failed["data"]["code"] == "auth"
            assert failed["data"]["retry_in_s"] >= 30
            told = [answer.text, str(watcher.messages)]
        told.append(httpx.get(f"{server.url}/api/v1/streams", timeout=20).text)
        told.append(httpx.get(f"{server.url}/metrics", timeout=20).text)
        server.remove("locked")
    told += server.log
    assert not [text for text in told if "hunter2" in text or "p%40ss" in text]


def test_a_black_hole_and_a_silent_server_hurt_only_themselves(
    server: Server, camera: RtspServer
) -> None:
    """One address never answers, one accepts and stays silent; the camera beside them scores."""
    with socket.socket() as full, socket.socket() as silent:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        held: list[socket.socket] = []
        accepting = threading.Thread(target=lambda: held.append(silent.accept()[0]), daemon=True)
        accepting.start()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # fill the backlog: further connections get no answer at all
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        with server.watching() as watcher:
            server.add("black-hole", f"rtsp://127.0.0.1:{full.getsockname()[1]}/cam")
            server.add("silent", f"rtsp://127.0.0.1:{silent.getsockname()[1]}/cam")
            server.add("healthy", camera.url("/h264"))
            watcher.wait(score_of("healthy"), "score of the healthy camera")
            for stream in ("black-hole", "silent"):
                down = watcher.wait(state_of(stream, "backing_off"), f"{stream} down")
                assert down["data"]["code"] in ("timeout", "unreachable")
        for stream in ("black-hole", "silent", "healthy"):
            assert server.remove(stream).status_code in (200, 204)
        for filler in [*fillers, *held]:
            filler.close()


def test_lost_packets_are_set_aside_not_scored(server: Server, cameras: dict[str, Media]) -> None:
    """Loss is counted as contaminated frames, and the stream scores on at the next keyframe."""
    only = {"/h264": cameras["/h264"]}  # all media of one server share its faults
    with RtspServer(only) as camera, server.watching("lossy*") as watcher:
        server.add("lossy", camera.url("/h264"), transport="udp")
        before = watcher.wait(
            lambda m: m["type"] == "score" and m["data"]["window"]["pts_end"] > 2, "score before"
        )
        camera.faults.drop_units = 3
        server.wait_for_metric("styleflow_frames_missing_total", 3, stream="lossy")
        server.wait_for_metric("styleflow_frames_contaminated_total", 1, stream="lossy")
        mark = max(m["seq"] for m in watcher.messages if m["stream"] == "lossy")
        after = watcher.wait(score_of("lossy", after=mark), "score after the loss")
        assert after["data"]["window"]["missing"] > before["data"]["window"]["missing"]
        assert after["epoch"] == before["epoch"]
    server.remove("lossy")


def test_a_client_that_never_reads_costs_the_others_nothing(server: Server) -> None:
    """Beside a subscriber that never reads, one that does gets every event in order."""
    address = f"ws://127.0.0.1:{server.port}/api/v1/scores"
    offered = [Subprotocol(SUBPROTOCOL)]
    with websockets.sync.client.connect(address, subprotocols=offered, max_queue=1) as lazy:
        lazy.send(json.dumps({"type": "hello", "client": "never reads"}))
        lazy.send(json.dumps({"type": "subscribe", "id": "lazy", "max_hz": 60}))
        with server.watching("busy-*", types=["event"]) as watcher:
            for i in range(6):
                url = "demo://tampered?seconds=1&size=320x240"
                assert server.add(f"busy-{i}", url).status_code == 201
            for i in range(6):
                watcher.wait(state_of(f"busy-{i}", "ended"), f"end of busy-{i}")
            by_stream: dict[str, list[int]] = {}
            for message in watcher.messages:
                if message["type"] == "event":
                    by_stream.setdefault(message["stream"], []).append(message["seq"])
            assert all(seqs == sorted(set(seqs)) for seqs in by_stream.values())
            assert not [m for m in watcher.messages if m["type"] == "lagged"]
        assert server.metric("styleflow_ws_clients") >= 1
    for i in range(6):
        server.remove(f"busy-{i}")


def test_stopping_is_quick_and_clean(camera: RtspServer) -> None:
    """SIGTERM closes streams and clients and exits with 0, even while a camera is unreachable."""
    with Server() as server:
        assert server.add("here", camera.url("/h264")).status_code == 201
        assert server.add("nowhere", "rtsp://127.0.0.1:9/cam").status_code == 201
        with server.watching() as watcher:
            watcher.wait(score_of("here"), "score")
        arrived_at = server.metric("styleflow_last_frame_timestamp_seconds", stream="here")
        assert abs(arrived_at - Path(f"/proc/{server.pid}").stat().st_mtime) < 24 * 3600
    assert server.exit_code == 0
    assert any("stream removed" in line for line in server.log)
    assert not any("Traceback" in line for line in server.log)
