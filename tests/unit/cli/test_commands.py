"""Commands: what they print, and what a script learns from them."""

from __future__ import annotations

import errno
import json
import socket
import ssl
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner
from websockets.asyncio.server import ServerConnection, serve

from cli import analyze, watch, wiring
from cli.errors import AnalyzerAway, Exit, no_answer, problem_of
from cli.main import app
from cli.watch import Board, socket_address
from stream.clock import Clock
from stream.errors import SOURCE_HINTS, SourceError, StreamUnknown
from stream.events import AbstainReason, ReasonCode
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


async def test_watch_says_that_what_answers_is_no_analyzer() -> None:
    """Somebody else's web server, for example, or the wrong port of our own."""
    refuse = lambda socket, request: socket.respond(404, "nothing here")  # noqa: E731
    async with serve(
        lambda socket: socket.close(), "127.0.0.1", 0, process_request=refuse
    ) as other:
        port = other.sockets[0].getsockname()[1]
        with pytest.raises(AnalyzerAway, match="no analyzer: HTTP 404"):
            await watch.watch_remote(f"http://127.0.0.1:{port}", "*", None)


async def test_watch_says_why_it_is_turned_away() -> None:
    """A wrong token is not something wrong inside the analyzer."""

    async def refuse(socket: ServerConnection) -> None:
        await socket.close(1008, "this token is not known")

    async with serve(refuse, "127.0.0.1", 0) as analyzer:
        port = analyzer.sockets[0].getsockname()[1]
        with pytest.raises(AnalyzerAway, match="this token is not known") as caught:
            await watch.watch_remote(f"http://127.0.0.1:{port}", "*", "wrong")
    assert "--token" in problem_of(caught.value).line


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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "host is not known"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "nothing listens"),
        (TimeoutError(), "does not answer"),
        (ssl.SSLError(1, "wrong version number"), "http:// rather than https://"),
        (OSError("Multiple exceptions"), "cannot be connected to"),
    ],
)
def test_silence_is_explained_however_deep_its_cause_lies(error: OSError, said: str) -> None:
    wrapped = httpx.ConnectError("All connection attempts failed")
    wrapped.__cause__ = error
    assert said in no_answer(error)
    assert said in no_answer(wrapped)


def test_defaults_are_printed() -> None:
    result = RUNNER.invoke(app, ["config", "defaults"])
    assert result.exit_code == 0
    assert "hop_s: 0.24" in result.stdout


@pytest.mark.parametrize(
    "command",
    [
        [], ["serve"], ["demo"], ["analyze"], ["watch"], ["publish"],
        ["config"], ["config", "check"], ["models"], ["models", "fetch"],
    ],
)  # fmt: skip
def test_help_teaches(command: list[str]) -> None:
    result = RUNNER.invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert len(result.stdout.split()) > 20


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/api/v1/scores"),
        ("https://host/", "wss://host/api/v1/scores"),
        ("ws://host:1/other", "ws://host:1/other"),
        ("https://host/styleflow", "wss://host/styleflow/api/v1/scores"),
        ("https://host/styleflow/", "wss://host/styleflow/api/v1/scores"),
        ("https://host/styleflow/api/v1/scores", "wss://host/styleflow/api/v1/scores"),
    ],
)
def test_an_analyzers_address_becomes_a_sockets(given: str, expected: str) -> None:
    assert socket_address(given) == expected


def test_an_error_we_know_is_described() -> None:
    assert problem_of(StreamUnknown("lobby")).code == "stream_unknown"
    assert problem_of(RuntimeError("secret")).code == "internal"


def score(stream: str, track: int, state: str, **more: Any) -> dict[str, Any]:
    data = {
        "track": track, "p": 0.5, "lo": 0.1, "hi": 0.9, "state": state,
        "summary": state, "notice": "", **more,
    }  # fmt: skip
    return {"type": "score", "stream": stream, "data": data}


def event(stream: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"type": "event", "stream": stream, "data": {"kind": kind, **more}}


def text_of(board: Board) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(board.table())
    return capture.get()


def test_the_board_shows_suspects_first_and_forgets_what_ended() -> None:
    board = Board()
    board.note(score("a", 1, "ok"))
    board.note(score("b", 2, "suspect"))
    board.note(score("c", 3, "abstain", notice="demo source: not a finding"))
    text = text_of(board)
    assert text.index("suspect") < text.index("abstain") < text.index("ok")
    assert "demo source" in text
    board.note(event("b", "track_ended", track=2))
    board.note(event("c", "epoch_started"))
    board.note(event("a", "stream_removed"))
    assert "suspect" not in text_of(board)
    assert "demo source" not in text_of(board)


def test_the_board_says_that_faces_wait_beside_the_scores_of_the_others() -> None:
    board = Board()
    board.note(score("lobby", 1, "ok"))
    status = {"notice": "", "summary": "live, faces not looked at", "faces_waiting": 1}
    board.note({"type": "status", "stream": "lobby", "data": status})
    assert "faces not looked at" in text_of(board)


def test_the_board_shows_streams_without_a_face() -> None:
    board = Board()
    status = {"notice": "", "summary": f"live, {AbstainReason.NO_FACE.value}"}
    board.note({"type": "status", "stream": "lobby", "data": status})
    assert "no_face" in text_of(board)


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
