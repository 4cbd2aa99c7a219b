"""CADDM's training task: batches, their loss, and the video AUC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from styleflow.data.index import FAKE, REAL
from styleflow.data.prepared_video import Video
from styleflow.detectors.caddm.network import Caddm
from styleflow.errors import VideoUnusable
from styleflow.evaluation.metrics import auc
from styleflow.faces.crops.caddm import caddm_crop
from styleflow.training.caddm.draws import GeneratorDraws
from styleflow.training.caddm.loss import BoxTargets, assign_boxes, caddm_loss, no_boxes
from styleflow.training.caddm.recipe import CaddmRecipe
from styleflow.training.caddm.sample import Sample, five_points, make_sample
from styleflow.training.caddm.scenes import (
    Origins,
    donors_for,
    faked,
    possible_kinds,
    spread,
    usable,
)

_TRIES = 16  # draws per place in a batch until a swap leaves a trace
_AT_ONCE = 32  # crops per pass when validating


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
        network = caddm_of(self.network)
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
                logits.append(mean_logit(caddm_of(network), crops))
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


def _targets(sample: Sample) -> BoxTargets:
    if sample.label == REAL:
        return no_boxes()
    return assign_boxes(torch.tensor(sample.boxes, dtype=torch.float32))


def _cropped(frames: NDArray[np.uint8], meshes: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.stack([caddm_crop(f, five_points(m)) for f, m in zip(frames, meshes, strict=True)])


@torch.inference_mode()
def mean_logit(network: Caddm, crops: NDArray[np.uint8]) -> float:
    """Return the logit of the mean probability of crops, `(n, 224, 224, 3)` RGB uint8."""
    device = network.fc.weight.device
    parts = [
        torch.from_numpy(crops[start : start + _AT_ONCE]).to(device)
        for start in range(0, len(crops), _AT_ONCE)
    ]
    logits = torch.cat([network(network.network_input(part)).logit.double() for part in parts])
    fake = nn.functional.logsigmoid(logits).logsumexp(0)
    real = nn.functional.logsigmoid(-logits).logsumexp(0)
    return float(fake - real)


def caddm_of(network: nn.Module) -> Caddm:
    """Return a network as what it is, for the type checker."""
    assert isinstance(network, Caddm)
    return network
