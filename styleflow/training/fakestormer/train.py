"""Train FakeSTormer on real videos alone.

A batch holds real clips and, of each, one pseudo-fake; three heads learn the clip's label, the
strongest vulnerability of each frame, and where vulnerability changes. The paper's optimiser is
sharpness-aware minimisation over Adam, its learning rate goes up and down in straight lines.

Source: Vulnerability-Aware Spatio-Temporal Learning (Nguyen et al., ICCV 2025), release v1.
Departs: seeded first weights where the release starts from MAE's ViT; no stochastic depth and no
dropout; the repaired network by default (`FakeStormerDims.repaired`); a moving average of weights
is validated and kept, by AUC where the release counts correct clips.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass
from torch import Tensor, nn

from styleflow.calibration import Calibration
from styleflow.cards import TrainingStatus
from styleflow.data.prepared import PrepareSettings
from styleflow.data.prepared_video import Video
from styleflow.detectors.fakestormer.backbone import FakeStormerDims
from styleflow.detectors.fakestormer.network import FakeStormer, FakeStormerPrediction
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.errors import CheckpointInvalid, VideosMissing
from styleflow.evaluation.metrics import auc
from styleflow.training.alternate_freezing import Looks, Turns, schedule
from styleflow.training.calibration import fit_calibration
from styleflow.training.fakestormer.clips import ClipSettings, ClipShape, ClipSource, Pair
from styleflow.training.fakestormer.loss import LossWeights, VulnerabilityTargets, fakestormer_loss
from styleflow.training.loop import LoopSettings, train
from styleflow.training.progress import telling
from styleflow.weights.checkpoint import Checkpoint, load, save

_TOKEN_SPREAD = 0.02  # of tokens and places at first, as vision transformers are begun
_TOKENS = ("cls_token", "temp_token", "pos_embed")
_RATED_AT_ONCE = 8  # pairs


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class FakeStormerRecipe:
    """How a FakeSTormer is trained.

    Attributes:
        method: names this kind of recipe.
        detector: which detector the weights are for; says only how videos were compressed.
        seed: decides every draw.
        dimensions: of the network; `frames` is the length of a clip.
        start: checkpoint of the same dimensions to start from; seeded weights when empty.
        clips: how clips are cut out and forged.
        batch: real clips per batch; each brings one pseudo-fake.
        loss: weights of the three heads, and the temperature of the class head.
        loop: how it is trained.
        heads_first: steps in which only the heads learn.
        turns: how weights of time and of space take turns; both always learn when null.
        validation_clips: pairs per validation video.
        prior: share of fakes among the faces that will be watched, for calibration.
        held_out: people whose videos are never trained on; they validate.
        prepare: what is kept of every video.
    """

    method: Literal["fakestormer"] = "fakestormer"
    detector: Literal["fakestormer-c0", "fakestormer-c23", "fakestormer-c40"] = "fakestormer-c23"
    seed: int = 0
    dimensions: FakeStormerDims = field(default_factory=lambda: FakeStormerDims(repaired=True))
    start: str = ""
    clips: ClipSettings = field(default_factory=ClipSettings)
    batch: int = 16
    loss: LossWeights = field(default_factory=LossWeights)
    loop: LoopSettings = field(default_factory=lambda: LoopSettings(1000, sharpness=0.05))
    heads_first: int = 0
    turns: Turns | None = None
    validation_clips: int = 4
    prior: float = 0.5
    held_out: tuple[str, ...] = ()
    prepare: PrepareSettings = field(default_factory=PrepareSettings)


class FakeStormerTask:
    """Tell real clips from their pseudo-fakes, and say where and when it shows.

    Args:
        network: on the device where it is trained.
        training: draws what it learns from.
        validation: pairs that validate, always the same.
        recipe: batch and loss.
    """

    def __init__(
        self,
        network: FakeStormer,
        training: ClipSource,
        validation: Sequence[Pair],
        recipe: FakeStormerRecipe,
    ) -> None:
        self.network: nn.Module = network
        self._training, self._validation, self._recipe = training, validation, recipe
        # A sharpness-aware step asks for the same batches twice.
        self._recent: deque[tuple[Any, Sequence[Pair]]] = deque(maxlen=recipe.loop.accumulate)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Return the weighted loss of one batch and its three parts."""
        network = self.network
        assert isinstance(network, FakeStormer)
        pairs = self._drawn(rng)
        device = next(network.parameters()).device
        said = network(network.network_input(_crops(pairs).to(device)))
        prediction = FakeStormerPrediction(
            said.logit.float(), said.spatial.float(), said.temporal.float()
        )
        got = fakestormer_loss(prediction, targets(pairs, device), self._recipe.loss)
        parts = {"temporal": got.temporal, "classes": got.classes, "spatial": got.spatial}
        return got.total, {name: float(part.detach()) for name, part in parts.items()}

    def validate(self, network: nn.Module) -> float:
        """Return the AUC of clips over the held-out pairs."""
        return auc(*ratings(network, self._validation))

    def _drawn(self, rng: np.random.Generator) -> Sequence[Pair]:
        state = rng.bit_generator.state
        for known, pairs in self._recent:
            if known == state:
                return pairs
        pairs = [self._training.draw(rng) for _ in range(self._recipe.batch)]
        self._recent.append((state, pairs))
        return pairs


def targets(pairs: Sequence[Pair], device: torch.device | str = "cpu") -> VulnerabilityTargets:
    """Return what the heads should say about pairs, real and fake in turns."""

    def joined(parts: Sequence[NDArray[np.float32]]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts)).to(device)

    return VulnerabilityTargets(
        labels=torch.tensor([0.0, 1.0], device=device).repeat(len(pairs)),
        spatial=joined([pair.spatial for pair in pairs]),
        temporal=joined([pair.temporal for pair in pairs]),
        visible=joined([pair.visible for pair in pairs]),
    )


@torch.no_grad()
def ratings(
    network: nn.Module, pairs: Sequence[Pair]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the label and the logit of every clip of some pairs."""
    assert isinstance(network, FakeStormer)
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    logits = [
        network.score(network.network_input(_crops(pairs[i : i + _RATED_AT_ONCE]).to(device)))
        for i in range(0, len(pairs), _RATED_AT_ONCE)
    ]
    network.train(was_training)
    labels = np.tile(np.array([0, 1], np.int64), len(pairs))
    return labels, torch.cat(logits).double().cpu().numpy()


def looks(name: str) -> Looks:
    """Return what a parameter of FakeSTormer looks along, by its name."""
    if any(part in name for part in ("temporal_", "time_embed", "temp_token", "head.hm.")):
        return Looks.TIME
    within_frames = (
        "attn.",
        "norm1.",
        "patch_embed",
        "pos_embed",
        "cls_token",
        "temp_loc",
        "s_cls",
    )
    return Looks.SPACE if any(part in name for part in within_frames) else Looks.NEITHER


def first_weights(network: FakeStormer, seed: int) -> None:
    """Give a network its first weights, in place, the same on every machine.

    Time begins silent: what temporal attention gathers is added through zeros.
    """
    seed_weights(network, seed)
    for name in _TOKENS:
        token = getattr(network.backbone, name)
        rng = np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode())]))
        values = _TOKEN_SPREAD * rng.standard_normal(tuple(token.shape), dtype=np.float32)
        token.data.copy_(torch.from_numpy(values))
    for name, parameter in network.named_parameters():
        if "temporal_fc" in name:
            parameter.data.zero_()


def run(
    recipe: FakeStormerRecipe,
    training: Sequence[Video],
    validation: Sequence[Video],
    work: Path,
    tell: Callable[[str], None],
    device: torch.device | str = "cpu",
) -> Path:
    """Train a FakeSTormer, or go on where it was interrupted, and write its checkpoint.

    Args:
        recipe: decides everything.
        training: videos that are trained on; only real ones are used.
        validation: videos of other people, likewise; without any nothing is calibrated.
        work: keeps the state of the training; the checkpoint is written here.
        tell: told what is being done.
        device: where the network is trained.

    Returns:
        The checkpoint, `work/<detector>.safetensors`.

    Raises:
        VideosMissing: there is no real video with a face for at least one clip.
        CheckpointInvalid: the recipe's `start` is no checkpoint of these dimensions.
    """
    network = _network(recipe).to(device)
    shape = ClipShape(recipe.dimensions.frames, recipe.dimensions.image_px, recipe.dimensions.grid)
    source = ClipSource(training, shape, recipe.clips)
    tell(f"training on {len(source)} real videos of {len(training)} videos")
    held_out = _held_out(recipe, shape, validation)
    trained = train(
        FakeStormerTask(network, source, held_out, recipe),
        recipe.loop,
        recipe.seed,
        work / "fakestormer",
        telling(tell, "fakestormer", recipe.loop),
        freezing=schedule(
            network, looks, recipe.turns, lambda n: n.startswith("backbone."), recipe.heads_first
        ),
    )
    path = work / f"{recipe.detector}.safetensors"
    save(_checkpoint(recipe, trained, held_out, len(source)), path)
    tell(f"wrote {path.name}")
    return path


def _network(recipe: FakeStormerRecipe) -> FakeStormer:
    network = FakeStormer(recipe.dimensions)
    if not recipe.start:
        first_weights(network, recipe.seed)
        return network
    start = load(Path(recipe.start))
    if start.dimensions != recipe.dimensions:
        reason = f"it is of {start.dimensions}, but the recipe's dimensions are {recipe.dimensions}"
        raise CheckpointInvalid(Path(recipe.start), reason)
    network.load_state_dict(dict(start.tensors))
    return network


def _held_out(
    recipe: FakeStormerRecipe, shape: ClipShape, videos: Sequence[Video]
) -> Sequence[Pair]:
    """Return the pairs that validate, drawn from every video alike, always the same."""
    if not videos:
        if recipe.loop.validate_every:
            raise VideosMissing("real ones to validate on, or loop.validate_every: 0", 0)
        return ()
    source = ClipSource(videos, shape, recipe.clips)
    return [
        source.draw(np.random.default_rng([recipe.seed, 1, video, number]), video)
        for video in range(len(source))
        for number in range(recipe.validation_clips)
    ]


def _checkpoint(
    recipe: FakeStormerRecipe, network: nn.Module, held_out: Sequence[Pair], videos: int
) -> Checkpoint:
    calibration = Calibration()
    if held_out:
        calibration = fit_calibration(*ratings(network, held_out), recipe.prior)
    return Checkpoint(
        kind=recipe.detector,
        version=f"own-{recipe.loop.steps}",
        dimensions=recipe.dimensions,
        tensors={name: tensor.cpu() for name, tensor in network.state_dict().items()},
        calibration=calibration,
        status=TrainingStatus.after_training(calibrated=calibration.fitted),
        provenance=(
            f"Trained with this project on {videos} real videos; every fake was a pseudo-fake. "
            f"Not the authors' weights. Seed {recipe.seed}, {recipe.loop.steps} steps."
        ),
    )


def _crops(pairs: Sequence[Pair]) -> Tensor:
    return torch.from_numpy(np.concatenate([pair.crops for pair in pairs]))
