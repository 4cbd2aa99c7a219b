"""The tasks that make the shipped default, and the weights of its cues.

The order is: patch auto-encoders (for pseudo-fakes), the style auto-encoder (its decoder draws
faces of pseudo-fakes, its encoder is the detector's and stays still from then on), the content
network on pairs of frames, then the causal StyleGRU, the style attention and the head on clips.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from styleflow.detectors.styleflow_live.content import FEATURES
from styleflow.detectors.styleflow_live.network import StyleFlowLive
from styleflow.evaluation.metrics import auc
from styleflow.training.losses import contrastive, smoothed_bce
from styleflow.training.styleflow_live.batches import draw
from styleflow.training.styleflow_live.window_store import Family

_CONTRAST_WEIGHT = 0.1
FLOW_SHARES = (0.0, 0.25, 0.5, 1.0)


class FusionTask:
    """Tell clips of pseudo-fakes from their originals by style flow and content together.

    All but style flow and attention is held still: the encoder so that its latents remain style
    latents, the rest because it is settled before.

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
        for still in _still(network):
            still.requires_grad_(requires_grad=False)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Return cross-entropy of every frame's logit, and contrast between hidden states."""
        network = self.network
        assert isinstance(network, StyleFlowLive)
        for still in _still(network):
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
    network: nn.Module, families: Sequence[Family], kinds: Collection[str] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return label and last rating of every window of some families.

    Args:
        network: a StyleFlowLive.
        families: real windows, each with pseudo-fakes.
        kinds: the kinds of pseudo-fakes that are looked at; all when None.
    """
    assert isinstance(network, StyleFlowLive)
    labels, scores = [], []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for family in families:
            fakes = [f for f in family.fakes if kinds is None or f.kind in kinds]
            for window in (family.real, *fakes):
                rating = network.score_clip(torch.from_numpy(window.crops)[None])[0, -1]
                scores.append(float(rating))
                labels.append(int(bool(window.kind)))
    return np.array(labels), np.array(scores)


def weigh_cues(network: StyleFlowLive, clips: Sequence[NDArray[np.uint8]]) -> None:
    """Let each cue count by how much it differs among real clips, and by no more, in place.

    A unit of the rating is then one standard deviation of one cue. Nothing is fitted to
    pseudo-fakes here: with so few people, weights that are fitted learn the people (measured:
    logistic regression on the same cues was 0.03 to 0.09 worse on clips of other generators).

    Args:
        network: its content head and `TemporalStabilityHead` are set.
        clips: real aligned crops, each `(T, S, S, 3)` uint8.
    """
    assert network.content is not None
    suspicions, surprises = [], []
    head = network.restlessness
    network.eval()
    with torch.inference_mode():
        for crops in clips:
            windows = network.window(torch.from_numpy(np.ascontiguousarray(crops)))
            suspicions.append(network.content(windows)[0].mean(dim=0))
            state = head.start(1)
            for window in windows:
                state = head.step(state, window[None], torch.zeros(1), torch.ones(1))
            surprises.append(torch.log(state.surprise[0] / state.steps.clamp_min(1) + 1e-6))
    content, restless = torch.stack(suspicions), torch.stack(surprises)
    with torch.no_grad():
        scales = 1 / content.std(dim=0).clamp_min(1e-6) / FEATURES
        network.fusion.content_head.weight.copy_(scales[None])
        network.fusion.content_head.bias.copy_(-(scales * content.mean(dim=0)).sum()[None])
        head.usual.copy_(restless.mean(dim=0))
        head.weights.copy_(1 / (0.5 * restless.std(dim=0)).clamp_min(1e-6))


def weigh_flow(network: StyleFlowLive, families: Sequence[Family]) -> float:
    """Let the style flow count by as much as helps people who were held out, in place.

    Args:
        network: its style flow is trained.
        families: windows of people who were held out.

    Returns:
        The share of its trained weight that it keeps, one of `FLOW_SHARES`; the least among equals.
    """
    head = network.fusion.flow_head
    labels, full = window_ratings(network, families)
    kept = head.weight.detach().clone(), head.bias.detach().clone()
    _scale(head, kept, 0.0)
    _, none = window_ratings(network, families)
    # A rating is linear in the head's weights, so two passes tell of all shares.
    best = max(FLOW_SHARES, key=lambda share: (auc(labels, none + share * (full - none)), -share))
    _scale(head, kept, best)
    return best


def _scale(head: nn.Linear, weights: tuple[Tensor, Tensor], share: float) -> None:
    with torch.no_grad():
        head.weight.copy_(weights[0] * share)
        head.bias.copy_(weights[1] * share)


def _still(network: StyleFlowLive) -> list[nn.Module]:
    """Return the parts that are not trained on clips."""
    parts: list[nn.Module] = [network.encoder]
    if network.content is not None:
        parts += [network.content, network.fusion.content_head, network.restlessness]
    return parts
