"""Authors' files of weights: publication, layout, and conversion to this project's tensors.

Our networks carry the authors' names, so a conversion is little more than taking off wrappers.
Nothing here reads a file; `styleflow.weights.importing` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from styleflow.digest import file_digest
from styleflow.errors import CheckpointInvalid

WRAPPERS = ("network", "state_dict", "model_state_dict", "model_state", "model")
"""Keys under which programs keep tensors beside other things, one inside another at times."""

PREFIXES = ("module.", "model.")
"""What wrappers leave in front of every name: data parallelism, and whoever keeps a `model`."""

_DEEPEST = 3  # so many wrappers, or prefixes, are taken off; a file may contain itself
_SHOWN = 5  # so many names of a kind are spelled out


@dataclass(frozen=True, slots=True)
class Publication:
    """Origin of a file of weights, for people.

    Attributes:
        file: its published name, or how that name ends; capitals where none is published.
        page: where the authors publish it.
        licence: what it may be used for, as far as the authors say.
        paper: the method's paper.
    """

    file: str
    page: str
    licence: str
    paper: str


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
    """Comparison of a file's tensors with those of a network.

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
        """True when a checkpoint can be made."""
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


@dataclass(frozen=True, slots=True)
class Likeness:
    """Comparison of a file's content with what a detector's authors publish.

    Attributes:
        what: the detector, or the part of one.
        report: the comparison, for people.
        fitting: how many tensors fit.
        whole: nothing is missing, left over or of another shape.
        extra: names that the file has and the network does not know.
        certain: the names in the file leave no doubt whose it is, even where it does not fit.
        more: further lines for people.
    """

    what: str
    report: str
    fitting: int
    whole: bool
    extra: tuple[str, ...]
    certain: bool = False
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class AuthorsFile:
    """One file as its authors publish it.

    Attributes:
        path: where it is.
        reader: reads its content without running anything in it.
    """

    path: Path
    reader: Callable[[Path], Any]

    def read(self) -> Any:
        """Return what it holds. Raises CheckpointInvalid."""
        return self.reader(self.path)

    def sha256(self) -> str:
        """Return its digest, hexadecimal."""
        return file_digest(self.path)


@dataclass(frozen=True, slots=True, eq=False)
class Conversion:
    """Tensors and dimensions that authors' files become.

    Attributes:
        version: version of the weights, from the files' digests.
        dimensions: an instance of the detector's dimensions.
        tensors: the network's state, by name.
        provenance: where the weights come from, for people.
        report: how the files compared.
    """

    version: str
    dimensions: Any
    tensors: dict[str, Tensor]
    provenance: str
    report: ImportReport


Owners = Callable[[Any], list[str]]
"""Names everything, among all detectors, that a file's content is whole for."""


class PublishedFiles(Protocol):
    """Files that a detector's authors publish, and their conversion to a checkpoint."""

    @property
    def publications(self) -> tuple[Publication, ...]:
        """The files that the detector needs."""
        ...

    @property
    def dimensions(self) -> Any:
        """Dimensions of the published weights."""
        ...

    def likeness(self, content: Any) -> Likeness | None:
        """Return how a file's content compares; None when it certainly is none of these files.

        Raises:
            ValueError: the content is no collection of names.
        """
        ...

    def convert(self, files: Sequence[AuthorsFile], owners: Owners) -> Conversion:
        """Return what the files become.

        Args:
            files: one or more, in any order.
            owners: tells in an error whose file was given instead.

        Raises:
            CheckpointInvalid: a file cannot be read safely, is another detector's, or does not fit;
                the reason names what is missing, left over or of another shape.
        """
        ...


Renaming = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Turns a file's names, and where needed its tensors, into those of our network."""


@dataclass(frozen=True, slots=True)
class SingleFile:
    """A detector that its authors publish as one file.

    Attributes:
        name: the detector.
        dimensions: of the published weights.
        network: builds the network from its dimensions.
        wrapper: key under which the file keeps the tensors, beside optimiser state and the like.
        dead: beginnings of tensor names that no score depends on; a file may leave them out.
        publication: where the file comes from.
        renaming: turns the authors' names into our network's; they are the same in most files.
    """

    name: str
    dimensions: Any
    network: Callable[[Any], nn.Module]
    wrapper: str
    dead: tuple[str, ...]
    publication: Publication
    renaming: Renaming = dict

    @property
    def publications(self) -> tuple[Publication, ...]:
        """The one file."""
        return (self.publication,)

    def expected(self) -> dict[str, Tensor]:
        """Return every tensor's name, shape and type, without contents (on the meta device)."""
        with torch.device("meta"):
            return self.network(self.dimensions).state_dict()

    def is_dead(self, name: str) -> bool:
        """Say whether a tensor may be missing because nothing reads it."""
        return name.startswith(self.dead) or name.endswith(".num_batches_tracked")

    def likeness(self, content: Any) -> Likeness | None:
        """Return how a file's content compares with the network; see `PublishedFiles`."""
        report = self.compare(self.renaming(unwrap(content, self.wrapper)))
        return Likeness(self.name, str(report), report.fitting, report.fits, report.extra)

    def compare(self, tensors: Mapping[str, Any]) -> ImportReport:
        """Return how tensors of a file compare with those of the network."""
        expected = self.expected()
        absent = [name for name in expected if name not in tensors]
        shared = [name for name in expected if name in tensors]
        misfits = tuple(
            misfit for name in shared if (misfit := _misfit(name, tensors[name], expected[name]))
        )
        return ImportReport(
            fitting=len(shared) - len(misfits),
            missing=tuple(name for name in absent if not self.is_dead(name)),
            dead=tuple(name for name in absent if self.is_dead(name)),
            extra=tuple(name for name in tensors if name not in expected),
            misfits=misfits,
        )

    def convert(self, files: Sequence[AuthorsFile], owners: Owners) -> Conversion:
        """Return what the file becomes; see `PublishedFiles`."""
        if len(files) != 1:
            raise CheckpointInvalid(files[0].path, f"{self.name} is one file, not {len(files)}")
        path, content = files[0].path, files[0].read()
        try:
            tensors = self.renaming(unwrap(content, self.wrapper))
        except ValueError as error:
            raise CheckpointInvalid(path, str(error)) from error
        report = self.compare(tensors)
        if not report.fits:
            raise CheckpointInvalid(path, self._unfit(content, report, owners))
        source = files[0].sha256()
        return Conversion(
            version=f"published-{source[:12]}",
            dimensions=self.dimensions,
            tensors=self._converted(tensors),
            provenance=(
                f"Converted from {path.name} (sha256 {source}), in the layout of the file "
                f"published at {self.publication.page}. "
                f"{self.publication.paper}. Licence: {self.publication.licence}."
            ),
            report=report,
        )

    def _unfit(self, content: Any, report: ImportReport, owners: Owners) -> str:
        """Return why a file is not this detector's, in as few words as will do."""
        others = owners(content)
        if others:
            return f"is {' or '.join(others)}, not {self.name}"
        if not report.fitting:
            return f"holds nothing of {self.name}, but {held(report.extra)}"
        return f"does not fit {self.name}: {report}"

    def _converted(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the network's tensors in their order and types; dead ones that lack are zero."""
        return {
            name: tensors[name].detach().to(wanted.dtype).contiguous()
            if name in tensors
            else torch.zeros(wanted.shape, dtype=wanted.dtype)
            for name, wanted in self.expected().items()
        }


def unwrap(content: Any, wrapper: str = "") -> dict[str, Any]:
    """Return the tensors by name that a file's content holds.

    Takes them from under the wrappers that there are, and takes off the prefixes that all names
    have.

    Args:
        content: what the file holds.
        wrapper: where the authors keep them; looked for before any other of `WRAPPERS`.

    Raises:
        ValueError: the content is no collection of names.
    """
    content = inside(content, wrapper)
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise ValueError(f"holds no tensors by name, neither at its top nor under {WRAPPERS}")
    return bare(dict(content))


def inside(content: Any, wrapper: str = "") -> Any:
    """Return what is wrapped in a file's content, or the content itself."""
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
        named = (content.get(key) for key in (wrapper, *WRAPPERS))
        content = next((value for value in named if isinstance(value, Mapping)), content)
    return content


def bare(named: dict[str, Any]) -> dict[str, Any]:
    """Return tensors by name without the prefixes that all of the names have."""
    for _ in range(_DEEPEST):
        for prefix in PREFIXES:
            if named and all(name.startswith(prefix) for name in named):
                named = {name.removeprefix(prefix): value for name, value in named.items()}
    return named


def held(names: Sequence[str]) -> str:
    """Return the first of some names, for people."""
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


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
