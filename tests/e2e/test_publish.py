"""`styleflow publish` against `styleflow serve`: two processes, a clip, and scores."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.media import encode, moving_pictures
from tests.support.server import ROOT, Server, state_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CONFIG = """\
webrtc:
  bind: [127.0.0.1]
  keep_s: 1
  silence_s: 2
web:
  tokens:
    - {role: publisher, token: a publisher's long secret}
    - {role: operator, token: an operator's long secret}
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clip") / "a.mp4", moving_pictures(50, 320, 240))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = tmp_path_factory.mktemp("config") / "call.yaml"
    config.write_text(CONFIG.partition("web:")[0], encoding="utf-8")
    with Server(config) as running:
        yield running


def publish(*arguments: str, within_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "publish", *arguments],
        capture_output=True, text=True, timeout=within_s, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "300"},
    )  # fmt: skip


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_a_clip_is_sent_to_its_end(server: Server, clip: Path, codec: str) -> None:
    stream = f"clip-{codec}"
    with server.watching(f"{stream}*") as watcher:
        done = publish(str(clip), "--whip", f"{server.url}/whip/{stream}", "--codec", codec)
        assert done.returncode == 0, done.stderr
        watcher.wait(state_of(stream, "live"), "live stream")
        ended = watcher.wait(state_of(stream, "ended"), "end")
        assert ended["data"]["code"] == "ended"
    server.wait_for_metric("styleflow_calls_ended_total", 1, reason="ended")


def test_a_loop_goes_on_until_it_is_stopped(server: Server, clip: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "publish", str(clip), "--loop"]
    with server.watching("loop*") as watcher:
        sending = subprocess.Popen(
            [*command, "--whip", f"{server.url}/whip/loop"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
        )
        try:
            watcher.wait(
                lambda m: m["type"] == "status" and (m["data"]["fps"] or 0) > 20,
                "status at full rate",
            )
        finally:
            sending.kill()
            sending.wait()
        gone = watcher.wait(state_of("loop", "ended"), "end")
        assert gone["data"]["code"] == "timeout"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.mp4", "--whip", "http://127.0.0.1:9/whip/x"), "missing.mp4 does not exist"),
        (("{clip}", "--whip", "http://127.0.0.1:9/whip/x"), "nothing listens on this host"),
        (("{clip}", "--whip", "ftp://127.0.0.1/x"), "http://HOST:PORT/whip/STREAM"),
        (("{clip}", "--whip", "{server}/nothing/here"), "ends in /whip/STREAM"),
        (("{python}", "--whip", "http://127.0.0.1:9/whip/x"), "no video"),
    ],
)
def test_what_goes_wrong_is_one_readable_line(
    server: Server, clip: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = publish(*(a.format(clip=clip, server=server.url, python=__file__) for a in arguments))
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_is_needed_where_one_is_set(clip: Path, tmp_path: Path) -> None:
    config = tmp_path / "call.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    with Server(config) as server:
        url = f"{server.url}/whip/me"
        refused = publish(str(clip), "--whip", url)
        assert (refused.returncode, "token" in refused.stderr) == (1, True)
        taken = publish(str(clip), "--whip", url, "--token", "a publisher's long secret")
        assert taken.returncode == 0, taken.stderr
