"""Training of styleflow-live, the shipped default, from prepared videos and stills.

Every stage keeps its result in a work folder and is skipped when it is there, so that an
interrupted run goes on where it stopped. The order is: networks that draw faces of pseudo-fakes,
windows of real and pseudo-fake clips, the content network, style flow and attention, calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from styleflow.cards import TrainingStatus
from styleflow.data.index import STILLS
from styleflow.data.prepared_video import Video
from styleflow.data.pseudo_fakes.kinds import KINDS
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.styleflow_live.network import StyleFlowLive
from styleflow.training.calibration import fit_calibration
from styleflow.training.progress import Tell
from styleflow.training.styleflow_live.footage import Footage
from styleflow.training.styleflow_live.picture_pairs import PICTURE_KINDS
from styleflow.training.styleflow_live.recipe import StyleFlowLiveRecipe
from styleflow.training.styleflow_live.stages import DrawingNetworks, Stages
from styleflow.training.styleflow_live.tasks import weigh_cues, weigh_flow, window_ratings
from styleflow.training.styleflow_live.window_making import WindowMaker
from styleflow.training.styleflow_live.window_store import Family
from styleflow.weights import cache as published
from styleflow.weights.checkpoint import Checkpoint, save

FILE = "styleflow-live.safetensors"
"""What a run writes."""


def run(
    recipe: StyleFlowLiveRecipe,
    training: Sequence[Video],
    validation: Sequence[Video],
    work: Path,
    tell: Tell,
    device: torch.device | str = "cpu",
) -> Path:
    """Train styleflow-live, or go on where a run was interrupted, and return its checkpoint.

    Args:
        recipe: decides everything.
        training: real videos, and stills as videos of one frame; a teacher is asked about fake ones
            too.
        validation: the same of other people.
        work: folder of results.
        tell: told what is being done.
        device: what computes; nothing but the processor will do.

    Raises:
        DatasetUnusable: the work folder's windows are of another version of the program.
        DetectorWeightsMissing: the recipe's teacher has no weights here.
        LabelsMissing: there is nothing to train on, or nothing to validate with.
        WeightsMissing: the published backbone is not on this machine.
    """
    stages, footage = Stages(recipe, work, tell), Footage.of(training, validation)
    drawing = stages.train_drawing_networks(footage)
    maker = WindowMaker(recipe, footage, drawing, work / "windows", tell)
    maker.make()
    checkpoint = _train_detector(stages, footage, drawing, *maker.read())
    if recipe.teacher is not None:
        watched = [video for video in training if video.entry.split != STILLS]
        checkpoint = _taught(stages, checkpoint, watched, validation, maker.read()[1])
    save(checkpoint, work / FILE)
    return work / FILE


def make_windows(
    recipe: StyleFlowLiveRecipe,
    training: Sequence[Video],
    validation: Sequence[Video],
    work: Path,
    tell: Tell,
    share: tuple[int, int] = (0, 1),
) -> None:
    """Make ahead of training what several commands may share: the windows.

    The networks that draw faces of pseudo-fakes are trained first, where they are not there yet.

    Args:
        recipe: decides everything.
        training: as in `run`.
        validation: as in `run`.
        work: folder of results.
        tell: told what is being done.
        share: which part of the windows is made here, and of how many.
    """
    footage = Footage.of(training, validation)
    drawing = Stages(recipe, work, tell).train_drawing_networks(footage)
    WindowMaker(recipe, footage, drawing, work / "windows", tell).make(*share)


def _train_detector(
    stages: Stages,
    footage: Footage,
    drawing: DrawingNetworks,
    families: Sequence[Family],
    validation: Sequence[Family],
) -> Checkpoint:
    recipe = stages.recipe
    network = StyleFlowLive(recipe.dimensions)
    seed_weights(network, recipe.seed)
    network.encoder.load_state_dict(drawing.autoencoder.encoder.state_dict())
    content = stages.train_content(footage, drawing, validation)
    assert network.content is not None
    network.adopt(published.backbone())
    network.content.load_state_dict(content.state_dict())
    weigh_cues(network, [f.real.crops for f in (*families, *validation)])
    network = stages.train_fusion(network, families, validation)
    stages.tell(f"style flow keeps {weigh_flow(network, validation):.2f} of its weight")
    # Kinds that pictures were trained on are easier than any generator in the wild.
    unseen = set(KINDS) - set(PICTURE_KINDS)
    calibration = fit_calibration(*window_ratings(network, validation, unseen), recipe.prior)
    return Checkpoint(
        kind="styleflow-live",
        version=recipe.version,
        dimensions=recipe.dimensions,
        tensors=network.state_dict(),
        calibration=calibration,
        status=_status(calibrated=calibration.fitted),
        provenance=(
            f"Trained by this project on {len(footage.training)} real clips of "
            f"{len(footage.groups())} groups and {len(footage.stills)} stills; every fake "
            f"was a pseudo-fake. Seed {recipe.seed}. See docs/model-card.md."
        ),
    )


def _taught(
    stages: Stages,
    checkpoint: Checkpoint,
    training: Sequence[Video],
    held_out: Sequence[Video],
    validation: Sequence[Family],
) -> Checkpoint:
    """Return a trained checkpoint after a teacher's lessons, calibrated anew."""
    recipe = stages.recipe
    network = StyleFlowLive(recipe.dimensions)
    network.load_state_dict(dict(checkpoint.tensors))
    if network.needs_backbone:
        network.adopt(published.backbone())
    network = stages.learn_from_teacher(network, training, held_out)
    unseen = set(KINDS) - set(PICTURE_KINDS)
    calibration = fit_calibration(*window_ratings(network, validation, unseen), recipe.prior)
    return replace(
        checkpoint,
        tensors=network.state_dict(),
        calibration=calibration,
        status=_status(calibrated=calibration.fitted),
        provenance=(
            f"{checkpoint.provenance} Then taught by {recipe.teacher} on {len(training)} videos, "
            "whose labels were not looked at."
        ),
    )


def _status(*, calibrated: bool) -> TrainingStatus:
    """Return what a checkpoint of this recipe may call itself: nobody has shown more yet."""
    return TrainingStatus.EXPERIMENTAL if calibrated else TrainingStatus.UNCALIBRATED
