"""Provenance of a result: without it, a figure means nothing."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from stream.clock import SystemClock
from styleflow.pictures.hardware import why_not

_REPOSITORY = Path(__file__).resolve().parent.parent


def hardware() -> dict[str, Any]:
    """Return what this process runs on, as JSON values."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "gpu_decoding": why_not() or "NVDEC",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


def commit() -> str:
    """Return the commit of this program, with `+` when it was changed since; else `unknown`."""
    try:
        name = _git("rev-parse", "--short=12", "HEAD")
        return name + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def command() -> str:
    """Return the command line, beginning with the program's name rather than its path."""
    return shlex.join(["styleflow", *sys.argv[1:]])


def today() -> str:
    """Return the UTC date, ISO 8601."""
    return SystemClock().utc().date().isoformat()


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if found:
            return found.group(1)
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_REPOSITORY, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
