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
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from styleflow.calibration import Calibration
from styleflow.cards import TrainingStatus
from styleflow.data.index import groups_of
from styleflow.data.prepared_video import Video
from styleflow.detectors.caddm.network import Caddm
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.errors import CheckpointInvalid
from styleflow.training.caddm.contact_sheet import write_sheet
from styleflow.training.caddm.recipe import CaddmRecipe
from styleflow.training.caddm.scenes import gather
from styleflow.training.caddm.task import CaddmTask, caddm_of
from styleflow.training.calibration import fit_calibration
from styleflow.training.loop import train
from styleflow.training.progress import telling
from styleflow.weights import unpickle as safe_pickle
from styleflow.weights.checkpoint import Checkpoint, save


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
        work: folder of results; `caddm/samples.png` shows what is learned from.
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
    write_sheet(origins, recipe.seed, work / "caddm" / "samples.png")
    network = new_network(recipe).to(device)
    task = CaddmTask(network, origins, validation, recipe)
    settings = recipe.settings(frames, validates=task.validates)
    if not task.validates:
        tell("nothing validates: the last weights are kept, and they are not calibrated")
    observer = telling(tell, "caddm", settings)
    trained = train(task, settings, recipe.seed, work / "caddm", observer)
    path = work / f"{recipe.detector}.safetensors"
    save(_checkpoint(recipe, task, caddm_of(trained), training), path)
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


def _checkpoint(
    recipe: CaddmRecipe, task: CaddmTask, network: Caddm, training: Sequence[Video]
) -> Checkpoint:
    calibration = Calibration()
    if task.validates:
        calibration = fit_calibration(*task.ratings(network), recipe.prior)
    entries = [video.entry for video in training]
    fakes = "pseudo-fakes of them" if recipe.made else "fakes with their originals"
    start = f"started from {recipe.start.name}" if recipe.start else "started from its seed"
    return Checkpoint(
        kind=recipe.detector,
        version=f"trained-{recipe.seed}",
        dimensions=network.dims,
        tensors=network.state_dict(),
        calibration=calibration,
        status=TrainingStatus.after_training(calibrated=calibration.fitted),
        provenance=(
            f"Trained by this project's CADDM recipe on {len(entries)} videos of "
            f"{len(groups_of(entries))} groups, real ones and {fakes}; seed {recipe.seed}, {start}."
        ),
    )


__all__ = ["CaddmRecipe", "new_network", "run"]
