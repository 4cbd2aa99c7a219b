"""From the authors' file of weights to a verified checkpoint of ours.

The file is read without running anything in it, every tensor's name, shape and type is compared
with what the network needs, and only then is a checkpoint made. Nothing is guessed: a file that
does not fit is refused with the names that are missing, left over or of another shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from styleflow import safe_pickle
from styleflow.calibration import Calibration
from styleflow.card import TrainingStatus
from styleflow.checkpoint import Checkpoint
from styleflow.errors import CheckpointInvalid, StyleflowError
from styleflow.models.port import LAYOUTS, Layout, unwrap
from styleflow.models.seeding import seed_weights

_SHOWN = 5  # so many names of a kind are spelled out
_CHUNK_BYTES = 1 << 20


@dataclass(eq=False)
class DetectorUnknown(StyleflowError):
    """No published file is known for this detector."""

    name: str
    known: Sequence[str]

    def __str__(self) -> str:
        return f"no published weights are known for {self.name!r}; known: {', '.join(self.known)}"


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
                more = ", …" if len(names) > _SHOWN else ""
                parts.append(f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}")
        return "; ".join(parts)


def layout_of(name: str) -> Layout:
    """Return how a detector's published file is laid out.

    Raises:
        DetectorUnknown: no published file is known for this name.
    """
    if name not in LAYOUTS:
        raise DetectorUnknown(name, sorted(LAYOUTS))
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
    content = safe_pickle.read(path)
    try:
        tensors = unwrap(content, layout.wrapper)
    except ValueError as error:
        raise CheckpointInvalid(path, str(error)) from error
    report = compare(tensors, layout)
    if not report.fits:
        raise CheckpointInvalid(path, f"does not fit {name}: {report}")
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
            f"Converted from {path.name} (sha256 {source}), published at {published.page}. "
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
    layout = layout_of(name)
    with torch.device("meta"):
        network = layout.network(layout.dimensions)
    network.to_empty(device="cpu")
    seed_weights(network, seed)
    return Checkpoint(
        kind=name,
        version=f"untrained-{seed}",
        dimensions=layout.dimensions,
        tensors=network.state_dict(),
        calibration=Calibration(),
        status=TrainingStatus.UNTRAINED,
        provenance=f"Random weights from seed {seed}; no data of any kind.",
    )


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
