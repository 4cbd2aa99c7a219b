"""`styleflow evidence replay`: what is refused, and what is named that is needed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import wiring
from cli.main import app
from cli.settings import DetectorConfig, Settings
from stream.events import CaptureConditions
from stream.evidence.bundle import SIDECAR
from stream.evidence.sidecar import Sidecar
from stream.ingest.frame_log import FrameNote
from stream.store.access import to_us
from styleflow.runtime_settings import Precision
from tests.support.bundles import KEY, MADE, bundled, contents, forged, unzipped, zipped

RUNNER = CliRunner()
SHA256 = "cd" * 32


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def noted(folder: Path, **changes: Any) -> Path:
    """Return a bundle with everything that a replay wants, of weights that nobody has."""
    made = contents(folder)
    files = [(part.name, part.data) for part in made.parts if part.name != "scores.json"]
    known = Sidecar.of_json(dict(files)[SIDECAR])
    arrived = known.packets[3].arrived
    note = FrameNote(arrived, 1, 0, 0.0, 0, True, 1, 1, CaptureConditions())
    files = [(n, replace(known, frames=(note,)).to_json() if n == SIDECAR else d) for n, d in files]
    at = to_us(MADE) + round((arrived - known.monotonic) * 1e6)
    score = {"at": at, "epoch": 1, "track": 1, "model": 1, "p": 0.9, "logit": 2.0}
    model = {"number": 1, "name": "styleflow-live", "version": "9", "sha256": SHA256}
    said: dict[str, Any] = {
        "scores.json": {"scores": [score]},
        "model.json": {"weights": [model]},
        "configuration.json": {},
        "versions.json": {},
    }
    said |= changes
    files += [(name, json.dumps(value).encode()) for name, value in said.items()]
    return forged(folder / "noted.zip", files)


def replayed(file: Path, *more: str | Path) -> str:
    result = RUNNER.invoke(app, ["evidence", "replay", str(file), *map(str, more)])
    assert result.exit_code == 1, result.output
    return " ".join((result.output + result.stderr).split())


def test_weights_of_another_digest_are_named(tmp_path: Path) -> None:
    said = replayed(noted(tmp_path), "--key", KEY.fingerprint)
    assert "signed by a key that is known here" in said
    assert f"weights of styleflow-live 9 with SHA-256 {SHA256}" in said
    assert "--weights" in said


def test_a_detector_that_the_configuration_does_not_name_is_told(tmp_path: Path) -> None:
    settings = {"detectors": [{"name": "fakestormer-c0", "checkpoint": "/etc/passwd"}]}
    said = replayed(noted(tmp_path, **{"configuration.json": settings}))
    assert "does not name styleflow-live" in said
    assert "signed by an UNKNOWN key" in said


def test_weights_that_are_not_here_are_named(tmp_path: Path) -> None:
    settings = {"detectors": [{"name": "fakestormer-c0", "checkpoint": "/etc/passwd"}]}
    model = {"number": 1, "name": "fakestormer-c0", "version": "2", "sha256": SHA256}
    changes = {"configuration.json": settings, "model.json": {"weights": [model]}}
    said = replayed(noted(tmp_path, **changes))
    assert f"weights of fakestormer-c0 2 with SHA-256 {SHA256}" in said


def test_a_configuration_of_another_shape_is_refused(tmp_path: Path) -> None:
    settings = {"engine": {"enter": "high"}}
    assert "configuration cannot be used" in replayed(
        noted(tmp_path, **{"configuration.json": settings})
    )


@pytest.mark.parametrize(
    ("configuration", "precision"),
    [
        ({}, Precision.BFLOAT16),
        ({"model": {"slots": 3}}, Precision.BFLOAT16),
        ({"model": {"precision": None}}, None),
        ({"model": {"precision": "int8"}}, Precision.INT8),
    ],
)
def test_a_bundle_is_scored_in_the_precision_that_it_was_recorded_in(
    configuration: dict[str, Any],
    precision: Precision | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of a time when there was no choice was scored in half precision."""
    asked: list[Settings] = []

    def chosen(settings: Settings) -> tuple[DetectorConfig, ...]:
        asked.append(settings)
        return (DetectorConfig(name="styleflow-live"),)

    monkeypatch.setattr(wiring, "chosen", chosen)
    replayed(noted(tmp_path, **{"configuration.json": configuration}))
    assert [settings.model.precision for settings in asked] == [precision]
    assert asked[0].model.slots == Settings().model.slots  # this machine's


def test_a_bundle_without_notes_of_frames_is_told(tmp_path: Path) -> None:
    files = unzipped(noted(tmp_path))
    known = Sidecar.of_json(dict(files)[SIDECAR])
    made = [(n, replace(known, frames=()).to_json() if n == SIDECAR else d) for n, d in files]
    assert "which frames were looked at" in replayed(forged(tmp_path / "old.zip", made))


@pytest.mark.parametrize("name", ["clip.mp4", "scores.json", "manifest.json", "signature.json"])
def test_a_changed_bundle_is_refused(tmp_path: Path, name: str) -> None:
    files = unzipped(noted(tmp_path))
    made = [(n, d[:-3] + bytes([d[-3] ^ 1]) + d[-2:] if n == name else d) for n, d in files]
    said = replayed(zipped(tmp_path / "changed.zip", [*made]))
    assert "not as it was signed" in said
    assert name in said


def test_paths_and_bombs_are_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    files = unzipped(bundled(tmp_path / "x.zip", contents(tmp_path)))
    assert "no name of a part" in replayed(zipped(tmp_path / "y.zip", [("../x", b""), *files]))
    (tmp_path / "z.zip").write_bytes(b"no zip")
    assert "no zip file" in replayed(tmp_path / "z.zip")
