"""The recipe of styleflow-live, the shipped default."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass

from styleflow.data.prepared import PrepareSettings
from styleflow.detectors.styleflow_live.network import StyleFlowLiveDims
from styleflow.training.loop import LoopSettings
from styleflow.training.styleflow_live.resynthesis import PatchAutoencoderDims
from styleflow.training.styleflow_live.teacher import TEACHERS, LessonSettings
from styleflow.training.styleflow_live.windows import WindowSpec


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """How many families of training windows are made.

    Attributes:
        training: families from the people that are trained on.
        fakes: pseudo-fakes per family.
        validation: families per clip of the people that are held out; each has every kind.
        per_shard: families per file.
    """

    training: int = 480
    fakes: int = 3
    validation: int = 1
    per_shard: int = 8


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class StyleFlowLiveRecipe:
    """How the shipped default is trained.

    Attributes:
        seed: decides every draw.
        held_out: people whose clips validate and calibrate, and are never trained on.
        dimensions: of the network.
        redraws: networks whose traces pseudo-fakes carry.
        patch_px: side of the patches that they learn from.
        patch_batch: patches per batch.
        windows: how training windows are cut.
        validation_windows: how validation windows are cut.
        counts: how many there are.
        redrawing: how the patch auto-encoders are trained.
        style: how the style auto-encoder is trained.
        style_batch: faces per batch.
        content: how the content network is trained.
        content_pairs: pairs of frames per batch.
        fusion: how style flow, attention and head are trained, with the rest held still.
        fusion_pairs: pairs of clips per batch.
        fusion_frames: sampled frames per clip.
        teacher: a published detector that judges every frame alone, such as gend-clip-l14; the
            student then learns, last of all, to say what it says of the data sets' real and fake
            videos, whose labels are not looked at. None learns from pseudo-fakes alone.
        teacher_weights: its checkpoint; `weights/NAME.safetensors` when None.
        lessons: how much is asked of it.
        distil: how the student learns from it.
        prior: share of fakes among the faces that will be watched, for calibration.
        prepare: what is kept of every video: whole pictures, exactly, unless said otherwise.
        version: what the checkpoint calls itself.
    """

    seed: int = 0
    held_out: tuple[str, ...] = ()
    dimensions: StyleFlowLiveDims = field(default_factory=StyleFlowLiveDims)
    redraws: tuple[PatchAutoencoderDims, ...] = ()
    patch_px: int = 96
    patch_batch: int = 12
    windows: WindowSpec = field(default_factory=WindowSpec)
    validation_windows: WindowSpec = field(default_factory=WindowSpec)
    counts: WindowCounts = field(default_factory=WindowCounts)
    redrawing: LoopSettings = field(default_factory=lambda: LoopSettings(500))
    style: LoopSettings = field(default_factory=lambda: LoopSettings(1000))
    style_batch: int = 32
    content: LoopSettings = field(default_factory=lambda: LoopSettings(3000))
    content_pairs: int = 32
    fusion: LoopSettings = field(default_factory=lambda: LoopSettings(500))
    fusion_pairs: int = 8
    fusion_frames: int = 10
    teacher: str | None = None
    teacher_weights: Path | None = None
    lessons: LessonSettings = field(default_factory=LessonSettings)
    distil: LoopSettings = field(default_factory=lambda: LoopSettings(200))
    prior: float = 0.5
    prepare: PrepareSettings = field(
        default_factory=lambda: PrepareSettings(frames=10_000, face_px=10_000, margin=100.0)
    )
    version: str = "local"

    def __post_init__(self) -> None:
        """Refuse a teacher that cannot teach."""
        if self.teacher is not None and self.teacher not in TEACHERS:
            raise ValueError(f"teacher is one of {', '.join(TEACHERS)}, not {self.teacher!r}")
