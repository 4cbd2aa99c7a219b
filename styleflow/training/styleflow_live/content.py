"""The task that adapts the content network: pairs of pictures that differ only in what is fake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from styleflow.detectors.styleflow_live.content import ContentNet
from styleflow.evaluation.metrics import auc
from styleflow.training.losses import smoothed_bce
from styleflow.training.styleflow_live.picture_pairs import PictureSource, PictureSpec, draw_pair
from styleflow.training.styleflow_live.window_store import Family

_ORDER_WEIGHT = 0.5
_STEEP = 2.0  # logits of worst patches are this much too close for cross-entropy
_AT_ONCE = 32  # frames per pass in validation
_EVERY = 3  # sampled frames of a window from one that is judged to the next, in validation


@dataclass(frozen=True, slots=True, eq=False)
class PictureBatch:
    """Pairs, each real picture before its fake.

    Attributes:
        pictures: `(2n, S, S, 3)` uint8.
        masks: what was replaced, `(2n, S / 8, S / 8)` in [0, 1].
        labels: 0, 1, 0, 1, …, `(2n,)` float32.
    """

    pictures: Tensor
    masks: Tensor
    labels: Tensor


def draw_pictures(
    source: PictureSource, spec: PictureSpec, pairs: int, rng: np.random.Generator
) -> PictureBatch:
    """Return a batch of pairs."""
    drawn = [draw_pair(source, spec, rng) for _ in range(pairs)]
    pictures = [picture for pair in drawn for picture in (pair.real, pair.fake)]
    masks = [mask for pair in drawn for mask in (np.zeros_like(pair.mask), pair.mask)]
    return PictureBatch(
        torch.from_numpy(np.stack(pictures)),
        torch.from_numpy(np.stack(masks)).float() / 255.0,
        torch.tensor([0.0, 1.0]).repeat(pairs),
    )


class ContentTask:
    """Tell pseudo-fakes from the pictures that they were made of, and find what was replaced.

    Args:
        network: trained in place; it has adopted the published kernels.
        source: faces of people who are trained on.
        spec: how pairs are drawn.
        held_out: windows of other people, for validation.
        pairs: per batch.
    """

    def __init__(
        self,
        network: ContentNet,
        source: PictureSource,
        spec: PictureSpec,
        held_out: Sequence[Family],
        pairs: int,
    ) -> None:
        self.network: nn.Module = network
        self._source, self._spec = source, spec
        self._held_out, self._pairs = held_out, pairs

    def draw(self, rng: np.random.Generator) -> PictureBatch:
        """Return one batch."""
        return draw_pictures(self._source, self._spec, self._pairs, rng)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Return cross-entropy of masks, and of fakes that should outrank originals."""
        batch = self.draw(rng)
        features, *maps = self.network(batch.pictures)
        loss = torch.zeros(())
        for traces in maps:
            masks = nn.functional.adaptive_avg_pool2d(batch.masks[:, None], traces.shape[-1])[:, 0]
            loss = loss + smoothed_bce(traces, masks)
        # Every fake above every original, not only its own: sources must not differ either.
        order = features[1::2, None] - features[None, ::2]  # (n, n, FEATURES)
        loss = loss + _ORDER_WEIGHT * nn.functional.softplus(-_STEEP * order).mean()
        right = (features[1::2] > features[::2]).float().mean(dim=0)
        return loss, {"order_fine": float(right[0]), "order_middle": float(right[1])}

    def validate(self, network: nn.Module) -> float:
        """Return the AUC over windows of people who were held out; see `window_scores`."""
        labels, scores, _ = window_scores(network, self._held_out, self._spec)
        return auc(labels, scores)


def window_scores(
    network: nn.Module, families: Sequence[Family], spec: PictureSpec
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[str]]:
    """Return label, score and kind of every window: both features, mean over frames."""
    rows = slice(spec.top, spec.top + spec.size_px)
    columns = slice(spec.left, spec.left + spec.size_px)
    labels, scores, kinds = [], [], []
    for family in families:
        for window in (family.real, *family.fakes):
            features = _features(network, window.crops[::_EVERY, rows, columns])
            scores.append(float(features.mean()))
            labels.append(int(bool(window.kind)))
            kinds.append(window.kind)
    return np.array(labels), np.array(scores), kinds


def _features(network: nn.Module, pictures: NDArray[np.uint8]) -> Tensor:
    parts = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(pictures), _AT_ONCE):
            batch = np.ascontiguousarray(pictures[start : start + _AT_ONCE])
            parts.append(network(torch.from_numpy(batch))[0].float())
    return torch.cat(parts)
