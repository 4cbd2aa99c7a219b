"""Latency from packet to published score, stage by stage, at 1, 2 and 4 streams.

    python -m benchmarks.latency [--out DIR] [--quick] [--seconds S] [--threads N]

The analyzer runs in this process with the product's defaults, the cameras in another: real H.264,
640x480 at 25 frames per second, one face each, over RTSP on loopback. What is measured:

- decode: from a packet's arrival until its frame, if it is sampled, waits for the device thread
- wait: until its batch is taken
- perceive, step: finding the face, deciding what to compute; per sampled frame
- device, resolve: the network, what follows from it; per batch
- hand_over: from the device thread to the event loop; per event
- publish: into the subscribers' send queues; per score
- end to end: from the arrival of the newest packet behind a score until it is published

The stages do not add up to the end-to-end time: a batch may hold frames of several streams, and a
frame then also waits for its companions. Frames between two ratings publish nothing.
"""

from __future__ import annotations

import asyncio
import os
import resource
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from benchmarks.cameras import Cameras, render
from benchmarks.hardware import Hardware, hardware, shipped_model
from benchmarks.result import write_result
from cli import logs, wiring
from cli.settings import Settings, load
from stream.analyzer.analyzer import Analyzer
from stream.analyzer.streams import StreamSpec
from stream.clock import Clock, SystemClock
from stream.event_log.event_log import StampedEvent
from stream.events import Score
from stream.ingest.source import SourceSettings, SourceUrl, Transport
from stream.monitoring.metrics import Metrics
from stream.publish.hub import Filter, Hub, Subscription

RESULTS = Path(__file__).parent / "results"
LOADS = (1, 2, 4)
END_TO_END = "end to end"
STAGES = (
    "decode",
    "wait",
    "perceive",
    "step",
    "device",
    "resolve",
    "hand_over",
    "publish",
    END_TO_END,
)
WARM_UP_S = 3.0
PATIENCE_S = 60.0
PERCENTILES = (50, 95, 99)


class Recorder:
    """Collects seconds by stage, from any thread, while it is open."""

    def __init__(self) -> None:
        self.open = False
        self.found: dict[str, list[float]] = {stage: [] for stage in STAGES}

    def __call__(self, stage: str, seconds: float, detector: str = "") -> None:
        """Take one measurement."""
        if self.open:
            self.found[stage].append(seconds)


class RecordingHub(Hub):
    """A hub that tells a recorder when scores are published, and remembers who has any."""

    def __init__(self, clock: Clock, recorder: Recorder) -> None:
        super().__init__(clock)
        self.scored: Counter[str] = Counter()
        self._recorder = recorder
        self._now = clock.monotonic

    def accept(self, stamped: StampedEvent) -> None:
        """Publish, then measure."""
        super().accept(stamped)
        event = stamped.event
        if isinstance(event, Score):
            done = self._now()
            self.scored[event.stream] += 1
            self._recorder("publish", done - stamped.now)
            self._recorder(END_TO_END, done - event.arrived)


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of one stage in milliseconds, by nearest rank."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Spread:
        """Summarise measurements; without any, every percentile is NaN."""
        values = np.fromiter(seconds, float)
        if not values.size:
            return cls(0, float("nan"), float("nan"), float("nan"))
        found = np.percentile(values, PERCENTILES, method="inverted_cdf") * 1e3
        return cls(int(values.size), *(round(float(value), 3) for value in found))


@dataclass(frozen=True, slots=True)
class Load:
    """What one number of streams came to.

    Attributes:
        streams: cameras at the same time.
        seconds: how long was measured, without the warm-up.
        stages: a spread for each of `STAGES`.
        cpu: CPU seconds of this process per second and stream.
        cpu_by: the same by the thread that used them; empty where the system does not say.
        sampled: frames sampled.
        dropped: sampled frames that were never scored, and pictures without a place in time, by
            reason.
        scores: scores published.
        load_1m: load average of the machine at the end, everybody's work together.
    """

    streams: int
    seconds: float
    stages: Mapping[str, Spread]
    cpu: float
    cpu_by: Mapping[str, float]
    sampled: int
    dropped: Mapping[str, int]
    scores: int
    load_1m: float


@dataclass(frozen=True, slots=True)
class Account:
    """Figures that only grow, at one moment."""

    at: float
    cpu_s: float
    cpu_by: Mapping[str, float]
    sampled: float
    dropped: Counter[str]

    @classmethod
    def now(cls, metrics: Metrics, clock: Clock) -> Account:
        """Read them."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(
            clock.monotonic(),
            used.ru_utime + used.ru_stime,
            cpu_by_thread(),
            sum(totals(metrics.registry, "styleflow_frames_sampled_total").values()),
            totals(metrics.registry, "styleflow_frames_dropped_total", "reason"),
        )


def totals(registry: CollectorRegistry, name: str, label: str = "") -> Counter[str]:
    """Return a counter's totals by one of its labels, over all others."""
    found: Counter[str] = Counter()
    for metric in registry.collect():
        for sample in metric.samples:
            if sample.name == name:
                found[sample.labels.get(label, "")] += int(sample.value)
    return found


def cpu_by_thread() -> dict[str, float]:
    """Return CPU seconds by kind of thread; Linux says them per thread, to 10 ms."""
    names = {t.native_id: t.name.split("-")[0] for t in threading.enumerate()}
    names[threading.main_thread().native_id] = "event loop"
    tick = os.sysconf("SC_CLK_TCK")
    found: dict[str, float] = {}
    for task in Path("/proc/self/task").glob("*"):
        try:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        name = names.get(int(task.name), "torch workers").replace("Thread", "progress bar")
        found[name] = found.get(name, 0.0) + (int(fields[11]) + int(fields[12])) / tick
    return found


class Reader:
    """A subscriber that takes every message at once, so that making text is part of the load."""

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self._ready = asyncio.Event()
        self._clock = clock
        self._subscription: Subscription = hub.subscribe(Filter(max_hz=1000.0), self._ready.set)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._subscription.take(self._clock.monotonic()) is not None:
                pass


async def measure(
    streams: int, seconds: float, settings: Settings, clip: Path, progress: Progress
) -> Load:
    """Run an analyzer on some cameras and measure it once it is warm."""
    clock, recorder = SystemClock(), Recorder()
    metrics, hub = Metrics(CollectorRegistry()), RecordingHub(clock, recorder)
    pipeline = wiring.pipeline(settings, clock, recorder)
    analyzer = Analyzer(pipeline, hub, metrics, clock, settings.analyzer, settings.batching, seed=0)
    task = progress.add_task(f"{streams} stream(s): warming up", total=seconds)
    with Cameras(clip, streams) as cameras:
        async with analyzer:
            for number, url in enumerate(cameras.urls):
                source = SourceSettings(SourceUrl.parse(url), transport=Transport.TCP)
                await analyzer.add(StreamSpec(f"camera-{number}", source))
            reading = asyncio.create_task(Reader(hub, clock).run())
            await _warm(hub, streams, clock)
            progress.update(task, description=f"{streams} stream(s): measuring")
            before = Account.now(metrics, clock)
            recorder.open = True
            await _pass(seconds, clock, progress, task)
            recorder.open = False
            after = Account.now(metrics, clock)
            reading.cancel()
    return summarise(streams, recorder, before, after)


async def _warm(hub: RecordingHub, streams: int, clock: Clock) -> None:
    """Wait until every stream has scores, and then a little."""
    deadline = clock.monotonic() + PATIENCE_S
    while len(hub.scored) < streams:
        if clock.monotonic() > deadline:
            raise SystemExit(
                f"only {len(hub.scored)} of {streams} streams had a score in {PATIENCE_S:g} s"
            )
        await clock.sleep(0.1)
    await clock.sleep(WARM_UP_S)


async def _pass(seconds: float, clock: Clock, progress: Progress, task: TaskID) -> None:
    begin = clock.monotonic()
    while (passed := clock.monotonic() - begin) < seconds:
        progress.update(task, completed=passed)
        await clock.sleep(min(0.5, seconds - passed))
    progress.update(task, completed=seconds)


def summarise(streams: int, recorder: Recorder, before: Account, after: Account) -> Load:
    """Return what lies between two accounts."""
    seconds = after.at - before.at
    share = 1 / (seconds * streams)
    return Load(
        streams=streams,
        seconds=round(seconds, 1),
        stages={stage: Spread.of(found) for stage, found in recorder.found.items()},
        cpu=round((after.cpu_s - before.cpu_s) * share, 3),
        cpu_by={
            name: round(used * share, 3)
            for name, total in sorted(after.cpu_by.items())
            if (used := total - before.cpu_by.get(name, 0.0)) > 0.01
        },
        sampled=round(after.sampled - before.sampled),
        dropped=dict(sorted((after.dropped - before.dropped).items())),
        scores=len(recorder.found[END_TO_END]),
        load_1m=round(os.getloadavg()[0], 2),
    )


def chart(found: list[Load], where: Hardware, path: Path) -> None:
    """Draw each stage from median to 99th percentile, one line per load."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colors = ("#2a7f62", "#3b6ea5", "#b5542f", "#6b4e9b")
    for number, one in enumerate(found):
        color = colors[number % len(colors)]
        offset = (number - (len(found) - 1) / 2) * 0.24
        places = [offset + index for index in range(len(STAGES))]
        spreads = [one.stages[stage] for stage in STAGES]
        low, high = [s.p50_ms for s in spreads], [s.p99_ms for s in spreads]
        axes.hlines(places, low, high, color=color, linewidth=2, alpha=0.5)
        axes.plot(low, places, "o", color=color, markersize=6, label=f"{one.streams} stream(s)")
        axes.plot([s.p95_ms for s in spreads], places, "|", color=color, markersize=9)
        axes.plot(high, places, "x", color=color, markersize=5)
    axes.set_yticks(range(len(STAGES)), [stage.replace("_", " ") for stage in STAGES])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds (log): dot median, bar 95th, cross 99th percentile")
    axes.set_title("From packet to published score, 640×480 at 25 fps, one face per stream")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.text(0.5, -0.03, where.caption(), ha="center", fontsize=7, color="#555555")
    figure.savefig(path, dpi=120, bbox_inches="tight")


def table(found: list[Load]) -> Table:
    """Return the loads for a terminal."""
    shown = Table("ms: p50 / p95 / p99", *(f"{one.streams} stream(s)" for one in found))
    for stage in STAGES:
        spreads = [one.stages[stage] for one in found]
        cells = [f"{s.p50_ms:.1f} / {s.p95_ms:.1f} / {s.p99_ms:.1f}" for s in spreads]
        shown.add_row(stage.replace("_", " "), *cells, end_section=stage == STAGES[-1])
    shown.add_row("scores", *(str(one.scores) for one in found))
    shown.add_row("frames sampled", *(str(one.sampled) for one in found))
    shown.add_row("frames dropped", *(_reasons(one.dropped) for one in found))
    shown.add_row("CPU s per stream and s", *(f"{one.cpu:.2f}" for one in found))
    shown.add_row("load average", *(f"{one.load_1m:.1f}" for one in found))
    return shown


def _reasons(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "0"


async def measure_all(seconds: float, settings: Settings) -> list[Load]:
    """Measure every load, with progress on the terminal."""
    with Progress() as progress, tempfile.TemporaryDirectory() as folder:
        task = progress.add_task("rendering the clip", total=None)
        clip = await asyncio.to_thread(render, Path(folder) / "clip.mp4")
        progress.remove_task(task)
        return [await measure(n, seconds, settings, clip, progress) for n in LOADS]


def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON and the chart.")] = RESULTS,
    *,
    seconds: Annotated[float, typer.Option(min=1, help="Measured per load.")] = 30.0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of torch; the product's default.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="6 s per load; a smoke test.")] = False,
) -> None:
    """Measure how long a frame takes from packet to published score."""
    logs.configure("warning", "console")
    settings = load(None, {}, {"model": {"threads": threads}} if threads else None)
    if settings.model.threads is not None:
        torch.set_num_threads(settings.model.threads)  # before the hardware is described
    where = hardware()
    found = asyncio.run(measure_all(6.0 if quick else seconds, settings))
    out.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {
        "benchmark": "latency",
        "hardware": where.to_json(),
        "model": shipped_model(),
        "hop_s": settings.engine.hop_s,
        "loads": [asdict(one) for one in found],
    }
    path = out / f"latency-{where.commit.rstrip('+')}.json"
    write_result(document, path)
    chart(found, where, path.with_suffix(".png"))
    console = Console()
    console.print(table(found))
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
