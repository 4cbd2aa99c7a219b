"""Root of all errors of this project, and the errors of models, data and training.

Errors carry data and compose their sentence in `__str__`. How an error is told (code, title,
hint, HTTP status, exit code) is declared on its class, and refined in `__post_init__` where the
occurrence knows better. `stream.problems` reads that; `docs/errors.md` is generated from it.

    StyleFlowError
    ├── ShapeMismatch          a tensor or array of the wrong shape
    ├── CheckpointInvalid      a file of weights that cannot be trusted or understood
    ├── WeightsMissing         a file of weights that is not there, and how to get it
    ├── WeightsUnusable        weights that could not be fetched, verified or converted
    ├── DetectorWeightsMissing a published detector without its authors' weights
    ├── DownloadFailed         a published file that could not be downloaded
    ├── DownloadUnknown        a detector whose files no program can download
    ├── DownloadRefused        a download that nobody agreed to
    ├── DeviceMissing          a device that is not in this machine
    ├── DetectorUnknown        a name that no published detector has
    │   └── DetectorNotFound   a name that no detector has
    ├── EnsembleInvalid        an ensemble that cannot be fitted, read or used
    ├── RuntimeDiffers         a compiled network whose output differs from the network's
    ├── DatasetInvalid         a data set that cannot be used
    │   ├── DatasetUnusable    not where or what it should be
    │   └── DatasetUnknown     a name that no data set has
    ├── WorkersLost            processes that ended on their own
    ├── TrainingImpossible     training that cannot begin
    │   ├── VideoUnusable      a video or picture of a data set that cannot be read
    │   ├── RecipeInvalid      a training recipe that cannot be followed
    │   └── LabelsMissing      videos of one label only, where training needs both
    ├── VideosMissing          no video that training could learn from
    ├── TrainingDiverged       training whose network gives no numbers any more
    └── ResultsUnusable        a folder of evaluation results that cannot be used
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class StyleFlowError(Exception):
    """Anything that this project raises on purpose.

    Attributes:
        code: short stable name that programs may switch on.
        title: kind of failure, the same for every occurrence.
        hint: what to change or do next.
        status: HTTP status of the response.
        exit_code: exit code of the command line: 1 for a failure, 2 for wrong usage or settings.
        retry: whether the same request may succeed later without a change.
        retry_after_s: seconds after which that is worth trying; None when unknown.
    """

    code: str = "internal"
    title: str = "Something went wrong inside the analyzer"
    hint: str = "The log of the analyzer has the details"
    status: int = 500
    exit_code: int = 1
    retry: bool = False
    retry_after_s: float | None = None

    def __reduce__(self) -> tuple[object, ...]:
        """Return what makes an equal error in another process, however this one was called."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[StyleFlowError], args: tuple[object, ...], state: dict[str, object]
) -> StyleFlowError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


@dataclass(eq=False)
class ShapeMismatch(StyleFlowError):
    """An array has another shape than the function can take."""

    code = "shape_mismatch"
    title = "An array has the wrong shape"
    hint = "Pass an array of the expected shape; inside the analyzer this is a fault to report"

    what: str
    expected: str
    got: Sequence[int]

    def __str__(self) -> str:
        return f"{self.what}: expected shape {self.expected}, got {tuple(self.got)}"


@dataclass(eq=False)
class CheckpointInvalid(StyleFlowError):
    """A checkpoint cannot be loaded; `reason` says what is wrong with it."""

    code = "checkpoint_invalid"
    title = "The checkpoint cannot be used"
    hint = (
        "`styleflow checkpoints info FILE` says what a file is, `checkpoints list` where to get one"
    )

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"checkpoint {self.path.name}: {self.reason}"


@dataclass(eq=False)
class DecisionTableUnusable(StyleFlowError):
    """A table of known trials is missing, is none, or belongs to other weights."""

    code = "decision_table_unusable"
    title = "Known trials cannot be used"
    hint = (
        "`styleflow evaluate trials` makes a table from an evaluation; "
        "`decision.by: thresholds` needs none"
    )
    exit_code = 2

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False)
class WeightsMissing(StyleFlowError):
    """A model's weights are not on this machine; `remedy` is the command that fetches them."""

    code = "weights_missing"
    title = "A model is not on this machine"
    hint = "Run the command that the message names; most often: styleflow models fetch"
    status = 503

    model: str
    path: Path
    remedy: str

    def __post_init__(self) -> None:
        self.hint = f"Run: {self.remedy}"

    def __str__(self) -> str:
        return f"the {self.model} weights are not at {self.path}"


@dataclass(eq=False)
class DetectorWeightsMissing(StyleFlowError):
    """A published detector has no weights here, and it never scores with random ones unasked.

    `wanted` is the file that was looked for, or None when none was named; `sources` say which
    files the authors publish, where and under which licence.
    """

    code = "detector_weights_missing"
    title = "The detector has no weights"
    hint = (
        "Import the authors' file with `styleflow checkpoints import`, "
        "or pass --untrained to try the path with random weights"
    )
    status = 503

    detector: str
    wanted: Path | None
    sources: Sequence[str]
    remedy: str

    def __post_init__(self) -> None:
        self.hint = f"{self.remedy}, or pass --untrained to try the path with random weights"

    def __str__(self) -> str:
        where = f"{self.wanted} is not there" if self.wanted else "no file of weights is named"
        return f"{self.detector} has no weights: {where}; published: {'; '.join(self.sources)}"


@dataclass(eq=False)
class WeightsUnusable(StyleFlowError):
    """Published weights could not be obtained or are not what they should be."""

    code = "weights_unusable"
    title = "A model cannot be used"
    hint = "Fetch it again: styleflow models fetch"
    status = 503

    model: str
    reason: str

    def __str__(self) -> str:
        return f"{self.model} weights: {self.reason}"


@dataclass(eq=False)
class DeviceMissing(StyleFlowError):
    """A device is not in this machine, or torch cannot use it; `gpus` is how many it can."""

    code = "device_missing"
    title = "There is no such device"
    hint = "Name another with --device; a GPU needs a build of torch for CUDA"
    status = 422
    exit_code = 2

    device: str
    gpus: int

    def __str__(self) -> str:
        return f"{self.device}: torch sees {self.gpus} GPUs here"


@dataclass(eq=False)
class DownloadFailed(StyleFlowError):
    """A published file cannot be downloaded; `reason` says why, `remedy` how to do without.

    `passing` says that another attempt may succeed, after `pause_s` where the server said so.
    """

    code = "download_failed"
    title = "The download has failed"
    hint = (
        "Run the command again: it goes on where it stopped; or bring the file yourself: "
        "`styleflow checkpoints list` says from where"
    )
    status = 502
    retry = True

    what: str
    reason: str
    remedy: str = ""
    passing: bool = False
    pause_s: float | None = None

    def __post_init__(self) -> None:
        self.hint = self.remedy or self.hint
        self.retry, self.retry_after_s = self.passing, self.pause_s

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


@dataclass(eq=False)
class DownloadUnknown(StyleFlowError):
    """The authors of a detector offer no address that a program can download from.

    `sources` say which files they publish, where and under which licence.
    """

    code = "download_unknown"
    title = "These weights cannot be downloaded by a program"
    hint = "Download the files that are named in a browser, then `styleflow checkpoints import`"
    status = 404

    detector: str
    sources: Sequence[str]
    remedy: str

    def __post_init__(self) -> None:
        self.hint = self.remedy

    def __str__(self) -> str:
        return (
            f"no stable address is known for {self.detector}; "
            f"bring from its authors: {'; '.join(self.sources)}"
        )


@dataclass(eq=False)
class DownloadRefused(StyleFlowError):
    """Nobody has agreed to a download: the question was answered with no, or nobody was there."""

    code = "download_refused"
    title = "Nothing was downloaded"
    hint = "Read the licence that is named, and agree with --yes"
    status = 403
    exit_code = 2

    what: str
    licence: str

    def __str__(self) -> str:
        return f"{self.what} ({self.licence}) needs your agreement"


class DatasetInvalid(StyleFlowError):
    """A data set cannot be used."""

    code = "dataset"
    title = "The data set cannot be used"
    hint = "`styleflow prepare --help` says how each is laid out"
    status = 422


@dataclass(eq=False)
class DatasetUnusable(DatasetInvalid):
    """A folder or file of a data set cannot be used; `reason` says why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(eq=False)
class DatasetUnknown(DatasetInvalid):
    """No data set has this name."""

    name: str
    known: Sequence[str]

    def __str__(self) -> str:
        return f"there is no data set {self.name!r}; known: {', '.join(self.known)}"


@dataclass(eq=False)
class WorkersLost(StyleFlowError):
    """A working process ended on its own; what was finished is kept."""

    code = "workers_lost"
    title = "Preparing has stopped"
    hint = "What is finished is kept: go on with fewer processes, --processes 1 at the least"

    processes: int

    def __str__(self) -> str:
        return f"one of {self.processes} processes ended on its own, perhaps for want of memory"


class TrainingImpossible(StyleFlowError):
    """Training cannot begin with this recipe and these videos."""

    code = "training"
    title = "Training cannot begin"
    hint = "Change the recipe or the videos that are named"
    status = 422


@dataclass(eq=False)
class VideoUnusable(TrainingImpossible):
    """A video or picture of a data set cannot be used; `reason` says why."""

    title = "A video cannot be used"
    hint = "Check that a video player opens the file, or leave it out"

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path.name}: {self.reason}"


@dataclass(eq=False)
class RecipeInvalid(TrainingImpossible):
    """A training recipe is missing or wrong; `reason` names the key."""

    hint = "Correct the recipe; those under configs/train/ work as they are"

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"recipe {self.path.name}: {self.reason}"


@dataclass(eq=False)
class LabelsMissing(TrainingImpossible):
    """Training or validation needs real and fake videos, and has not both."""

    hint = "Add videos of the missing label, or split the data set differently"

    purpose: str
    real: int
    fake: int

    def __str__(self) -> str:
        return (
            f"{self.purpose} needs real and fake videos with a face in every frame of a clip; "
            f"there are {self.real} real and {self.fake} fake ones"
        )


@dataclass(eq=False)
class VideosMissing(StyleFlowError):
    """No video can be learned from; `wanted` says what would do."""

    code = "videos_missing"
    title = "There is no video to learn from"
    hint = "Add videos as the message describes them; `styleflow prepare` lists what it left out"
    status = 422

    wanted: str
    offered: int

    def __str__(self) -> str:
        return f"none of {self.offered} videos can be used; wanted: {self.wanted}"


@dataclass(eq=False)
class TrainingDiverged(StyleFlowError):
    """The network in training gives no number for the validation videos any more."""

    code = "training_diverged"
    title = "Training has diverged"
    hint = "Lower the learning rate in the recipe, or check the videos, and train anew"

    step: int

    def __str__(self) -> str:
        return f"validation at step {self.step} gave no number, so no network can be chosen"


@dataclass(eq=False)
class ResultsUnusable(StyleFlowError):
    """Results of an evaluation cannot be read, compared or gone on with; `reason` says why."""

    code = "results"
    title = "These results cannot be used"
    hint = "Evaluate again into an empty folder: styleflow evaluate … --out FOLDER"
    status = 422

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path.name}: {self.reason}"


@dataclass(eq=False)
class DetectorUnknown(StyleFlowError):
    """No published file is known for this detector."""

    code = "detector_unknown"
    title = "There is no such detector"
    hint = "`styleflow checkpoints list` names them"
    status = 404

    name: str
    known: Sequence[str]

    def __str__(self) -> str:
        return f"no published weights are known for {self.name!r}; known: {', '.join(self.known)}"


@dataclass(eq=False)
class DetectorNotFound(DetectorUnknown):
    """No detector has this name; `known` are the names that exist."""

    code = "detector_not_found"
    title = "There is no such detector"
    hint = "Choose one of the names in the message"

    def __str__(self) -> str:
        return f"there is no detector {self.name!r}; there is {', '.join(self.known)}"


@dataclass(eq=False)
class EnsembleInvalid(StyleFlowError):
    """An ensemble cannot be fitted, read, or used with these detectors."""

    code = "ensemble_invalid"
    title = "The ensemble cannot be used"
    hint = "Fit it again, or leave out `ensemble`"

    reason: str
    path: Path | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


@dataclass(eq=False)
class RuntimeDiffers(StyleFlowError):
    """A compiled network's output for a probe differs from the network's own."""

    code = "runtime_differs"
    title = "The compiled network computes something else"
    hint = "Set model.runtime to torch"

    network: str
    apart: float
    allowed: float

    def __str__(self) -> str:
        return (
            f"{self.network}: the compiled output is {self.apart:.2g} apart, "
            f"allowed are {self.allowed:.2g}"
        )
