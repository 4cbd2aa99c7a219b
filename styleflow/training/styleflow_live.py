"""Tasks that make the shipped default, and its calibration.

The order is: patch auto-encoders (for pseudo-fakes), the style auto-encoder (its encoder is the
detector's and stays still from then on), the content network on pairs of frames, then the causal
StyleGRU, the style attention and the head on clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from styleflow.calibration import Calibration
from styleflow.data.store import Family
from styleflow.evaluation.metrics import auc
from styleflow.models.content import FEATURES, PATCH_STRIDE, ContentNet
from styleflow.models.styleflow_live import StyleFlowLive, StyleFlowLiveDims
from styleflow.training.batches import draw
from styleflow.training.losses import contrastive, smoothed_bce

_TRACES_WEIGHT = 2.0  # patches teach the network, the frame only weighs them
_CONTRAST_WEIGHT = 0.1
_AT_ONCE = 32  # frames per pass in validation


class ContentJudge(nn.Module):
    """A content network with a linear head of its own, for as long as it is trained alone."""

    def __init__(self, dims: StyleFlowLiveDims) -> None:
        super().__init__()
        if dims.content is None:
            raise ValueError("these dimensions have no content network")
        self.window = dims.content
        self.content = ContentNet(dims.content)
        self.head = nn.Linear(FEATURES, 1)

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the last of each two neighbouring frames looks like.

        Args:
            clips: aligned crops, `(B, 2, S, S, 3)` uint8.

        Returns:
            Logits `(B,)`, maps of traces `(B, s, s)` and features `(B, FEATURES)`.
        """
        window = self.window
        rows = slice(window.top, window.top + window.size_px)
        columns = slice(window.left, window.left + window.size_px)
        seen = clips[:, :, rows, columns]
        features, traces = self.content(seen[:, 1].contiguous(), seen[:, 0].contiguous())
        logits: Tensor = self.head(features)
        return logits.squeeze(-1), traces, features


class ContentTask:
    """Tell pairs of frames of pseudo-fakes from their originals, and find what was replaced.

    Args:
        network: trained in place.
        families: training windows.
        held_out: windows of other people.
        pairs: fakes per batch, with as many originals.
    """

    def __init__(
        self,
        network: ContentJudge,
        families: Sequence[Family],
        held_out: Sequence[Family],
        pairs: int,
    ) -> None:
        self.network: nn.Module = network
        self._families, self._held_out, self._pairs = families, held_out, pairs
        self._window = network.window

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Return cross-entropy of labels and masks."""
        batch = draw(self._families, self._pairs, 2, rng)
        logits, traces, _ = self.network(batch.clips)
        masks = _window_of(batch.masks[:, 1], self._window.top, self._window.left, traces.shape[-1])
        loss = smoothed_bce(logits, batch.labels)
        loss = loss + _TRACES_WEIGHT * smoothed_bce(traces, masks)
        right = ((logits > 0) == (batch.labels > 0.5)).float().mean()
        return loss, {"accuracy": float(right)}

    def validate(self, network: nn.Module) -> float:
        """Return the AUC over windows of people who were held out; see `window_scores`."""
        labels, scores, _ = self.window_scores(network)
        return auc(labels, scores)

    def window_scores(
        self, network: nn.Module
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], list[str]]:
        """Return label, mean logit and kind of every held-out window, every second frame of it."""
        labels, scores, kinds = [], [], []
        for family in self._held_out:
            for window in (family.real, *family.fakes):
                pairs = np.stack([window.crops[:-1], window.crops[1:]], axis=1)[::2]
                scores.append(_mean_logit(network, pairs))
                labels.append(int(bool(window.kind)))
                kinds.append(window.kind)
        return np.array(labels), np.array(scores), kinds


class FusionTask:
    """Tell clips of pseudo-fakes from their originals by style flow and content together.

    Encoder and content network are held still: the one so that its latents remain style latents,
    the other because it has been trained for longer than this.

    Args:
        network: its StyleGRU, attention and head are trained in place.
        families: training windows.
        held_out: windows of other people.
        pairs: fakes per batch, with as many originals.
        frames: sampled frames per clip.
    """

    def __init__(
        self,
        network: StyleFlowLive,
        families: Sequence[Family],
        held_out: Sequence[Family],
        pairs: int,
        frames: int,
    ) -> None:
        self.network: nn.Module = network
        self._families, self._held_out = families, held_out
        self._pairs, self._frames = pairs, frames
        for still in (network.encoder, network.content):
            if still is not None:
                still.requires_grad_(requires_grad=False)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Return cross-entropy of every frame's logit, and contrast between hidden states."""
        network = self.network
        assert isinstance(network, StyleFlowLive)
        for still in (network.encoder, network.content):
            if still is not None:
                still.eval()  # their normalisations stay still too
        batch = draw(self._families, self._pairs, self._frames, rng)
        logits, hidden = network.frame_logits_and_flow(batch.clips)
        labels = batch.labels[:, None].expand_as(logits)
        loss = smoothed_bce(logits[:, 1:], labels[:, 1:])
        loss = loss + _CONTRAST_WEIGHT * contrastive(hidden[:, -1], batch.labels)
        return loss, {"accuracy": float(((logits > 0) == (labels > 0.5)).float().mean())}

    def validate(self, network: nn.Module) -> float:
        """Return the AUC over windows of people who were held out, rated at their end."""
        labels, scores = window_ratings(network, self._held_out)
        return auc(labels, scores)


def window_ratings(
    network: nn.Module, families: Sequence[Family]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return label and last rating of every window of some families."""
    assert isinstance(network, StyleFlowLive)
    labels, scores = [], []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for family in families:
            for window in (family.real, *family.fakes):
                rating = network.score_clip(torch.from_numpy(window.crops)[None])[0, -1]
                scores.append(float(rating))
                labels.append(int(bool(window.kind)))
    return np.array(labels), np.array(scores)


def fit_calibration(labels: ArrayLike, logits: ArrayLike, prior: float = 0.5) -> Calibration:
    """Return Platt scaling with the spread between clips of one label.

    Both labels weigh the same however many clips they have: how common fakes are is said by
    `prior` and not by the data set.

    Args:
        labels: 0 or 1.
        logits: ratings of clips that were not trained on.
        prior: share of fakes among the faces that will be watched.

    Returns:
        The calibration; one that is not `fitted` where there is nothing to fit it to: ratings of
        one label, all the same, or not all numbers.
    """
    y, x = np.asarray(labels, np.float64), np.asarray(logits, np.float64)
    weight = np.where(y > 0.5, 0.5 / max(y.sum(), 1), 0.5 / max((1 - y).sum(), 1))
    if len(np.unique(y > 0.5)) < 2 or not np.isfinite(x).all() or np.ptp(x) == 0:
        return Calibration()
    # With so few clips nothing is certain: Platt's targets, alike for both labels.
    doubt = 1 / (len(y) / 2 + 2)
    target = np.where(y > 0.5, 1 - doubt, doubt)
    scale, bias = 1.0, 0.0
    for _ in range(100):  # Newton's method on a convex problem of two unknowns
        p = 1 / (1 + np.exp(-np.clip(scale * x + bias, -30, 30)))
        slope = weight * (p - target)
        gradient = np.array([(slope * x).sum() + 1e-4 * scale, slope.sum()])
        curve = weight * p * (1 - p)
        hessian = np.array(
            [
                [(curve * x * x).sum() + 1e-4, (curve * x).sum()],
                [(curve * x).sum(), curve.sum() + 1e-9],
            ]
        )
        scale, bias = np.array([scale, bias]) - np.linalg.solve(hessian, gradient)
    scaled = scale * x
    bias += np.log(prior / (1 - prior))
    within = [scaled[y == label].var() for label in (0, 1) if (y == label).any()]
    return Calibration(float(scale), float(bias), float(np.sqrt(np.mean(within))), fitted=True)


def _mean_logit(network: nn.Module, pairs: NDArray[np.uint8]) -> float:
    logits = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(pairs), _AT_ONCE):
            logits.append(network(torch.from_numpy(pairs[start : start + _AT_ONCE]))[0].float())
    return float(torch.cat(logits).mean())


def _window_of(masks: Tensor, top: int, left: int, size: int) -> Tensor:
    """Return the part of crop-sized masks, `(B, s, s)`, that lies in the content window."""
    return masks[
        :,
        top // PATCH_STRIDE : top // PATCH_STRIDE + size,
        left // PATCH_STRIDE : left // PATCH_STRIDE + size,
    ]
