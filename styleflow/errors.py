"""The family tree of errors raised by models and maths.

Errors carry data and compose their sentence in `__str__`; turning one into advice for a person is
`stream.problems`' work.

    StyleflowError
    ├── ShapeMismatch          a tensor or array of the wrong shape
    ├── CheckpointInvalid      a file of weights that cannot be trusted or understood
    ├── WeightsMissing         a file of weights that is not there, and how to get it
    ├── WeightsUnusable        weights that could not be fetched, verified or converted
    ├── DatasetUnusable        a data set that is not where or what it should be
    ├── DatasetUnknown         a name that no data set has
    ├── WorkersLost            processes that ended on their own
    ├── VideoUnusable          a video or picture of a data set that cannot be read
    ├── RecipeInvalid          a training recipe that cannot be followed
    ├── LabelsMissing          videos of one label only, where training needs both
    ├── ResultsUnusable        a folder of evaluation results that cannot be used
    ├── DetectorWeightsMissing a published detector without its authors' weights
    ├── DetectorUnknown        a name that no published detector has
    ├── EnsembleInvalid        an ensemble that cannot be fitted, read or used
    └── RuntimeDiffers         a compiled network that does not answer like the network
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class StyleflowError(Exception):
    """Anything that `styleflow` raises on purpose."""


@dataclass(eq=False)
class ShapeMismatch(StyleflowError):
    """An array has another shape than the function can take."""

    what: str
    expected: str
    got: Sequence[int]

    def __str__(self) -> str:
        return f"{self.what}: expected shape {self.expected}, got {tuple(self.got)}"


@dataclass(eq=False)
class CheckpointInvalid(StyleflowError):
    """A checkpoint cannot be loaded; `reason` says what is wrong with it."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"checkpoint {self.path.name}: {self.reason}"


@dataclass(eq=False)
class WeightsMissing(StyleflowError):
    """A model's weights are not on this machine; `remedy` is the command that fetches them."""

    model: str
    path: Path
    remedy: str

    def __str__(self) -> str:
        return f"{self.model} weights are missing ({self.path}); run: {self.remedy}"


@dataclass(eq=False)
class DetectorWeightsMissing(StyleflowError):
    """A published detector has no weights here, and it never scores with random ones unasked.

    `wanted` is the file that was looked for, or None when none was named; `sources` say which
    files the authors publish, where and under which licence.
    """

    detector: str
    wanted: Path | None
    sources: Sequence[str]
    remedy: str

    def __str__(self) -> str:
        where = f"{self.wanted} is not there" if self.wanted else "no file of weights is named"
        return f"{self.detector} has no weights: {where}; published: {'; '.join(self.sources)}"


@dataclass(eq=False)
class WeightsUnusable(StyleflowError):
    """Published weights could not be obtained or are not what they should be."""

    model: str
    reason: str

    def __str__(self) -> str:
        return f"{self.model} weights: {self.reason}"


@dataclass(eq=False)
class DatasetUnusable(StyleflowError):
    """A folder or file of a data set cannot be used; `reason` says why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(eq=False)
class DatasetUnknown(StyleflowError):
    """No data set has this name."""

    name: str
    known: Sequence[str]

    def __str__(self) -> str:
        return f"there is no data set {self.name!r}; known: {', '.join(self.known)}"


@dataclass(eq=False)
class WorkersLost(StyleflowError):
    """A working process ended on its own; what was finished is kept."""

    processes: int

    def __str__(self) -> str:
        return (
            f"one of {self.processes} processes ended on its own, perhaps for want of memory; "
            "what is finished is kept: go on with fewer, --processes 1 at the least"
        )


@dataclass(eq=False)
class VideoUnusable(StyleflowError):
    """A video or picture of a data set cannot be used; `reason` says why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path.name}: {self.reason}"


@dataclass(eq=False)
class VideosMissing(StyleflowError):
    """Training has nothing to learn from; `wanted` says what would do."""

    wanted: str
    offered: int

    def __str__(self) -> str:
        return f"none of {self.offered} videos can be used; wanted: {self.wanted}"


@dataclass(eq=False)
class RecipeInvalid(StyleflowError):
    """A training recipe is missing or wrong; `reason` names the key."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"recipe {self.path.name}: {self.reason}"


@dataclass(eq=False)
class LabelsMissing(StyleflowError):
    """Training or validation needs real and fake videos, and has not both."""

    purpose: str
    real: int
    fake: int

    def __str__(self) -> str:
        return (
            f"{self.purpose} needs real and fake videos with a face in every frame of a clip; "
            f"there are {self.real} real and {self.fake} fake ones"
        )


@dataclass(eq=False)
class ResultsUnusable(StyleflowError):
    """Results of an evaluation cannot be read, compared or gone on with; `reason` says why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path.name}: {self.reason}"


@dataclass(eq=False)
class DetectorUnknown(StyleflowError):
    """No published file is known for this detector."""

    name: str
    known: Sequence[str]

    def __str__(self) -> str:
        return f"no published weights are known for {self.name!r}; known: {', '.join(self.known)}"


@dataclass(eq=False)
class DetectorNotFound(DetectorUnknown):
    """No detector has this name; `known` are the names that exist."""

    def __str__(self) -> str:
        return f"there is no detector {self.name!r}; there is {', '.join(self.known)}"


@dataclass(eq=False)
class EnsembleInvalid(StyleflowError):
    """An ensemble that cannot be fitted, read, or used with these detectors."""

    reason: str
    path: Path | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


@dataclass(eq=False)
class RuntimeDiffers(StyleflowError):
    """A compiled network answered a probe differently than the network itself."""

    network: str
    apart: float
    allowed: float

    def __str__(self) -> str:
        return (
            f"{self.network}: compiled, it answers {self.apart:.2g} apart, allowed are "
            f"{self.allowed:.2g}; set model.runtime to torch"
        )
