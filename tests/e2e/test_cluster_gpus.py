"""Workers that ask Ray for a GPU each: every one is shown another, and says that it has one.

The GPUs are pretended (`tests/support/gpu_workers.py`). What is computed on one is tested where one
is: `pytest -m gpu`.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="the extra `cluster` is not installed"
    ),
]

ROOT = Path(__file__).resolve().parents[2]


def seen(gpus: int, shares: list[float]) -> list[dict[str, Any]]:
    """Return what workers see that ask for shares of some GPUs."""
    wanted = json.dumps({"gpus": gpus, "shares": shares})
    command = [sys.executable, "-m", "tests.support.gpu_workers", wanted]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_each_worker_sees_the_gpu_that_it_was_given_and_is_labelled() -> None:
    """As `crew` asks for them: two with a GPU each, two that share one, and one without."""
    *workers, other = seen(gpus=3, shares=[1, 1, 0.5, 0.5, 0])
    whole, half = workers[:2], workers[2:]
    assert whole[0]["visible"] != whole[1]["visible"]
    assert half[0]["visible"] == half[1]["visible"]
    assert {worker["visible"] for worker in workers} == {"0", "1", "2"}
    assert [worker["labels"] for worker in workers] == [{"gpu": "true"}] * 4
    assert other["labels"] == {}, "it asked for no GPU"
    assert len({worker["pid"] for worker in (*workers, other)}) == 5
