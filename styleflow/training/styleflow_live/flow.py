"""Style flow between looks: projected latents, the causal StyleGRU, and how much it may say.

Where the dimensions ask for style attention, what a look shows at every depth attends to the
StyleGRU's state, and that is trained with it.

The latents' projection is learned without labels: of how each statistic moves from look to look
within a clip, the strongest directions. The StyleGRU and its head are then trained on windows of
looks by cross-entropy and by StyleFlow's contrastive loss on its hidden states, with everything
else held still. What its answer weighs beside the heads is decided by validation, and may be
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from styleflow.detectors.styleflow_live.network import StyleFlowLive, StyleFlowLiveDims
from styleflow.evaluation.metrics import auc
from styleflow.training.losses import contrastive, smoothed_bce
from styleflow.training.styleflow_live.features import ClipFeatures
from styleflow.training.styleflow_live.heads import source_weights

_CONTRAST = 0.1
_WORTH_IT = 0.005  # AUC on validation below which the style flow is left out
_LEARNED = ("style_gru.", "content.", "style_attention.", "flow_norm.", "flow_head.")
_SHARES = (0.25, 0.5, 1.0)


def fit_projection(clips: Sequence[ClipFeatures], dims: StyleFlowLiveDims) -> Tensor:
    """Return the projection to style latents, `(L, D, latent)`.

    Each level's directions have unit variance between neighbouring looks.

    Raises:
        ValueError: fewer looks than a latent has numbers.
    """
    deltas = np.concatenate(
        [np.diff(_style(clip), axis=0)[_steps(clip) == dims.look_every] for clip in clips]
    )  # (n, L, D)
    if len(deltas) < dims.latent:
        raise ValueError(f"{len(deltas)} pairs of looks are too few for {dims.latent} directions")
    levels = []
    for level in deltas.transpose(1, 0, 2):
        sizes, vectors = np.linalg.eigh(level.T @ level / len(level))
        strongest = vectors[:, ::-1][:, : dims.latent]
        levels.append(strongest / np.sqrt(np.maximum(sizes[::-1][: dims.latent], 1e-12)))
    return torch.from_numpy(np.stack(levels).astype(np.float32))


class FlowTask:
    """Tell fakes from reals by how their style moves from look to look.

    Args:
        network: its StyleGRU and that one's head are trained in place.
        training: clips to draw from; those without a run of so many looks are left out.
        validation: clips of other people and generators.
        clips: per batch, half of each label.
        looks: neighbouring looks of each.
    """

    def __init__(
        self,
        network: StyleFlowLive,
        training: Sequence[ClipFeatures],
        validation: Sequence[ClipFeatures],
        clips: int,
        looks: int,
    ) -> None:
        self.network: nn.Module = network
        self._clips, self._looks, self._validation = clips, looks, validation
        starts = [_starts(clip, looks, network.dims.look_every) for clip in training]
        kept = [(c, s) for c, s in zip(training, starts, strict=True) if s]
        self._long, self._starts = [c for c, _ in kept], [s for _, s in kept]
        self._weights = source_weights([clip.entry for clip in self._long])
        for name, parameter in network.named_parameters():
            learns = name.startswith(_LEARNED)
            parameter.requires_grad_(learns)
        with torch.no_grad():
            self._latents = [_latents(network, clip) for clip in self._long]

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Return cross-entropy of every look's logit, and contrast between hidden states."""
        network = self.network
        assert isinstance(network, StyleFlowLive)
        chosen = rng.choice(len(self._long), self._clips, p=self._weights)
        starts = [int(rng.choice(self._starts[c])) for c in chosen]
        latents = torch.stack(
            [self._latents[c][s : s + self._looks] for c, s in zip(chosen, starts, strict=True)]
        )
        labels = torch.tensor([float(self._long[c].entry.label) for c in chosen])
        states = network.style_gru.states(latents[:, 1:] - latents[:, :-1])
        looks = [
            self._long[c].looks[s + 1 : s + self._looks]
            for c, s in zip(chosen, starts, strict=True)
        ]
        features = torch.from_numpy(np.concatenate(looks).astype(np.float32))
        logits = network.flow_logits(states.flatten(0, 1), features).view(len(chosen), -1)
        classified = smoothed_bce(logits, labels[:, None].expand_as(logits))
        apart = contrastive(states[:, -1, -1], labels)
        figures = {"bce": float(classified.detach()), "contrast": float(apart.detach())}
        return classified + _CONTRAST * apart, figures

    def validate(self, network: nn.Module) -> float:
        """Return the AUC over validation clips of the style flow alone."""
        assert isinstance(network, StyleFlowLive)
        labels = [clip.entry.label for clip in self._validation]
        return auc(labels, flow_ratings(network, self._validation))


@torch.no_grad()
def flow_ratings(network: StyleFlowLive, clips: Sequence[ClipFeatures]) -> NDArray[np.float64]:
    """Return what the style flow alone says of clips, mean over looks, `(n,)`."""
    network.eval()
    ratings = []
    for clip in clips:
        features = torch.from_numpy(clip.looks.astype(np.float32))
        latents, slots = network.latents(features)[None], torch.from_numpy(clip.slots)[None]
        hidden = network.style_gru.start(1)
        said = [network.flow_logits(hidden, features[:1])]
        for number in range(1, latents.shape[1]):
            delta = latents[:, number] - latents[:, number - 1]
            hidden = network.follow(hidden, delta, slots[:, number] - slots[:, number - 1])
            said.append(network.flow_logits(hidden, features[number : number + 1]))
        ratings.append(float(torch.cat(said).mean()))
    return np.array(ratings)


@torch.no_grad()
def weigh_flow(
    network: StyleFlowLive,
    training: Sequence[ClipFeatures],
    validation: Sequence[ClipFeatures],
    heads: NDArray[np.float64],
) -> float:
    """Give the style flow the weight that validation wants, in place, and return it.

    Args:
        network: with a trained StyleGRU.
        training: clips on which its ratings are brought to the size of the heads'.
        validation: clips that decide.
        heads: what the heads say of these, `(n,)`.
    """
    ratings = flow_ratings(network, training)
    weights = source_weights([clip.entry for clip in training])
    size, middle = max(float(ratings.std()), 1e-9), float(np.average(ratings, weights=weights))
    flow = (flow_ratings(network, validation) - middle) / size
    labels = [clip.entry.label for clip in validation]
    gains = {share: auc(labels, heads + share * flow) for share in _SHARES}
    share = max(gains, key=lambda s: gains[s])
    if gains[share] < auc(labels, heads) + _WORTH_IT:
        share = 0.0
    head = network.flow_head
    head.weight.mul_(share / size)
    head.bias.sub_(middle).mul_(share / size)
    return share


def _style(clip: ClipFeatures) -> NDArray[np.float64]:
    """Return mean and spread of every look, `(n, L, D)`."""
    looks = clip.looks[:, :, :2].astype(np.float64)
    return np.asarray(looks.reshape(len(looks), -1, looks.shape[-1]))


def _steps(clip: ClipFeatures) -> NDArray[np.int64]:
    """Return the sampled frames from each encoded look to the next, `(n - 1,)`."""
    return np.diff(clip.slots)


def _starts(clip: ClipFeatures, looks: int, every: int) -> list[int]:
    """Return where runs of so many neighbouring looks begin."""
    near = _steps(clip) == every
    last = len(clip.slots) - looks
    return [n for n in range(last + 1) if near[n : n + looks - 1].all()]


def _latents(network: StyleFlowLive, clip: ClipFeatures) -> Tensor:
    return network.latents(torch.from_numpy(clip.looks.astype(np.float32)))
