"""`styleflow checkpoints`: the published detectors' weights, listed, looked at, brought in."""

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
from styleflow.weights import importing
from styleflow.weights.checkpoint import Checkpoint, is_checkpoint, load, save


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
    lines += ["", "Import them with: styleflow checkpoints import DETECTOR FILE…"]
    for line in lines:  # whole lines, so that addresses can be copied on a narrow terminal
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
