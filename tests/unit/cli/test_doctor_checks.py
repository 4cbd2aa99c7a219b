from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from cli import doctor_checks
from cli.doctor_checks import GIB, drift_s, is_synchronised
from cli.finding import Finding, State
from cli.settings import Settings
from stream.store.database import HEAD, open_database
from styleflow.pictures import hardware
from styleflow.weights import cache, face_networks
from tests.support.web import lobby, served


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def by_part(findings: Any) -> dict[str, Finding]:
    return {finding.part: finding for finding in findings}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of nobody else."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("STYLEFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.usefixtures("data")
def test_missing_models_name_the_command_that_fetches_them() -> None:
    found = by_part(doctor_checks.models(Settings()))
    for part in ("face models", "foundation"):
        assert (found[part].state, found[part].todo) == (State.WRONG, "run: styleflow models fetch")
    assert found["detector"].state is State.FINE


@pytest.mark.usefixtures("data")
def test_a_damaged_model_is_not_taken_for_a_good_one() -> None:
    for path in (face_networks.weights_path(), cache.dinov2_path()):
        cache.store(path, {}, {})
    found = by_part(doctor_checks.models(Settings()))
    assert {found[part].state for part in ("face models", "foundation")} == {State.FINE}
    cache.dinov2_path().write_bytes(b"rubbish")
    found = by_part(doctor_checks.models(Settings()))
    assert found["foundation"].state is State.WRONG
    assert "damaged" in found["foundation"].found


def test_a_configured_file_that_is_not_here_is_said() -> None:
    wanted = settings(model={"checkpoint": "nowhere.safetensors"})
    assert "nowhere.safetensors" in by_part(doctor_checks.models(wanted))["settings"].found


def test_every_decoder_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = doctor_checks.codecs(Settings())
    assert found.state is State.FINE
    assert all(name in found.found for name in doctor_checks.CODECS)
    monkeypatch.setattr(doctor_checks, "CODECS", {**doctor_checks.CODECS, "cinepak2": "x"})
    (found,) = doctor_checks.codecs(Settings())
    assert (found.state, "no cinepak2 (x)" in found.found) == (State.NOTE, True)
    monkeypatch.setattr(doctor_checks, "NEEDED", ("cinepak2",))
    assert next(doctor_checks.codecs(Settings())).state is State.WRONG


@pytest.mark.parametrize(
    ("device", "decoding", "reason", "state", "words"),
    [
        ("cpu", "auto", "no driver", State.FINE, "the processor decodes video; no NVDEC: no dr"),
        ("cpu", "auto", None, State.FINE, "a GPU could, with model.device: cuda"),
        ("cuda:1", "auto", None, State.FINE, "NVDEC of cuda:1"),
        ("cuda", "auto", "no driver", State.NOTE, "no NVDEC: no driver; the processor decodes"),
        ("cuda", "cpu", None, State.FINE, "as model.decoding says"),
    ],
)
def test_it_is_said_what_decodes_video_and_why(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    decoding: str,
    reason: str | None,
    state: State,
    words: str,
) -> None:
    monkeypatch.setattr(hardware, "why_not", lambda device: reason)
    (found,) = doctor_checks.decoder(settings(model={"device": device, "decoding": decoding}))
    assert (found.state, words in found.found) == (state, True), found.found


def test_a_free_port_is_free_and_any_is_any() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
    (found,) = doctor_checks.port(settings(web={"port": number}))
    assert (found.state, found.found) == (State.FINE, f"127.0.0.1:{number} is free")
    assert next(doctor_checks.port(settings(web={"port": 0}))).state is State.FINE


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who listens")
def test_a_taken_port_names_the_program_and_not_its_arguments() -> None:
    program = (
        "import socket, time\n"
        "with socket.create_server(('127.0.0.1', 0)) as s:\n"
        "    print(s.getsockname()[1], flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, "--password=hunter2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        number = int(holder.stdout.readline())
        (found,) = doctor_checks.port(settings(web={"port": number}))
        holder.communicate("\n")
    assert found.state is State.WRONG
    assert f"(process {holder.pid})" in found.found
    assert "python" in found.found
    assert "hunter2" not in found.found
    assert "--port" in found.todo


async def test_an_analyzer_on_the_port_is_recognised() -> None:
    import asyncio

    rig = await lobby()
    async with served(rig.app) as number:
        found = await asyncio.to_thread(
            lambda: next(doctor_checks.port(settings(web={"port": number})))
        )
    assert found.state is State.NOTE
    assert "an analyzer answers" in found.found


@pytest.mark.parametrize(
    ("free", "state"), [(90 * GIB, State.FINE), (GIB, State.NOTE), (1, State.WRONG)]
)
@pytest.mark.usefixtures("data")
def test_room_on_the_disk(free: int, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    found = list(doctor_checks.disk(Settings()))
    assert [finding.part for finding in found] == ["data", "evidence", "cache"]
    assert {finding.state for finding in found} == {state}


@pytest.mark.usefixtures("data")
def test_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = list(doctor_checks.disk(Settings()))
    assert {finding.state for finding in found} == {State.WRONG}
    assert "cannot be written" in found[0].found


def test_nothing_is_made(data: Path) -> None:
    """Looking changes nothing: no folder, no database."""
    for check in (doctor_checks.disk, doctor_checks.store, doctor_checks.models):
        list(check(Settings()))
    assert list(data.iterdir()) == []


def test_the_store_is_looked_at_and_not_touched(data: Path) -> None:
    (found,) = doctor_checks.store(Settings())
    assert (found.state, "is made when" in found.found) == (State.FINE, True)
    database = open_database("", data / "data" / "styleflow")
    (found,) = doctor_checks.store(Settings())
    assert (found.state, f"tables {HEAD}" in found.found) == (State.FINE, True)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    (found,) = doctor_checks.store(Settings())
    assert (found.state, "newer release" in found.todo) == (State.WRONG, True)
    assert next(doctor_checks.store(settings(store={"enabled": False}))).state is State.NOTE


def test_a_store_that_does_not_answer_says_why_without_its_password() -> None:
    url = "postgresql+psycopg://u:hunter2@127.0.0.1:1/db"
    (found,) = doctor_checks.store(settings(store={"url": url}))
    assert found.state is State.WRONG
    assert found.todo
    assert "hunter2" not in repr(found)


class Drifting:
    """A clock whose wall side jumps ahead while somebody waits."""

    def __init__(self, jump_s: float) -> None:
        self.now = 0.0
        self.jump_s = jump_s

    def monotonic(self) -> float:
        return self.now

    def utc(self) -> datetime:
        ahead = self.jump_s if self.now else 0.0
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now + ahead)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("jump_s", [0.0, 3600.0, -7.0])
async def test_a_clock_that_jumps_is_seen(jump_s: float) -> None:
    assert await drift_s(Drifting(jump_s)) == pytest.approx(jump_s, abs=1e-3)


@pytest.mark.parametrize(
    ("drift", "synchronised", "state"),
    [
        (0.0, True, State.FINE),
        (0.0, False, State.NOTE),
        (0.0, None, State.NOTE),
        (-1.0, True, State.WRONG),
    ],
)
def test_what_is_said_of_the_clock(
    drift: float, synchronised: bool | None, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def measured(_: Any) -> float:
        return drift

    monkeypatch.setattr(doctor_checks, "drift_s", measured)
    monkeypatch.setattr(doctor_checks, "is_synchronised", lambda: synchronised)
    assert [finding.state for finding in doctor_checks.clock(Settings())] == [state]


def test_the_kernel_is_asked_and_answers_or_is_not_known() -> None:
    assert is_synchronised() in (True, False, None)


def test_a_page_that_is_not_built_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "is_built", lambda: False)
    (found,) = doctor_checks.page(Settings())
    assert (found.state, "make dashboard" in found.todo) == (State.NOTE, True)


def test_optional_programs_and_packages_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/node" if name == "node" else None)
    monkeypatch.setattr(doctor_checks, "find_spec", lambda name: None)
    found = by_part(doctor_checks.extras(Settings()))
    assert found["programs"].found.startswith("node; without pg_dump (backs up")
    assert "[parquet]" in found["packages"].found
    assert "pip install 'styleflow-live[postgres]'" in found["packages"].todo
