"""Where nothing can be written, all but drawing works, and drawing says what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NOWHERE = "/proc/nowhere"
READ_ONLY = f"""
import sys, tempfile
tempfile._candidate_tempdir_list = lambda: [{NOWHERE!r}]
"""


def ran(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program that finds neither a home nor a temporary folder to write in."""
    env = {"PATH": "/usr/bin:/bin", "HOME": NOWHERE, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", READ_ONLY + program],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_analyze_on_a_read_only_root_loads_nothing_that_wants_a_folder() -> None:
    done = ran("import cli.analyze; print('matplotlib' in sys.modules)")
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


def test_a_picture_on_a_read_only_root_names_the_folder_before_the_analysis(
    tmp_path: Path,
) -> None:
    arguments = ["analyze", "demo://authentic", "--plot", str(tmp_path / "a.png")]
    done = ran(f"from cli.main import app; app({arguments!r})")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"{NOWHERE}/.config/matplotlib" in line
    assert "MPLCONFIGDIR" in line
    assert "log" not in line


def test_an_error_in_words_alone_is_told_in_its_words() -> None:
    program = """
from cli.errors import problem_of
print(problem_of(OSError("no usable folder in\\n['/a']")).line)
print(problem_of(OSError("cannot open rtsp://u:hunter2@cam")).line)
"""
    first, second = ran(program).stdout.splitlines()
    assert first == "no usable folder in ['/a']"
    assert "hunter2" not in second
