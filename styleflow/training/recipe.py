"""Recipes: everything that decides what a training run does, frozen and typed.

A recipe is read from a YAML file in `configs/train/`; a key that does not exist is an error that
names it. Together with the data and the machine's arithmetic it decides every weight. Which
recipes there are, and how each is followed, stands in `methods.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Protocol, Self, TypeVar, runtime_checkable

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from styleflow.detectors.styleflow_live.network import StyleFlowLiveDims
from styleflow.errors import RecipeInvalid
from styleflow.training.loop import LoopSettings
from styleflow.training.styleflow_live.resynthesis import PatchAutoencoderDims
from styleflow.training.styleflow_live.windows import WindowSpec


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """How many families of training windows are made.

    Attributes:
        training: families from the people that are trained on.
        fakes: pseudo-fakes per family.
        validation: families per clip of the people that are held out; each has every kind.
        per_shard: families per file.
    """

    training: int = 480
    fakes: int = 3
    validation: int = 1
    per_shard: int = 8


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class StyleFlowLiveRecipe:
    """How the shipped default is trained.

    Attributes:
        seed: decides every draw.
        held_out: people whose clips validate and calibrate, and are never trained on.
        dimensions: of the network.
        redraws: networks whose traces pseudo-fakes carry.
        patch_px: side of the patches that they learn from.
        patch_batch: patches per batch.
        windows: how training windows are cut.
        validation_windows: how validation windows are cut.
        counts: how many there are.
        redrawing: how the patch auto-encoders are trained.
        style: how the style auto-encoder is trained.
        style_batch: faces per batch.
        content: how the content network is trained.
        content_pairs: pairs of frames per batch.
        fusion: how style flow, attention and head are trained, with the rest held still.
        fusion_pairs: pairs of clips per batch.
        fusion_frames: sampled frames per clip.
        prior: share of fakes among the faces that will be watched, for calibration.
    """

    seed: int = 0
    held_out: tuple[str, ...] = ()
    dimensions: StyleFlowLiveDims = field(default_factory=StyleFlowLiveDims)
    redraws: tuple[PatchAutoencoderDims, ...] = ()
    patch_px: int = 96
    patch_batch: int = 12
    windows: WindowSpec = field(default_factory=WindowSpec)
    validation_windows: WindowSpec = field(default_factory=WindowSpec)
    counts: WindowCounts = field(default_factory=WindowCounts)
    redrawing: LoopSettings = field(default_factory=lambda: LoopSettings(500))
    style: LoopSettings = field(default_factory=lambda: LoopSettings(1000))
    style_batch: int = 32
    content: LoopSettings = field(default_factory=lambda: LoopSettings(3000))
    content_pairs: int = 32
    fusion: LoopSettings = field(default_factory=lambda: LoopSettings(500))
    fusion_pairs: int = 8
    fusion_frames: int = 10
    prior: float = 0.5


Recipe = TypeVar("Recipe")


def recipe_as(kind: type[Recipe], document: object, path: Path) -> Recipe:
    """Return what a YAML document says as a recipe of some type.

    Args:
        kind: a frozen, typed recipe.
        document: keys and values; None says nothing.
        path: named in errors.

    Raises:
        RecipeInvalid: a key or value is wrong.
    """
    try:
        return TypeAdapter(kind).validate_python(document or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecipeInvalid(path, f"{where}: {first['msg']}") from error


@runtime_checkable
class Shortens(Protocol):
    """A recipe whose stages are not all plain `LoopSettings`, so that it knows best."""

    def shortened(self, steps: int) -> Self:
        """Return it for a trial of so many steps at most."""
        ...


def shortened(recipe: Recipe, steps: int) -> Recipe:
    """Return a recipe for a trial: no stage of it takes more than so many steps."""
    if isinstance(recipe, Shortens):
        return recipe.shortened(steps)
    assert is_dataclass(recipe)
    stages = {
        name: replace(value, steps=min(value.steps, steps))
        for name, value in vars(recipe).items()
        if isinstance(value, LoopSettings)
    }
    cut: Recipe = replace(recipe, **stages)  # type: ignore[type-var]
    return cut
