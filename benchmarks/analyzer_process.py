"""An analyzer with its workers, held on chosen cores, and the CPU time of each of its parts.

All its processes carry a mark in their environment, which they inherit from the first: Ray starts
workers through daemons of its own, so who is whose parent says little.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from tests.support.server import Server

MARK = "STYLEFLOW_BENCHMARK_MARK"
GONE_S = 10.0
"""How long the processes of an analyzer that has ended are waited for, before they are killed."""

PARTS = ("server", "workers", "others")


class AnalyzerProcess:
    """`styleflow serve` on some cores, with or without workers; a context manager.

    It takes every stream however busy it is, so that nothing is left out to make a load fit, and
    stores what it stores in a folder that goes with it.

    Args:
        workers: how many; 0 is one process without Ray.
        cores: numbers of the cores that it, and everything that it starts, may run on.
        files: folder whose videos may be added.
        most: streams that one worker takes at most.
    """

    def __init__(self, workers: int, cores: Sequence[int], files: Path, most: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="styleflow-capacity-")
        self._cores = frozenset(cores)
        self._mark = secrets.token_hex(8)
        env = {
            MARK: self._mark,
            "XDG_DATA_HOME": self._folder.name,
            "STYLEFLOW__OVERLOAD__ENABLED": "false",
            "STYLEFLOW__ANALYZER__MAX_STREAMS": str(most),
            "STYLEFLOW__WEB__SOURCE_ROOTS": f"[{files}]",
            "STYLEFLOW__LOG__LEVEL": "warning",
        }
        under = ("taskset", "--cpu-list", ",".join(map(str, cores)))
        self._server = Server(
            env=env, under=under, arguments=("--workers", str(workers)) if workers else ()
        )

    def __enter__(self) -> Self:
        try:
            self._server.__enter__()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self._server.__exit__(*exc)
        finally:
            self._end()

    @property
    def server(self) -> Server:
        """The process that answers, and its address."""
        return self._server

    def strays(self) -> list[str]:
        """Return the processes that may run on other cores than they were given."""
        found = []
        for pid in _marked(self._mark):
            with suppress(OSError):
                if not os.sched_getaffinity(pid) <= self._cores:
                    found.append(_command(pid))
        return found

    def cpu_s(self, workers: Collection[int]) -> dict[str, float]:
        """Return CPU seconds used so far by the server, these workers, and all others of it."""
        found = dict.fromkeys(PARTS, 0.0)
        for pid in _marked(self._mark):
            part = "workers" if pid in workers else "others"
            with suppress(OSError):
                found["server" if pid == self._server.pid else part] += cpu_seconds(pid)
        return found

    def _end(self) -> None:
        """Let nothing of it live on, and remove its folder."""
        pause = threading.Event()
        for _ in range(round(GONE_S / 0.2)):
            if not _marked(self._mark):
                break
            pause.wait(0.2)
        for pid in _marked(self._mark):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self._folder.name, ignore_errors=True)
        self._folder.cleanup()


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process; those of children that have ended are not in it.

    Raises:
        OSError: there is no such process any more.
    """
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def pinned(cores: Sequence[int]) -> Iterator[None]:
    """Run this thread, and those that it starts meanwhile, on some cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def rates(
    before: Mapping[str, float], after: Mapping[str, float], seconds: float
) -> dict[str, float]:
    """Return CPU seconds per second by part between two readings."""
    return {part: round((after[part] - before[part]) / seconds, 3) for part in after}


def _marked(mark: str) -> list[int]:
    """Return the processes whose environment has the mark, without this one."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def _command(pid: int) -> str:
    """Return the command line of a process; Ray writes what an actor does into it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
