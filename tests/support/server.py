"""A real analyzer process on a free port, and a client that remembers what it was told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import websockets.sync.client
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from stream.publish.schema import SUBPROTOCOL

Message = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]


class Server:
    """`styleflow serve` as a process of its own; a context manager.

    What it stores is its own and goes with it, unless `config` says where. However busy the machine
    is, it takes every stream, unless `env` says otherwise.

    Args:
        config: a YAML file, or None for the built-in defaults.
        env: environment variables besides the test's own.
        under: command that starts it, for example with other limits.
        arguments: further ones of `serve`.
    """

    def __init__(
        self,
        config: Path | None = None,
        env: dict[str, str] | None = None,
        under: Sequence[str] = (),
        arguments: Sequence[str] = (),
    ) -> None:
        command = [*under, sys.executable, "-m", "cli.main", "serve", "--port", "0", *arguments]
        self._command = command + (["--config", str(config)] if config else [])
        self._stored = tempfile.TemporaryDirectory(prefix="styleflow-store-")
        self._env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        self._env["STYLEFLOW__OVERLOAD__ENABLED"] = "false"
        elsewhere = "XDG_DATA_HOME" in (env or {})
        if not elsewhere and (config is None or "\nstore:" not in f"\n{config.read_text()}"):
            self._env["STYLEFLOW__STORE__URL"] = f"sqlite:///{self._stored.name}/styleflow.db"
        self._env |= env or {}
        self.log: list[str] = []
        self.port = 0

    def __enter__(self) -> Server:
        self._process = subprocess.Popen(
            self._command, stderr=subprocess.PIPE, text=True, env=self._env
        )
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self._reader.start()
        if not ready.wait(120):
            self._process.kill()
            raise TimeoutError("\n".join(self.log))
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(40)
        finally:
            self._process.kill()
            self._reader.join(5)
            self._stored.cleanup()

    def _read(self, ready: threading.Event) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(line.rstrip())
            if match := re.search(r"page +http://127\.0\.0\.1:(\d+)/", line):
                self.port = int(match[1])
                ready.set()
        ready.set()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._process.poll()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def add(self, stream: str, url: str, **source: Any) -> httpx.Response:
        """Add a stream over the API."""
        body = {"id": stream, "source": {"url": url, **source}}
        return httpx.post(f"{self.url}/api/v1/streams", json=body, timeout=20)

    def remove(self, stream: str) -> httpx.Response:
        """Remove a stream over the API."""
        return httpx.delete(f"{self.url}/api/v1/streams/{stream}", timeout=20)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a metric that carry these labels."""
        text = httpx.get(f"{self.url}/metrics", timeout=20).text
        total = 0.0
        for line in text.splitlines():
            match = re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line)
            if match and all(f'{k}="{v}"' in (match[1] or "") for k, v in labels.items()):
                total += float(match[2])
        return total

    def wait_for_metric(self, name: str, least: float, within_s: float = 60, **labels: str) -> None:
        """Wait until a metric has reached a value; counters are copied a few times a second."""
        pause = threading.Event()
        value = self.metric(name, **labels)
        for _ in range(int(within_s / 0.25)):
            if value >= least:
                return
            pause.wait(0.25)
            value = self.metric(name, **labels)
        raise AssertionError(f"{name}{labels} is {value} after {within_s} s, not {least}")

    @contextmanager
    def watching(self, *streams: str, **wanted: Any) -> Iterator[Watcher]:
        """Subscribe, and remember every message in the background."""
        watcher = Watcher(f"ws://127.0.0.1:{self.port}/api/v1/scores", streams or ("*",), wanted)
        try:
            yield watcher
        finally:
            watcher.close()


class Watcher:
    """A WebSocket client in a thread: what it was told, and a way to wait for more.

    Attributes:
        messages: what it was told.
        code: with which the server closed the connection; None while it is open.
    """

    def __init__(self, address: str, streams: tuple[str, ...], wanted: dict[str, Any]) -> None:
        self.messages: list[Message] = []
        self.code: int | None = None
        self._changed = threading.Condition()
        self._stack = ExitStack()
        self._socket = self._stack.enter_context(
            websockets.sync.client.connect(address, subprotocols=[Subprotocol(SUBPROTOCOL)])
        )
        self._socket.send(json.dumps({"type": "hello", "client": "test"}))
        self._socket.send(
            json.dumps({"type": "subscribe", "id": "test", "streams": streams, **wanted})
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for text in self._socket:
                with self._changed:
                    self.messages.append(json.loads(text))
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        finally:
            self.code = self._socket.close_code

    def close(self) -> None:
        """Say goodbye."""
        self._stack.close()
        self._thread.join(5)

    def wait(self, wanted: Callable[[Message], bool], what: str, within_s: float = 60) -> Message:
        """Return the first remembered or future message that is wanted."""
        seen = 0

        def found() -> Message | None:
            nonlocal seen
            while seen < len(self.messages):
                seen += 1
                if wanted(self.messages[seen - 1]):
                    return self.messages[seen - 1]
            return None

        with self._changed:
            message = self._changed.wait_for(found, within_s)
        assert message is not None, f"no {what} within {within_s} s; got {self.summary()}"
        return message

    def mark(self) -> int:
        """Return how many messages there are now."""
        with self._changed:
            return len(self.messages)

    def summary(self) -> list[str]:
        """Return the last messages, short."""
        return [
            f"{m['type']} {m['stream']} {m['data'].get('kind', '')} {m['data'].get('state', '')}"
            for m in self.messages[-25:]
        ]


def score_of(stream: str, after: int = 0, epoch: int | None = None) -> Callable[[Message], bool]:
    """Return a test for a score of a stream, optionally of at least this epoch."""

    def wanted(message: Message) -> bool:
        return (
            message["type"] == "score"
            and message["stream"] == stream
            and (epoch is None or message["epoch"] >= epoch)
            and message["seq"] > after
        )

    return wanted


def state_of(stream: str, state: str, after: int = 0) -> Callable[[Message], bool]:
    """Return a test for the event that a stream has entered a state."""

    def wanted(message: Message) -> bool:
        return (
            message["type"] == "event"
            and message["stream"] == stream
            and message["data"]["kind"] == "stream_changed"
            and message["data"]["state"] == state
            and message["seq"] > after
        )

    return wanted
