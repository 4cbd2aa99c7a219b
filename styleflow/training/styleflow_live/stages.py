"""The stages of training the default: each trains one network, or goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from styleflow.data.prepared_video import Video
from styleflow.data.pseudo_fakes.kinds import Redraw
from styleflow.data.pseudo_fakes.restyling import Styles
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow_live.content import ContentNet
from styleflow.detectors.styleflow_live.lite import LiteTrunk
from styleflow.detectors.styleflow_live.network import StyleFlowLive
from styleflow.training.loop import LoopSettings, Task, train
from styleflow.training.progress import telling
from styleflow.training.styleflow_live.content import ContentTask
from styleflow.training.styleflow_live.footage import (
    Footage,
    filmed_faces,
    filmed_people,
    patch_pictures,
    still_faces,
)
from styleflow.training.styleflow_live.picture_pairs import (
    PictureSource,
    PictureSpec,
    mirror_partners,
)
from styleflow.training.styleflow_live.recipe import StyleFlowLiveRecipe
from styleflow.training.styleflow_live.redrawing import (
    PatchTask,
    StyleAutoencoder,
    StyleAutoencoderTask,
    redraw_with,
    styles_with,
)
from styleflow.training.styleflow_live.resynthesis import PatchAutoencoder
from styleflow.training.styleflow_live.tasks import FusionTask
from styleflow.training.styleflow_live.teacher import DistilTask, agreement, called, lessons
from styleflow.training.styleflow_live.window_store import Family
from styleflow.weights import cache as published

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True, eq=False)
class DrawingNetworks:
    """Networks that draw faces of pseudo-fakes.

    Attributes:
        redraws: patch auto-encoders.
        autoencoder: the style auto-encoder, whose encoder becomes the detector's.
        styles: the same, as pseudo-fakes use it.
    """

    redraws: list[Redraw]
    autoencoder: StyleAutoencoder
    styles: Styles


@dataclass(frozen=True, slots=True)
class Stages:
    """Trains networks of one run, one folder of results per stage.

    Attributes:
        recipe: decides everything.
        work: folder of results.
        tell: told what is being done.
    """

    recipe: StyleFlowLiveRecipe
    work: Path
    tell: Callable[[str], None]

    def train_drawing_networks(self, footage: Footage) -> DrawingNetworks:
        """Train everything that draws faces of pseudo-fakes."""
        redraws = self._train_redraws(footage)
        autoencoder = self._train_style_autoencoder(footage)
        return DrawingNetworks(redraws, autoencoder, styles_with(autoencoder))

    def train_content(
        self, footage: Footage, drawing: DrawingNetworks, validation: Sequence[Family]
    ) -> ContentNet:
        """Train the content network on pairs of pictures.

        Raises:
            ValueError: the recipe's dimensions have no content network.
        """
        recipe, window = self.recipe, self.recipe.dimensions.content
        if window is None:
            raise ValueError("these dimensions have no content network")
        network = ContentNet(window)
        seed_weights(network, recipe.seed)
        network.adopt(published.backbone())
        network.begin(recipe.seed)
        spec = PictureSpec(recipe.dimensions.crop_px, window.top, window.left, window.size_px)
        source = PictureSource(
            filmed_people(footage.training),
            footage.stills,
            drawing.redraws,
            drawing.styles,
            mirror_partners([still.mesh for still in footage.stills]),
        )
        task = ContentTask(network, source, spec, validation, recipe.content_pairs)
        return self._train(ContentNet, task, recipe.content, "content")

    def train_fusion(
        self, network: StyleFlowLive, families: Sequence[Family], validation: Sequence[Family]
    ) -> StyleFlowLive:
        """Train style flow, attention and head on windows, with the rest held still."""
        recipe = self.recipe
        task = FusionTask(network, families, validation, recipe.fusion_pairs, recipe.fusion_frames)
        return self._train(StyleFlowLive, task, recipe.fusion, "fusion")

    def learn_from_teacher(
        self, network: StyleFlowLive, training: Sequence[Video], held_out: Sequence[Video]
    ) -> StyleFlowLive:
        """Teach a network what the recipe's teacher says of videos, whatever their labels.

        Raises:
            DetectorWeightsMissing: the teacher's weights are not there.
            LabelsMissing: no video has a window to teach by, for training or for validation.
        """
        recipe, more = self.recipe, self.recipe.lessons
        assert recipe.teacher is not None
        teacher = called(recipe.teacher, recipe.teacher_weights)
        fewer = replace(more, windows=max(1, more.windows // 4))
        seed, tell = recipe.seed, self.tell
        taught = lessons(training, teacher, recipe.windows, more, seed, tell)
        checked = lessons(held_out, teacher, recipe.windows, fewer, seed, tell)
        task = DistilTask(network, taught, checked, more)
        student = self._train(StyleFlowLive, task, recipe.distil, "distil")
        ranks = agreement(student, checked)
        tell(f"the student ranks windows as {recipe.teacher} does, to {ranks:.2f} of 1")
        return student

    def _train_redraws(self, footage: Footage) -> list[Redraw]:
        recipe = self.recipe
        pictures = patch_pictures(footage.training)
        redraws = []
        for number, dims in enumerate(recipe.redraws):
            network = PatchAutoencoder(dims)
            seed_weights(network, recipe.seed + number)
            task = PatchTask(network, pictures, recipe.patch_px, recipe.patch_batch)
            name = f"redraw-{number}"
            redraws.append(redraw_with(self._train(PatchAutoencoder, task, recipe.redrawing, name)))
        return redraws

    def _train_style_autoencoder(self, footage: Footage) -> StyleAutoencoder:
        recipe, dims = self.recipe, self.recipe.dimensions
        shape = (recipe.windows.cadence_hz, dims.crop_px, dims.shrink)
        faces = [filmed_faces(video, *shape) for video in footage.training]
        held_out = [filmed_faces(video, *shape) for video in footage.held_out]
        stills = still_faces(footage.stills, dims.encoder.size_px)
        task = StyleAutoencoderTask(
            self._new_style_autoencoder(),
            np.concatenate([stills, *faces]),
            np.concatenate(held_out),
            recipe.style_batch,
            _critic(),
        )
        return self._train(StyleAutoencoder, task, recipe.style, "style")

    def _new_style_autoencoder(self) -> StyleAutoencoder:
        network = StyleAutoencoder(self.recipe.dimensions.encoder)
        seed_weights(network, self.recipe.seed)
        with torch.no_grad():
            # A constant of zero would draw nothing and learn nothing.
            constant = np.random.default_rng(self.recipe.seed).normal(
                size=network.decoder.constant.shape
            )
            network.decoder.constant.copy_(torch.from_numpy(constant))
        return network

    def _train(
        self, kind: type[Network], task: Task, settings: LoopSettings, stage: str
    ) -> Network:
        observer = telling(self.tell, stage, settings)
        trained = train(task, settings, self.recipe.seed, self.work / stage, observer)
        assert isinstance(trained, kind)
        return trained


def _critic() -> LiteTrunk:
    trunk = LiteTrunk(rank=0)
    trunk.adopt(published.backbone())
    return trunk
