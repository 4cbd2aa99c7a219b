"""Import of authors' files of weights as verified checkpoints.

The file is read without running anything in it, every tensor's name, shape and type is compared
with what the network needs, and only then is a checkpoint made. Nothing is guessed: a file that
does not fit is refused with the names that are missing, left over or of another shape.

Each detector's own module `published` knows its files; here is what all detectors share.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.detectors.authors_files import (
    AuthorsFile,
    ImportReport,
    Likeness,
    Publication,
    PublishedFiles,
)
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.registry import DETECTORS, PUBLISHED
from styleflow.detectors.styleflow.parts import checked_part
from styleflow.detectors.styleflow.published import Ported
from styleflow.errors import CheckpointInvalid, DetectorUnknown, DetectorWeightsMissing
from styleflow.weights import unpickle as safe_pickle
from styleflow.weights.checkpoint import Checkpoint, is_checkpoint, is_safetensors, load
from styleflow.weights.places import ENDPOINT

MAX_JSON_BYTES = 1 << 20
"""Larger than any configuration that is published beside weights."""

_UNSAVED = ModelCard("", "unsaved", TemporalMode.EXACT, TrainingStatus.UNTRAINED, "")


def published_files(name: str) -> PublishedFiles:
    """Return what a detector's authors publish.

    Raises:
        DetectorUnknown: no published file is known for this name.
    """
    files = DETECTORS[name].published() if name in DETECTORS else None
    if files is None:
        raise DetectorUnknown(name, sorted(PUBLISHED))
    return files


def publications(name: str) -> tuple[Publication, ...]:
    """Return which files a detector needs and where its authors publish them.

    Raises:
        DetectorUnknown: no published file is known for this name.
    """
    return published_files(name).publications


def missing_weights(name: str, wanted: Path | None) -> DetectorWeightsMissing:
    """Return the error that says what a detector needs and how to get it."""
    published = publications(name)
    # A name of which only the end is known is no argument for a command.
    files = " ".join("FILE" if p.file.startswith("…") else p.file for p in published)
    out = f" --out {wanted}" if wanted else ""
    remedy = f"styleflow checkpoints import {name} {files}{out}"
    if is_offered(published):
        named = " and name no file" if wanted else ""
        remedy = f"styleflow checkpoints fetch {name}{named}, or, with the files at hand, {remedy}"
    return DetectorWeightsMissing(
        name,
        wanted,
        [f"{p.file} at {p.page} ({p.licence})" for p in published],
        f"Run: {remedy}",
    )


def repository(publication: Publication) -> str | None:
    """Return the page's name on the hub, `owner/name`; None where it is elsewhere."""
    name = publication.page.removeprefix(f"{ENDPOINT}/")
    return name if name != publication.page and name.count("/") == 1 else None


def is_offered(published: Sequence[Publication]) -> bool:
    """Say whether a program can download these files: whether all are on the hub."""
    return all(repository(publication) for publication in published)


def weights(paths: Sequence[Path], name: str) -> Checkpoint:
    """Return a detector's checkpoint, from our own file or straight from the authors' ones.

    Raises:
        DetectorWeightsMissing: a file is not there.
        CheckpointInvalid: a file cannot be used, or is another detector's.
    """
    for path in paths:
        if not path.is_file():
            if name not in PUBLISHED:
                raise CheckpointInvalid(path, "there is no such file")
            raise missing_weights(name, path)
    if len(paths) == 1 and is_checkpoint(paths[0]):
        checkpoint = load(paths[0])
        if checkpoint.kind != name:
            raise CheckpointInvalid(paths[0], f"holds {checkpoint.kind!r}, not {name!r}")
        return checkpoint
    if name not in PUBLISHED:
        raise CheckpointInvalid(paths[0], f"is no checkpoint of {name}")
    return import_files(paths, name)[0]


def read(path: Path) -> Any:
    """Return what a file that is not ours holds; nothing in it is run.

    Raises:
        CheckpointInvalid: no such file, it cannot be read safely, or it is ours.
    """
    if path.suffix == ".json" and path.is_file():
        return _read_json(path)
    if not path.is_file() or not is_safetensors(path):
        return safe_pickle.read(path)
    if is_checkpoint(path):
        raise CheckpointInvalid(path, "is a checkpoint already: give it to --weights as it is")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointInvalid(path, f"is a damaged safetensors file ({error})") from error


def _read_json(path: Path) -> Any:
    """Return what a small file of JSON holds. Raises CheckpointInvalid."""
    if path.stat().st_size > MAX_JSON_BYTES:
        raise CheckpointInvalid(
            path, f"is larger than {MAX_JSON_BYTES >> 10} KiB: no configuration"
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointInvalid(path, f"is no JSON ({error})") from error


def import_files(paths: Sequence[Path], name: str) -> tuple[Checkpoint, ImportReport]:
    """Return the checkpoint that the authors' files of a detector become, and how they compared.

    Its logits have never been fitted to probabilities here, so it calls itself uncalibrated.

    Args:
        paths: the file; for StyleFlow those of its three parts, in any order.
        name: the detector, one of `PUBLISHED`.

    Raises:
        DetectorUnknown: no published file is known for this name.
        CheckpointInvalid: a file cannot be read safely, or does not fit; the reason names what
            is missing, left over or of another shape.
    """
    files = [AuthorsFile(path, read) for path in paths]
    made = published_files(name).convert(files, owners)
    checkpoint = Checkpoint(
        kind=name,
        version=made.version,
        dimensions=made.dimensions,
        tensors=made.tensors,
        calibration=Calibration(),
        status=TrainingStatus.UNCALIBRATED,
        provenance=made.provenance,
    )
    return checkpoint, made.report


def untrained(name: str, seed: int = 0) -> Checkpoint:
    """Return a detector of published dimensions that has learned nothing.

    It shows that the path works; its logits mean nothing and it says so.

    Raises:
        DetectorUnknown: no dimensions are known for this name.
    """
    dimensions = published_files(name).dimensions
    with torch.device("meta"):
        build = DETECTORS[name].network()
        network = cast("nn.Module", build(dimensions, _UNSAVED, Calibration()))
    network.to_empty(device="cpu")
    seed_weights(network, seed)
    return Checkpoint(
        kind=name,
        version=f"untrained-{seed}",
        dimensions=dimensions,
        tensors=network.state_dict(),
        calibration=Calibration(),
        status=TrainingStatus.UNTRAINED,
        provenance=f"Random weights from seed {seed}; no data of any kind.",
    )


def likenesses(content: Any) -> list[Likeness]:
    """Return how a file's content compares with what each detector's authors publish.

    Where the names in the file leave no doubt whose it is, that is the only one.

    Raises:
        ValueError: the content is no collection of names.
    """
    found: list[Likeness] = []
    for name in PUBLISHED:
        likeness = published_files(name).likeness(content)
        if likeness is not None and likeness.certain:
            return [likeness]
        if likeness is not None:
            found.append(likeness)
    return found


def owners(content: Any) -> list[str]:
    """Return what a file is whole for: detectors, or a part of one; several may be alike."""
    try:
        return [likeness.what for likeness in likenesses(content) if likeness.whole]
    except ValueError:
        return []


def load_styleflow_part(path: Path, part: str) -> Ported:
    """Return one part of StyleFlow from the authors' file of it, whole and checked.

    Args:
        path: the file as its authors publish it, or as our recipes write it.
        part: a name of `styleflow.detectors.styleflow.parts.STYLEFLOW_PARTS`.

    Raises:
        CheckpointInvalid: the file cannot be read safely, or is not this part.
    """
    return checked_part(path, read(path), part)
