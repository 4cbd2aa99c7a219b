"""From a camera to a person who was told, and still there after a restart.

The detector is the default one with a calibration that calls every face synthesised, so what is
shown is the way of an incident, not what the model sees.
"""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiomqtt
import av
import httpx
import pytest
import yaml

from tests.support.broker import Broker
from tests.support.media import encode, face_pictures
from tests.support.ports import free_port
from tests.support.rtsp import Media, RtspServer
from tests.support.server import Message, Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

HOOK_FAILS = 2
"""Answers of the webhook's receiver that are errors before the first good one."""


class Receiver(ThreadingHTTPServer):
    """A receiver of webhooks that fails at first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.refused = 0
        self.taken: list[dict[str, Any]] = []
        self.changed = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Hook(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.changed:
            fails = self.server.refused < HOOK_FAILS
            if fails:
                self.server.refused += 1
            else:
                self.server.taken.append(body)
            self.server.changed.notify_all()
        self.send_response(503 if fails else 204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """Run a real MQTT broker on a free port."""
    broker = Broker(folder, free_port())
    asyncio.run(broker.start())
    try:
        yield broker.port
    finally:
        broker.stop()


def until(ask: Callable[[], Any], what: str, within_s: float = 60.0) -> Any:
    """Ask until the answer is true; return it."""
    pause = threading.Event()
    answer = None
    for _ in range(int(within_s / 0.25)):
        answer = ask()
        if answer:
            return answer
        pause.wait(0.25)
    raise AssertionError(f"no {what} within {within_s} s: {answer!r}")


def retained(port: int, topic: str) -> dict[str, str]:
    """Return the messages that a broker holds below a topic."""

    async def ask() -> dict[str, str]:
        found: dict[str, str] = {}
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe(topic)
            try:
                async with asyncio.timeout(1.0):
                    async for message in client.messages:
                        found[str(message.topic)] = bytes(message.payload).decode()
            except TimeoutError:
                return found
        return found

    return asyncio.run(ask())


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[RtspServer]:
    media = Media(encode(tmp_path / "face.mp4", face_pictures(150), "h264", gop=12))
    with RtspServer({"/door": media}) as running:
        yield running


def configuration(folder: Path, hook: str, broker: int) -> Path:
    """Write the configuration of an analyzer that takes every face for synthesised."""
    settings = {
        "store": {"url": f"sqlite:///{folder / 'styleflow.db'}"},
        "evidence": {"folder": str(folder / "evidence"), "before_s": 5, "after_s": 1},
        "incidents": {"experimental_alarms": True, "quiet_s": 3, "merge_s": 3},
        "detectors": [
            {"name": "styleflow-live", "calibration": {"scale": 0.01, "bias": 8, "spread": 0.1}}
        ],
        "alerts": {
            "channels": {
                "webhook": [
                    {
                        "name": "desk",
                        "url": hook,
                        "secret": "a secret of the test",
                        "allow_networks": ["127.0.0.0/8"],
                    }
                ],
                "mqtt": [{"name": "home", "host": "127.0.0.1", "port": broker}],
            },
            "rules": [{"name": "all", "channels": ["desk", "home"], "updates": False}],
            "outbox": {"first_s": 0.2},
        },
    }
    path = folder / "styleflow.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def incidents(server: Server) -> list[dict[str, Any]]:
    answer = httpx.get(f"{server.url}/api/v1/incidents", timeout=20)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["incidents"]
    return found


def _opened(message: Message) -> bool:
    data = message["data"]
    return (
        message["type"] == "event"
        and data["kind"] == "incident_changed"
        and data["step"] == "opened"
    )


def test_a_camera_that_turns_suspect_is_told_kept_and_remembered(
    tmp_path: Path, camera: RtspServer
) -> None:
    """Camera, incident, clip, webhook once although it failed twice, MQTT, restart."""
    with receiving() as hook, mosquitto(tmp_path) as broker:
        config = configuration(tmp_path, hook.url, broker)
        with Server(config) as server:
            with server.watching() as watcher:
                assert server.add("door", camera.url("/door", "viewer", "pass-word")).is_success
                told = watcher.wait(_opened, "incident", 60)
                incident = told["data"]["incident"]["id"]
                assert told["data"]["incident"]["severity"] != "hint"
                with hook.changed:
                    assert hook.changed.wait_for(lambda: hook.taken, 30), "no webhook"
                until(
                    lambda: any(
                        value == "ON" for value in retained(broker, "styleflow/#").values()
                    ),
                    "suspicion in MQTT",
                )
                camera.kill()
            row = until(
                lambda: next((i for i in incidents(server) if i["status"] == "closed"), None),
                "closed incident",
            )
            assert row["id"] == incident
            kept = until(
                lambda: next(
                    (i for i in incidents(server) if i["evidence"]["state"] == "kept"), None
                ),
                "clip",
            )
            answer = httpx.get(f"{server.url}/api/v1/incidents/{incident}/clip", timeout=20)
            assert answer.status_code == 200
            assert "pass-word" not in httpx.get(f"{server.url}/api/v1/store", timeout=20).text
        assert pictures_of(answer.content) > 10
        assert hook.refused == HOOK_FAILS
        assert len(hook.taken) == 1
        camera.start()
        with Server(config) as server:
            with server.watching("door") as watcher:
                watcher.wait(lambda m: m["type"] == "score", "score after the restart", 60)
            again = next(i for i in incidents(server) if i["id"] == incident)
            assert again["evidence"] == kept["evidence"]
            clip = httpx.get(f"{server.url}/api/v1/incidents/{incident}/clip", timeout=20)
            assert clip.content == answer.content
    assert b"pass-word" not in (tmp_path / "styleflow.db").read_bytes()
    assert "pass-word" not in "\n".join(server.log)


def pictures_of(video: bytes) -> int:
    """Return how many pictures a video has."""
    with av.open(io.BytesIO(video)) as container:
        return sum(1 for _ in container.decode(video=0))
