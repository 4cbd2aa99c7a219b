from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli import doctor_checks
from cli.doctor import examine, run, table
from cli.errors import Exit
from cli.finding import Check, Finding, State
from cli.main import app
from cli.settings import Settings
from styleflow.errors import WeightsMissing

RUNNER = CliRunner()
FINE = Finding("port", State.FINE, "free")
NOTE = Finding("page", State.NOTE, "not built", "run: make dashboard")
WRONG = Finding("models", State.WRONG, "not fetched", "run: styleflow models fetch")


def check(*findings: Finding) -> tuple[str, Check]:
    def found(_: Settings) -> Iterator[Finding]:
        yield from findings

    return findings[0].part, found


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(doctor_checks, "CHECKS", (check(FINE), check(NOTE)))
    return monkeypatch


@pytest.mark.usefixtures("only")
def test_notes_are_no_failure() -> None:
    result = RUNNER.invoke(app, ["doctor"])
    assert result.exit_code == Exit.OK
    assert "run: make dashboard" in result.stdout


def test_what_is_wrong_is_an_exit_code(only: pytest.MonkeyPatch) -> None:
    only.setattr(doctor_checks, "CHECKS", (check(FINE), check(WRONG)))
    result = RUNNER.invoke(app, ["doctor", "--json"])
    assert result.exit_code == Exit.ERROR
    document = json.loads(result.stdout)
    assert document["healthy"] is False
    assert document["checks"][-1] == {
        "part": "models", "state": "wrong", "found": "not fetched",
        "todo": "run: styleflow models fetch",
    }  # fmt: skip


def test_a_check_that_fails_is_a_row_and_stops_no_other() -> None:
    def broken(_: Settings) -> Iterator[Finding]:
        yield FINE
        raise WeightsMissing("face", Path("nowhere"), "styleflow models fetch")

    def strange(_: Settings) -> Iterator[Finding]:
        raise RuntimeError("hunter2")

    found = examine(None, (("models", broken), ("torch", strange), check(NOTE)))
    states = {finding.part: finding.state for finding in found}
    assert states == {
        "configuration": State.FINE, "port": State.FINE, "models": State.WRONG,
        "torch": State.WRONG, "page": State.NOTE,
    }  # fmt: skip
    assert "styleflow models fetch" in found[2].todo
    assert "hunter2" not in repr(found)


def test_a_wrong_configuration_is_a_row(tmp_path: Path) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text("web: {prot: 8000}\n")
    found = examine(config, (check(FINE),))
    assert [finding.state for finding in found] == [State.WRONG, State.FINE]
    assert "port" in found[0].found


def test_no_secret_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of the configuration, whatever is wrong with what they open."""
    config = tmp_path / "secrets.yaml"
    config.write_text(
        "web: {port: 0, tokens: [{role: operator, token: hunter2-0123456789}]}\n"
        "store: {url: 'postgresql+psycopg://u:hunter2@127.0.0.1:1/db'}\n"
        "streams: [{id: a, source: {url: 'rtsp://u:hunter2@127.0.0.1:1/a'}}]\n"
        "model: {checkpoint: nowhere.safetensors}\n"
    )
    monkeypatch.setattr(
        doctor_checks,
        "CHECKS",
        [each for each in doctor_checks.CHECKS if each[0] not in ("torch", "codecs")],
    )
    for arguments in (["doctor"], ["doctor", "--json"]):
        result = RUNNER.invoke(app, [*arguments, "--config", str(config)])
        assert result.exit_code == Exit.ERROR
        assert "hunter2" not in result.output
        assert "store" in result.output


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_table_fits_its_terminal(width: int) -> None:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table([FINE, NOTE, WRONG]))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= width
    assert "what to do" in capture.get()


@pytest.mark.slow
def test_a_machine_that_runs_the_tests_is_well() -> None:
    """With the free port that the tests choose, everything that the analyzer needs is here."""
    console = Console()
    with console.capture() as capture:
        run(None, console, as_json=True)
    found = {row["part"]: row for row in json.loads(capture.get())["checks"]}
    parts = ("python", "torch", "gpu", "codecs", "face models", "foundation", "detector", "store")
    assert {part: found[part]["state"] for part in parts} == dict.fromkeys(parts, "fine")
