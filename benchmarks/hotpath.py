"""Cost of a sampled frame: compiled networks against PyTorch, batches against single frames.

    python -m benchmarks.hotpath [--out DIR] [--quick] [--streams N] [--rounds N]
                                 [--checkpoint FILE] [--workers N]

Several streams of the demo's talking head, 640x480 and one face each, already decoded. Four sides
process the same frames in turns within one run, so that other work on the machine hits all alike:

- torch, one by one: PyTorch, every frame in a batch of its own; how it was before
- torch, together: PyTorch, a frame of every stream in each batch
- compiled, one by one: OpenVINO (`model.runtime: auto`), every frame in a batch of its own
- compiled, together: OpenVINO, a frame of every stream in each batch; the product

What counts is CPU time per sampled frame, of all threads, and the median over rounds of each
round's ratio to the first side. All sides must say the same: their logits are compared.

The floor is what one frame cannot do without: the decoder for all its source frames, the networks
alone at their best batch, and conversion to RGB. The distance to it is what everything else costs:
cropping, tracking, framing, the engine, and Python.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.cameras import FPS, render
from benchmarks.hardware import hardware
from benchmarks.result import write_result
from cli import wiring
from cli.settings import Settings, load
from stream.batch import Processed
from stream.clock import ManualClock
from stream.events import Event, Frame, Score
from stream.ingest.decode import Decoder
from stream.ingest.open import open_source
from stream.ingest.source import Pace, Packet, SourceSettings, SourceUrl
from stream.offline.replay import replay
from stream.pipeline import Pipeline
from styleflow.faces.networks import INPUT_PX
from styleflow.pictures.hardware import Decoding
from styleflow.runtime_settings import Runtime
from styleflow.weights.face_networks import load_finder

RESULTS = Path(__file__).parent / "results"
AGREEMENT = 0.05
"""How far two sides' logits may be apart. One crop gives the same logit to 1e-5 on every side; but
landmarks that differ in their sixth digit round some pixels of a crop to the next value, and
batching alone does that to PyTorch."""

MOMENTS = 12  # frames of each stream per round


@dataclass(frozen=True, slots=True)
class Side:
    """One way to process the frames.

    Attributes:
        name: what it is called.
        runtime: what runs the networks.
        together: whether all streams share a batch.
    """

    name: str
    runtime: Runtime
    together: bool


SIDES = (
    Side("torch, one by one", Runtime.TORCH, together=False),
    Side("torch, together", Runtime.TORCH, together=True),
    Side("compiled, one by one", Runtime.AUTO, together=False),
    Side("compiled, together", Runtime.AUTO, together=True),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a side came to.

    Attributes:
        side: its name.
        cpu_ms: CPU time per sampled frame, median over rounds.
        wall_ms: wall time, likewise.
        ratio: CPU time of the first side over this side's, median over rounds.
        apart: largest difference of its logits from the first side's.
        scores: scores that were compared.
    """

    side: str
    cpu_ms: float
    wall_ms: float
    ratio: float
    apart: float
    scores: int


@dataclass(frozen=True, slots=True)
class Floor:
    """Least CPU milliseconds of one sampled frame with one face, stage by stage."""

    decode: float
    rgb: float
    detector_share: float
    mesh: float
    detector_networks: float
    step: float

    @property
    def total(self) -> float:
        """All of it."""
        return float(sum(asdict(self).values()))


class _Catch:
    """Stands in for a pipeline and keeps the frames."""

    def __init__(self, cadence_hz: float) -> None:
        self.cadence_hz = cadence_hz
        self.decoding = Decoding()
        self.frames: list[Frame] = []

    def open(self, stream: str) -> None:
        """Begin."""

    def close(self, stream: str, reason: object) -> tuple[Event, ...]:
        """End."""
        return ()

    def reports(self, now: float) -> tuple[Event, ...]:
        """Say nothing of how the stream is doing."""
        return ()

    def process(self, batch: Sequence[tuple[Frame, int]]) -> Processed:
        """Keep a frame."""
        self.frames += [frame for frame, _ in batch]
        return Processed(())


def decoded(clip: Path, cadence_hz: float) -> list[Frame]:
    """Return a clip's sampled frames."""
    catch = _Catch(cadence_hz)
    source = SourceSettings(SourceUrl.parse(str(clip)), pace=Pace.FAST)
    replay(source, catch, lambda event: None)  # type: ignore[arg-type]
    return catch.frames


class Run:
    """One side's pipeline, its streams, and the logits that it has given."""

    def __init__(self, side: Side, settings: Settings, streams: int) -> None:
        model = settings.model.model_copy(update={"runtime": side.runtime})
        chosen = settings.model_copy(update={"model": model})
        self.side = side
        self.pipeline: Pipeline = wiring.pipeline(chosen, ManualClock())
        for device in self.pipeline.devices:
            device.warm_up()
        self.names = [f"camera-{n}" for n in range(streams)]
        for name in self.names:
            self.pipeline.open(name)
        self.logits: dict[tuple[str, float, str], float] = {}
        self.cpu: list[float] = []
        self.wall: list[float] = []

    def play(self, moments: Sequence[Sequence[Frame]]) -> None:
        """Process some moments, each a frame of every stream, and take the time."""
        batches = [
            batch
            for moment in moments
            for batch in ([moment] if self.side.together else [[frame] for frame in moment])
        ]
        cpu, wall = time.process_time(), time.perf_counter()
        done = [self.pipeline.process([(frame, 0) for frame in batch]) for batch in batches]
        frames = sum(len(batch) for batch in batches)
        self.wall.append(1e3 * (time.perf_counter() - wall) / frames)
        self.cpu.append(1e3 * (time.process_time() - cpu) / frames)
        for processed in done:
            for fault in processed.faults:
                raise fault.error
            for event in processed.events:
                if isinstance(event, Score):
                    self.logits[event.stream, event.end, event.detector] = event.logit


def deal(frames: Sequence[Frame], names: Sequence[str], count: int) -> list[list[list[Frame]]]:
    """Return rounds of moments in which every stream is at another place of the clip."""
    made = []
    for number in range(count):
        slots = range(number * MOMENTS, (number + 1) * MOMENTS)
        made.append(
            [[_nth(frames, slot, n, name) for n, name in enumerate(names)] for slot in slots]
        )
    return made


def _nth(frames: Sequence[Frame], slot: int, place: int, name: str) -> Frame:
    """Return a stream's frame of a slot; the clip goes to and fro, so that nothing jumps."""
    period = 2 * len(frames) - 2
    at = (slot + 17 * place) % period
    image = frames[min(at, period - at)].image
    first = frames[0]
    step = frames[1].at - first.at
    return replace(first, stream=name, slot=slot, at=slot * step, arrived=slot * step, image=image)


def measure(
    settings: Settings, clip: Path, streams: int, count: int, progress: Progress
) -> tuple[list[Cost], Floor]:
    """Time all sides in turns."""
    task = progress.add_task("loading", total=count + 2)
    runs = [Run(side, settings, streams) for side in SIDES]
    frames = decoded(clip, runs[0].pipeline.cadence_hz)
    progress.update(task, description=f"{streams} stream(s)")
    for number, moments in enumerate(deal(frames, runs[0].names, count + 2)):
        for run in runs if number % 2 else reversed(runs):
            run.play(moments)
        progress.advance(task)
    return [cost_of(run, runs[0]) for run in runs], floor(runs[-1], settings, clip, frames)


def cost_of(run: Run, first: Run) -> Cost:
    """Return what a side costs, beside the first: medians and ratios over the warm rounds."""
    warm = slice(2, None)
    shared = run.logits.keys() & first.logits.keys()
    if len(shared) < 0.99 * len(first.logits):
        raise SystemExit(f"{run.side.name}: other faces were rated than by {first.side.name}")
    apart = max((abs(run.logits[key] - first.logits[key]) for key in shared), default=0.0)
    if apart > AGREEMENT:
        raise SystemExit(f"{run.side.name}: logits differ by {apart:.2g}, allowed {AGREEMENT}")
    ratios = [a / b for a, b in zip(first.cpu[warm], run.cpu[warm], strict=True)]
    return Cost(
        run.side.name,
        round(statistics.median(run.cpu[warm]), 2),
        round(statistics.median(run.wall[warm]), 2),
        round(statistics.median(ratios), 2),
        apart,
        len(shared),
    )


def floor(run: Run, settings: Settings, clip: Path, frames: Sequence[Frame]) -> Floor:
    """Measure the stages that no frame can do without, each alone and at its best."""
    finder = load_finder(settings.model.device, wiring.runtime(settings))
    face_detector: Any = finder.detector  # whose `infer` the protocol does not promise
    detector: Any = run.pipeline.device.detector
    size = detector.clip.size_px
    blank = np.zeros((1, INPUT_PX, INPUT_PX, 3), np.uint8)
    rng = np.random.default_rng(0)
    faces = len(run.names)
    crops = torch.from_numpy(rng.integers(0, 256, (faces, size, size, 3), dtype=np.uint8))
    rows = torch.arange(faces)
    with torch.inference_mode():
        state = detector.init_state(faces)
        whole = _least(lambda: detector.push(state, rows, crops, torch.zeros_like(rows))) / faces
        networks = _least(lambda: detector.look(crops)) / faces
        if getattr(detector, "content", None) is not None:
            window = detector.window(crops)
            networks += _least(lambda: detector.content(window)) / faces
        rate = _least(lambda: detector.rate(state, rows)) / faces
        detect = _least(lambda: face_detector.infer(blank))
        mesh = _least(lambda: finder.mesh.infer(blank))
    decode, rgb = _decoding(clip, run.pipeline.cadence_hz)
    return Floor(
        decode=round(decode, 3),
        rgb=round(rgb, 3),
        detector_share=round(detect / settings.perception.detect_every, 3),
        mesh=round(mesh, 3),
        detector_networks=round(networks, 3),
        step=round(max(whole - networks, 0.0) + rate, 3),
    )


def _decoding(clip: Path, cadence_hz: float) -> tuple[float, float]:
    """Return CPU ms of decoding per sampled frame, and of making one RGB."""
    source = SourceSettings(SourceUrl.parse(str(clip)), pace=Pace.FAST)
    packets: list[Packet] = []
    opened = open_source(source, ManualClock(), lambda seconds: False)
    try:
        packets.extend(opened.packets())
    except Exception as error:  # the end of a file is an error's own kind
        if not packets:
            raise SystemExit(f"{clip} cannot be read: {error}") from error
    decoder = Decoder(packets[0].format)
    begin = time.thread_time()
    pictures = [picture for packet in packets for picture in decoder.decode(packet)]
    each = 1e3 * (time.thread_time() - begin) / max(len(pictures), 1)
    return each * FPS / cadence_hz, _least(pictures[0].rgb)


def _least(call: Callable[[], object], repetitions: int = 60) -> float:
    """Return CPU ms of a call when nothing disturbs it: the tenth of its times."""
    times = []
    for _ in range(repetitions):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return 1e3 * sorted(times)[repetitions // 10]


def table(costs: Sequence[Cost]) -> Table:
    """Return the sides for a terminal."""
    shown = Table("", "CPU ms per frame", "wall ms", "ratio", "logits apart")
    for one in costs:
        shown.add_row(
            one.side,
            f"{one.cpu_ms:.2f}",
            f"{one.wall_ms:.2f}",
            f"{one.ratio:.2f}",
            f"{one.apart:.1e}",
        )
    return shown


def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    *,
    streams: Annotated[int, typer.Option(min=1, max=64, help="Streams.")] = 8,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights; the built-in model's when omitted.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Faces at the same time.")] = 1,
    count: Annotated[int, typer.Option("--rounds", min=1, help="Turns of every side.")] = 12,
    quick: Annotated[bool, typer.Option("--quick", help="Few rounds; a smoke test.")] = False,
) -> None:
    """Measure what a sampled frame costs."""
    torch.set_flush_denormal(True)  # as the device thread does
    model: dict[str, Any] = {"workers": workers}
    settings = load(None, {}, {"model": model | ({"checkpoint": checkpoint} if checkpoint else {})})
    torch.set_num_threads(1)
    where = hardware()
    with Progress() as progress, tempfile.TemporaryDirectory() as folder:
        clip = render(Path(folder) / "clip.mp4")
        costs, least = measure(settings, clip, streams, 3 if quick else count, progress)
    document = {
        "benchmark": "hotpath",
        "hardware": where.to_json(),
        "streams": streams,
        "workers": workers,
        "rounds": 3 if quick else count,
        "checkpoint": checkpoint.name if checkpoint else "built-in",
        "sides": [asdict(cost) for cost in costs],
        "floor_ms": {**asdict(least), "total": round(least.total, 3)},
        "with_decoding_over_floor": round(
            (costs[-1].cpu_ms + least.decode + least.rgb) / least.total, 2
        ),
    }
    path = out / f"hotpath-{where.commit.rstrip('+')}.json"
    write_result(document, path)
    console = Console()
    console.print(table(costs))
    console.print(f"floor: {least.total:.2f} ms = {asdict(least)}")
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
