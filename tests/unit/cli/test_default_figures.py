"""The committed figures of the default model are what an evaluation of it finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.errors import Exit
from cli.main import app
from tests.support.faces import finder_or_skip

ROOT = Path(__file__).resolve().parents[3]
MANIFEST = ROOT.parent / "shared" / "clips" / "manifest.csv"
WEIGHTS = ROOT / "styleflow" / "weights" / "styleflow-live.safetensors"
COMMITTED = ROOT / "benchmarks" / "results" / "default-val.json"


@pytest.mark.huge
@pytest.mark.timeout(7200)
def test_the_default_repeats_its_committed_figures(tmp_path: Path) -> None:
    """Ten minutes on one core; the tolerance is that of `styleflow evaluate check`."""
    for needed in (MANIFEST, WEIGHTS, COMMITTED):
        if not needed.is_file():
            pytest.skip(f"{needed.relative_to(ROOT.parent)} is not here")
    finder_or_skip()
    runner, out = CliRunner(), str(tmp_path / "out")
    detector = ["--detector", "styleflow-live", "--weights", str(WEIGHTS)]
    options = ["--split", "val", "--out", out, "--no-offline", *detector]
    done = runner.invoke(app, ["evaluate", str(MANIFEST), *options])
    assert done.exit_code == Exit.OK, done.output
    checked = runner.invoke(app, ["evaluate", "check", out, str(COMMITTED)])
    assert checked.exit_code == Exit.OK, checked.output
