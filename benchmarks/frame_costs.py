"""Cost and precision of detectors that judge every frame alone by a large encoder: GenD.

Part of `benchmarks.detectors`. Each encoder runs as live, compiled by OpenVINO with one thread, in
float32, bfloat16 and int8, each in a process of its own, so that memory is its own too. Weights are
random (no time depends on them), so parity is that of arithmetic on random weights: how far the
logits of some crops move from float32, beside how far they lie apart from each other.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table

CORES = 2
"""Streams are given for so many cores, one face in each."""

RATES_HZ = (1.0, 2.0)
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Run:
    """What one process found.

    Attributes:
        ready_s: CPU seconds to convert and compile.
        ms: CPU milliseconds of each crop.
        logits: of the crops.
        parameters: of the network.
        settled_mb: memory of the process afterwards.
        peak_mb: the most that it ever had.
    """

    ready_s: float
    ms: tuple[float, ...]
    logits: tuple[float, ...]
    parameters: int
    settled_mb: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class FrameCost:
    """What one detector costs in one precision.

    Attributes:
        detector: its name.
        precision: that OpenVINO computes in.
        parameters: of the network.
        face_ms: CPU milliseconds per face, the median of the crops; `low` and `high` are the least
            and the greatest.
        low: see `face_ms`.
        high: see `face_ms`.
        streams: of one face each that two cores bear, by frames per second, with nothing else to
            do: no decoding, no face detector.
        ready_s: CPU seconds to convert and compile, once at the start.
        settled_mb: memory of the process while it runs.
        peak_mb: at its highest, while it compiles.
        logit_rms: root mean square of what the logits differ by from float32.
        logit_spread: standard deviation of float32's logits between crops.
        rank_correlation: of the logits with float32's.
        crops: how many were judged.
    """

    detector: str
    precision: str
    parameters: int
    face_ms: float
    low: float
    high: float
    streams: dict[str, float]
    ready_s: float
    settled_mb: float
    peak_mb: float
    logit_rms: float
    logit_spread: float
    rank_correlation: float
    crops: int


def measure_all(
    encoders: Sequence[str], crops: int, tell: Callable[[FrameCost], None]
) -> list[FrameCost]:
    """Measure encoders in every precision, one process after the other."""
    found: list[FrameCost] = []
    for encoder in encoders:
        reference: Run | None = None
        for precision in ("float32", "bfloat16", "int8"):
            run = alone(partial(measure, encoder, precision, crops))
            reference = reference or run
            found.append(compared(f"gend-{encoder}", precision, run, reference))
            tell(found[-1])
    return found


def alone(work: Callable[[], Run]) -> Run:
    """Return what some work returns in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work)


def measure(encoder: str, precision: str, count: int) -> Run:
    """Judge some crops, each once after one that nobody counts."""
    from styleflow.detectors.gend.live import DeployableGend
    from styleflow.detectors.gend.network import GendDims
    from styleflow.detectors.layers.seeding import seed_weights
    from styleflow.runtime import accelerate
    from styleflow.runtime_settings import Precision, RuntimeSettings

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    with torch.device("meta"):
        network = DeployableGend(GendDims(encoder=encoder))
    network.to_empty(device="cpu")
    seed_weights(network, 0)
    detector = network.deploy()
    accelerate(detector, RuntimeSettings(precision=Precision(precision)))
    crops = pictures(count)
    with torch.inference_mode():
        begin = time.process_time()
        detector.judge(crops[:1])
        ready = time.process_time() - begin
        ms, logits = [], []
        for crop in crops:
            begin = time.process_time()
            logits.append(float(detector.judge(crop[None])))
            ms.append((time.process_time() - begin) * 1e3)
    parameters = sum(p.numel() for p in network.parameters())
    settled, peak = memory_mb()
    return Run(round(ready, 2), tuple(ms), tuple(logits), parameters, settled, peak)


def compared(detector: str, precision: str, run: Run, reference: Run) -> FrameCost:
    """Return what a run cost, and how its logits compare with float32's."""
    ours, theirs = np.array(run.logits), np.array(reference.logits)
    median = statistics.median(run.ms)
    return FrameCost(
        detector=detector,
        precision=precision,
        parameters=run.parameters,
        face_ms=round(median, 1),
        low=round(min(run.ms), 1),
        high=round(max(run.ms), 1),
        streams={f"{rate:g} Hz": round(CORES * 1e3 / median / rate, 2) for rate in RATES_HZ},
        ready_s=run.ready_s,
        settled_mb=run.settled_mb,
        peak_mb=run.peak_mb,
        logit_rms=float(f"{np.sqrt(np.mean((ours - theirs) ** 2)):.3g}"),
        logit_spread=float(f"{theirs.std():.3g}"),
        rank_correlation=round(rank_correlation(ours, theirs), 4),
        crops=len(ours),
    )


def rank_correlation(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Return the rank correlation of two rows of numbers that hold no equals."""
    first, second = (np.argsort(np.argsort(x)).astype(np.float64) for x in (ours, theirs))
    return float(np.corrcoef(first, second)[0, 1])


def pictures(count: int) -> torch.Tensor:
    """Return crops of coloured blocks, coarse here and fine there, `(count, 224, 224, 3)` uint8."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        side = int(rng.choice([1, 2, 4, 7, 14, 28]))
        blocks = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        made.append(blocks.repeat(224 // side, 0).repeat(224 // side, 1))
    return torch.from_numpy(np.stack(made))


def memory_mb() -> tuple[float, float]:
    """Return this process's memory now and at its highest, MiB; zeros where nothing tells."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0, 0.0
    said = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    now, most = (int(said[key].split()[0]) * 1024 / MIB for key in ("VmRSS", "VmHWM"))
    return round(now, 1), round(most, 1)


def table(found: Sequence[FrameCost]) -> Table:
    """Return the costs for a terminal."""
    columns = ["detector", "precision", "ms per face"]
    columns += [f"streams at {rate:g} Hz" for rate in RATES_HZ]
    columns += ["memory MB", "peak MB", "logit RMS", "spread", "rank"]
    shown = Table(*columns, caption="one thread, random weights; median (least to greatest)")
    for cost in found:
        shown.add_row(
            cost.detector,
            cost.precision,
            f"{cost.face_ms:.4g} ({cost.low:.4g} to {cost.high:.4g})",
            *(f"{number:.3g}" for number in cost.streams.values()),
            f"{cost.settled_mb:.0f}",
            f"{cost.peak_mb:.0f}",
            f"{cost.logit_rms:.2g}",
            f"{cost.logit_spread:.2g}",
            f"{cost.rank_correlation:.3f}",
        )
    return shown
