"""Nothing heavy is loaded before it is used: measured in fresh interpreters."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("torch", "cv2", "openvino", "av", "aiortc", "matplotlib")

GROUPS = {
    "values of styleflow": (
        "styleflow",
        "styleflow.cards",
        "styleflow.clips",
        "styleflow.calibration",
        "styleflow.overlay",
        "styleflow.errors",
        "styleflow.ensemble",
        "styleflow.runtime_settings",
        "styleflow.detectors.protocol",
        "styleflow.detectors.registry",
        "styleflow.weights.places",
        "styleflow.faces.face",
        "styleflow.faces.settings",
    ),
    "client of an analyzer": (
        "styleflow.client",
        "styleflow.client.sync_client",
        "styleflow.client.async_client",
    ),
    "values of stream": (
        "stream.clock",
        "stream.events",
        "stream.errors",
        "stream.problems",
        "stream.analyzer.settings",
        "stream.analyzer.streams",
        "stream.engine.engine",
        "stream.ingest.check",
        "stream.ingest.source",
        "stream.offline.analysis",
        "stream.perception.settings",
        "stream.scheduling.batcher",
        "stream.scheduling.degradation",
        "stream.webrtc.calls",
    ),
    "settings and command line": (
        "web.settings",
        "web.errors",
        "cli.settings",
        "cli.config",
        "cli.commands",
        "cli.errors",
        "cli.evaluate_app",
        "cli.evidence_app",
        "cli.incidents_app",
        "cli.main",
        "cli.watch",
    ),
}
REPORT = f"print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"


def loaded(program: str) -> list[str]:
    """Run a program in a fresh interpreter and return the heavy packages it ended with."""
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys\n{program}\n{REPORT}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_modules_of_values_load_nothing_heavy(group: str) -> None:
    """The first module of a group that breaks the promise is named."""
    names = GROUPS[group]
    program = f"""
import importlib
for name in {names!r}:
    importlib.import_module(name)
    heavy = [m for m in {HEAVY!r} if m in sys.modules]
    assert not heavy, f"importing {{name}} loads {{heavy}}"
"""
    assert loaded(program) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("config", "check", "configs/default.yaml"),
        ("analyze", "--help"),
        ("doctor", "--help"),
        ("train", "--help"),
        ("checkpoints", "fetch", "--help"),
    ],
    ids=" ".join,
)
def test_help_and_configuration_load_nothing_heavy(arguments: tuple[str, ...]) -> None:
    program = f"""
from cli.main import app
try:
    app({list(arguments)!r})
except SystemExit as end:
    assert not end.code, end.code
"""
    assert loaded(program) == []


def test_the_check_sees_what_is_heavy() -> None:
    """The measurement itself: what loads torch is told so."""
    assert "torch" in loaded("import styleflow.runtime")
