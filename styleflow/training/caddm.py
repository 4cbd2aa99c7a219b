"""CADDM's recipe: crops that are fake in parts, and a network that must say which parts.

Every batch is made anew from `caddm_scenes.py` by the facial swap of `caddm_sample.py`. The class
is learned from every crop, boxes from the fake ones.

Source: Implicit Identity Leakage (Dong et al., CVPR 2023) and its released program (SPEC e).
Departs: boxes have x before y, crops are mirrored, and the faults of the swap are put right; see
`caddm_sample.py`. A share of fakes is drawn where the release shuffles whatever there is, and a
sample whose swap leaves no trace is drawn again where the release makes the batch smaller. With
validation videos the best epoch is kept and calibrated; the release keeps every epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass
from torch import Tensor, nn

from styleflow import safe_pickle
from styleflow.calibration import Calibration
from styleflow.card import TrainingStatus
from styleflow.checkpoint import Checkpoint, save
from styleflow.data.caddm_draws import GeneratorDraws
from styleflow.data.caddm_sample import Sample, five_points, make_sample
from styleflow.data.index import FAKE, REAL, groups_of
from styleflow.data.video import Video
from styleflow.errors import CheckpointInvalid, VideoUnusable
from styleflow.evaluation.metrics import auc
from styleflow.faces.caddm_crop import caddm_crop
from styleflow.models.caddm import NAMES, Caddm, CaddmDims
from styleflow.models.caddm_loss import (
    DETECTION_WEIGHT,
    BoxTargets,
    assign_boxes,
    caddm_loss,
    no_boxes,
)
from styleflow.models.seeding import seed_weights
from styleflow.training.caddm_scenes import (
    Origins,
    donors_for,
    faked,
    gather,
    possible_kinds,
    spread,
    usable,
)
from styleflow.training.loop import LoopSettings, train
from styleflow.training.styleflow_live import fit_calibration

Made = Literal["self_blend", "swap", "mouth", "restore"]
"""Kinds of pseudo-fakes that show in a single frame."""

_TRIES = 16  # draws per place in a batch until a swap leaves a trace
_AT_ONCE = 32  # crops per pass when validating
_LOG_EVERY = 50


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class CaddmRecipe:
    """How CADDM is trained; the defaults are the release's.

    Attributes:
        method: names this recipe.
        seed: decides every draw.
        dimensions: of the network, its backbone among them.
        start: file of ImageNet weights for the backbone, as torchvision or efficientnet_pytorch
            publish them; nothing when None, and then it starts from the seed.
        frames: per video, evenly spread.
        made: kinds of pseudo-fakes that are made from real videos; empty where fakes are videos.
        batch: crops per step.
        fake_share: of the crops of a batch; the release has five kinds of fakes to each real video.
        epochs: how often the frames are gone through.
        epoch_steps: steps per epoch; 0 for as many as go through all frames.
        rates: learning rates by the epoch that each begins with.
        weight_decay: of AdamW, on all parameters.
        clip_value: no gradient exceeds it, either way.
        detection_weight: of the box losses beside the class loss.
        real_negatives: prior boxes of each real crop that learn to be background; the release has
            none, and its boxes light up on real faces, too.
        average: share of the moving average of weights that is kept per step; 0 takes the last.
        bf16: compute in bfloat16 where that is safe.
        validation_frames: per validation video.
        patience: epochs without a better video AUC after which training stops.
        prior: share of fakes among the faces that will be watched, for calibration.
    """

    method: Literal["caddm"] = "caddm"
    seed: int = 0
    dimensions: CaddmDims = field(default_factory=CaddmDims)
    start: Path | None = None
    frames: int = 32
    made: tuple[Made, ...] = ()
    batch: int = 128
    fake_share: float = 5 / 6
    epochs: int = 200
    epoch_steps: int = 0
    rates: tuple[tuple[int, float], ...] = ((0, 3.6e-4), (4, 1e-4), (10, 5e-5))
    weight_decay: float = 4e-3
    clip_value: float = 2.0
    detection_weight: float = DETECTION_WEIGHT
    real_negatives: int = 0
    average: float = 0.0
    bf16: bool = False
    validation_frames: int = 8
    patience: int = 200
    prior: float = 0.5

    def settings(self, frames: int, *, validates: bool) -> LoopSettings:
        """Return how the loop runs.

        Args:
            frames: how many there are to go through.
            validates: whether there is something to validate on.
        """
        epoch = self.epoch_steps or max(1, -(-frames // self.batch))
        return LoopSettings(
            steps=self.epochs * epoch,
            weight_decay=self.weight_decay,
            average=self.average,
            clip_norm=float("inf"),
            clip_value=self.clip_value,
            bf16=self.bf16,
            log_every=min(_LOG_EVERY, epoch),
            validate_every=epoch if validates else 0,
            patience=self.patience,
            stairs=tuple((start * epoch, rate) for start, rate in self.rates),
        )

    @property
    def detector(self) -> str:
        """Name of the detector that comes out; unpublished backbones go by the smallest one's."""
        name = f"caddm-{self.dimensions.backbone}"
        return name if name in NAMES else NAMES[0]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Samples as the network takes them.

    Attributes:
        crops: `(B, 224, 224, 3)` RGB uint8.
        labels: 0 real, 1 fake, `(B,)` int64.
        targets: for the box heads, `(B, 168, ...)`.
    """

    crops: Tensor
    labels: Tensor
    targets: BoxTargets

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Batch:
        """Return samples stacked."""
        targets = [_targets(sample) for sample in samples]
        return cls(
            torch.from_numpy(np.stack([sample.crop for sample in samples])),
            torch.tensor([sample.label for sample in samples]),
            BoxTargets(
                torch.stack([t.offsets for t in targets]), torch.stack([t.labels for t in targets])
            ),
        )

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        targets = BoxTargets(self.targets.offsets.to(device), self.targets.labels.to(device))
        return Batch(self.crops.to(device), self.labels.to(device), targets)


class CaddmTask:
    """Tell real crops from mixtures, and say where the mixtures are fake.

    Args:
        network: trained in place, on its own device.
        origins: what is drawn from.
        validation: real and fake videos, or real ones of which `recipe.made` fakes are made.
        recipe: decides batches.
    """

    def __init__(
        self, network: Caddm, origins: Origins, validation: Sequence[Video], recipe: CaddmRecipe
    ) -> None:
        self.network: nn.Module = network
        self._origins, self._recipe = origins, recipe
        self._validation = tuple(video for video in validation if len(usable(video)))

    def draw(self, rng: np.random.Generator) -> Batch:
        """Return the batch that a generator decides."""
        return Batch.of([self._sample(rng) for _ in range(self._recipe.batch)])

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Return the loss of one batch."""
        return self.loss_of(self.draw(rng))

    def loss_of(self, batch: Batch) -> tuple[Tensor, Mapping[str, float]]:
        """Return a batch's loss and its parts."""
        network = _caddm(self.network)
        batch = batch.to(network.fc.weight.device)
        prediction = network(network.network_input(batch.crops))
        loss = caddm_loss(
            prediction,
            batch.labels,
            batch.targets,
            self._recipe.detection_weight,
            self._recipe.real_negatives,
        )
        return loss.total, {
            "classes": float(loss.classes.detach()),
            "box_classes": float(loss.box_classes.detach()),
            "box_offsets": float(loss.box_offsets.detach()),
        }

    @property
    def validates(self) -> bool:
        """Whether real and fake videos are there to validate on."""
        labels = {video.entry.label for video in self._validation}
        makes = any(self._made_of(video)[0] for video in self._validation)
        return REAL in labels and (FAKE in labels or makes)

    def validate(self, network: nn.Module) -> float:
        """Return the video AUC."""
        return auc(*self.ratings(network))

    def ratings(self, network: nn.Module) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return label and logit of every validation video.

        The logit is that of the mean probability of its frames, as `CaddmDetector` rates a track.
        """
        labels, logits = [], []
        for number, video in enumerate(self._validation):
            for label, crops in self._views(number, video):
                labels.append(label)
                logits.append(_rated(_caddm(network), crops))
        return np.array(labels, np.int64), np.array(logits)

    def _sample(self, rng: np.random.Generator) -> Sample:
        fake = rng.random() < self._recipe.fake_share
        origins = self._origins.fakes if fake else self._origins.reals
        for _ in range(_TRIES):
            origin = origins[int(rng.integers(len(origins)))]
            sample = make_sample(origin.scene(rng), GeneratorDraws(rng))
            if sample is not None:
                return sample
        raise VideoUnusable(
            origin.entry.path,
            f"{_TRIES} swaps in a row, the last with this video, left no trace; "
            "are fakes and originals the same pictures?",
        )

    def _views(self, number: int, video: Video) -> list[tuple[int, NDArray[np.uint8]]]:
        """Return a validation video's crops, and those of its pseudo-fake where one is made."""
        chosen = spread(usable(video), self._recipe.validation_frames)
        frames, meshes = video.frames(chosen), video.path.meshes[chosen]
        views = [(video.entry.label, _cropped(frames, meshes))]
        kinds, donors = self._made_of(video)
        if kinds:
            rng = np.random.default_rng([self._recipe.seed, number])
            made = faked(frames, meshes, kinds, donors, rng)
            views.append((FAKE, _cropped(made, meshes)))
        return views

    def _made_of(self, video: Video) -> tuple[tuple[str, ...], tuple[Video, ...]]:
        """Return which kinds of pseudo-fakes a validation video gets, and whose faces they take."""
        donors = donors_for(video, self._validation)
        kinds = possible_kinds(self._recipe.made, donors)
        return kinds if video.entry.label == REAL else (), donors


def run(
    recipe: CaddmRecipe,
    training: Sequence[Video],
    validation: Sequence[Video],
    work: Path,
    tell: Callable[[str], None],
    device: torch.device | str = "cpu",
) -> Path:
    """Train CADDM, or go on where it was interrupted, and write its checkpoint.

    Args:
        recipe: decides everything.
        training: real videos, and fakes with their originals.
        validation: videos that are never trained on; none is possible.
        work: folder of results.
        tell: told what is being done.
        device: where it is trained.

    Returns:
        The checkpoint, `work/<detector>.safetensors`.

    Raises:
        LabelsMissing: there are no real videos, or nothing fake to learn.
        CheckpointInvalid: `recipe.start` is not the backbone's weights.
        VideoUnusable: fakes and originals do not differ.
    """
    origins = gather(training, recipe.frames, recipe.made)
    frames = len(origins.reals) + len(origins.fakes)
    tell(f"{len(origins.reals)} real and {len(origins.fakes)} fake frames to draw from")
    for entry in origins.unpaired:
        tell(f"{entry.path.name} is left out: its original is not among the videos")
    network = new_network(recipe).to(device)
    task = CaddmTask(network, origins, validation, recipe)
    settings = recipe.settings(frames, validates=task.validates)
    if not task.validates:
        tell("nothing validates: the last weights are kept, and they are not calibrated")
    trained = train(task, settings, recipe.seed, work / "caddm", _teller(tell))
    path = work / f"{recipe.detector}.safetensors"
    save(_checkpoint(recipe, task, _caddm(trained), training), path)
    return path


def new_network(recipe: CaddmRecipe) -> Caddm:
    """Return the network that training starts from.

    Raises:
        CheckpointInvalid: `recipe.start` is not the backbone's weights.
    """
    network = Caddm(replace(recipe.dimensions, axes_exchanged=False))
    seed_weights(network, recipe.seed)
    if recipe.start is not None:
        _start_backbone(network.base_model, recipe.start)
    return network


def _start_backbone(backbone: nn.Module, path: Path) -> None:
    """Fill a backbone with published ImageNet weights; only batch counters may be missing."""
    content = safe_pickle.read(path)
    wanted = backbone.state_dict()
    if not isinstance(content, Mapping):
        raise CheckpointInvalid(path, "holds no tensors by name")
    wrong = [
        name
        for name, tensor in wanted.items()
        if not name.endswith("num_batches_tracked")
        and getattr(content.get(name), "shape", None) != tensor.shape
    ] + [name for name in content if name not in wanted]
    if wrong:
        raise CheckpointInvalid(
            path, f"is not the backbone's: {len(wrong)} tensors differ, {wrong[0]} first"
        )
    backbone.load_state_dict({**wanted, **content})


def _targets(sample: Sample) -> BoxTargets:
    if sample.label == REAL:
        return no_boxes()
    return assign_boxes(torch.tensor(sample.boxes, dtype=torch.float32))


def _cropped(frames: NDArray[np.uint8], meshes: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.stack([caddm_crop(f, five_points(m)) for f, m in zip(frames, meshes, strict=True)])


@torch.inference_mode()
def _rated(network: Caddm, crops: NDArray[np.uint8]) -> float:
    """Return the logit of the mean probability of crops."""
    device = network.fc.weight.device
    parts = [
        torch.from_numpy(crops[start : start + _AT_ONCE]).to(device)
        for start in range(0, len(crops), _AT_ONCE)
    ]
    logits = torch.cat([network(network.network_input(part)).logit.double() for part in parts])
    fake = nn.functional.logsigmoid(logits).logsumexp(0)
    real = nn.functional.logsigmoid(-logits).logsumexp(0)
    return float(fake - real)


def _checkpoint(
    recipe: CaddmRecipe, task: CaddmTask, network: Caddm, training: Sequence[Video]
) -> Checkpoint:
    calibration, status = Calibration(), TrainingStatus.UNCALIBRATED
    if task.validates:
        calibration = fit_calibration(*task.ratings(network), recipe.prior)
        status = TrainingStatus.TRAINED
    entries = [video.entry for video in training]
    fakes = "pseudo-fakes of them" if recipe.made else "fakes with their originals"
    start = f"started from {recipe.start.name}" if recipe.start else "started from its seed"
    return Checkpoint(
        kind=recipe.detector,
        version=f"trained-{recipe.seed}",
        dimensions=network.dims,
        tensors=network.state_dict(),
        calibration=calibration,
        status=status,
        provenance=(
            f"Trained by this project's CADDM recipe on {len(entries)} videos of "
            f"{len(groups_of(entries))} groups, real ones and {fakes}; seed {recipe.seed}, {start}."
        ),
    )


def _teller(tell: Callable[[str], None]) -> Callable[[int, Mapping[str, float]], None]:
    def observe(step: int, figures: Mapping[str, float]) -> None:
        tell(f"caddm {step}: " + ", ".join(f"{n} {v:.4f}" for n, v in figures.items()))

    return observe


def _caddm(network: nn.Module) -> Caddm:
    assert isinstance(network, Caddm)
    return network
