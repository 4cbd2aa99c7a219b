"""Number of streams that one machine holds, beside what people would otherwise run.

    python -m benchmarks.capacity [--out DIR] [--seconds S] [--size WxH ...] [--only NAME ...]
    python -m benchmarks.capacity --workers 1,2 --cores 1,2     (see benchmarks/capacity_cores.py)
    python -m benchmarks.capacity --gpu                         (see benchmarks/capacity_gpu.py)

Cameras in a process of their own play real H.264 over RTSP at 25 frames per second, one face each.
Streams are added until a load no longer holds: p95 from packet to published score above 300 ms,
or 1 % of the sampled frames not scored. The largest load that holds is a variant's capacity. The
variants run in turns on the same clip, within one run:

- analyzer: this project with its defaults (degradation under overload switched off, so that
  nothing is left out to make a load fit)
- batching_off: the same, one frame per batch
- incremental_off: the same, but every rating recomputes its 32-frame window from the pixels
- plain_loop: `benchmarks/plain_loop.py`, one process per camera: OpenCV, detection in every frame,
  the window recomputed every hop

Where even one stream does not hold, what counts is how many streams' worth of video the variant
works through when it is saturated, however late its scores are. That flatters it.

Every load that was run is in the JSON, with latencies, drops, batch fill and CPU use.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from benchmarks import capacity_cores, capacity_gpu
from benchmarks.cameras import SIZE, Cameras, render
from benchmarks.hardware import Hardware, hardware
from benchmarks.held import MAX_LOST, MOST, P95_MS, Load, search
from benchmarks.latency import END_TO_END, Account, Reader, Recorder, RecordingHub, Spread
from benchmarks.plain_loop import WINDOW
from benchmarks.recompute import Recomputing
from benchmarks.result import write_result
from cli import logs, wiring
from cli.settings import Settings, load
from stream.analyzer.analyzer import Analyzer
from stream.analyzer.streams import StreamSpec
from stream.clock import SystemClock
from stream.device.device import Device
from stream.ingest.source import SourceSettings, SourceUrl, Transport
from stream.monitoring.metrics import Metrics
from stream.perception.perception import Perception
from stream.pipeline import Pipeline
from stream.scheduling.degradation import OverloadSettings
from styleflow.weights.face_networks import load_finder

_ROOT = Path(__file__).resolve().parent.parent
RESULTS = _ROOT / "benchmarks" / "results"
WARM_UP_S = 4.0
PATIENCE_S = 45.0
BATCHING_AT = 8


class Variant(StrEnum):
    """What is measured."""

    ANALYZER = "analyzer"
    BATCHING_OFF = "batching_off"
    INCREMENTAL_OFF = "incremental_off"
    PLAIN_LOOP = "plain_loop"


@dataclass(frozen=True, slots=True)
class Curve:
    """One variant at every load that was tried.

    Attributes:
        variant: which.
        capacity: largest load that holds; 0 when not even one stream does.
        worth: the same in streams' worth of video; where nothing holds, what is worked through
            when saturated.
        loads: all loads, by streams.
    """

    variant: Variant
    capacity: int
    worth: float
    loads: tuple[Load, ...]

    @classmethod
    def of(cls, variant: Variant, loads: Iterable[Load]) -> Curve:
        """Sum loads up."""
        known = sorted(loads, key=lambda one: one.streams)
        capacity = max((one.streams for one in known if one.holds), default=0)
        worth = float(capacity) or max((one.worth for one in known), default=0.0)
        return cls(variant, capacity, round(worth, 2), tuple(known))


def pipeline(
    variant: Variant,
    settings: Settings,
    clock: SystemClock,
    seen: Recorder,
    *,
    untrained: bool = False,
) -> Pipeline:
    """Return the pipeline of a variant."""
    if variant is not Variant.INCREMENTAL_OFF:
        return wiring.pipeline(settings, clock, seen, untrained=untrained)
    inner = wiring.detector(wiring.chosen(settings)[0], settings)
    slots, threads = settings.model.slots, settings.model.threads
    device = Device(Recomputing(inner, WINDOW), slots, settings.model.device, threads)
    finder = load_finder(settings.model.device, wiring.runtime(settings))
    return Pipeline(
        [device],
        lambda: Perception(finder, [inner.clip], settings.perception),
        settings.engine,
        clock,
        seen,
        decoding=wiring.decoding(settings),
    )


async def run_analyzer(
    variant: Variant,
    streams: int,
    seconds: float,
    settings: Settings,
    clip: Path,
    *,
    untrained: bool = False,
) -> Load:
    """Run an analyzer on some cameras and measure it once it is warm."""
    clock, recorder = SystemClock(), Recorder()
    metrics, hub = Metrics(CollectorRegistry()), RecordingHub(clock, recorder)
    made = pipeline(variant, settings, clock, recorder, untrained=untrained)
    alone = variant is Variant.BATCHING_OFF
    batching = replace(settings.batching, max_batch=1, per_stream=1) if alone else settings.batching
    analyzer = Analyzer(
        made,
        hub,
        metrics,
        clock,
        replace(settings.analyzer, max_streams=max(MOST, streams)),
        batching,
        seed=0,
        overload=OverloadSettings(enabled=False),
    )
    with Cameras(clip, streams) as cameras:
        async with analyzer:
            for number, url in enumerate(cameras.urls):
                source = SourceSettings(SourceUrl.parse(url), transport=Transport.TCP)
                await analyzer.add(StreamSpec(f"camera-{number}", source))
            reading = asyncio.create_task(Reader(hub, clock).run())
            deadline = clock.monotonic() + PATIENCE_S
            while len(hub.scored) < streams and clock.monotonic() < deadline:
                await clock.sleep(0.1)
            await clock.sleep(WARM_UP_S)
            before, batches = Account.now(metrics, clock), analyzer.batching
            recorder.open = True
            await clock.sleep(seconds)
            recorder.open = False
            after, now = Account.now(metrics, clock), analyzer.batching
            reading.cancel()
    passed = after.at - before.at
    sampled = after.sampled - before.sampled
    lost = sum((after.dropped - before.dropped).values())
    frames = now.items - batches.items
    busy = sum(sum(recorder.found[stage]) for stage in ("perceive", "step", "device", "resolve"))
    return Load(
        streams=streams,
        latency=Spread.of(recorder.found[END_TO_END]),
        worth=round((sampled - lost) / passed / made.cadence_hz, 2),
        lost=round(lost / sampled, 4) if sampled else 1.0,
        fill=round(frames / max(1, now.batches - batches.batches), 2),
        cpu=round((after.cpu_s - before.cpu_s) / passed, 2),
        busy_ms=round(1e3 * busy / frames, 2) if frames else None,
    )


async def run_plain(streams: int, seconds: float, clip: Path) -> Load:
    """Run a plain loop per camera, all at the same time."""
    with Cameras(clip, streams) as cameras:
        begun = [
            await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "benchmarks.plain_loop", url),
                *("--seconds", str(seconds), "--warm-up", str(WARM_UP_S)),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=_ROOT,
            )
            for url in cameras.urls
        ]
        try:
            texts = [(await one.communicate())[0] for one in begun]
        finally:
            for one in begun:
                if one.returncode is None:
                    one.kill()
    came = [json.loads(text) for text in texts]
    worth = sum(one["pace"] for one in came)
    return Load(
        streams=streams,
        latency=Spread.of(age for one in came for age in one["latencies"]),
        worth=round(worth, 2),
        lost=0.0,
        fill=1.0,
        cpu=round(sum(one["cpu"] for one in came), 2),
        busy_ms=None,
    )


def ratios(curves: Iterable[Curve]) -> dict[str, float]:
    """Return how many times as many streams the analyzer holds as each alternative."""
    worth = {curve.variant: curve.worth for curve in curves}
    ours = worth.pop(Variant.ANALYZER, 0.0)
    return {name.value: round(ours / other, 2) for name, other in worth.items() if other > 0}


def batching_ratio(curves: Iterable[Curve], streams: int = BATCHING_AT) -> float | None:
    """Return time of the device thread per frame without batches over that with them."""
    found = {
        curve.variant: one.busy_ms
        for curve in curves
        for one in curve.loads
        if one.streams == streams
    }
    alone, together = found.get(Variant.BATCHING_OFF), found.get(Variant.ANALYZER)
    return round(alone / together, 2) if alone and together else None


def chart(found: dict[str, list[Curve]], where: Hardware, path: Path) -> None:
    """Draw p95 over streams, one panel per picture size, one line per variant."""
    figure = Figure(figsize=(4 + 4 * len(found), 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    colors = dict(zip(Variant, ("#2a7f62", "#3b6ea5", "#6b4e9b", "#b5542f"), strict=True))
    marks = dict(zip(Variant, "osD^", strict=True))
    for axes, (size, curves) in zip(panels, found.items(), strict=True):
        for curve in curves:
            drawn = [one for one in curve.loads if one.latency.count]
            axes.plot(
                [one.streams for one in drawn],
                [one.latency.p95_ms for one in drawn],
                marker=marks[curve.variant],
                color=colors[curve.variant],
                label=f"{curve.variant.replace('_', ' ')}: {curve.capacity or curve.worth}",
            )
        axes.axhline(P95_MS, color="#555555", linewidth=0.8, linestyle="--")
        axes.set_yscale("log")
        axes.set_xlabel("streams")
        axes.set_ylabel("p95 from packet to score, ms (log)")
        axes.set_title(f"{size} at 25 fps, one face each")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.text(0.5, -0.03, where.caption(), ha="center", fontsize=7, color="#555555")
    figure.savefig(path, dpi=120, bbox_inches="tight")


def table(curves: Iterable[Curve]) -> Table:
    """Return every load for a terminal."""
    shown = Table("", "streams", "p50 / p95 / p99 ms", "lost", "frames/batch", "CPU", "worth", "")
    for curve in curves:
        for one in curve.loads:
            spread = one.latency
            shown.add_row(
                curve.variant.value,
                str(one.streams),
                f"{spread.p50_ms:.0f} / {spread.p95_ms:.0f} / {spread.p99_ms:.0f}",
                f"{one.lost:.1%}",
                f"{one.fill:.1f}",
                f"{one.cpu:.2f}",
                f"{one.worth:.1f}",
                "holds" if one.holds else "",
                end_section=one is curve.loads[-1],
            )
    return shown


class Run:
    """Measures, tells a terminal, and keeps what is known in a file as it goes.

    Args:
        settings: of the analyzer.
        seconds: measured per load.
        path: the JSON file.
        where: the machine.
    """

    def __init__(self, settings: Settings, seconds: float, path: Path, where: Hardware) -> None:
        self.found: dict[str, list[Curve]] = {}
        self._settings = settings
        self._seconds = seconds
        self._path = path
        self._where = where

    def measure(self, size: tuple[int, int], variants: Iterable[Variant], most: int) -> None:
        """Find the capacity of some variants at one picture size."""
        name = f"{size[0]}x{size[1]}"
        curves = self.found.setdefault(name, [])
        with Progress() as progress, tempfile.TemporaryDirectory() as folder:
            task = progress.add_task(f"{name}: rendering the clip", total=None)
            clip = render(Path(folder) / "clip.mp4", size=size)
            for variant in variants:
                load_of = partial(self._load, variant, clip=clip, progress=progress, task=task)
                loads = search(load_of, most)
                curve = Curve.of(variant, loads)
                curves.append(curve)
                progress.console.print(table([curve]))
                self.save()

    def _load(
        self, variant: Variant, streams: int, *, clip: Path, progress: Progress, task: TaskID
    ) -> Load:
        progress.update(task, description=f"{variant.value}: {streams} stream(s)")
        if variant is Variant.PLAIN_LOOP:
            return asyncio.run(run_plain(streams, self._seconds, clip))
        return asyncio.run(run_analyzer(variant, streams, self._seconds, self._settings, clip))

    def save(self) -> None:
        """Write what is known so far."""
        sizes = {
            size: {
                "ratios": ratios(curves),
                f"batching_at_{BATCHING_AT}": batching_ratio(curves),
                "variants": [asdict(curve) for curve in curves],
            }
            for size, curves in self.found.items()
        }
        first = next(iter(self.found.values()), [])
        document: dict[str, Any] = {
            "benchmark": "capacity",
            "hardware": self._where.to_json(),
            "limits": {"p95_ms": P95_MS, "lost": MAX_LOST},
            "seconds": self._seconds,
            "ratios": ratios(first),
            "sizes": sizes,
        }
        write_result(document, self._path)


def _on_gpu(out: Path, seconds: float, only: list[str] | None) -> None:
    """Measure what one GPU holds."""
    known = [target.name for target in capacity_gpu.TARGETS]
    if strange := set(only or ()) - set(known):
        raise typer.BadParameter(f"{', '.join(sorted(strange))}: known are {', '.join(known)}")
    logs.configure("error", "console")
    console = Console()

    def load_of(settings: Settings, streams: int, clip: Path) -> Load:
        run = run_analyzer(Variant.ANALYZER, streams, seconds, settings, clip, untrained=True)
        return asyncio.run(run)

    try:
        path = capacity_gpu.run(
            [one for one in capacity_gpu.TARGETS if not only or one.name in only],
            hardware(),
            out,
            load_of,
            seconds=seconds,
            told=lambda one: console.print(capacity_gpu.table([one])),
        )
    except capacity_gpu.GpuMissing as error:
        Console(stderr=True).print(str(error))
        raise typer.Exit(1) from None
    console.print(f"{path}", soft_wrap=True)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise typer.BadParameter(f"{text!r} is no size such as 640x480")
    return int(width), int(height)


def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON and the chart.")] = RESULTS,
    *,
    seconds: Annotated[float, typer.Option(min=1, help="Measured per load.")] = 10.0,
    size: Annotated[list[str] | None, typer.Option(help="Picture sizes, such as 640x480.")] = None,
    only: Annotated[list[Variant] | None, typer.Option(help="Variants to measure.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Streams at most.")] = MOST,
    workers: Annotated[
        str | None, typer.Option(help="Numbers of workers, such as 1,2; 0 is without Ray.")
    ] = None,
    cores: Annotated[
        str | None, typer.Option(help="Numbers of cores that go with them, such as 1,2.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Searches per number of workers.")] = 2,
    minutes: Annotated[
        float, typer.Option(min=0, help="No further such search begins after.")
    ] = 9.0,
    quick: Annotated[bool, typer.Option("--quick", help="2 s per load, 2 streams.")] = False,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="What one GPU holds, target by target.")
    ] = False,
    only_target: Annotated[
        list[str] | None, typer.Option(help="With --gpu: default, exact or foundation.")
    ] = None,
) -> None:
    """Find how many streams this machine holds, beside the alternatives."""
    if gpu:
        _on_gpu(out, 2.0 if quick else seconds, only_target)
        return
    if workers or cores:
        usable = sorted(os.sched_getaffinity(0))
        try:
            points = capacity_cores.points(
                workers or cores or "", cores or workers or "", len(usable)
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        path = capacity_cores.run(
            points,
            replace(hardware(), threads=load(None, {}, None).model.threads or 0),  # the analyzer's
            out,
            seconds=2.0 if quick else seconds,
            rounds=1 if quick else rounds,
            minutes=minutes,
            most=2 if quick else most,
            cores=usable,
        )
        Console().print(f"{path}", soft_wrap=True)
        return
    logs.configure("error", "console")
    settings = load(None, {}, None)
    if settings.model.threads is not None:
        torch.set_num_threads(settings.model.threads)
    where = hardware()
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"capacity-{where.commit.rstrip('+')}.json"
    run = Run(settings, 2.0 if quick else seconds, path, where)
    for wanted in [_size(text) for text in size or []] or [SIZE]:
        run.measure(wanted, only or list(Variant), 2 if quick else most)
    chart(run.found, where, path.with_suffix(".png"))
    console = Console()
    for name, curves in run.found.items():
        console.print(name, ratios(curves))
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
