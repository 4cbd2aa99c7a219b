"""Streams held by workers on cores, over HTTP and WebSocket alone, and what more cores would hold.

    python -m benchmarks.capacity --workers 1,2 --cores 1,2 [--rounds N] [--minutes M]

`styleflow serve --workers N` is started with nothing but so many cores to run on (0 workers mean
one process without Ray). Everything shares these cores: Ray, the gateway, the workers and the
client that listens here. Each camera is a video file that is read at its own pace: no server plays
it, and decoding it is part of what is measured.

A load holds within the limits of `benchmarks/held.py`. Latency is from the arrival of a packet to
the arrival of its score at the client, so the gateway and the WebSocket are in it. The largest load
that holds is found to one stream, once in each round, and the rounds take turns.

Of the points with one worker per core Amdahl's law is fitted (`benchmarks/capacity_law.py`): a is
what one core holds, s the share that does not grow. What it says of more cores is a projection; its
range is what the law says when every count is moved within what was measured, from the least that
was held in a round to one stream above the most.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from rich.console import Console

from benchmarks.analyzer_process import AnalyzerProcess, pinned, rates
from benchmarks.cameras import SIZE, render, repeated
from benchmarks.capacity_law import FORMULA, Counted, Fit, fit
from benchmarks.hardware import Hardware
from benchmarks.held import MAX_LOST, MOST, P95_MS, edge, within
from benchmarks.latency import Spread
from benchmarks.result import write_result
from benchmarks.score_listener import Listener, pace
from benchmarks.soak import total
from stream.clock import Clock, SystemClock

TARGET = 1.8
"""Times the streams of one worker on one core that two on two are to hold."""

FIRST_GUESS = 8
"""Streams per core at which the first search begins."""

PATIENCE_S = 30.0
WARM_UP_S = 5.0
AFTERWARDS_S = 1.0
VIDEO_S = 300.0
PAUSES_S = 0.08
_PANELS = ("#2a7f62", "#b5542f", "#3b6ea5", "#6b4e9b")


@dataclass(frozen=True, slots=True)
class Point:
    """A number of workers on a number of cores; without workers, one process without Ray."""

    workers: int
    cores: int

    def __str__(self) -> str:
        what = (
            f"{self.workers} worker{'s' * (self.workers != 1)}" if self.workers else "one process"
        )
        return f"{what} on {self.cores} core{'s' * (self.cores != 1)}"


@dataclass(frozen=True, slots=True)
class Load:
    """What one number of streams came to.

    Attributes:
        streams: cameras at the same time.
        refused: of those, how many were not taken.
        latency: from packet to score at the client.
        worth: streams' worth of video that was worked through.
        lost: share of the sampled frames that were not scored.
        cpu: CPU seconds per second by part: `server` (of workers, the gateway), `workers`,
            `others` (the director, and Ray's own processes), `client`.
        placed: streams by worker at the end.
    """

    streams: int
    refused: int
    latency: Spread
    worth: float
    lost: float
    cpu: Mapping[str, float]
    placed: Mapping[str, int]

    @property
    def holds(self) -> bool:
        """Whether the load is within the limits."""
        return not self.refused and within(self.streams, self.latency, self.worth, self.lost)


@dataclass(slots=True)
class Found:
    """Everything measured at one point.

    Attributes:
        point: which.
        held: the largest load that held, by round.
        loads: all loads, in the order tried.
    """

    point: Point
    held: list[int] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)

    @property
    def even(self) -> bool:
        """Whether it was measured with one worker per core."""
        return bool(self.held) and self.point.workers == self.point.cores

    @property
    def counted(self) -> Counted:
        """The streams that were held, over all rounds."""
        return Counted(
            self.point.cores, statistics.median(self.held), min(self.held), max(self.held)
        )

    @property
    def gateway_cpu(self) -> float | None:
        """CPU seconds per second of the gateway for one stream, at the largest load that held."""
        held = [one for one in self.loads if one.holds]
        if not self.point.workers or not held:
            return None
        most = max(held, key=lambda one: one.streams)
        return most.cpu["server"] / most.streams

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            **asdict(self.point),
            "held": self.held,
            "capacity": statistics.median(self.held) if self.held else None,
            "loads": [{**asdict(one), "holds": one.holds} for one in self.loads],
        }


def points(workers: str, cores: str, available: int) -> list[Point]:
    """Return the points of two lists such as `1,2` that go together.

    Raises:
        ValueError: they do not go together, or the machine has fewer cores.
    """
    try:
        found = [
            Point(int(one), int(other))
            for one, other in zip(workers.split(","), cores.split(","), strict=True)
        ]
    except ValueError:
        raise ValueError(
            f"{workers!r} and {cores!r} are no two lists of as many numbers, such as 1,2"
        ) from None
    for one in found:
        if one.workers < 0 or not 1 <= one.cores <= available:
            raise ValueError(f"{one} cannot be measured where there are {available} cores")
    return found


def measure(point: Point, streams: int, seconds: float, video: Path, cores: Sequence[int]) -> Load:
    """Run an analyzer on some cameras, and measure it once it is warm."""
    clock, pause = SystemClock(), threading.Event()
    used = cores[: point.cores]
    with (
        AnalyzerProcess(point.workers, used, video.parent, MOST) as analyzer,
        pinned(used),
        Listener(analyzer.server.port, clock) as listener,
    ):
        refused = _add(analyzer, streams, video)
        _wait_for_scores(listener, streams - refused, clock, pause)
        pause.wait(WARM_UP_S)
        if strays := analyzer.strays():
            raise RuntimeError(f"not kept to its cores: {', '.join(strays)}")
        pids = {one["pid"] for one in _workers(analyzer)}
        before, cpu_before = _counters(analyzer), _cpu(analyzer, pids)
        begin = clock.utc().timestamp()
        pause.wait(seconds)
        end = clock.utc().timestamp()
        after, cpu_after = _counters(analyzer), _cpu(analyzer, pids)
        pause.wait(AFTERWARDS_S)
        scores = listener.received()
        placed = {one["name"]: len(one["streams"]) for one in _workers(analyzer)}
    sampled, lost = (now - then for now, then in zip(after, before, strict=True))
    share = min(1.0, lost / sampled) if sampled else 1.0
    ages = [one.age_s for one in scores if begin <= one.at < end]
    worth = pace(scores, begin, end) * (1 - share)
    cpu = rates(cpu_before, cpu_after, end - begin)
    latency = Spread.of(ages)
    return Load(streams, refused, latency, round(worth, 2), round(share, 4), cpu, placed)


def _add(analyzer: AnalyzerProcess, streams: int, video: Path) -> int:
    """Add cameras with seeded pauses, so that they do not beat together; return how many failed."""
    rng, pause, refused = random.Random(0), threading.Event(), 0
    for number in range(streams):
        answer = analyzer.server.add(f"camera-{number}", str(video), loop=True)
        if answer.status_code not in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.CONFLICT):
            answer.raise_for_status()
        refused += answer.is_error
        pause.wait(rng.uniform(0, PAUSES_S))
    return refused


def _wait_for_scores(
    listener: Listener, streams: int, clock: Clock, pause: threading.Event
) -> None:
    """Wait until so many streams have a score, but not for ever: some may be too many."""
    deadline = clock.monotonic() + PATIENCE_S
    while clock.monotonic() < deadline:
        if len({one.stream for one in listener.received()}) >= streams:
            return
        pause.wait(0.2)


def _counters(analyzer: AnalyzerProcess) -> tuple[int, int]:
    """Return the frames that were sampled, and those of them that were never scored."""
    text = httpx.get(f"{analyzer.server.url}/metrics", timeout=30).text
    return total(text, "frames_sampled_total"), total(text, "frames_dropped_total")


def _workers(analyzer: AnalyzerProcess) -> list[dict[str, Any]]:
    """Return the workers as the analyzer tells them; none where it does not."""
    answer = httpx.get(f"{analyzer.server.url}/api/v1/workers", timeout=30)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return []
    workers: list[dict[str, Any]] = answer.raise_for_status().json()["workers"]
    return workers


def _cpu(analyzer: AnalyzerProcess, workers: Collection[int]) -> dict[str, float]:
    return {**analyzer.cpu_s(workers), "client": time.process_time()}


def ratio(found: Iterable[Found]) -> dict[str, Any] | None:
    """Return two workers on two cores over one on one; None where they were not both measured."""
    by_point = {one.point: one.counted for one in found if one.held}
    one, two = by_point.get(Point(1, 1)), by_point.get(Point(2, 2))
    if one is None or two is None or one.most < 1:
        return None
    value = two.held / one.held if one.held else None
    return {
        "what": f"{Point(2, 2)} over {Point(1, 1)}",
        "value": value and round(value, 2),
        "least": round(two.least / one.most, 2),
        "most": round(two.most / one.least, 2) if one.least else None,
        "target": TARGET,
        "reached": value is not None and value >= TARGET,
    }


def fitted(found: Iterable[Found]) -> Fit | None:
    """Return the law through the points with one worker per core; None with fewer than two."""
    even = [one for one in found if one.even]
    known = [one.gateway_cpu for one in even]
    dearest = max((one for one in known if one is not None), default=None)
    return fit([one.counted for one in even], dearest)


class Run:
    """Measures points in turns, tells a terminal, and keeps what is known in a file as it goes.

    Args:
        found: the points, nothing measured yet.
        seconds: measured per load.
        path: the JSON file.
        where: the machine.
        cores: numbers of the cores that may be used.
        console: where it is told.
    """

    def __init__(
        self,
        found: Sequence[Found],
        seconds: float,
        path: Path,
        where: Hardware,
        cores: Sequence[int],
        console: Console,
    ) -> None:
        self.found = list(found)
        self._seconds = seconds
        self._path = path
        self._where = where
        self._cores = cores
        self._console = console

    def rounds(self, count: int, most: int, minutes: float) -> None:
        """Find what every point holds, so many times; no further round begins after so long."""
        clock = SystemClock()
        until = clock.monotonic() + 60 * minutes
        with tempfile.TemporaryDirectory() as folder:
            clip = render(Path(folder) / "clip.mp4")
            video = repeated(clip, Path(folder) / "camera.mp4", VIDEO_S)
            for number in range(count):
                for one in self.found:
                    if number and clock.monotonic() > until:
                        self._console.print(f"{one.point}: no time for round {number + 1}")
                        continue
                    holds = partial(self._holds, one, video)
                    one.held.append(edge(holds, self._near(one), most))
                    self._console.print(f"[bold]{one.point}: {one.held[-1]} held[/bold]")
                    self.save()

    def _near(self, one: Found) -> int:
        """Return where to begin: at what the point held before, or in proportion to another."""
        if one.held:
            return one.held[-1]
        others = [other for other in self.found if other.held and other.held[-1]]
        per_core = others[-1].held[-1] / others[-1].point.cores if others else FIRST_GUESS
        return round(per_core * one.point.cores)

    def _holds(self, one: Found, video: Path, streams: int) -> bool:
        load = measure(one.point, streams, self._seconds, video, self._cores)
        one.loads.append(load)
        self._console.print(f"{one.point}: {_described(load)}")
        self.save()
        return load.holds

    def save(self) -> None:
        """Write what is known so far."""
        law = fitted(self.found)
        document: dict[str, Any] = {
            "benchmark": "capacity_cores",
            "hardware": self._where.to_json(),
            "limits": {"p95_ms": P95_MS, "lost": MAX_LOST},
            "seconds": self._seconds,
            "size": f"{SIZE[0]}x{SIZE[1]}",
            "ratio": ratio(self.found),
            "law": {"name": "Amdahl", "formula": FORMULA, **asdict(law)} if law else None,
            "points": [one.to_json() for one in self.found],
        }
        write_result(document, self._path)


def _described(load: Load) -> str:
    spread, cpu = load.latency, ", ".join(f"{part} {used:.2f}" for part, used in load.cpu.items())
    return (
        f"{load.streams} streams, p50 / p95 / p99 {spread.p50_ms:.0f} / {spread.p95_ms:.0f} / "
        f"{spread.p99_ms:.0f} ms, {load.lost:.1%} lost, worth {load.worth:.1f}, CPU {cpu}"
        f"{f', {load.refused} refused' if load.refused else ''}{', holds' if load.holds else ''}"
    )


def chart(found: Sequence[Found], where: Hardware, path: Path) -> None:
    """Draw p95 over streams, and streams over cores with the law and its projection."""
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    loads, cores = figure.subplots(1, 2)
    _draw_loads(loads, found)
    _draw_law(cores, found, fitted(found))
    for axes, place in ((loads, "best"), (cores, "upper left")):
        axes.legend(frameon=False, loc=place)
        axes.spines[["top", "right"]].set_visible(False)
    figure.text(0.5, -0.03, where.caption(), ha="center", fontsize=7, color="#555555")
    figure.savefig(path, dpi=120, bbox_inches="tight")


def _draw_loads(axes: Axes, found: Sequence[Found]) -> None:
    for number, one in enumerate(found):
        drawn = sorted((load for load in one.loads if load.latency.count), key=lambda x: x.streams)
        axes.plot(
            [load.streams for load in drawn],
            [load.latency.p95_ms for load in drawn],
            "o-",
            color=_PANELS[number % len(_PANELS)],
            label=f"{one.point}: {statistics.median(one.held):g}" if one.held else str(one.point),
        )
    axes.axhline(P95_MS, color="#555555", linewidth=0.8, linestyle="--")
    axes.set_yscale("log")
    axes.set_ylim(bottom=10)
    axes.set_xlabel("streams")
    axes.set_ylabel("p95 from packet to score at the client, ms (log)")
    axes.set_title(f"{SIZE[0]}x{SIZE[1]} at 25 fps, one face each")


def _draw_law(axes: Axes, found: Sequence[Found], law: Fit | None) -> None:
    even = [one.counted for one in found if one.even and one.counted.least]
    for one in even:
        axes.plot([one.cores] * 2, [one.least, one.most], "-", color="#2a7f62")
    axes.plot([one.cores for one in even], [one.held for one in even], "o", color="#2a7f62",
              label="measured, a worker per core")  # fmt: skip
    if even and law is not None:
        measured = max(one.cores for one in even)
        ends = [measured, *(one.cores for one in law.projected if one.cores > measured)]
        steps = np.unique([round(n) for a, b in pairwise(ends) for n in np.linspace(a, b, 20)])
        label = f"projection: a = {law.law.a:.1f}, s = {law.law.s:.3f}"
        axes.plot(steps, [law.law.at(int(n)) for n in steps], "--", color="#3b6ea5", label=label)
        beyond = [one for one in law.projected if one.cores > measured]
        axes.vlines([one.cores for one in beyond], [one.least for one in beyond],
                    [one.most for one in beyond], color="#3b6ea5", alpha=0.5,
                    label="what the counts leave open")  # fmt: skip
        for projection in beyond:
            axes.annotate(f" {projection.streams}", (projection.cores, projection.streams))
    if even:
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlabel("cores (log)")
    axes.set_ylabel("streams held (log)")
    axes.set_title("Amdahl's law; beyond the dots nothing was measured")


def run(
    wanted: Sequence[Point],
    where: Hardware,
    out: Path,
    *,
    seconds: float,
    rounds: int,
    minutes: float,
    most: int,
    cores: Sequence[int],
) -> Path:
    """Measure some points; write the JSON and the chart, and return the JSON's path."""
    path = out / f"capacity-cores-{where.commit.rstrip('+')}.json"
    console = Console()
    work = Run([Found(one) for one in wanted], seconds, path, where, cores, console)
    work.rounds(rounds, most, minutes)
    chart(work.found, where, path.with_suffix(".png"))
    if found := ratio(work.found):
        console.print(found)
    if law := fitted(work.found):
        console.print(law)
    return path
