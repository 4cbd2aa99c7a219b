"""Saving by steps: one causal step against recomputing a window of 32 frames per frame.

    python -m benchmarks.step [--out DIR] [--quick]

Two comparisons, each with one track and with eight tracks in a batch:

- recurrent: one step of the causal StyleGRU against the StyleGRU over the 31 style deltas of a
  window whose latents are cached. What a windowed detector with perfect caching would pay.
- whole model: encode one crop, step and rate, against encoding all 32 crops and running over
  the window. What a windowed detector without any cache would pay.

Both sides of a comparison take turns within one run, so that other work on the machine hits both
alike, and their last states or logits must agree. The model is the one that ships.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor

from benchmarks.hardware import Hardware, hardware
from benchmarks.result import write_result
from styleflow.detectors.layers.style_gru import style_deltas
from styleflow.detectors.styleflow_live.live import StyleFlowLiveDetector
from styleflow.weights.checkpoint import build, shipped

RESULTS = Path(__file__).parent / "results"
BATCHES = (1, 8)
AGREEMENT = 1e-4


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds per call.

    CPU time of the one thread that computes is the measure. Wall time goes along; on a busy
    machine it flatters short calls, which fit between two interruptions.
    """

    cpu_ms_median: float
    cpu_ms_p95: float
    wall_ms_median: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One step against one window.

    Attributes:
        what: `recurrent` or `whole model`.
        tracks: batch size.
        repetitions: calls of each side.
        step: the causal step.
        window: the recomputed window.
        ratio: window over step, of the medians of CPU time.
        wall_ratio: window over step, of the medians of wall time.
        difference: largest difference of the two sides' last states or logits.
    """

    what: str
    tracks: int
    repetitions: int
    step: Timing
    window: Timing
    ratio: float
    wall_ratio: float
    difference: float


Side = Callable[[], object]


def recurrent(net: StyleFlowLiveDetector, clips: Tensor) -> tuple[Side, Side, float]:
    """Return the step, the window over cached latents, and how far their states differ."""
    gru, tracks = net.style_gru, clips.shape[0]
    latents = torch.stack([net.latents(net.look(clip)[0]) for clip in clips])
    deltas = style_deltas(latents)
    hidden = gru.start(tracks)
    for delta in deltas.unbind(1):
        hidden = gru.step(hidden, delta)
    stepped = hidden[:, -1]
    last = deltas[:, -1].contiguous()
    return (
        lambda: gru.step(hidden, last),
        lambda: gru(style_deltas(latents)),
        float((stepped - gru(style_deltas(latents))[:, -1]).abs().max()),
    )


def whole_model(net: StyleFlowLiveDetector, clips: Tensor) -> tuple[Side, Side, float]:
    """Return the step and the window from crops to logits, and how far their logits differ.

    A step is as many sampled frames as there are to one look.
    """
    tracks = clips.shape[0]
    state, rows = net.init_state(tracks), torch.arange(tracks)
    none = torch.zeros_like(rows)
    frames = clips.unbind(1)

    def window() -> Tensor:
        return net.score_clip(clips)[:, -1]

    for frame in frames:
        net.push(state, rows, frame, none)
    newest = frames[-1].contiguous()
    difference = float((net.rate(state, rows) - window()).abs().max())

    def step() -> Tensor:
        for _ in range(net.dims.look_every):
            net.push(state, rows, newest, none)
        return net.rate(state, rows)

    return step, window, difference


def compare(
    what: str, tracks: int, sides: tuple[Side, Side, float], repetitions: int, tick: Side
) -> Comparison:
    """Time both sides in turns."""
    step, window, difference = sides
    if difference > AGREEMENT:
        raise SystemExit(f"{what}, {tracks} tracks: the two sides differ by {difference:.2g}")
    times: dict[Side, list[tuple[float, float]]] = {step: [], window: []}
    for number in range(repetitions + 2):
        for side in (step, window) if number % 2 else (window, step):
            cpu, wall = time.thread_time(), time.perf_counter()
            side()
            times[side].append((time.perf_counter() - wall, time.thread_time() - cpu))
        tick()
    one, many = _timing(times[step][2:]), _timing(times[window][2:])  # two rounds warm up
    return Comparison(
        what,
        tracks,
        repetitions,
        one,
        many,
        round(many.cpu_ms_median / one.cpu_ms_median, 1),
        round(many.wall_ms_median / one.wall_ms_median, 1),
        difference,
    )


def _timing(times: list[tuple[float, float]]) -> Timing:
    """Summarise pairs of wall and CPU seconds."""
    cpu = sorted(1e3 * c for _, c in times)
    return Timing(
        round(statistics.median(cpu), 3),
        round(cpu[min(int(0.95 * len(cpu)), len(cpu) - 1)], 3),
        round(statistics.median(1e3 * w for w, _ in times), 3),
    )


def measure(most: int) -> list[Comparison]:
    """Run every comparison, with progress on the terminal."""
    net = build(shipped())
    assert isinstance(net, StyleFlowLiveDetector)
    spec = net.clip
    generator = torch.Generator().manual_seed(0)
    shape = (max(BATCHES), spec.frames, spec.size_px, spec.size_px, 3)
    clips = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    found = []
    with Progress() as progress, torch.inference_mode():
        for what, make in (("recurrent", recurrent), ("whole model", whole_model)):
            # Whole windows of eight faces take seconds each.
            repetitions = most if make is recurrent else max(2, most // 4)
            for tracks in BATCHES:
                task = progress.add_task(f"{what}, {tracks} track(s)", total=repetitions + 2)
                sides = make(net, clips[:tracks])
                found.append(
                    compare(what, tracks, sides, repetitions, partial(progress.advance, task))
                )
    return found


def chart(found: list[Comparison], where: Hardware, path: Path) -> None:
    """Draw step and window side by side, with the ratio above each pair."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = range(len(found))
    step = [c.step.cpu_ms_median for c in found]
    window = [c.window.cpu_ms_median for c in found]
    axes.bar([p - 0.2 for p in places], step, 0.4, label="one causal step", color="#2a7f62")
    axes.bar([p + 0.2 for p in places], window, 0.4, label="window of 32 frames", color="#b0b7c3")
    for place, one in zip(places, found, strict=True):
        top = max(one.window.cpu_ms_median, one.step.cpu_ms_median)
        axes.text(place, top * 1.15, f"{one.ratio:.0f} ×", ha="center", fontweight="bold")
    axes.set_xticks(list(places), [f"{c.what}\n{c.tracks} track(s)" for c in found])
    axes.set_yscale("log")
    axes.set_ylim(top=max(window) * 2.5)
    axes.set_ylabel("CPU milliseconds per frame (median, log)")
    axes.set_title("Cost of one more frame")
    axes.legend(loc="upper left", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.text(0.5, -0.03, where.caption(), ha="center", fontsize=7, color="#555555")
    figure.savefig(path, dpi=120, bbox_inches="tight")


def table(found: list[Comparison]) -> Table:
    """Return the comparisons for a terminal."""
    shown = Table("", "tracks", "step ms", "window ms", "ratio", "ratio (wall)")
    for c in found:
        shown.add_row(
            c.what,
            str(c.tracks),
            f"{c.step.cpu_ms_median:.2f}",
            f"{c.window.cpu_ms_median:.2f}",
            f"{c.ratio:.1f}",
            f"{c.wall_ratio:.1f}",
        )
    return shown


def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON and the chart.")] = RESULTS,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Few repetitions; a smoke test.")] = False,
) -> None:
    """Measure the causal step against the recomputed window."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as the device does
    where = hardware()
    found = measure(3 if quick else 40)
    out.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {
        "benchmark": "step",
        "hardware": where.to_json(),
        "comparisons": [asdict(c) for c in found],
    }
    path = out / f"step-{where.commit.rstrip('+')}.json"
    write_result(document, path)
    chart(found, where, path.with_suffix(".png"))
    console = Console()
    console.print(table(found))
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
