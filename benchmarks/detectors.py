"""Cost of the published detectors live, against recomputing every window from its pixels.

    python -m benchmarks.detectors [--out DIR] [--device cpu|cuda] [--only NAME] [--repetitions N]
                                   [--released] [--quick] [--crops N]

One face, random weights (no time depends on them), every hop from 1 to 32 frames. *Live* is what
the product does: each frame is pushed once, and a rating reads what the state keeps. *Plain* runs
the network over all frames of the window for every rating. Both are given per frame of video. Every
repetition times one window and then every hop, so that other work on the machine hits both sides
alike; ratios are taken within a repetition, and medians are given with the least and the greatest.

StyleFlow is measured with the compact StyleGRU (1024 units), and with `--released` also with 4096,
whose weights alone take 3 GB. Its live state is set to a full window instead of pushing 31 frames
first; what the state holds changes no time. Once it is filled in earnest, to check that both sides
give the same logit.

GenD judges every frame alone and keeps nothing, so no hop changes what it costs; `frame_costs` has
CPU time per face, streams per two cores, memory, and what bfloat16 and int8 do to its logits.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import frame_costs
from benchmarks.frame_costs import FrameCost
from benchmarks.hardware import Hardware, hardware
from benchmarks.result import write_result
from styleflow.calibration import Calibration
from styleflow.detectors.caddm.live import DeployableCaddm
from styleflow.detectors.caddm.network import CaddmDims
from styleflow.detectors.fakestormer.backbone import FakeStormerDims
from styleflow.detectors.fakestormer.live import DeployableFakeStormer
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.protocol import Detector
from styleflow.detectors.styleflow.cnn3d import ContentDims
from styleflow.detectors.styleflow.live import UNSAVED, StyleFlowDetector, StyleFlowState
from styleflow.detectors.styleflow.network import StyleFlow, StyleFlowDims
from styleflow.detectors.styleflow.psp import PspDims

RESULTS = Path(__file__).parent / "results"
HOPS = (1, 4, 8, 16, 32)
AGREEMENT = 1e-2
AT_ONCE = 4  # pictures that the plain way encodes together; more need more memory, not less time


@dataclass(frozen=True, slots=True)
class Subject:
    """One detector, ready to be measured.

    Attributes:
        name: for the table.
        network: its weights.
        live: the detector for ratings every so many frames.
        plain: the logits of whole windows of crops, `(B, T, S, S, 3)`.
        extra_macs: multiplications of `plain` that torch's counter does not see.
    """

    name: str
    network: nn.Module
    live: Callable[[int], Detector]
    plain: Callable[[Tensor], Tensor]
    extra_macs: float = 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """What repetitions of one measurement gave."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Return the median of some values, the least and the greatest."""
        found = statistics.median(values), min(values), max(values)
        return cls(*(round(value, 3) for value in found))


@dataclass(frozen=True, slots=True)
class HopCost:
    """What one frame of video costs at one hop.

    Attributes:
        hop: frames from one rating to the next.
        live_ms: pushes and rating, over the frames.
        plain_ms: a whole window, over the frames.
        ratio: plain over live, of each repetition.
        live_gmac: multiply-accumulates, likewise.
        plain_gmac: the same of the plain way.
        slot_mb: what the live state keeps for one face.
    """

    hop: int
    live_ms: Spread
    plain_ms: Spread
    ratio: Spread
    live_gmac: float
    plain_gmac: float
    slot_mb: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What one detector costs.

    Attributes:
        detector: its name.
        parameters: of the network.
        weights_mb: of the network, float32.
        clip_ms: one whole window the plain way.
        clip_gmac: its multiply-accumulates.
        peak_mb: memory at its highest while this detector was measured, both sides and the states
            of all hops together: the accelerator's, or this process's on a CPU; None where the
            system does not tell.
        difference: of the two sides' logits on one window.
        repetitions: of every measurement.
        hops: per hop.
    """

    detector: str
    parameters: int
    weights_mb: float
    clip_ms: Spread
    clip_gmac: float
    peak_mb: float | None
    difference: float
    repetitions: int
    hops: tuple[HopCost, ...]


def subjects(device: str, *, quick: bool, released: bool) -> Iterator[Subject]:
    """Yield the detectors one after the other, so that only one is in memory."""
    yield styleflow(_styleflow_dims(quick=quick, released=False), device)
    if released and not quick:
        yield styleflow(_styleflow_dims(quick=False, released=True), device)
    for backbone in ("resnet10-slim",) if quick else ("resnet34", "efficientnet-b3"):
        yield caddm(backbone, device)
    if not quick:
        yield caddm("efficientnet-b4", device)
    small = FakeStormerDims(image_px=32, patch_px=8, width=24, depth=2, heads=3, frames=4)
    yield fakestormer(small if quick else FakeStormerDims(), device)


def _styleflow_dims(*, quick: bool, released: bool) -> StyleFlowDims:
    if quick:
        return StyleFlowDims(
            psp=PspDims(size_px=32, width=2, units=(1, 1, 1, 1)),
            hidden=16,
            gru_head=8,
            content=ContentDims(size_px=16, width=2),
            heads=2,
            head=8,
            inner=32,
        )
    return StyleFlowDims() if released else StyleFlowDims(hidden=1024, gru_head=1024)


def styleflow(dims: StyleFlowDims, device: str) -> Subject:
    """Return StyleFlow; torch's counter does not see its recurrent layers."""
    network = _seeded(lambda: StyleFlow(dims), device)
    assert isinstance(network, StyleFlow)
    gru, steps = dims.gru, dims.content.frames - 1
    first, second = gru.features + gru.hidden, 2 * gru.hidden + gru.hidden
    return Subject(
        f"styleflow ({dims.hidden} units)",
        network,
        lambda hop: StyleFlowDetector(network, UNSAVED, Calibration(), hop=hop),
        network,
        extra_macs=2 * 3 * gru.hidden * (first + second) * steps,
    )


def caddm(backbone: str, device: str) -> Subject:
    """Return CADDM; its window is the mean probability of 32 frames."""
    network = _seeded(lambda: DeployableCaddm(CaddmDims(backbone=backbone)), device)
    assert isinstance(network, DeployableCaddm)

    def plain(clips: Tensor) -> Tensor:
        logits = [
            network(network.network_input(part)).logit
            for part in torch.split(clips.flatten(0, 1), AT_ONCE)
        ]
        frames = torch.cat(logits).double().view(clips.shape[:2])
        # The logit of the mean probability, without leaving logarithms: random weights saturate.
        return logsigmoid(frames).logsumexp(1) - logsigmoid(-frames).logsumexp(1)

    detector = network.deploy(device)
    return Subject(f"caddm-{backbone}", network, lambda hop: detector, plain)


def fakestormer(dims: FakeStormerDims, device: str) -> Subject:
    """Return FakeSTormer; the plain way computes its maps too, as the released program does."""
    network = _seeded(lambda: DeployableFakeStormer(dims), device)
    assert isinstance(network, DeployableFakeStormer)
    detector = network.deploy(device)

    def plain(clips: Tensor) -> Tensor:
        logit: Tensor = network(network.network_input(clips)).logit
        return logit

    return Subject("fakestormer", network, lambda hop: detector, plain)


def measure(subject: Subject, repetitions: int, device: str) -> Cost:
    """Measure one detector at every hop."""
    clip = subject.live(HOPS[0]).clip
    generator = torch.Generator().manual_seed(0)
    shape = (1, clip.frames, clip.size_px, clip.size_px, 3)
    crops = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).to(device)
    reset_peak(device)
    difference, plain_macs = agreement(subject, crops)
    if difference > AGREEMENT:
        raise SystemExit(f"{subject.name}: the two sides differ by {difference:.2g}")
    lives = {hop: Live(subject.live(hop), crops, hop) for hop in HOPS}
    live_macs = {hop: macs(live.cycle) for hop, live in lives.items()}
    windows: list[float] = []
    cycles: dict[int, list[float]] = {hop: [] for hop in HOPS}
    for _ in range(repetitions):
        windows.append(milliseconds(lambda: subject.plain(crops), device))
        for hop, live in lives.items():
            cycles[hop].append(milliseconds(live.cycle, device))
    hops = tuple(
        HopCost(
            hop,
            live_ms=Spread.of([cycle / hop for cycle in cycles[hop]]),
            plain_ms=Spread.of([window / hop for window in windows]),
            ratio=Spread.of([w / c for w, c in zip(windows, cycles[hop], strict=True)]),
            live_gmac=round(live_macs[hop] / hop / 1e9, 3),
            plain_gmac=round(plain_macs / hop / 1e9, 3),
            slot_mb=round(megabytes(lives[hop].state), 2),
        )
        for hop in HOPS
    )
    parameters = sum(p.numel() for p in subject.network.parameters())
    return Cost(
        detector=subject.name,
        parameters=parameters,
        weights_mb=round(parameters * 4 / 2**20, 1),
        clip_ms=Spread.of(windows),
        clip_gmac=round(plain_macs / 1e9, 3),
        peak_mb=peak_mb(device),
        difference=difference,
        repetitions=repetitions,
        hops=hops,
    )


class Live:
    """One face in steady state: as many pushes as a hop has, then a rating."""

    def __init__(self, detector: Detector, crops: Tensor, hop: int) -> None:
        self.detector, self.crops, self.hop = detector, crops, hop
        self.state = detector.init_state(1)
        self.row = torch.zeros(1, dtype=torch.int64, device=crops.device)
        self.none = torch.zeros_like(self.row)
        full = 2 * detector.clip.frames + 1  # the engine rates at the first frame and every hop on
        self.number = full
        if isinstance(self.state, StyleFlowState):
            self.state.frames.fill_(full)
        else:
            self.state.pushed.fill_(full)

    def cycle(self) -> Tensor:
        """Push the frames of one hop and rate."""
        for _ in range(self.hop):
            crop = self.crops[:, self.number % self.crops.shape[1]]
            self.detector.push(self.state, self.row, crop, self.none)
            self.number += 1
        return self.detector.rate(self.state, self.row)


def agreement(subject: Subject, crops: Tensor) -> tuple[float, float]:
    """Return how far the two sides' logits of one window differ, and what the plain way counts."""
    detector = subject.live(HOPS[-1])
    state = detector.init_state(1)
    row = torch.zeros(1, dtype=torch.int64, device=crops.device)
    for crop in crops.unbind(1):
        detector.push(state, row, crop, torch.zeros_like(row))
    live = detector.rate(state, row)
    plain: list[Tensor] = []
    counted = macs(lambda: plain.append(subject.plain(crops))) + subject.extra_macs
    return float((live - plain[0]).abs().max()), counted


def macs(work: Callable[[], object]) -> float:
    """Return the multiply-accumulates of matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops()) / 2


def milliseconds(work: Callable[[], object], device: str) -> float:
    """Return CPU time of the one thread that computes, or wall time of an accelerator."""
    if device == "cpu":
        begin = time.thread_time()
        work()
        return (time.thread_time() - begin) * 1e3
    torch.cuda.synchronize()
    begin = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return (time.perf_counter() - begin) * 1e3


def reset_peak(device: str) -> None:
    """Reset the highest use of memory; see `peak_mb`."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        return
    with suppress(OSError):  # then the peak is that of the whole process so far
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb(device: str) -> float | None:
    """Return the highest use of memory since `reset_peak`, in MiB, where the system tells."""
    if device != "cpu":
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return round(int(found[1]) / 2**10, 1) if found else None


def megabytes(state: Any) -> float:
    """Return how large the tensors of a state are, in MiB."""
    if isinstance(state, Tensor):
        return state.numel() * state.element_size() / 2**20
    if is_dataclass(state):
        return sum(megabytes(getattr(state, field.name)) for field in fields(state))
    if isinstance(state, list | tuple):
        return sum(megabytes(part) for part in state)
    return sum(megabytes(part) for part in state.values()) if isinstance(state, dict) else 0.0


def _seeded(make: Callable[[], nn.Module], device: str) -> nn.Module:
    with torch.device("meta"):
        network = make()
    network.to_empty(device="cpu")
    seed_weights(network, 0)
    return network.eval().requires_grad_(requires_grad=False).to(device)


def table(found: list[Cost]) -> Table:
    """Return the costs for a terminal."""
    columns = ("detector", "hop", "live ms", "plain ms", "ratio", "live GMAC", "slot MB")
    shown = Table(*columns, caption="median (least to greatest)")
    for cost in found:
        for hop in cost.hops:
            shown.add_row(
                cost.detector,
                str(hop.hop),
                _shown(hop.live_ms),
                _shown(hop.plain_ms),
                _shown(hop.ratio),
                f"{hop.live_gmac:.2f}",
                f"{hop.slot_mb:.1f}",
            )
    return shown


def _shown(spread: Spread) -> str:
    return f"{spread.median:.3g} ({spread.low:.3g} to {spread.high:.3g})"


def chart(found: list[Cost], where: Hardware, path: Path) -> None:
    """Draw how much cheaper the live way is, by hop."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for cost in found:
        hops = [hop.hop for hop in cost.hops]
        (line,) = axes.plot(
            hops, [hop.ratio.median for hop in cost.hops], marker="o", label=cost.detector
        )
        low, high = [h.ratio.low for h in cost.hops], [h.ratio.high for h in cost.hops]
        axes.fill_between(hops, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.axhline(1.0, color="#b0b7c3", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(HOPS, [str(hop) for hop in HOPS])
    axes.set_xlabel("frames from one rating to the next")
    axes.set_ylabel("plain time / live time")
    axes.set_title("Live against recomputing every window from pixels")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.text(0.5, -0.03, where.caption(), ha="center", fontsize=7, color="#555555")
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON and the chart.")] = RESULTS,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    only: Annotated[str, typer.Option(help="Only detectors whose name begins so.")] = "",
    repetitions: Annotated[int, typer.Option(min=1, help="Of each side and hop.")] = 5,
    *,
    released: Annotated[
        bool, typer.Option("--released", help="StyleGRU of 4096 units too, as released.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Toy sizes; a smoke test.")] = False,
    crops: Annotated[int, typer.Option(min=3, help="That GenD judges in each precision.")] = 16,
) -> None:
    """Measure the published detectors."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as the device does
    where = hardware()
    found: list[Cost] = []
    console = Console()
    frames = [] if device != "cpu" else measured_frames(only, crops, console, quick=quick)
    write(found, frames, where, device, out)
    with torch.inference_mode():
        for subject in subjects(device, quick=quick, released=released):
            if subject.name.startswith(only):
                found.append(measure(subject, repetitions, device))
                console.print(table(found[-1:]))
                write(found, frames, where, device, out)
    console.print(f"{out}", soft_wrap=True)


def measured_frames(only: str, crops: int, console: Console, *, quick: bool) -> list[FrameCost]:
    """Measure GenD's encoders, those whose detector's name begins so."""
    encoders = [
        encoder
        for encoder in (("clip-slim",) if quick else ("clip-l14", "pe-l", "dinov3-l"))
        if f"gend-{encoder}".startswith(only)
    ]
    return frame_costs.measure_all(
        encoders, crops, lambda cost: console.print(frame_costs.table([cost]))
    )


def write(
    found: list[Cost], frames: list[FrameCost], where: Hardware, device: str, out: Path
) -> None:
    """Write what is known so far, because the rest takes minutes."""
    out.mkdir(parents=True, exist_ok=True)
    document = {
        "benchmark": "detectors",
        "device": device,
        "hardware": where.to_json(),
        "detectors": [asdict(cost) for cost in found],
        "frame_costs": [asdict(cost) for cost in frames],
    }
    path = out / f"detectors-{device}-{where.commit.rstrip('+')}.json"
    write_result(document, path)
    if not found:
        return
    chart(found, where, path.with_suffix(".png"))


if __name__ == "__main__":
    typer.run(main)
