"""The log of a real server when nobody can take it: nothing else changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from tests.support.ports import free_port
from tests.support.server import ROOT, Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@contextmanager
def serving(told: IO[Any]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Serve with both outputs going somewhere; yields the process and where it answers."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "serve", "--port", str(port)],
        stdout=told,
        stderr=told,
        env={**os.environ, "PYTHONPATH": str(ROOT), "STYLEFLOW__LOG__LEVEL": "debug"},
    )
    try:
        pause = threading.Event()
        for _ in range(400):
            try:
                httpx.get(f"http://127.0.0.1:{port}/livez", timeout=20)
                break
            except httpx.TransportError:
                assert process.poll() is None, "it ended at the start"
                pause.wait(0.25)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def steer(process: subprocess.Popen[bytes], url: str) -> None:
    """Add and remove streams, then stop; all of it must work as ever."""
    for number in range(5):
        body = {"id": f"cam-{number}", "source": {"url": "demo://authentic"}}
        assert httpx.post(f"{url}/api/v1/streams", json=body, timeout=20).status_code == 201
        answer = httpx.delete(f"{url}/api/v1/streams/cam-{number}", timeout=20)
        assert answer.status_code == 204
    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 0


def test_with_a_full_log_disk_post_and_delete_answer_and_sigterm_stops() -> None:
    with Path("/dev/full").open("wb") as full, serving(full) as (process, url):
        steer(process, url)


@pytest.mark.parametrize("fate", ["gone", "stopped"])
def test_with_a_dead_reader_post_and_delete_answer_and_sigterm_stops(fate: str) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe, serving(pipe) as (process, url):
        if fate == "gone":
            pipe.close()
            os.close(reading)
        else:
            os.set_blocking(writing, False)
            try:
                while True:
                    os.write(writing, b"x" * 512)
            except BlockingIOError:
                os.set_blocking(writing, True)
        steer(process, url)
    if fate == "stopped":
        os.close(reading)


def test_a_fault_in_a_native_library_is_told_with_the_stack_of_every_thread() -> None:
    with Server() as server:
        os.kill(server.pid, signal.SIGABRT)  # what such a library ends with
    assert server.exit_code == -signal.SIGABRT
    said = server.log[server.log.index("Fatal Python error: Aborted") :]
    assert sum(line.startswith(("Thread 0x", "Current thread 0x")) for line in said) > 1
    assert any("cli/serve.py" in line for line in said)
