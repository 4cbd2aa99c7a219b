"""StyleFlow's second stage: content branch, style attention and transformer, with style held still.

The style encoder and StyleGRU come from their own files and are never trained here: a clip's code
follows from its cached latents. What is trained is everything of a stage-2 file.

Training has two parts. First the head alone, on a content branch that holds still (FTCN's, where
its file is given): style attention begins by adding nothing, and a trained branch should not move
while the head is still guessing. Then all of it, more slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass
from torch import Tensor, nn

from styleflow.cards import TrainingStatus
from styleflow.data.index import FAKE, REAL
from styleflow.data.prepared import PrepareSettings
from styleflow.data.prepared_video import Video
from styleflow.detectors.layers.style_gru import StyleGruDims, style_flow
from styleflow.detectors.styleflow.cnn3d import ContentDims
from styleflow.detectors.styleflow.network import StyleFlow, StyleFlowDims, StyleFlowTrunk
from styleflow.detectors.styleflow.psp import PspEncoder
from styleflow.detectors.styleflow.published import Ported, bare_state, port_ftcn, port_stage2
from styleflow.detectors.styleflow.style_levels import StyleLevels
from styleflow.digest import file_digest
from styleflow.errors import CheckpointInvalid
from styleflow.evaluation.metrics import auc
from styleflow.training.alternate_freezing import Looks, Turns, schedule
from styleflow.training.calibration import fit_calibration
from styleflow.training.loop import LoopSettings, train
from styleflow.training.losses import smoothed_bce
from styleflow.training.progress import Tell, telling
from styleflow.training.styleflow.clips import (
    Clip,
    ClipPool,
    gather,
    latent_cache,
    load_psp,
    rate_videos,
)
from styleflow.training.styleflow.latents import ClipCutting
from styleflow.weights import unpickle as safe_pickle
from styleflow.weights.checkpoint import Checkpoint, save
from styleflow.weights.importing import load_styleflow_part

_STYLE_ATTENTION = "head.STA."  # what an FTCN file lacks


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class StyleFlowRecipe:
    """How everything behind StyleGRU is trained.

    Attributes:
        method: names this recipe.
        seed: decides the first weights and every draw.
        psp: the style encoder's weights, the authors' `psp_ffhq_encode.pt`.
        style_gru: StyleGRU's weights, from stage 1 or from its authors.
        start: where content branch and transformer start, the authors' `ftcn_tt.pth` or a stage-2
            file; drawn anew when left out.
        content: dimensions of the content branch, where there is no file to tell.
        heads: attention heads of the transformer, likewise.
        head_width: length of one head, likewise.
        inner: width of its feed-forward part, likewise.
        clips: how videos are cut into clips; `frames` is the content branch's.
        batch: clips per batch, half of them fake.
        smoothing: how far labels are from certain, 0 to 1.
        head_alone: how the head is trained while the content branch holds still; 0 steps leave it
            out.
        together: how both are trained then.
        turns: how weights of time and of space take turns meanwhile, as in AltFreezing; both
            always learn when null.
        held_out: people whose videos are never trained on; they validate.
        prepare: what is kept of every video.

    Source: stage 2 of StyleFlow as its first author published it later. Of its training nothing
        but the frozen parts, the loss and 32 frames are certain (docs/models.md).
    Departs: AdamW in two parts instead of FTCN's SGD over 100 epochs.
    """

    method: Literal["styleflow"] = "styleflow"
    seed: int = 1
    psp: Path = Path("weights/psp_ffhq_encode.pt")
    style_gru: Path = Path("weights/stylegru.pth")
    start: Path | None = None
    content: ContentDims = field(default_factory=ContentDims)
    heads: int = 16
    head_width: int = 64
    inner: int = 2048
    clips: ClipCutting = field(default_factory=ClipCutting)
    batch: int = 16
    smoothing: float = 0.05
    head_alone: LoopSettings = field(default_factory=lambda: LoopSettings(2_000, 1e-4))
    together: LoopSettings = field(default_factory=lambda: LoopSettings(20_000, 2e-5))
    turns: Turns | None = None
    held_out: tuple[str, ...] = ()
    prepare: PrepareSettings = field(default_factory=PrepareSettings)

    def __post_init__(self) -> None:
        """Refuse batches without both labels, and clips that the content branch cannot read."""
        if self.batch < 2 or self.batch % 2:
            raise ValueError(f"batch is an even number, half real and half fake, not {self.batch}")
        if self.clips.frames != self.content.frames:
            raise ValueError(
                f"clips.frames is {self.clips.frames}, but content.frames is {self.content.frames}"
            )


class StageTwoTask:
    """Tell clips of fakes from real ones by content and by a style code that is given.

    Args:
        whole: the detector; its content branch and head are trained in place, the rest is not.
        training: clips to draw from.
        validation: videos of other people.
        batch: clips per batch, half of them fake.
        smoothing: of the labels.
    """

    def __init__(
        self,
        whole: StyleFlow,
        training: ClipPool,
        validation: ClipPool,
        batch: int,
        smoothing: float = 0.05,
    ) -> None:
        whole.psp.eval().requires_grad_(requires_grad=False)
        whole.style_gru.eval().requires_grad_(requires_grad=False)
        self.network: nn.Module = whole.resnet
        self._whole, self.pool, self._validation = whole, training, validation
        self._batch, self._smoothing = batch, smoothing

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Return the cross-entropy of one batch of clips."""
        trunk = self.network
        assert isinstance(trunk, StyleFlowTrunk)
        for stage in (trunk.s1, trunk.s2, trunk.s3, trunk.s4):
            if not any(parameter.requires_grad for parameter in stage.parameters()):
                stage.eval()  # its normalisations hold still too
        labels = [REAL, FAKE] * (self._batch // 2)
        logits = self._logits(trunk, [self.pool.draw(label, rng) for label in labels])
        targets = torch.tensor(labels).to(logits)
        right = ((logits > 0) == (targets > 0.5)).float().mean()
        return smoothed_bce(logits, targets, self._smoothing), {"accuracy": float(right)}

    def validate(self, network: nn.Module) -> float:
        """Return the video AUC of held-out videos: mean logit of a video's clips."""
        return auc(*self.rate(network))

    def rate(self, network: nn.Module) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return label and mean logit of every held-out video."""
        assert isinstance(network, StyleFlowTrunk)
        return rate_videos(
            self._validation.videos, lambda clip: float(self._logits(network, [clip]))
        )

    def _logits(self, trunk: StyleFlowTrunk, clips: Sequence[Clip]) -> Tensor:
        """Return the logits of clips, `(B,)`."""
        device = next(trunk.parameters()).device
        crops = torch.stack([clip.cut_crops() for clip in clips]).to(device)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            flow = style_flow(torch.stack([clip.read_latents() for clip in clips]).to(device))
            code = self._whole.style_gru.code(flow)
            pictures = self._whole.content_input(crops)
        logits: Tensor = trunk.head(trunk.features(pictures).float(), code)
        return logits


def run(
    recipe: StyleFlowRecipe,
    training: Sequence[Video],
    validation: Sequence[Video],
    work: Path,
    tell: Tell,
    device: torch.device | str = "cpu",
) -> Path:
    """Train stage 2, or go on where a run was interrupted, and return the detector's checkpoint.

    Args:
        recipe: decides everything.
        training: videos of both labels.
        validation: videos of both labels, of other people; they also calibrate.
        work: folder of results.
        tell: told what is being done.
        device: what computes.

    Raises:
        CheckpointInvalid: a file of weights cannot be used, or they do not fit each other.
        LabelsMissing: videos of one label only.
    """
    psp = load_psp(recipe.psp, device)
    whole = assembled(recipe, psp)
    cache = latent_cache(work, psp, whole.dims.levels, recipe.clips)
    pool = ClipPool(gather(cache, training, tell))
    held_out = ClipPool(gather(cache, validation, tell), "validation")
    trunk = [n for n, _ in whole.resnet.named_parameters() if not n.startswith("head.")]
    for part, settings, still in (
        ("head_alone", recipe.head_alone, lambda step: trunk),
        ("together", recipe.together, schedule(whole.resnet, looking(whole.resnet), recipe.turns)),
    ):
        if settings.steps:
            task = StageTwoTask(whole, pool, held_out, recipe.batch, recipe.smoothing)
            trained = train(
                task,
                settings,
                recipe.seed,
                work / part,
                telling(tell, part, settings),
                freezing=still,
            )
            whole.resnet.load_state_dict(trained.state_dict())
    task = StageTwoTask(whole, pool, held_out, recipe.batch, recipe.smoothing)
    calibration = fit_calibration(*task.rate(whole.resnet.eval()))
    checkpoint = Checkpoint(
        kind="styleflow",
        version=f"trained-{recipe.seed}",
        dimensions=whole.dims,
        tensors={name: tensor.cpu() for name, tensor in whole.state_dict().items()},
        calibration=calibration,
        status=TrainingStatus.after_training(calibrated=calibration.fitted),
        provenance=_provenance(recipe, len(pool.videos)),
    )
    out = work / "styleflow.safetensors"
    save(checkpoint, out)
    return out


def looking(trunk: StyleFlowTrunk) -> Callable[[str], Looks]:
    """Return what says of a parameter's name what it looks along.

    Along time look the convolutions of the content branch that are longer than one frame, and
    within frames its others. Normalisations and head always learn.

    Departs: AltFreezing's network has kernels wider than a pixel, FTCN's has none; what looks
        within a frame here mixes the channels of each place.
    """

    def looks(name: str) -> Looks:
        kernel = shapes[name][2:]
        if name.startswith("head.") or len(kernel) != 3:
            return Looks.NEITHER
        return Looks.TIME if kernel[0] > 1 else Looks.SPACE

    shapes = {name: parameter.shape for name, parameter in trunk.named_parameters()}
    return looks


def assembled(recipe: StyleFlowRecipe, psp: PspEncoder) -> StyleFlow:
    """Return the detector before stage 2: encoder and StyleGRU as given, the rest as it starts.

    It is where the encoder is.

    Raises:
        CheckpointInvalid: a file cannot be used, or the parts do not fit each other.
    """
    gru = load_styleflow_part(recipe.style_gru, "StyleGRU")
    assert isinstance(gru.dims, StyleGruDims)
    start = None if recipe.start is None else _start(recipe.start)
    dims = _dims(recipe, psp, gru.dims, None if start is None else start.dims)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        trunk = StyleFlowTrunk(dims)
    with torch.device("meta"):
        whole = StyleFlow(dims)
    whole.psp, whole.resnet = psp, trunk
    whole.style_gru.load_state_dict(gru.tensors, assign=True)
    if start is not None:
        tensors = {n.removeprefix("resnet."): t for n, t in start.tensors.items()}
        trunk.load_state_dict(tensors, strict=False)
    return whole.to(next(psp.parameters()).device)


def _dims(
    recipe: StyleFlowRecipe, psp: PspEncoder, gru: StyleGruDims, start: object
) -> StyleFlowDims:
    """Return the detector's dimensions: those of its files, and the recipe's where none tells."""
    told = start if isinstance(start, StyleFlowDims) else None
    try:
        if gru.flow != recipe.clips.frames - 1:
            raise ValueError(f"it follows {gru.flow} deltas, clips have {recipe.clips.frames - 1}")
        if told and told.content.frames != recipe.clips.frames:
            raise ValueError(f"content.frames of {recipe.start} is {told.content.frames}")
        return StyleFlowDims(
            psp=psp.encoder.dims,
            levels=StyleLevels.of_count(gru.features // psp.encoder.dims.latent),
            hidden=gru.hidden,
            gru_head=gru.head,
            content=told.content if told else recipe.content,
            heads=told.heads if told else recipe.heads,
            head=told.head if told else recipe.head_width,
            inner=told.inner if told else recipe.inner,
            psp_input=recipe.clips.psp_input,
        )
    except ValueError as error:
        raise CheckpointInvalid(recipe.style_gru, str(error)) from error


def _start(path: Path) -> Ported:
    """Return what a file has of content branch and head: all of it, or all but style attention.

    Raises:
        CheckpointInvalid: it has less.
    """
    content = safe_pickle.read(path)
    if not isinstance(content, Mapping):
        raise CheckpointInvalid(path, "holds no weights by name")
    names = bare_state(content)
    styled = any(_STYLE_ATTENTION in name for name in names)
    ported = port_stage2(content) if styled else port_ftcn(content)
    if not ported.report.complete:
        what = "stage 2" if styled else "FTCN"
        raise CheckpointInvalid(path, f"does not fit {what}: {ported.report}")
    return ported


def _provenance(recipe: StyleFlowRecipe, videos: int) -> str:
    """Return where the weights come from, for people."""
    files = [recipe.psp, recipe.style_gru] + ([recipe.start] if recipe.start else [])
    named = ", ".join(f"{path.name} (sha256 {file_digest(path)})" for path in files)
    return f"Stage 2 trained on {videos} videos with seed {recipe.seed}, from {named}."
