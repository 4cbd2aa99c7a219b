"""StyleFlow's first stage: StyleGRU learns from style flows alone which of them are fake.

A step draws triplets: an anchor, a clip of the same label, one of the other. Their codes shall lie
closer to the anchor's than the other's by a margin, and every one of the three is classified.

The released program of this stage does not run as it is, and its loaders disagree (docs/models.md).
Put right here: differences are taken in one place, from 32 latents, in training and validation
alike; accuracy asks whether a *probability* is above one half; the best network is the one of the
highest video AUC; what is written reads back.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass
from torch import Tensor, nn

from styleflow.data.prepared import PrepareSettings
from styleflow.data.prepared_video import Video
from styleflow.detectors.layers.style_gru import StyleGRU, StyleGruDims, style_flow
from styleflow.detectors.styleflow.style_levels import StyleLevels
from styleflow.evaluation.metrics import auc
from styleflow.training.loop import LoopSettings, train
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

FILE = "stylegru.pth"
"""What a run writes, in the layout that the authors' program saves."""

_SAVED_UNDER = "module.model."  # as the released program names its tensors


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class StyleGruRecipe:
    """How StyleGRU is trained.

    Attributes:
        method: names this recipe.
        seed: decides the first weights and every draw.
        psp: the style encoder's weights, the authors' `psp_ffhq_encode.pt`.
        levels: which style levels it looks at, as in `StyleLevels`.
        hidden: units of each layer and direction.
        head: width of the stage-1 head's residual branch.
        clips: how videos are cut into clips.
        triplets: triplets per batch.
        margin: by how much an anchor's other label shall lie further away.
        loop: how it is trained. Released: Adam at a constant 5e-4, 100 epochs of 390 batches.
        held_out: people whose videos are never trained on; they validate.
        prepare: what is kept of every video.

    Source: stage 1 of the released StyleFlow code.
    """

    method: Literal["stylegru"] = "stylegru"
    seed: int = 1
    psp: Path = Path("weights/psp_ffhq_encode.pt")
    levels: str = "total"
    hidden: int = 4096
    head: int = 4096
    clips: ClipCutting = field(default_factory=ClipCutting)
    triplets: int = 128
    margin: float = 1.0
    loop: LoopSettings = field(default_factory=lambda: LoopSettings(39_000, 5e-4))
    held_out: tuple[str, ...] = ()
    prepare: PrepareSettings = field(default_factory=PrepareSettings)

    def __post_init__(self) -> None:
        """Refuse what names no levels."""
        StyleLevels(self.levels)
        if self.triplets < 2:
            raise ValueError(f"triplets is at least 2, or nothing is normal, not {self.triplets}")


class StyleGruTask:
    """Tell style flows of fakes from real ones, by triplets and by label.

    Args:
        network: trained in place.
        training: clips to draw from.
        validation: videos of other people.
        triplets: per batch.
        margin: of the triplet loss.

    Source: stage 1 of the released StyleFlow code.
    """

    def __init__(
        self,
        network: StyleGRU,
        training: ClipPool,
        validation: ClipPool,
        triplets: int,
        margin: float = 1.0,
    ) -> None:
        self.network: nn.Module = network
        self._training, self._validation = training, validation
        self._triplets, self._margin = triplets, margin

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        """Return the triplet loss plus the cross-entropy of all three, equally weighted."""
        network = self.network
        assert isinstance(network, StyleGRU)
        labels = rng.integers(0, 2, self._triplets)
        # Each branch goes through alone, so it has a dropout mask and statistics of its own.
        anchors, near, far = (network.code(flows) for flows in self._flows(labels, rng))
        logits = torch.cat([network.logit(codes) for codes in (anchors, near, far)])
        own = torch.from_numpy(labels).to(logits)
        targets = torch.cat((own, own, 1 - own))
        classified = nn.functional.binary_cross_entropy_with_logits(logits, targets)
        apart = nn.functional.triplet_margin_loss(anchors, near, far, margin=self._margin)
        right = ((logits > 0) == (targets > 0.5)).float().mean()
        figures = {"accuracy": right, "triplet": apart.detach(), "bce": classified.detach()}
        return classified + apart, {name: float(value) for name, value in figures.items()}

    def validate(self, network: nn.Module) -> float:
        """Return the video AUC of held-out videos: mean logit of a video's clips."""
        assert isinstance(network, StyleGRU)

        def rate(clip: Clip) -> float:
            flow = style_flow(clip.latents[None].to(network.hidden_state.device))
            return float(network(flow))

        return auc(*rate_videos(self._validation.videos, rate))

    def _flows(self, labels: NDArray[np.int64], rng: np.random.Generator) -> list[Tensor]:
        """Return style flows of anchors, positives and negatives, each `(B, P, F)`.

        Anchors come from the first set of clips and positives from the second, so that the two are
        never one; negatives come from either.
        """
        device = next(self.network.parameters()).device
        draw = self._training.draw
        clips = (
            [draw(int(label), rng, second=False) for label in labels],
            [draw(int(label), rng, second=True) for label in labels],
            [draw(int(1 - label), rng) for label in labels],
        )
        return [style_flow(torch.stack([c.latents for c in part])).to(device) for part in clips]


def run(
    recipe: StyleGruRecipe,
    training: Sequence[Video],
    validation: Sequence[Video],
    work: Path,
    tell: Tell,
    device: torch.device | str = "cpu",
) -> Path:
    """Train StyleGRU, or go on where a run was interrupted, and return the file of its weights.

    The file has the layout of the authors' and is one of the three that make a StyleFlow.

    Args:
        recipe: decides everything.
        training: videos of both labels.
        validation: videos of both labels, of other people.
        work: folder of results.
        tell: told what is being done.
        device: what computes.

    Raises:
        CheckpointInvalid: the style encoder's weights cannot be used.
        LabelsMissing: videos of one label only.
    """
    psp = load_psp(recipe.psp, device)
    levels = StyleLevels(recipe.levels)
    cache = latent_cache(work, psp, levels, recipe.clips)
    pool = ClipPool(gather(cache, training, tell))
    held_out = ClipPool(gather(cache, validation, tell), "validation")
    dims = StyleGruDims(
        len(levels.styles) * psp.encoder.dims.latent,
        recipe.hidden,
        recipe.head,
        recipe.clips.frames - 1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = StyleGRU(dims)
    task = StyleGruTask(network.to(device), pool, held_out, recipe.triplets, recipe.margin)

    trained = train(
        task,
        recipe.loop,
        recipe.seed,
        work / "stylegru",
        telling(tell, "stylegru", recipe.loop),
    )
    return write(trained, recipe.loop.steps, work / FILE)


def write(network: nn.Module, steps: int, path: Path) -> Path:
    """Write a StyleGRU as the released program saves one; the file is whole or not there."""
    state = {f"{_SAVED_UNDER}{name}": t.cpu() for name, t in network.state_dict().items()}
    part = path.with_suffix(".part")
    torch.save({"epoch": steps, "state_dict": state}, part)
    os.replace(part, path)
    return path
