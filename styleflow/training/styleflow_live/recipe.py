"""The recipe of styleflow-live, the shipped default."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass

from styleflow.detectors.styleflow_live.network import StyleFlowLiveDims
from styleflow.training.loop import LoopSettings
from styleflow.training.styleflow_live.degradations import DEGRADATIONS
from styleflow.training.styleflow_live.features import Runs
from styleflow.training.styleflow_live.heads import HeadSpec
from styleflow.training.styleflow_live.looks import LookSpec
from styleflow.training.styleflow_live.teacher import TEACHERS, LessonSettings

PENALISED = tuple(kind for kind in DEGRADATIONS if kind not in ("gamma 1.35", "limited range"))
"""Degradations that heads are held still under. With the other two among them validation fell."""


@dataclass(frozen=True, slots=True)
class FlowBatches:
    """What a step of the style flow's training sees.

    Attributes:
        clips: per batch.
        looks: neighbouring looks of each; no more than a run has.
    """

    clips: int = 64
    looks: int = 3


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class StyleFlowLiveRecipe:
    """How the shipped default is trained.

    Attributes:
        seed: decides every draw.
        left_out: sources that are neither trained on nor validate, for their licence's sake.
        dimensions: of the network; it stands on the published weights.
        seconds: how much of a clip is looked at, from its beginning.
        runs: which looks of a clip that is trained on are encoded; of one that validates all are.
        heads: linear heads; their mean is what looks say by themselves.
        penalty_rank: directions into which what degradations do is compressed.
        penalised: names of `DEGRADATIONS` whose effect on reals is penalised; what the others do
            is measured only.
        calls: how often every clip, real and fake, is put through two codec generations, drawn
            once for all of a pair, for the heads that want them (`HeadSpec.calls`).
        autoencoder: folder with the weights of a tiny auto-encoder (`autoencoder.py`), whose round
            trips of real faces are pseudo-fakes for the heads that want them (`round_trips`). None
            trains without, and the checkpoint says so.
        flow: how the causal StyleGRU is trained.
        flow_batches: what its steps see.
        teacher: a published detector that judges every frame alone, such as gend-clip-l14; the
            heads are fitted to what it says of clips, too, whose labels are not looked at for that.
            None learns from labels alone.
        teacher_weights: its checkpoint; `weights/NAME.safetensors` or what was fetched when None.
        lessons: how much is asked of it.
        distil: what its opinion weighs beside the labels, which weigh 1.
        unlabelled: sources of which only the teacher speaks: their labels are never looked at, and
            their clips do not validate.
        prior: share of fakes among the faces that will be watched, for calibration.
        undecided: distance from even odds, in scaled logits, below which no verdict is given.
        version: what the checkpoint calls itself.
    """

    seed: int = 0
    left_out: tuple[str, ...] = ()
    dimensions: StyleFlowLiveDims = field(default_factory=StyleFlowLiveDims)
    seconds: float = 8.0
    runs: Runs = field(default_factory=Runs)
    heads: tuple[HeadSpec, ...] = (HeadSpec(),)
    penalty_rank: int = 350
    penalised: tuple[str, ...] = PENALISED
    calls: Annotated[int, Field(ge=0, le=16)] = 0
    autoencoder: Path | None = None
    flow: LoopSettings = field(default_factory=lambda: LoopSettings(600))
    flow_batches: FlowBatches = field(default_factory=FlowBatches)
    teacher: str | None = None
    teacher_weights: Path | None = None
    lessons: LessonSettings = field(default_factory=LessonSettings)
    distil: Annotated[float, Field(gt=0, le=1000)] = 1.0
    unlabelled: tuple[str, ...] = ()
    prior: float = 0.5
    undecided: Annotated[float, Field(ge=0, le=10)] = 0.0
    version: str = "local"

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if not self.heads:
            raise ValueError("heads are one at least")
        unknown = sorted(set(self.penalised) - set(DEGRADATIONS))
        if unknown or not self.penalised:
            known = ", ".join(DEGRADATIONS)
            raise ValueError(f"penalised names one or more of {known}, not {self.penalised}")
        if any(head.calls for head in self.heads) != bool(self.calls):
            raise ValueError(
                "calls: a number of draws, and a share in one head at least, or neither"
            )
        if not self.dimensions.published:
            raise ValueError("dimensions.published is true: only heads are trained here")
        if self.teacher is not None and self.teacher not in TEACHERS:
            raise ValueError(f"teacher is one of {', '.join(TEACHERS)}, not {self.teacher!r}")
        if self.unlabelled and self.teacher is None:
            raise ValueError("unlabelled sources teach nothing without a teacher")
        if not 0 < self.prior < 1:
            raise ValueError(f"prior lies between 0 and 1, not {self.prior}")

    @property
    def wants_round_trips(self) -> bool:
        """Whether a head learns from pseudo-fakes."""
        return any(head.round_trips > 0 for head in self.heads)

    @property
    def looks(self) -> LookSpec:
        """How clips are looked at: as live video looks at tracks."""
        dims = self.dimensions
        return LookSpec(dims.size_px, dims.cadence_hz, dims.look_every, self.seconds)
