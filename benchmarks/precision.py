"""Precisions of the default's picture network side by side: cost of a look, and scores.

    python -m benchmarks.precision CLIPS/manifest.csv [--split val] [--limit N] [--out DIR]
    python -m benchmarks.precision CLIPS/manifest.csv --measure styleflow/weights/NAME.ranges.npz

Every clip of a split goes through the live engine once per precision, as `styleflow evaluate` sends
it. Compared are the video AUC, and the scores with those of float32: root mean square and mean of
their differences. A precision is kept where the AUC stays within 0.005 and the scores within 0.02.
The cost of a look is CPU time of one thread on the crops of the first clips, precisions in turns.

`--measure` makes the file of ranges that eight bits need, from the first and the last look of
training clips drawn by chance. The same clips give the same file.
"""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor, nn

from benchmarks.hardware import hardware
from benchmarks.result import write_result
from cli import logs, wiring
from cli.settings import Settings, load
from stream.clock import ManualClock
from stream.errors import SourceError
from stream.ingest.source import Pace, SourceSettings, SourceUrl
from stream.offline.replay import analyze
from stream.pipeline import Pipeline
from styleflow.detectors.styleflow_live.face_encoder import FaceEncoder
from styleflow.detectors.styleflow_live.live import StyleFlowLiveDetector
from styleflow.eight_bits import measure, weights_digest, write_ranges
from styleflow.evaluation.metrics import auc
from styleflow.runtime import Compiled, convert
from styleflow.runtime_settings import Precision, Runtime

RESULTS = Path(__file__).parent / "results"
MAX_AUC = 0.005
MAX_RMS = 0.02
CLIPS_MEASURED = 120
SECONDS_MEASURED = 1.2
LOOKS_TIMED = 30


@dataclass(frozen=True, slots=True)
class Compared:
    """One precision beside float32.

    Attributes:
        precision: which.
        look_ms: CPU milliseconds of a look, median; `least_ms` is the least.
        least_ms: see `look_ms`.
        auc: of the videos' scores.
        rms: root mean square of what the videos' scores differ by from float32's.
        mean: mean of that.
        most: the greatest of that.
        verdicts: videos whose verdict is another.
        videos: with a score in both.
    """

    precision: str
    look_ms: float
    least_ms: float
    auc: float
    rms: float
    mean: float
    most: float
    verdicts: int
    videos: int

    def kept(self, reference: Compared) -> bool:
        """Whether this precision may stand for another."""
        return abs(self.auc - reference.auc) <= MAX_AUC and self.rms <= MAX_RMS


Scores = dict[str, tuple[str, float | None, str]]
"""Label, score and verdict by clip."""


def compare(name: str, ours: Scores, theirs: Scores, times: Sequence[float]) -> Compared:
    """Return what a precision made of clips beside what float32 made of them."""
    both = [
        (ours[clip][1], theirs[clip][1], ours[clip][2] != theirs[clip][2])
        for clip in ours
        if ours[clip][1] is not None and theirs[clip][1] is not None
    ]
    apart = np.array([cast(float, a) - cast(float, b) for a, b, _ in both])
    rated = [(label == "fake", score) for label, score, _ in ours.values() if score is not None]
    return Compared(
        name,
        round(statistics.median(times), 2),
        round(min(times), 2),
        round(auc([label for label, _ in rated], [score for _, score in rated]), 4),
        round(float(np.sqrt(np.mean(apart**2))), 4),
        round(float(apart.mean()), 4),
        round(float(np.abs(apart).max()), 4),
        sum(changed for _, _, changed in both),
        len(both),
    )


def manifest(path: Path, splits: Iterable[str]) -> list[dict[str, str]]:
    """Return the rows of a manifest that are videos of some splits."""
    wanted = set(splits)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if row["split"] in wanted and row["file"].endswith(".mp4")]


def pipeline(settings: Settings, precision: Precision) -> Pipeline:
    """Return a pipeline of the default in a precision."""
    model = settings.model.model_copy(update={"precision": precision})
    return wiring.pipeline(settings.model_copy(update={"model": model}), ManualClock())


def play(path: Path, through: Pipeline, settings: Settings, limit_s: float | None = None) -> Any:
    """Send a clip through the live engine; None where it cannot be played."""
    source = SourceSettings(SourceUrl.parse(path.as_posix()), pace=Pace.FAST)
    try:
        return analyze(source, through, settings.engine, limit_s=limit_s)
    except SourceError:
        return None


class Keeping(nn.Module):
    """An encoder that keeps the crops that it is shown.

    Args:
        encoder: that answers.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.crops: list[NDArray[np.uint8]] = []

    def forward(self, images: Tensor) -> Any:
        """Return what the encoder returns."""
        self.crops += [np.array(image.numpy()) for image in images]
        return self.encoder(images)


def looks(
    folder: Path, rows: Sequence[dict[str, str]], settings: Settings, limit_s: float | None
) -> list[NDArray[np.uint8]]:
    """Return the first and the last crop that is looked at in the beginning of each clip."""
    through = pipeline(settings, Precision.BFLOAT16)
    detector = _default(through)
    assert detector.encoder is not None
    keeping = Keeping(detector.encoder)
    detector.encoder = cast(FaceEncoder, keeping)
    found: list[NDArray[np.uint8]] = []
    with Progress() as progress:
        for row in progress.track(rows, description="looks"):
            keeping.crops.clear()
            play(folder / row["file"], through, settings, limit_s)
            found += keeping.crops[:1] + keeping.crops[1:][-1:]
    return found


def _default(through: Pipeline) -> StyleFlowLiveDetector:
    detector = through.device.detector
    if not isinstance(detector, StyleFlowLiveDetector):
        raise SystemExit("the first detector is not styleflow-live")
    return detector


def write_measured(path: Path, where: Path, settings: Settings) -> None:
    """Measure the ranges of the default's encoder on training clips and write them."""
    rows = manifest(where, ("train_real", "train_fake"))
    order = np.random.default_rng(0).permutation(len(rows))[:CLIPS_MEASURED]
    crops = looks(where.parent, [rows[n] for n in order], settings, SECONDS_MEASURED)
    torch_alone = settings.model.model_copy(update={"runtime": Runtime.TORCH})
    plain = settings.model_copy(update={"model": torch_alone})
    encoder = _default(pipeline(plain, Precision.FLOAT32)).encoder
    assert encoder is not None
    with torch.inference_mode(mode=False), torch.no_grad():
        graph = convert(encoder, (torch.from_numpy(crops[0][None]),))
    ranges = measure(graph, (crop[None] for crop in crops))
    write_ranges(path, ranges, weights_digest(encoder, ranges))


def times(nets: dict[Precision, nn.Module], crops: Sequence[NDArray[np.uint8]]) -> Any:
    """Return CPU milliseconds of each look by precision, in turns, after one that warms up."""
    found: dict[Precision, list[float]] = {precision: [] for precision in nets}
    with torch.inference_mode():
        for number, crop in enumerate(crops):
            for precision, net in nets.items():
                begin = time.process_time()
                net(torch.from_numpy(crop[None]))
                if number:
                    found[precision].append(1e3 * (time.process_time() - begin))
    return found


def table(found: Sequence[Compared]) -> Table:
    """Return the comparison for a terminal."""
    shown = Table("precision", "look, CPU ms", "AUC", "RMS", "mean", "most", "verdicts", "")
    for one in found:
        shown.add_row(
            one.precision,
            f"{one.look_ms:.1f} ({one.least_ms:.1f})",
            f"{one.auc:.4f}",
            f"{one.rms:.4f}",
            f"{one.mean:+.4f}",
            f"{one.most:.3f}",
            f"{one.verdicts} of {one.videos}",
            "kept" if one.kept(found[0]) else "",
        )
    return shown


def main(
    clips: Annotated[Path, typer.Argument(help="Manifest of labelled clips.")],
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    *,
    split: Annotated[str, typer.Option(help="Its part to compare on.")] = "val",
    limit: Annotated[int | None, typer.Option(min=1, help="Clips at most.")] = None,
    measured: Annotated[
        Path | None, typer.Option("--measure", help="Measure ranges, into this file.")
    ] = None,
) -> None:
    """Compare precisions, or measure the ranges that eight bits need."""
    logs.configure("error", "console")
    settings, console, where = load(None, {}, None), Console(), hardware()
    torch.set_num_threads(settings.model.threads or 1)
    if measured is not None:
        write_measured(measured, clips, settings)
        console.print(f"{measured}", soft_wrap=True)
        return
    rows = manifest(clips, (split,))[:limit]
    pipelines = {p: pipeline(settings, p) for p in Precision}
    scores: dict[Precision, Scores] = {p: {} for p in Precision}
    with Progress(console=console) as progress:
        for row in progress.track(rows, description=split):
            for precision, through in pipelines.items():
                found = play(clips.parent / row["file"], through, settings)
                score, verdict = (found.score, found.verdict.value) if found else (None, "")
                scores[precision][row["file"]] = (row["label"], score, verdict)
    crops = looks(clips.parent, rows[:LOOKS_TIMED], settings, 0.5)
    nets = {p: cast(Compiled, _default(through).encoder) for p, through in pipelines.items()}
    took = times(cast(dict[Precision, nn.Module], nets), crops)
    reference = scores[Precision.FLOAT32]
    compared = [compare(p.value, scores[p], reference, took[p]) for p in Precision]
    document = {
        "benchmark": "precision",
        "hardware": where.to_json(),
        "split": split,
        "limits": {"auc": MAX_AUC, "rms": MAX_RMS},
        "precisions": [asdict(one) for one in compared],
    }
    path = out / f"precision-{where.commit.rstrip('+')}.json"
    write_result(document, path)
    console.print(table(compared))
    console.print(f"{path}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
