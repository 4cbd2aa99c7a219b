"""Stage weights: the networks that draw faces, as a run of the default left them in its folder."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn

from styleflow.data.pseudo_fakes.kinds import Redraw
from styleflow.data.pseudo_fakes.restyling import Styles
from styleflow.errors import CheckpointInvalid
from styleflow.training.loop import LoopSettings
from styleflow.training.styleflow_live.recipe import StyleFlowLiveRecipe
from styleflow.training.styleflow_live.redrawing import StyleAutoencoder, redraw_with, styles_with
from styleflow.training.styleflow_live.resynthesis import PatchAutoencoder


def read_drawing_networks(recipe: StyleFlowLiveRecipe, work: Path) -> tuple[list[Redraw], Styles]:
    """Return the patch auto-encoders and the style auto-encoder of a run.

    Args:
        recipe: by which they were trained.
        work: folder of the run; its stages need not be finished.

    Raises:
        CheckpointInvalid: a stage has not begun, or is of another recipe.
    """
    redraws = []
    for number, dims in enumerate(recipe.redraws):
        network = PatchAutoencoder(dims)
        _restore(network, recipe.redrawing, work / f"redraw-{number}")
        redraws.append(redraw_with(network))
    style = StyleAutoencoder(recipe.dimensions.encoder)
    _restore(style, recipe.style, work / "style")
    return redraws, styles_with(style)


def _restore(network: nn.Module, settings: LoopSettings, folder: Path) -> None:
    """Give a network the weights that `loop.train` would return, in place."""
    path = folder / "state.pt"
    try:
        state = torch.load(path, weights_only=True)
        network.load_state_dict(state["best" if settings.validate_every else "average"])
    except FileNotFoundError as error:
        reason = f"stage {folder.name} has not begun in {folder.parent}; train with --work first"
        raise CheckpointInvalid(path, reason) from error
    except (KeyError, RuntimeError, pickle.UnpicklingError) as error:
        reason = f"stage {folder.name} was trained by another recipe: {error}"
        raise CheckpointInvalid(path, reason) from error
