"""The program in a cluster, as a benchmark runs it: gateways, and a client that comes back.

Gateways are processes on a machine of a test network, with workers elsewhere. The client is a
WebSocket that goes to the next gateway when the one that it has is gone, and resumes there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from benchmarks.fault_judge import Heard, heard
from stream.clock import Clock
from stream.publish.schema import SUBPROTOCOL

ROOT = Path(__file__).resolve().parent.parent
READY_S = 180.0
"""Longest time for a gateway to answer: the first one waits for workers that load models."""

ASK_S = 5.0
_AGAIN_S = 0.1


def end_on_signals() -> None:
    """Have SIGTERM and SIGINT end what runs in an orderly way, whoever started this process."""

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def play(
    under: Sequence[str], cluster: str, env: Mapping[str, str], options: Sequence[str] = ()
) -> None:
    """Start two scripted workers in a cluster, and the director.

    Raises:
        RuntimeError: they do not start.
    """
    command = [*under, sys.executable, "-m", "benchmarks.scripted_workers", cluster, *options]
    done = subprocess.run(
        command,
        env=dict(env),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=READY_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"scripted workers do not start: {done.stderr[-3000:]}")


class Gateway:
    """One `styleflow serve` of a cluster; a context manager that ends it.

    Args:
        under: command that runs another one on its machine.
        address: of that machine.
        port: where it listens.
        words: of its command line, from `serve` on.
        env: its environment.
        folder: where its log lies.
    """

    def __init__(
        self,
        under: Sequence[str],
        address: str,
        port: int,
        words: Sequence[str],
        env: Mapping[str, str],
        folder: Path,
    ) -> None:
        self.url = f"http://{address}:{port}"
        program = [sys.executable, "-m", "tests.support.own_machine", "cli.main"]
        self._command = [*under, *program, *words, "--port", str(port)]
        self._env = dict(env)
        self._log = folder / f"gateway-{port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it was started and has ended."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Start it; see `wait`."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=ROOT,
                start_new_session=True,  # an interrupt at the terminal is for the benchmark
            )

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            RuntimeError: it ends, or does not answer in time.
        """
        pause = threading.Event()
        for _ in range(round(READY_S / _AGAIN_S)):
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"the gateway has ended: {self.tail()}")
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/healthcheck", timeout=1).status_code == 200:
                    return
            pause.wait(_AGAIN_S)
        raise RuntimeError(f"the gateway does not answer: {self.tail()}")

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._process.wait(10)

    def tail(self) -> str:
        """Return the end of its log."""
        return self._log.read_text(errors="replace")[-3000:] if self._log.exists() else ""

    def get(self, path: str, **query: Any) -> Any:  # Any: JSON
        """Return what it answers. Raises httpx.HTTPError."""
        answer = httpx.get(f"{self.url}{path}", params=query, timeout=ASK_S)
        answer.raise_for_status()
        return answer.json()


class Client:
    """A subscriber of everything, in a thread, that resumes at the next gateway.

    Args:
        urls: of the gateways, the first one first.
        clock: says when a message came.

    Attributes:
        told: what it heard, in order.
        cut: times at which it lost its connection.
        back: times at which it had one again.
        errors: how often a gateway said that it could not resume.
    """

    def __init__(self, urls: Sequence[str], clock: Clock) -> None:
        self.told: list[Heard] = []
        self.cut: list[float] = []
        self.back: list[float] = []
        self.errors = 0
        self.at = 0
        self._urls = urls
        self._clock = clock
        self._points: dict[str, dict[str, int]] = {}
        self._stop = threading.Event()
        self._socket: websockets.sync.client.ClientConnection | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.socket.close()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen(self._urls[self.at % len(self._urls)])
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                if self._socket is not None:
                    self.cut.append(self._clock.monotonic())
                    self._socket = None
                self.at += 1
                self._stop.wait(_AGAIN_S)

    def _listen(self, url: str) -> None:
        with websockets.sync.client.connect(
            f"ws://{urlsplit(url).netloc}/api/v1/scores",
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            open_timeout=2,
            close_timeout=1,
            max_queue=None,
        ) as connection:
            connection.send(json.dumps({"type": "hello", "client": "faults"}))
            subscribe: dict[str, Any] = {"type": "subscribe", "id": "all", "streams": ["*"]}
            if self._points:
                subscribe["resume"] = self._points
            connection.send(json.dumps(subscribe))
            self._socket = connection
            self.back.append(self._clock.monotonic())
            for text in connection:
                self._take(json.loads(text))

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "error":
            self.errors += 1
        if (found := heard(message, self._clock.monotonic())) is None:
            return
        self.told.append(found)
        point = self._points.setdefault(found.stream, {"epoch": 0, "seq": 0})
        if found.number > point["seq"]:
            point.update(epoch=message["epoch"], seq=found.number)
