"""Every command that README.md shows is run: here, or by the test that is named beside it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.ingest.demo import Scene
from tests.support.media import encode
from tests.support.rtsp import Media, RtspServer
from tests.support.server import ROOT, Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"
CAMERA = "rtsp://user:password@192.0.2.7/stream1"


def commands(text: str) -> list[str]:
    """Return the commands of all shell blocks, each in one line, without comments."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            bare = " ".join(re.sub(r"(^|\s)#.*", "", line).split())
            if bare:
                found.append(bare)
    return found


STYLEFLOW = ".venv/bin/styleflow"

SERVED = (
    f"{STYLEFLOW} serve --config styleflow.yaml",
    "STYLEFLOW__WEB__TOKENS='[{role: operator, token: \"at least 16 random characters\"}]' "
    f"{STYLEFLOW} serve --host 0.0.0.0",
)
"""Commands that run until they are ended: on any free port, and ended when they say where."""

RUN: dict[str, tuple[int, ...]] = {
    f"{STYLEFLOW} doctor": (0, 1),  # 1 where the port is taken or nothing can be kept
    f"curl -X POST {ADDRESS}/api/v1/streams -H 'content-type: application/json' "
    f'-d \'{{"id": "lobby", "source": {{"url": "{CAMERA}"}}}}\'': (0,),
    f"{STYLEFLOW} publish interview.mp4 --whip {ADDRESS}/whip/interview": (0,),
    f"{STYLEFLOW} analyze interview.mp4 --plot timeline.png": (0, 3, 4),
    f"{STYLEFLOW} checkpoints list": (0,),
    f"{STYLEFLOW} config defaults > styleflow.yaml": (0,),
    f"{STYLEFLOW} config check styleflow.yaml": (0,),
}
"""Commands that end, and the exit codes that README.md allows."""

ELSEWHERE = {
    f"{STYLEFLOW} serve &": ("tests/support/server.py", "what the others of this test talk to"),
    f"{STYLEFLOW} serve --workers auto": ("tests/e2e/test_cluster.py", "there two of them"),
    f"{STYLEFLOW} serve --cluster head:6379 --workers 6": (
        "benchmarks/cluster_rig.py",
        "needs a cluster; there one of three nodes, which tests/e2e/test_cluster_faults.py runs",
    ),
    "make run": ("Makefile", "ends never; its parts are what `make test` sets up, and `demo`"),
    "make test": ("Makefile", "runs this test"),
    f"{STYLEFLOW} watch": ("tests/e2e/test_client.py", "runs it in a pipe, as text and as JSON"),
    f"{STYLEFLOW} checkpoints fetch gend-clip-l14": (
        "tests/unit/cli/test_fetch.py",
        "needs another host and 1.2 GB; there a hub of our own",
    ),
    f"{STYLEFLOW} analyze interview.mp4 --detector gend-clip-l14": (
        "tests/unit/cli/test_checkpoints.py",
        "needs the authors' file; there one of the same layout",
    ),
    f"{STYLEFLOW} checkpoints import caddm-resnet34 resnet34.pkl": (
        "tests/unit/cli/test_checkpoints.py",
        "needs the authors' file; there one of the same layout",
    ),
    f"{STYLEFLOW} analyze interview.mp4 --detector caddm-resnet34 "
    "--weights caddm-resnet34.safetensors": (
        "tests/unit/cli/test_checkpoints.py",
        "needs the authors' file; there one of the same layout",
    ),
    f"{STYLEFLOW} preview": ("tests/unit/cli/test_training.py", "there on small videos"),
    f"{STYLEFLOW} prepare celeb-df-v2=data/Celeb-DF-v2 --recipe configs/train/RECIPE.yaml": (
        "tests/unit/cli/test_training.py",
        "needs a data set; there a small one",
    ),
    f"{STYLEFLOW} train celeb-df-v2=data/Celeb-DF-v2 --recipe configs/train/RECIPE.yaml": (
        "tests/unit/cli/test_training.py",
        "takes hours; there a few steps on a small data set",
    ),
}
"""Commands that are run in another test, and why."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the video that README.md speaks of."""
    made = tmp_path_factory.mktemp("newcomer")
    scene = Scene((320, 240), 25.0, 0)
    encode(made / "interview.mp4", (scene.authentic(i) for i in range(60)))
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(env={"XDG_DATA_HOME": str(tmp_path_factory.mktemp("data"))}) as running:
        yield running


@pytest.fixture(scope="module")
def camera(folder: Path) -> Iterator[str]:
    with RtspServer({"/stream1": Media(folder / "interview.mp4")}) as running:
        yield running.url("/stream1", "user", "password")


def environment(folder: Path) -> dict[str, str]:
    data = {"XDG_DATA_HOME": str(folder / "data"), "COLUMNS": "200"}
    return {**os.environ, "PYTHONPATH": str(ROOT), **data}


def ours(command: str) -> str:
    """Return a command with the interpreter of this test."""
    return command.replace(STYLEFLOW, f"{sys.executable} -m cli.main")


def test_every_command_is_run_somewhere() -> None:
    """None is added to README.md without a test, none stays here that is gone there."""
    shown = commands(README)
    assert sorted(shown) == sorted([*RUN, *SERVED, *ELSEWHERE])
    for command, (file, _) in ELSEWHERE.items():
        text = (ROOT / file).read_text(encoding="utf-8")
        words = command.removeprefix(STYLEFLOW).split()
        assert words[0].removeprefix("make") in text, command
        assert re.search(rf"\b{words[0] if words[0] != 'make' else words[1]}\b", text), command


@pytest.mark.parametrize("command", RUN)
def test_a_command_does_what_readme_says(
    command: str, folder: Path, server: Server, camera: str
) -> None:
    typed = ours(command).replace(ADDRESS, server.url).replace(CAMERA, camera)
    done = subprocess.run(
        ["bash", "-ec", typed.replace("curl", "curl --fail --silent --show-error")],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode in RUN[command], done.stderr
    if command.endswith("timeline.png"):
        assert (folder / "timeline.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("command", SERVED)
def test_a_server_comes_up_as_readme_says(command: str, folder: Path) -> None:
    typed = f"exec env {ours(command)} --port 0"
    if "STYLEFLOW__" not in typed:
        typed = typed.replace("exec env", "exec")
    with subprocess.Popen(
        ["bash", "-ec", typed],
        cwd=folder,
        env=environment(folder),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if re.search(r"page +http://", line):
                break
        process.send_signal(signal.SIGTERM)
        said.append(process.stderr.read())
        assert process.wait(60) == 0, "".join(said)
    assert any("http://" in line for line in said), "".join(said)


def test_commands_are_found_in_text() -> None:
    text = "```sh\na b  # c\nd \\\n  e\n\n# f\n```\n```python\ng\n```\n```sh\nh\n```"
    assert commands(text) == ["a b", "d e", "h"]
