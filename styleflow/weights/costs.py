"""Cost of a detector on this machine: measured when asked for, kept beside its checkpoint.

No figure is ever taken over from elsewhere: other processors, other versions of the runtime or
another device and the detector counts as not measured.
"""

from __future__ import annotations

import json
import platform
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from styleflow.detectors.protocol import Detector
from styleflow.errors import DeviceMissing
from styleflow.runtime import accelerate
from styleflow.runtime_settings import Precision, RuntimeSettings
from styleflow.weights.checkpoint import Checkpoint, build
from styleflow.weights.face_networks import graphs_dir
from styleflow.weights.places import fetched_path

REPETITIONS = 5
MAX_FILE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where and with what something was measured.

    Attributes:
        device: name of the processor, or of the GPU.
        torch: version.
        openvino: version.
        styleflow: version.
    """

    device: str
    torch: str
    openvino: str
    styleflow: str

    def __str__(self) -> str:
        return f"{self.device}, torch {self.torch}, OpenVINO {self.openvino}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one face costs.

    Attributes:
        place: where it was measured.
        weights: version of the weights; no time depends on them.
        precision: what OpenVINO computed in on a CPU.
        frame_ms: CPU milliseconds of all threads for one sampled frame, or the GPU's time for it;
            the median.
        rating_ms: the same for one rating, of the frames that were pushed before.
        repetitions: of each measurement.
        gpu_mb: memory of the GPU at its highest, in MB, weights included; None on a CPU.
    """

    place: Place
    weights: str
    precision: str
    frame_ms: float
    rating_ms: float
    repetitions: int
    gpu_mb: float | None = None


def measure(
    checkpoint: Checkpoint,
    device: str = "cpu",
    say: Callable[[str], None] | None = None,
    precision: Precision = Precision.FLOAT32,
) -> Cost:
    """Measure a detector in the runtime that is used live, with one face of noise.

    Args:
        checkpoint: its weights; random ones cost the same.
        device: cpu, cuda or cuda:N.
        say: told in a few words what is being done.
        precision: what OpenVINO computes in on a CPU.
    """
    tell = say or _say_nothing
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    tell("loading the detector")
    detector = build(checkpoint, device)
    accelerate(detector, RuntimeSettings(cache=graphs_dir(), precision=precision))
    with torch.inference_mode():
        push, rate = _face(detector, device)
        for number in range(detector.clip.frames):
            tell(f"filling a window: {number + 1} of {detector.clip.frames} frames")
            push()
            if bool(rate().isfinite().all()):
                break
        tell("measuring")
        timed = _gpu_ms if on_gpu else _cpu_ms
        frames = [timed(push) for _ in range(REPETITIONS)]
        ratings = [timed(rate) for _ in range(REPETITIONS)]
    peak = torch.cuda.max_memory_allocated(device) / 1e6 if on_gpu else None
    return Cost(
        place=place(device),
        weights=checkpoint.version,
        precision=precision.value,
        frame_ms=round(statistics.median(frames), 2),
        rating_ms=round(statistics.median(ratings), 2),
        repetitions=REPETITIONS,
        gpu_mb=None if peak is None else round(peak, 1),
    )


def check(device: str) -> None:
    """Make sure that a device is here. Raises DeviceMissing."""
    wanted = torch.device(device)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted.type == "cuda" and (wanted.index or 0) >= gpus:
        raise DeviceMissing(device, gpus)


def place(device: str) -> Place:
    """Return what would be measured on now."""
    on_gpu = torch.device(device).type == "cuda"
    name = torch.cuda.get_device_name(device) if on_gpu else _processor()
    return Place(name, torch.__version__, _version("openvino"), _version("styleflow-live"))


def costs_path(name: str) -> Path:
    """Return where a detector's measured costs are kept."""
    return fetched_path(name).with_suffix(".costs.json")


def keep(name: str, device: str, cost: Cost) -> Path:
    """Keep a cost for `known`, beside those on devices of the other kind.

    Raises:
        OSError: it cannot be written.
    """
    path = costs_path(name)
    found = _read(path) | {torch.device(device).type: asdict(cost)}
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(".json.part")
    written.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    written.replace(path)
    return path


def known(name: str, device: str) -> Cost | None:
    """Return what was measured here on a device of this kind; None where nothing was.

    What another machine, or other versions, measured does not count.
    """
    kind = torch.device(device).type
    if kind == "cuda" and not torch.cuda.is_available():
        return None
    try:
        cost = TypeAdapter(Cost).validate_python(_read(costs_path(name)).get(kind))
    except ValidationError:
        return None
    return cost if cost.place == place(device) else None


def _face(
    detector: Detector, device: str
) -> tuple[Callable[[], object], Callable[[], torch.Tensor]]:
    """Return what pushes a frame of one face, and what rates it."""
    state = detector.init_state(1)
    row = torch.zeros(1, dtype=torch.int64, device=device)
    none = torch.zeros_like(row)
    side = detector.clip.size_px
    noise = torch.Generator().manual_seed(0)
    crop = torch.randint(0, 256, (1, side, side, 3), dtype=torch.uint8, generator=noise).to(device)
    return lambda: detector.push(state, row, crop, none), lambda: detector.rate(state, row)


def _cpu_ms(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return (time.process_time() - begin) * 1e3


def _gpu_ms(work: Callable[[], object]) -> float:
    event: Any = torch.cuda.Event  # it has no types
    begin, end = event(enable_timing=True), event(enable_timing=True)
    begin.record()
    work()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _read(path: Path) -> dict[str, Any]:
    """Return what a file of costs holds; nothing where there is none, or it is harmed."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _say_nothing(_: str) -> None:
    return None
