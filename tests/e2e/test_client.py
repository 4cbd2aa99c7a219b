"""The Python client and `styleflow watch` against `styleflow serve`, each a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from styleflow.client import Client
from styleflow.client.messages import ScoreMessage, SnapshotMessage
from tests.support.server import ROOT, Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def watch(url: str, *arguments: str) -> subprocess.Popen[str]:
    """Start `styleflow watch` with its output in a pipe."""
    command = [sys.executable, "-m", "cli.main", "watch", url, *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        # A test run in the background may have told its children to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_the_client_adds_a_stream_and_follows_its_scores_and_watch_prints_them(
    tmp_path: Path,
) -> None:
    with (
        Server(env={"XDG_DATA_HOME": str(tmp_path)}) as server,
        Client(server.url) as client,
    ):
        client.streams.add("demo", "demo://tampered", name="Demo")
        with client.subscribe("demo") as live:
            kinds = []
            for message in live:
                kinds.append(type(message))
                if isinstance(message, ScoreMessage):
                    break
            assert message.data.detector == "styleflow-live"
            assert SnapshotMessage in kinds
            assert live.skipped == 0

        lines = watch(server.url)
        assert lines.stdout is not None
        first = lines.stdout.readline()
        assert "  demo  Demo: " in first
        lines.stdout.close()  # as `head -1` does
        assert lines.wait(60) == 0
        assert lines.stderr is not None
        assert lines.stderr.read() == ""

        objects = watch(server.url, "--json", "--streams", "demo")
        assert objects.stdout is not None
        types = {json.loads(objects.stdout.readline())["type"] for _ in range(6)}
        assert types >= {"subscribed", "snapshot"}
        objects.send_signal(signal.SIGINT)
        objects.stdout.read()
        assert objects.wait(60) == 130
        assert objects.stderr is not None
        assert objects.stderr.read() == ""

        client.streams.remove("demo")
        assert client.streams.list() == ()
