"""Commands: what they print, and what a script learns from them."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import analyze, wiring
from cli.errors import Exit, problem_of
from cli.main import app
from stream.clock import Clock
from stream.errors import SOURCE_HINTS, SourceError, StreamUnknown
from stream.events import ReasonCode
from stream.ingest.file import FileSource
from stream.ingest.source import Packet
from tests.support.media import encode, moving_pictures
from tests.support.path import toy_pipeline

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "disc.mp4"
    return encode(path, moving_pictures(40), gop=20)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score with a toy network and a finder that always sees a face."""

    def pipeline(settings: Any, clock: Clock, observe: Any = None, **options: Any) -> Any:
        return toy_pipeline()

    monkeypatch.setattr(wiring, "pipeline", pipeline)


def one_line(result: Any) -> str:
    """Return what went to standard error, which must be one line without a traceback."""
    text = str(result.stderr).strip()
    assert "Traceback" not in text
    assert len(text.splitlines()) == 1, text
    return text


@pytest.mark.usefixtures("toy")
def test_analyze_shows_a_table_and_says_untrained(clip: Path) -> None:
    result = RUNNER.invoke(app, ["analyze", str(clip)])
    assert result.exit_code == Exit.NO_VERDICT, result.output
    assert "untrained model" in result.stdout
    assert "evidence, not proof" in result.stdout


@pytest.mark.usefixtures("toy")
def test_analyze_prints_json_and_draws_a_picture(clip: Path, tmp_path: Path) -> None:
    picture = tmp_path / "timeline.png"
    result = RUNNER.invoke(app, ["analyze", str(clip), "--json", "--plot", str(picture)])
    document = json.loads(result.stdout)
    assert document["verdict"] == "pending"
    assert "untrained" in document["notice"]
    assert document["tracks"][0]["scores"]
    assert picture.read_bytes().startswith(b"\x89PNG")


class FallsSilent(FileSource):
    """A source of which 25 packets come, and then nothing more."""

    def packets(self) -> Iterator[Packet]:
        yield from islice(super().packets(), 25)
        raise SourceError(ReasonCode.TIMEOUT, "the camera was silent for 2.5 s")


@pytest.mark.usefixtures("toy")
def test_json_of_a_source_that_broke_off_says_why_and_where(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told from a whole video by its exit code alone."""
    whole = json.loads(RUNNER.invoke(app, ["analyze", str(clip), "--json"]).stdout)
    assert whole["broke_off"] is None
    monkeypatch.setattr(analyze, "open_source", FallsSilent)
    result = RUNNER.invoke(app, ["analyze", str(clip), "--json"])
    assert result.exit_code == Exit.ERROR
    document = json.loads(result.stdout)
    broke_off = document["broke_off"]
    assert broke_off["code"] == "timeout"
    assert broke_off["at_s"] == document["duration_s"]
    assert 0 < broke_off["at_s"] < whole["duration_s"]
    assert broke_off["detail"] == "the camera was silent for 2.5 s"
    assert broke_off["hint"] == SOURCE_HINTS[ReasonCode.TIMEOUT]
    assert document["tracks"][0]["scores"]
    assert document["state"] != "ok"


@pytest.mark.usefixtures("toy")
def test_a_recording_can_be_analyzed_again(clip: Path, tmp_path: Path) -> None:
    trace = tmp_path / "disc.sftrace"
    first = RUNNER.invoke(app, ["analyze", str(clip), "--json", "--record", str(trace)])
    again = RUNNER.invoke(app, ["analyze", str(trace), "--json"])
    one, two = json.loads(first.stdout), json.loads(again.stdout)
    assert one["tracks"] == two["tracks"]
    assert one["score"] == two["score"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["analyze", "nowhere.mp4"], Exit.ERROR, "no such file"),
        (["analyze", "ftp://host/clip.mp4"], Exit.ERROR, "cannot open ftp://"),
        (["analyze", "demo://tampred"], Exit.ERROR, "did you mean demo://tampered"),
        (["analyze", "demo://tampered?sceonds=1"], Exit.ERROR, "there is no 'sceonds'"),
        (["analyze", "rtsp://u:hunter2@127.0.0.1:1/cam"], Exit.ERROR, "nothing listens"),
        (["serve", "--config", "nowhere.yaml"], Exit.USAGE, "nowhere.yaml: cannot be read"),
        (["serve", "--host", "0.0.0.0", "--port", "0"], Exit.USAGE, "token is needed"),
        (["config", "check", "nowhere.yaml"], Exit.USAGE, "cannot be read"),
        (["analyze", "nowhere.mp4", "--plot", "no/folder.png"], Exit.USAGE, "no does not exist"),
        (["analyze", "nowhere.mp4", "--plot", "a.bmp"], Exit.USAGE, "must end in .png, .svg"),
        (["watch", "127.0.0.1:8000"], Exit.ERROR, "an analyzer's address begins with http://"),
        (["watch", "http://u:hunter2@127.0.0.1:1"], Exit.ERROR, "nothing listens"),
        (["watch", "http://"], Exit.ERROR, "this is no address"),
    ],
)
@pytest.mark.usefixtures("toy")
def test_a_fault_is_one_line_that_says_what_to_change(
    arguments: list[str], code: Exit, said: str
) -> None:
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == code
    assert said in one_line(result)
    assert "hunter2" not in result.output


@pytest.mark.usefixtures("toy")
def test_a_busy_port_is_said_before_anything_is_loaded() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = RUNNER.invoke(app, ["serve", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == Exit.ERROR
    assert "--port" in one_line(result)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "--port"),
        (PermissionError(errno.EACCES, "Permission denied", "out/a.png"), "out/a.png"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "out"), "out: is a directory"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "--host"),
        (OSError(errno.EADDRINUSE, "Address already in use"), "Choose another"),
    ],
)
def test_what_the_system_refuses_is_never_something_wrong_inside(error: OSError, said: str) -> None:
    problem = problem_of(error)
    assert problem.code != "internal"
    assert said in problem.line


def test_defaults_are_printed() -> None:
    result = RUNNER.invoke(app, ["config", "defaults"])
    assert result.exit_code == 0
    assert "hop_s: 0.24" in result.stdout


@pytest.mark.parametrize(
    "command",
    [
        [], ["serve"], ["demo"], ["analyze"], ["watch"], ["publish"], ["doctor"],
        ["config"], ["config", "check"], ["models"], ["models", "fetch"],
    ],
)  # fmt: skip
def test_help_teaches(command: list[str]) -> None:
    result = RUNNER.invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert len(result.stdout.split()) > 20


def test_an_error_we_know_is_described() -> None:
    assert problem_of(StreamUnknown("lobby")).code == "stream_unknown"
    assert problem_of(RuntimeError("secret")).code == "internal"


def test_serve_behind_a_proxy_asks_for_a_token_before_it_loads_anything(tmp_path: Path) -> None:
    config = tmp_path / "proxy.yaml"
    config.write_text("web: {allowed_hosts: [scores.example]}\n")
    result = RUNNER.invoke(app, ["serve", "--config", str(config), "--port", "0"])
    assert result.exit_code == Exit.USAGE
    assert "web.allowed_hosts:" in one_line(result)
    assert "scores.example can be reached" in one_line(result)
    assert "--insecure" in one_line(result)


@pytest.mark.parametrize("command", [["config", "check"], ["serve", "--port", "0", "--config"]])
def test_a_prefix_that_cannot_be_served_is_refused_by_its_key(
    command: list[str], tmp_path: Path
) -> None:
    config = tmp_path / "prefix.yaml"
    config.write_text("web: {root_path: /styleflow/}\n")
    result = RUNNER.invoke(app, [*command, str(config)])
    assert result.exit_code == Exit.USAGE
    assert "web.root_path: it has no / at its end" in one_line(result)
