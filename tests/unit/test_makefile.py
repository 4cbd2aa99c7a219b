"""The halves in which the Makefile runs the quick tests leave nothing out, whatever is added."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def words(target: str) -> list[str]:
    """Return the words of the command that makes a target, without its cache's folder."""
    apart = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    told = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "--old-file=models", target],
        cwd=ROOT,
        env=apart,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (command,) = told.splitlines()
    return [word for word in shlex.split(command) if not word.startswith("cache_dir=")]


def test_what_one_half_of_the_quick_tests_leaves_out_the_other_runs() -> None:
    half, rest = words("quick-units"), words("quick-others")
    named = [word for word in half if word.startswith("tests/")]
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert rest == [f"--ignore={word}" if word in named else word for word in half]


def test_all_parts_are_run_by_make_test() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = text[text.index("\ntest: ") :].partition("\n\n")[0]
    run = recipe.partition("\n\t")[2].split()
    assert {"cheap", "quick-units", "quick-others", "slow", "e2e", "browser"} <= set(run)
