"""Machine and versions of a measurement: without them, a number means nothing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from stream.clock import SystemClock
from styleflow.weights.checkpoint import shipped

_REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where and with what a result was measured.

    Attributes:
        cpu: the processor's own name.
        cores: logical cores that this process may use.
        memory_gib: main memory.
        gpu: the first CUDA device's name, or None.
        load_1m: load average when the measurement began; other work makes figures worse.
        threads: CPU threads of torch.
        python: version.
        torch: version.
        commit: what was measured; ends in `+` when the tree had other changes.
        measured: UTC date.
    """

    cpu: str
    cores: int
    memory_gib: float
    gpu: str | None
    load_1m: float
    threads: int
    python: str
    torch: str
    commit: str
    measured: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    def caption(self) -> str:
        """Return one line for a chart."""
        return f"{self.cpu}, {self.threads} thread(s), torch {self.torch}, {self.commit}"


def shipped_model() -> str:
    """Return the default detector's name, version and state of training, for a result."""
    found = shipped()
    return f"{found.kind} {found.version} ({found.status.value})"


def hardware() -> Hardware:
    """Return what this process runs on, now."""
    return Hardware(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(_memory_bytes() / 2**30, 1),
        gpu=torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        load_1m=round(os.getloadavg()[0], 2),
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        torch=str(torch.__version__),
        commit=_commit(),
        measured=SystemClock().utc().date().isoformat(),
    )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if found:
            return found.group(1)
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _commit() -> str:
    try:
        name = _git("rev-parse", "--short=12", "HEAD")
        return name + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_REPOSITORY, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
