"""`styleflow checkpoints`: published weights listed, looked at, brought in, and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from styleflow.clips import PspInput
from styleflow.detectors.authors_files import held
from styleflow.detectors.registry import PUBLISHED
from styleflow.detectors.styleflow.network import StyleFlowDims
from styleflow.errors import CheckpointInvalid
from styleflow.runtime_settings import Precision
from styleflow.weights import costs, importing
from styleflow.weights.checkpoint import Checkpoint, is_checkpoint, load, save
from styleflow.weights.costs import Cost
from styleflow.weights.fetching import megabytes
from styleflow.weights.places import fetched


def show_published(out: Console) -> None:
    """Print which files the authors publish, where, and under which licence."""
    lines = ["Published weights; none are shipped."]
    for name in PUBLISHED:
        lines += ["", name]
        for publication in importing.publications(name):
            lines += [
                f"  {publication.file}",
                f"    where    {publication.page}",
                f"    licence  {publication.licence}",
                f"    paper    {publication.paper}",
            ]
        lines += own_lines(name)
    lines += ["", "Import them with: styleflow checkpoints import DETECTOR FILE…"]
    lines += ["Measure here with: styleflow checkpoints measure DETECTOR [--device cuda]"]
    for line in lines:  # whole lines, so that addresses can be copied on a narrow terminal
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def own_lines(name: str) -> list[str]:
    """Return what this machine has of a detector, and what it costs here."""
    path = fetched(name)
    here = "not fetched"
    if path is not None:
        here = f"{megabytes(path.stat().st_size)} at {path}"
    elif importing.is_offered(importing.publications(name)):
        here = f"not fetched; styleflow checkpoints fetch {name}"
    cpu, gpu = costs.known(name, "cpu"), costs.known(name, "cuda")
    return [
        f"  on disk    {here}",
        f"  GPU memory {_gpu_memory(gpu)}",
        f"  CPU time   {_cpu_time(cpu)}",
    ]


def _gpu_memory(cost: Cost | None) -> str:
    if cost is None or cost.gpu_mb is None:
        return "not measured"
    return f"{cost.gpu_mb:,.0f} MB ({cost.place})"


def _cpu_time(cost: Cost | None) -> str:
    if cost is None:
        return "not measured"
    return (
        f"{cost.frame_ms:.3g} ms for a sampled frame of a face, {cost.rating_ms:.3g} ms for a "
        f"rating, {cost.precision} ({cost.place})"
    )


def measure(name: str, device: str, precision: Precision, out: Console) -> None:
    """Measure what a detector costs here, and keep it for the list.

    Weights do not change what it costs: those that were fetched are taken, or random ones.

    Raises:
        DetectorUnknown: no published file is known for this name.
        DeviceMissing: there is no such device here.
    """
    costs.check(device)
    path = fetched(name)
    weights = importing.untrained(name) if path is None else load(path)
    with out.status(name) as status:
        cost = costs.measure(
            weights, device, lambda text: status.update(f"{name}: {text}"), precision
        )
    kept = costs.keep(name, device, cost)
    if cost.gpu_mb is None:
        text = _cpu_time(cost)
    else:
        text = f"{_gpu_memory(cost)}, {cost.frame_ms:.3g} ms of the GPU for a frame of a face"
    for line in (f"{name}: {text}", f"kept: {kept}"):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def show_file(path: Path, out: Console) -> None:
    """Print what a file of weights is.

    Raises:
        CheckpointInvalid: it cannot be read, or belongs to no detector.
    """
    if not path.is_file():
        raise CheckpointInvalid(path, "there is no such file")
    if is_checkpoint(path):
        _show(load(path), out)
        return
    for line in describe_theirs(path):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def describe_theirs(path: Path) -> list[str]:
    """Return what an authors' file holds and how it compares with the networks here."""
    try:
        found = importing.likenesses(importing.read(path))
    except ValueError as error:
        raise CheckpointInvalid(path, str(error)) from None
    most = max(likeness.fitting for likeness in found)
    best = [likeness for likeness in found if likeness.certain or likeness.fitting == most]
    if not most and not best[0].certain:
        reason = f"belongs to no detector that is known here: {held(found[0].extra)}"
        raise CheckpointInvalid(path, reason)
    # FakeSTormer's files are alike: only their names tell on which compression each was trained.
    names = " or ".join(likeness.what for likeness in best)
    return [f"{path.name}: {names}: {best[0].report}", *best[0].more]


def bring_in(
    name: str, files: Sequence[Path], out_path: Path, out: Console, psp_input: PspInput
) -> None:
    """Import the authors' files and write our checkpoint.

    Args:
        name: the detector.
        files: as the authors publish them.
        out_path: the file to write.
        out: where to say what came of it.
        psp_input: what StyleFlow's style encoder was fed in training; no tensor tells.
    """
    for path in files:
        if not path.is_file():
            raise importing.missing_weights(name, path)
    if out_path.is_dir():
        raise CheckpointInvalid(out_path, "is a folder; name a file with --out")
    if out_path.resolve() in [path.resolve() for path in files]:
        raise CheckpointInvalid(out_path, "would be overwritten; name another file with --out")
    checkpoint, report = importing.import_files(files, name)
    if isinstance(checkpoint.dimensions, StyleFlowDims):
        dimensions = replace(checkpoint.dimensions, psp_input=psp_input)
        checkpoint = replace(checkpoint, dimensions=dimensions)
    save(checkpoint, out_path)
    out.print(str(report), markup=False, highlight=False, soft_wrap=True)
    _show(checkpoint, out)
    out.print(f"written: {out_path}", markup=False, highlight=False, soft_wrap=True)


def _show(checkpoint: Checkpoint, out: Console) -> None:
    card = checkpoint.card
    for key, value in (
        ("detector", checkpoint.kind),
        ("version", checkpoint.version),
        ("looks at time", card.mode.value),
        ("status", card.status.value),
        ("sha256", card.sha256),
        ("tensors", str(len(checkpoint.tensors))),
        ("dimensions", str(checkpoint.dimensions)),
        ("provenance", checkpoint.provenance),
    ):
        out.print(f"{key + ':':<15}{value}", markup=False, highlight=False, soft_wrap=True)
