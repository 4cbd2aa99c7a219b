"""From the authors' file of weights to a verified checkpoint of ours.

The file is read without running anything in it, every tensor's name, shape and type is compared
with what the network needs, and only then is a checkpoint made. Nothing is guessed: a file that
does not fit is refused with the names that are missing, left over or of another shape.

StyleFlow comes in parts, which its authors publish apart: `import_files` joins them. For the other
detectors one file is all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow import live as styleflow_stream
from styleflow.detectors.styleflow import published as port_styleflow
from styleflow.detectors.styleflow.network import StyleFlowDims
from styleflow.detectors.styleflow.published import CheckpointMismatch, Ported
from styleflow.errors import CheckpointInvalid, DetectorUnknown, DetectorWeightsMissing
from styleflow.weights import unpickle as safe_pickle
from styleflow.weights.checkpoint import KINDS, Checkpoint, is_checkpoint, is_safetensors, load
from styleflow.weights.published import LAYOUTS, Layout, Publication, unwrap

_UNSAVED = ModelCard("", "unsaved", TemporalMode.EXACT, TrainingStatus.UNTRAINED, "")
_SHOWN = 5  # so many names of a kind are spelled out
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Misfit:
    """A tensor that is there and is not what the network needs."""

    name: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.name} (expected {self.expected}, got {self.got})"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How a file's tensors compare with those of a network.

    Attributes:
        fitting: how many fit.
        missing: names that the network needs and the file lacks.
        dead: names that the file lacks and no score depends on; they become zero.
        extra: names that the file has and the network does not know.
        misfits: tensors of another shape or type, or with values that are not numbers.
    """

    fitting: int
    missing: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    misfits: tuple[Misfit, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether a checkpoint can be made."""
        return not (self.missing or self.extra or self.misfits)

    def __str__(self) -> str:
        parts = [f"{self.fitting} tensors fit"]
        for what, names in (
            ("missing", self.missing),
            ("missing but never used", self.dead),
            ("not known to the network", self.extra),
            ("wrong", [str(misfit) for misfit in self.misfits]),
        ):
            if names:
                parts.append(f"{len(names)} {what}: {held(names)}")
        return "; ".join(parts)


PUBLISHED = (styleflow_stream.NAME, *LAYOUTS)
"""Detectors whose weights come from their authors."""

STYLEFLOW_PARTS = ("pSp encoder", "StyleGRU", "stage 2")


def publications(name: str) -> tuple[Publication, ...]:
    """Return which files a detector needs and where its authors publish them.

    Raises:
        DetectorUnknown: no published file is known for this name.
    """
    if name == styleflow_stream.NAME:
        return port_styleflow.PUBLICATIONS
    return (layout_of(name).publication,)


def missing_weights(name: str, wanted: Path | None) -> DetectorWeightsMissing:
    """Return the error that says what a detector needs and how to get it."""
    published = publications(name)
    # A name of which only the end is known is no argument for a command.
    files = " ".join("FILE" if p.file.startswith("…") else p.file for p in published)
    out = f" --out {wanted}" if wanted else ""
    return DetectorWeightsMissing(
        name,
        wanted,
        [f"{p.file} at {p.page} ({p.licence})" for p in published],
        f"Run: styleflow checkpoints import {name} {files}{out}",
    )


def weights(paths: Sequence[Path], name: str) -> Checkpoint:
    """Return a detector's checkpoint, from our own file or straight from the authors' ones.

    Raises:
        DetectorWeightsMissing: a file is not there.
        CheckpointInvalid: a file cannot be used, or is another detector's.
    """
    for path in paths:
        if not path.is_file():
            raise missing_weights(name, path)
    if len(paths) == 1 and is_checkpoint(paths[0]):
        checkpoint = load(paths[0])
        if checkpoint.kind != name:
            raise CheckpointInvalid(paths[0], f"holds {checkpoint.kind!r}, not {name!r}")
        return checkpoint
    return import_files(paths, name)[0]


def read(path: Path) -> Any:
    """Return what a file that is not ours holds; nothing in it is run.

    Raises:
        CheckpointInvalid: no such file, it cannot be read safely, or it is ours.
    """
    if not path.is_file() or not is_safetensors(path):
        return safe_pickle.read(path)
    if is_checkpoint(path):
        raise CheckpointInvalid(path, "is a checkpoint already: give it to --weights as it is")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointInvalid(path, f"is a damaged safetensors file ({error})") from error


def import_files(paths: Sequence[Path], name: str) -> tuple[Checkpoint, ImportReport]:
    """Return the checkpoint that the authors' files of a detector become, and how they compared.

    Args:
        paths: the file; for StyleFlow those of its three parts, in any order.
        name: the detector, one of `PUBLISHED`.

    Raises:
        DetectorUnknown: no published file is known for this name.
        CheckpointInvalid: see `import_file`.
    """
    if name == styleflow_stream.NAME:
        return _import_styleflow(paths)
    if len(paths) != 1:
        raise CheckpointInvalid(paths[0], f"{name} is one file, not {len(paths)}")
    return import_file(paths[0], name)


def layout_of(name: str) -> Layout:
    """Return how a detector's published file is laid out.

    Raises:
        DetectorUnknown: no published file is known for this name.
    """
    if name not in LAYOUTS:
        raise DetectorUnknown(name, sorted(PUBLISHED))
    return LAYOUTS[name]


def compare(tensors: Mapping[str, Any], layout: Layout) -> ImportReport:
    """Return how tensors of a file compare with those of a detector's network."""
    expected = layout.expected()
    absent = [name for name in expected if name not in tensors]
    shared = [name for name in expected if name in tensors]
    misfits = tuple(
        misfit for name in shared if (misfit := _misfit(name, tensors[name], expected[name]))
    )
    return ImportReport(
        fitting=len(shared) - len(misfits),
        missing=tuple(name for name in absent if not layout.is_dead(name)),
        dead=tuple(name for name in absent if layout.is_dead(name)),
        extra=tuple(name for name in tensors if name not in expected),
        misfits=misfits,
    )


def import_file(path: Path, name: str) -> tuple[Checkpoint, ImportReport]:
    """Return the checkpoint that an authors' file becomes, and how it compared.

    Its logits have never been fitted to probabilities here, so it calls itself uncalibrated.

    Args:
        path: the file as the authors publish it.
        name: the detector, a key of `LAYOUTS`.

    Raises:
        DetectorUnknown: no published file is known for this name.
        CheckpointInvalid: the file cannot be read safely, or does not fit; the reason names what
            is missing, left over or of another shape.
    """
    layout = layout_of(name)
    content = read(path)
    try:
        tensors = unwrap(content, layout.wrapper)
    except ValueError as error:
        raise CheckpointInvalid(path, str(error)) from error
    report = compare(tensors, layout)
    if not report.fits:
        raise CheckpointInvalid(path, _unfit(content, report, name))
    source = file_digest(path)
    published = layout.publication
    checkpoint = Checkpoint(
        kind=name,
        version=f"published-{source[:12]}",
        dimensions=layout.dimensions,
        tensors=_converted(tensors, layout),
        calibration=Calibration(),
        status=TrainingStatus.UNCALIBRATED,
        provenance=(
            f"Converted from {path.name} (sha256 {source}), in the layout of the file published "
            f"at {published.page}. "
            f"{published.paper}. Licence: {published.licence}."
        ),
    )
    return checkpoint, report


def untrained(name: str, seed: int = 0) -> Checkpoint:
    """Return a detector of published dimensions that has learned nothing.

    It shows that the path works; its logits mean nothing and it says so.

    Raises:
        DetectorUnknown: no dimensions are known for this name.
    """
    dimensions: Any = StyleFlowDims() if name == styleflow_stream.NAME else None
    dimensions = dimensions or layout_of(name).dimensions
    with torch.device("meta"):
        network = cast("nn.Module", KINDS[name].network(dimensions, _UNSAVED, Calibration()))
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


def _import_styleflow(paths: Sequence[Path]) -> tuple[Checkpoint, ImportReport]:
    """Join pSp's encoder, StyleGRU and stage 2 into one detector."""
    parts: dict[str, tuple[Path, Ported]] = {}
    for path in paths:
        content = read(path)
        found = styleflow_part(content)
        if found is None:
            known = ", ".join(STYLEFLOW_PARTS)
            others = owners(content)
            what = f"is {' or '.join(others)} and " if others else "is "
            raise CheckpointInvalid(path, f"{what}none of StyleFlow's parts: {known}")
        part, ported = found
        if part in parts:
            raise CheckpointInvalid(path, f"is a second {part}; {parts[part][0].name} is one too")
        if not ported.report.complete:
            raise CheckpointInvalid(path, f"does not fit {part}: {ported.report}")
        parts[part] = path, ported
    absent = [part for part in STYLEFLOW_PARTS if part not in parts]
    if absent:
        raise CheckpointInvalid(
            paths[0], f"styleflow also needs the file of its {' and of its '.join(absent)}"
        )
    psp, gru, stage2 = (parts[part][1] for part in STYLEFLOW_PARTS)
    try:
        tensors, dimensions = port_styleflow.assemble(psp, gru, stage2)
    except (CheckpointMismatch, ValueError) as error:
        raise CheckpointInvalid(parts["stage 2"][0], str(error)) from error
    bad = [name for name, t in tensors.items() if not bool(t.isfinite().all())]
    if bad:
        raise CheckpointInvalid(paths[0], f"values that are not numbers: {', '.join(bad[:_SHOWN])}")
    digests = [(path.name, file_digest(path)) for path, _ in parts.values()]
    checkpoint = Checkpoint(
        kind=styleflow_stream.NAME,
        version=f"published-{'-'.join(digest[:8] for _, digest in digests)}",
        dimensions=dimensions,
        tensors={
            name: (t.float() if t.is_floating_point() else t).contiguous()
            for name, t in tensors.items()
        },
        calibration=Calibration(),
        status=TrainingStatus.UNCALIBRATED,
        provenance="Joined from "
        + ", ".join(f"{file} (sha256 {digest})" for file, digest in digests)
        + f". Licences: {'; '.join(p.licence for p in port_styleflow.PUBLICATIONS)}.",
    )
    return checkpoint, ImportReport(fitting=len(tensors))


def load_styleflow_part(path: Path, part: str) -> Ported:
    """Return one part of StyleFlow from the authors' file of it, whole and checked.

    Args:
        path: the file as its authors publish it, or as our recipes write it.
        part: a name of `STYLEFLOW_PARTS`.

    Raises:
        CheckpointInvalid: the file cannot be read safely, or is not this part.
    """
    found = styleflow_part(read(path))
    if found is None or found[0] != part:
        raise CheckpointInvalid(
            path, f"is {found[0] if found else 'no part of StyleFlow'}, not {part}"
        )
    if not found[1].report.complete:
        raise CheckpointInvalid(path, f"does not fit {part}: {found[1].report}")
    return found[1]


def styleflow_part(content: Any) -> tuple[str, Ported] | None:
    """Return which part of StyleFlow a file is, by the names in it, and its tensors.

    Args:
        content: what the file holds.

    Returns:
        A name of `STYLEFLOW_PARTS` with what was ported, or None when it is no part of it.
    """
    if not isinstance(content, Mapping):
        return None
    names = port_styleflow.bare_state(content).keys()
    for start, part, port in zip(
        ("encoder.", "gru.", "resnet."),
        STYLEFLOW_PARTS,
        (port_styleflow.port_psp, port_styleflow.port_style_gru, port_styleflow.port_stage2),
        strict=True,
    ):
        if any(name.startswith(start) for name in names):
            return part, port(content)
    return None


def owners(content: Any) -> list[str]:
    """Return what a file is whole for: detectors, or a part of StyleFlow; several may be alike."""
    found = styleflow_part(content)
    if found is not None:
        part, ported = found
        return [f"StyleFlow's {part}"] if ported.report.complete else []
    try:
        tensors = {name: unwrap(content, layout.wrapper) for name, layout in LAYOUTS.items()}
    except ValueError:
        return []
    return [name for name, layout in LAYOUTS.items() if compare(tensors[name], layout).fits]


def _unfit(content: Any, report: ImportReport, name: str) -> str:
    """Return why a file is not a detector's, in as few words as will do."""
    others = owners(content)
    if others:
        return f"is {' or '.join(others)}, not {name}"
    if not report.fitting:
        return f"holds nothing of {name}, but {held(report.extra)}"
    return f"does not fit {name}: {report}"


def held(names: Sequence[str]) -> str:
    """Return the first of some names, for people."""
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha.update(chunk)
    return sha.hexdigest()


def _misfit(name: str, value: object, expected: Tensor) -> Misfit | None:
    shape = str(tuple(expected.shape))
    if not isinstance(value, Tensor):
        return Misfit(name, shape, type(value).__name__)
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
        return Misfit(name, "a plain tensor", f"{value.layout} on {value.device.type}")
    if value.shape != expected.shape:
        return Misfit(name, shape, str(tuple(value.shape)))
    if value.is_floating_point() != expected.is_floating_point() or value.is_complex():
        return Misfit(name, str(expected.dtype), str(value.dtype))
    if value.is_floating_point() and not bool(value.isfinite().all()):
        return Misfit(name, "finite values", "infinite or undefined ones")
    return None


def _converted(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Return the network's tensors in their order and types; dead ones that lack are zero."""
    return {
        name: tensors[name].detach().to(wanted.dtype).contiguous()
        if name in tensors
        else torch.zeros(wanted.shape, dtype=wanted.dtype)
        for name, wanted in layout.expected().items()
    }
