"""Cost of starting: `styleflow --help` beside `python -c pass`, and `styleflow serve` to an answer.

    python -m benchmarks.startup [--out DIR] [--rounds N]

Both programs take turns, each in a fresh interpreter, so that other work on the machine hits both
alike. The measure is CPU time of the process, user and system; wall time goes along. The server is
started with its defaults and no streams, and asked for `/livez` until it answers.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.hardware import hardware
from benchmarks.result import write_result
from tests.support.server import Server

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results"
TARGET = 12.0
"""CPU time of help may be so many times that of an interpreter that does nothing."""

PROGRAMS: dict[str, tuple[str, ...]] = {
    "nothing": ("-c", "pass"),
    "help": ("-m", "cli.main", "--help"),
    "version": ("-m", "cli.main", "--version"),
    "config check": ("-m", "cli.main", "config", "check", "configs/default.yaml"),
}


@dataclass(frozen=True, slots=True)
class Start:
    """One program from its start to its end, or to its first answer.

    Attributes:
        program: which one.
        rounds: how often it was started.
        cpu_s: median of CPU seconds.
        wall_s: median of wall seconds.
        ratio: median CPU time over that of `nothing`.
    """

    program: str
    rounds: int
    cpu_s: float
    wall_s: float
    ratio: float


def once(arguments: tuple[str, ...]) -> tuple[float, float]:
    """Run a program to its end; return its CPU and wall seconds."""
    before, began = _children(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return _children() - before, time.perf_counter() - began


def serve_once() -> tuple[float, float]:
    """Start a server; return its CPU and wall seconds until it answers."""
    began = time.perf_counter()
    with Server() as server:
        httpx.get(f"{server.url}/livez", timeout=20).raise_for_status()
        return _cpu_of(server.pid), time.perf_counter() - began


def summary(times: dict[str, list[tuple[float, float]]]) -> list[Start]:
    """Return medians per program; `nothing` is what the others are compared with."""
    nothing = statistics.median(cpu for cpu, _ in times["nothing"])
    return [
        Start(
            program,
            len(found),
            round(cpu := statistics.median(cpu for cpu, _ in found), 4),
            round(statistics.median(wall for _, wall in found), 4),
            round(cpu / nothing, 2),
        )
        for program, found in times.items()
    ]


def measure(rounds: int, servers: int) -> list[Start]:
    """Start every program in turns, with progress on the terminal."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in PROGRAMS}
    with Progress() as progress:
        for number in progress.track(range(rounds + 1), description="commands"):
            for name, arguments in PROGRAMS.items():
                taken = once(arguments)
                if number:  # the first round fills caches and writes bytecode
                    times[name].append(taken)
        times["serve"] = [
            serve_once() for _ in progress.track(range(servers), description="servers")
        ]
    return summary(times)


def table(found: list[Start]) -> Table:
    """Return what was measured, for a terminal."""
    shown = Table("program", "CPU s", "wall s", "times python -c pass")
    for one in found:
        shown.add_row(one.program, f"{one.cpu_s:.3f}", f"{one.wall_s:.3f}", f"{one.ratio:.1f}")
    return shown


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used so far."""
    # After the command's name, which may hold spaces: fields 14 and 15 are user and system time.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = RESULTS,
    *,
    rounds: Annotated[int, typer.Option(min=1, help="Starts of each command.")] = 15,
    servers: Annotated[int, typer.Option(min=1, help="Starts of the server.")] = 3,
) -> None:
    """Measure what starting costs."""
    where = hardware()
    found = measure(rounds, servers)
    document: dict[str, Any] = {
        "benchmark": "startup",
        "hardware": where.to_json(),
        "target": TARGET,
        "starts": [asdict(one) for one in found],
    }
    path = out / f"startup-{where.commit.rstrip('+')}.json"
    write_result(document, path)
    console = Console()
    console.print(table(found))
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
