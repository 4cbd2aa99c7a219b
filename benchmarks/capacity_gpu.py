"""Streams that one GPU holds, for each of three detectors, against what it ought to hold.

    python -m benchmarks.capacity --gpu [--out DIR] [--seconds S] [--only-target NAME ...]

Cameras, limits and analyzer are those of `benchmarks/capacity.py`; 640×480 at 25 frames per second,
one face each. The search begins at the target and ends at the edge, to one stream. Detectors whose
weights may not be passed on run with random ones of the same size, which cost the same. What was
recorded as CUDA graphs, and what was not, stands beside each figure: a network that fell back
explains a target that is missed. Without a GPU nothing is measured.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from benchmarks.cameras import SIZE, render
from benchmarks.hardware import Hardware
from benchmarks.held import MAX_LOST, P95_MS, Load, edge
from benchmarks.result import write_result
from cli.settings import Settings, load
from styleflow.graph_pool import GraphCounts, process_pool

ROOM = 2
"""The search ends at so many times the target."""

LoadOf = Callable[[Settings, int, Path], Load]
"""Runs the analyzer on a number of cameras that play a clip."""


@dataclass(frozen=True, slots=True)
class Target:
    """What one GPU ought to hold.

    Attributes:
        name: for the table.
        detector: which one looks.
        streams: how many.
        cadence_hz: frames per second that it is fed; its own when None.
    """

    name: str
    detector: str
    streams: int
    cadence_hz: float | None = None


TARGETS = (
    Target("default", "styleflow-live", 72),
    Target("exact", "styleflow", 16),
    Target("foundation", "gend-clip-l14", 30, 2.0),
)


@dataclass(frozen=True, slots=True)
class Reached:
    """What a GPU holds.

    Attributes:
        target: what it ought to hold.
        held: streams that it holds, to one; at most `ROOM` times the target.
        loads: every load that was run, by streams.
        captured: calls that were recorded on the way.
        replayed: batches that were played back.
        fallen_back: batches that were not, by why.
    """

    target: Target
    held: int
    loads: tuple[Load, ...]
    captured: int
    replayed: int
    fallen_back: dict[str, int]

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.held >= self.target.streams


class GpuMissing(RuntimeError):
    """There is no GPU to measure."""

    def __init__(self) -> None:
        super().__init__("--gpu measures a CUDA GPU, and there is none here: nothing was measured")


def settings_of(target: Target, device: str) -> Settings:
    """Return the settings with which a target is measured; room for one face of each stream."""
    detector: dict[str, Any] = {"name": target.detector}
    if target.cadence_hz is not None:
        detector["cadence_hz"] = target.cadence_hz
    model = {"device": device, "slots": ROOM * target.streams}
    return load(None, {}, {"model": model, "detectors": [detector]})


def reach(target: Target, device: str, clip: Path, load_of: LoadOf) -> Reached:
    """Return what a device holds of a target's detector."""
    settings, before = settings_of(target, device), process_pool().counts
    tried: dict[int, Load] = {}

    def holds(streams: int) -> bool:
        tried[streams] = load_of(settings, streams, clip)
        return tried[streams].holds

    held = edge(holds, target.streams, ROOM * target.streams)
    loads = tuple(tried[streams] for streams in sorted(tried))
    return _counted(target, held, loads, before, process_pool().counts)


def _counted(
    target: Target, held: int, loads: tuple[Load, ...], before: GraphCounts, now: GraphCounts
) -> Reached:
    fallen = {why.value: count - before.fallen_back[why] for why, count in now.fallen_back.items()}
    return Reached(
        target,
        held,
        loads,
        now.captured - before.captured,
        now.replayed - before.replayed,
        fallen,
    )


def run(
    targets: Iterable[Target],
    where: Hardware,
    out: Path,
    load_of: LoadOf,
    *,
    seconds: float,
    device: str = "cuda",
    told: Callable[[Reached], None] = lambda _: None,
) -> Path:
    """Measure targets one after the other, and return the file, which is written as it goes.

    Args:
        targets: which.
        where: the machine.
        out: folder of the file.
        load_of: runs the analyzer.
        seconds: measured per load.
        device: what computes.
        told: is told of each target.

    Raises:
        GpuMissing: the device is a GPU, and there is none.
    """
    if device != "cpu" and not torch.cuda.is_available():
        raise GpuMissing
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"capacity-{device.replace(':', '')}-{where.commit.rstrip('+')}.json"
    reached: list[Reached] = []
    with tempfile.TemporaryDirectory() as folder:
        clip = render(Path(folder) / "clip.mp4", size=SIZE)
        for target in targets:
            reached.append(reach(target, device, clip, load_of))
            told(reached[-1])
            write_result(document(reached, where, seconds), path)
    return path


def document(reached: Iterable[Reached], where: Hardware, seconds: float) -> dict[str, Any]:
    """Return what is known as JSON values."""
    return {
        "benchmark": "capacity_gpu",
        "hardware": where.to_json(),
        "limits": {"p95_ms": P95_MS, "lost": MAX_LOST},
        "seconds": seconds,
        "targets": [{**asdict(one), "met": one.met} for one in reached],
    }


def table(reached: Iterable[Reached]) -> Table:
    """Return what is held for a terminal."""
    shown = Table("", "detector", "held", "target", "met", "graphs", "fallen back")
    for one in reached:
        target = one.target
        at = f" at {target.cadence_hz:g} Hz" if target.cadence_hz else ""
        fallen = sum(one.fallen_back.values())
        shown.add_row(
            target.name,
            target.detector + at,
            str(one.held),
            str(target.streams),
            "yes" if one.met else "no",
            f"{one.captured} recorded, {one.replayed} played",
            str(fallen),
        )
    return shown
