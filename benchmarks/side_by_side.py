"""Cost of a stream here beside that of another checkout, and how many streams each holds.

    git worktree add ../before COMMIT
    python -m benchmarks.side_by_side ../before [--streams N] [--seconds S] [--rounds R]
                                                [--capacity]

Both checkouts run `styleflow serve` with their own code and their own default detector, one process
each, in turns within one run: same cameras (a process of their own, H.264 over RTSP, one face
each), same configuration, nothing stored, nothing left out under overload. What a stream costs is
the CPU time that the system counts for the server's process, all threads, between two moments when
every stream has scores; starting is not in it. Rounds alternate which side comes first, and a
side's figure is the median of its rounds. CPU time bears other work on the machine better than wall
time does, as long as no frames are lost: what is lost costs nothing, and the table says so.

`--capacity` goes on to find how many streams each side holds: p95 from packet to score at most
300 ms and under 1 % of the sampled frames lost, read from the server's own metrics.
"""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
import yaml
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.cameras import FPS, SIZE, Cameras, render
from benchmarks.hardware import hardware
from benchmarks.result import write_result

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results"
P95_S = 0.3
MAX_LOST = 0.01
MAX_RATIO = 0.65
MIN_GAIN = 1.6
MOST = 32
PATIENCE_S = 60.0
WARM_UP_S = 4.0
_QUIET = {
    "STYLEFLOW__OVERLOAD__ENABLED": "false",
    "STYLEFLOW__STORE__ENABLED": "false",
    "STYLEFLOW__EVIDENCE__ENABLED": "false",
    "STYLEFLOW__ANALYZER__MAX_STREAMS": str(MOST),
}
_PAGE = re.compile(r"page +http://127\.0\.0\.1:(\d+)/")


@dataclass(frozen=True, slots=True)
class Reading:
    """Figures of a server that only grow, at one moment.

    Attributes:
        at: seconds of a clock that only rises.
        cpu_s: CPU seconds of its process.
        sampled: frames sampled.
        dropped: sampled frames that were never scored.
        scores: scores published.
        late: of them, those later than `P95_S`.
    """

    at: float
    cpu_s: float
    sampled: float
    dropped: float
    scores: float
    late: float

    @classmethod
    def of(cls, at: float, cpu_s: float, text: str) -> Reading:
        """Read them from what `/metrics` says."""
        totals: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.labels.get("segment", "packet_to_score") == "packet_to_score":
                    name = sample.name + sample.labels.get("le", "")
                    totals[name] = totals.get(name, 0.0) + sample.value
        scores = totals.get("styleflow_score_latency_seconds_count", 0.0)
        in_time = totals.get(f"styleflow_score_latency_seconds_bucket{P95_S:g}", 0.0)
        return cls(
            at,
            cpu_s,
            totals.get("styleflow_frames_sampled_total", 0.0),
            totals.get("styleflow_frames_dropped_total", 0.0),
            scores,
            scores - in_time,
        )


@dataclass(frozen=True, slots=True)
class Load:
    """What some streams cost one side.

    Attributes:
        side: which.
        streams: cameras at the same time.
        cpu: CPU seconds per second and stream.
        sampled_hz: frames sampled per second and stream.
        lost: share of them that was never scored.
        late: share of the scores that came later than `P95_S`.
        scores_hz: scores per second and stream.
    """

    side: str
    streams: int
    cpu: float
    sampled_hz: float
    lost: float
    late: float
    scores_hz: float

    @classmethod
    def between(cls, side: str, streams: int, before: Reading, after: Reading) -> Load:
        """Sum up what happened between two moments."""
        passed = (after.at - before.at) * streams
        sampled, scores = after.sampled - before.sampled, after.scores - before.scores
        return cls(
            side,
            streams,
            round((after.cpu_s - before.cpu_s) / passed, 4),
            round(sampled / passed, 2),
            round((after.dropped - before.dropped) / sampled, 4) if sampled else 1.0,
            round((after.late - before.late) / scores, 4) if scores else 1.0,
            round(scores / passed, 2),
        )

    @property
    def holds(self) -> bool:
        """Whether the load is within the limits: 95 % of the scores in time, under 1 % lost."""
        return self.late <= 0.05 and self.lost < MAX_LOST and self.scores_hz > 0


class Served:
    """`styleflow serve` of one checkout with some cameras; a context manager.

    Args:
        checkout: folder of its code.
        urls: of the cameras.
    """

    def __init__(self, checkout: Path, urls: Iterable[str]) -> None:
        self._checkout = checkout
        self._streams = [
            {"id": f"camera-{n}", "source": {"url": url, "transport": "tcp"}}
            for n, url in enumerate(urls)
        ]
        self._port = 0
        self._log: list[str] = []

    def __enter__(self) -> Served:
        self._folder = tempfile.TemporaryDirectory(prefix="styleflow-side-")
        config = Path(self._folder.name) / "config.yaml"
        config.write_text(yaml.safe_dump({"streams": self._streams}), encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "serve", "--port", "0", "--config", str(config)],
            cwd=self._checkout,
            env=environment(self._checkout, os.environ, self._folder.name),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        ready = threading.Event()
        threading.Thread(target=self._read, args=(ready,), daemon=True).start()
        if not ready.wait(PATIENCE_S) or not self._port:
            self._process.kill()
            raise SystemExit("\n".join([f"{self._checkout} does not serve:", *self._log[-20:]]))
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def _read(self, ready: threading.Event) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._log = [*self._log[-50:], line.rstrip()]
            if match := _PAGE.search(line):
                self._port = int(match[1])
                ready.set()
        ready.set()

    def read(self) -> Reading:
        """Return its figures, now."""
        text = httpx.get(f"http://127.0.0.1:{self._port}/metrics", timeout=20).text
        return Reading.of(time.perf_counter(), cpu_of(self._process.pid), text)

    def warm(self) -> None:
        """Wait until every stream is scored, and then a little."""
        deadline = time.perf_counter() + PATIENCE_S
        while (scored := self._scored()) < len(self._streams):
            if time.perf_counter() > deadline:
                raise SystemExit(f"only {scored} streams of {self._checkout} are scored")
            _pass(0.2)
        _pass(WARM_UP_S)

    def _scored(self) -> int:
        text = httpx.get(f"http://127.0.0.1:{self._port}/metrics", timeout=20).text
        return len(set(re.findall(r'^styleflow_scores_total\{.*?stream="([^"]+)"', text, re.M)))


def environment(checkout: Path, given: Mapping[str, str], folder: str) -> dict[str, str]:
    """Return the environment of a server: its own code first, nothing kept, nothing left out.

    Settings that a checkout's manual does not know are left out: it would refuse them.
    """
    manual = yaml.safe_load((checkout / "configs" / "default.yaml").read_text(encoding="utf-8"))
    known = {
        name: value
        for name, value in _QUIET.items()
        if name.lower().split("__")[2] in (manual.get(name.lower().split("__")[1]) or {})
    }
    kept = {name: value for name, value in given.items() if not name.startswith("STYLEFLOW__")}
    return {**kept, **known, "PYTHONPATH": str(checkout), "XDG_DATA_HOME": folder, "COLUMNS": "200"}


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used so far, all its threads."""
    # After the command's name, which may hold spaces: fields 14 and 15 are user and system time.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(side: str, checkout: Path, streams: int, seconds: float, clip: Path) -> Load:
    """Serve some cameras from one checkout, and say what they cost."""
    with Cameras(clip, streams) as cameras, Served(checkout, cameras.urls) as server:
        server.warm()
        before = server.read()
        _pass(seconds)
        return Load.between(side, streams, before, server.read())


def _pass(seconds: float) -> None:
    threading.Event().wait(seconds)


def order(sides: Iterable[str], round_number: int) -> list[str]:
    """Return who comes when in a round: the first one last in every other round."""
    found = list(sides)
    return found if round_number % 2 == 0 else found[::-1]


def held(measured: Callable[[int], Load], start: int, most: int = MOST) -> tuple[int, list[Load]]:
    """Return how many streams a side holds, and every load that was tried.

    Args:
        measured: runs a load.
        start: streams of the first load; from there one by one, up or down.
        most: streams at most.
    """
    tried = [measured(start)]
    step = 1 if tried[0].holds else -1
    streams = start
    while 0 < streams + step <= most:
        streams += step
        tried.append(measured(streams))
        if tried[-1].holds != tried[0].holds:
            break
    return max((load.streams for load in tried if load.holds), default=0), tried


def cost(loads: Iterable[Load], side: str) -> float:
    """Return the median of what a stream cost one side."""
    return statistics.median(load.cpu for load in loads if load.side == side)


def table(loads: Iterable[Load]) -> Table:
    """Return every load for a terminal."""
    columns = ("side", "streams", "CPU s/s and stream", "sampled Hz", "lost", "late", "")
    shown = Table(*columns)
    for one in loads:
        shown.add_row(
            one.side,
            str(one.streams),
            f"{one.cpu:.4f}",
            f"{one.sampled_hz:.2f}",
            f"{one.lost:.1%}",
            f"{one.late:.1%}",
            "holds" if one.holds else "",
        )
    return shown


def commit(checkout: Path) -> str:
    """Return the commit of a checkout, with `+` where the tree had other changes."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=checkout, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")


@contextmanager
def _clip(size: tuple[int, int]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield render(Path(folder) / "clip.mp4", size=size)


def main(
    other: Annotated[Path, typer.Argument(help="Another checkout, such as a git worktree.")],
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    *,
    streams: Annotated[int, typer.Option(min=1, max=MOST, help="Cameras at a time.")] = 4,
    seconds: Annotated[float, typer.Option(min=1, help="Measured per load.")] = 20.0,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each side is measured.")] = 3,
    capacity: Annotated[bool, typer.Option("--capacity", help="Find what each holds.")] = False,
) -> None:
    """Compare what a stream costs here with what it cost elsewhere."""
    console, where = Console(), hardware()
    sides = {"here": ROOT, "other": other.resolve()}
    loads: list[Load] = []
    holds: dict[str, int] = {}
    with _clip(SIZE) as clip, Progress(console=console) as progress:
        task = progress.add_task("", total=None)

        def load(side: str, count: int) -> Load:
            progress.update(task, description=f"{side}: {count} stream(s)")
            loads.append(measure(side, sides[side], count, seconds, clip))
            return loads[-1]

        for number in range(rounds):
            for side in order(sides, number):
                load(side, streams)
        compared = list(loads)
        for side in sides if capacity else ():
            holds[side] = held(partial(load, side), 2 * streams)[0]
    here, there = cost(compared, "here"), cost(compared, "other")
    document: dict[str, Any] = {
        "benchmark": "side_by_side",
        "hardware": where.to_json(),
        "commits": {side: commit(folder) for side, folder in sides.items()},
        "cameras": {"size": list(SIZE), "fps": FPS, "streams": streams},
        "limits": {"p95_s": P95_S, "lost": MAX_LOST, "ratio": MAX_RATIO, "gain": MIN_GAIN},
        "cpu": {"here": here, "other": there, "ratio": round(here / there, 3)},
        "streams_held": holds,
        "loads": [asdict(one) for one in loads],
    }
    path = out / f"side-by-side-{where.commit.rstrip('+')}.json"
    write_result(document, path)
    console.print(table(loads))
    console.print(f"CPU per stream: {here:.4f} / {there:.4f} = {here / there:.2f}", holds or "")
    if any(load.lost >= MAX_LOST for load in compared):
        console.print("[bold]frames were lost: the costs cannot be compared[/bold]")
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
