"""Every training method by name: the type of its recipe, and what follows it.

A recipe's file says its method first: `method: styleflow-live`. The table below is the only place
that knows all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from styleflow.data.index import REAL, Entry
from styleflow.data.partition import TRAINING
from styleflow.data.prepared import PrepareSettings
from styleflow.data.prepared_video import Video
from styleflow.errors import RecipeInvalid
from styleflow.training.caddm import train as caddm
from styleflow.training.caddm.recipe import CaddmRecipe
from styleflow.training.fakestormer import train as fakestormer
from styleflow.training.fakestormer.train import FakeStormerRecipe
from styleflow.training.progress import Tell
from styleflow.training.recipe import Recipe, recipe_as
from styleflow.training.styleflow import stage1 as style_gru
from styleflow.training.styleflow import stage2 as styleflow_stage2
from styleflow.training.styleflow.stage1 import StyleGruRecipe
from styleflow.training.styleflow.stage2 import StyleFlowRecipe
from styleflow.training.styleflow_live import train as styleflow_live
from styleflow.training.styleflow_live.recipe import StyleFlowLiveRecipe

Run = Callable[[Any, Sequence[Video], Sequence[Video], Path, Tell, str], Path]
"""Trains by a recipe on videos, validates on others, keeps everything in a folder from which an
interrupted run goes on, and returns the checkpoint that it wrote there. Last comes the device that
computes: cpu, cuda or cuda:N."""

Prepare = Callable[[Any, Sequence[Video], Sequence[Video], Path, Tell, tuple[int, int]], None]
"""Makes ahead by a recipe what training needs, or a share of it: which one, and of how many."""

DEFAULT = "styleflow-live"


def takes_all(entry: Entry) -> bool:
    """Take every entry of a data set."""
    return True


def takes_real(entry: Entry) -> bool:
    """Take real videos of the part that is trained on; people in it are held out by the recipe."""
    return entry.label == REAL and entry.split in TRAINING


def takes_training(entry: Entry) -> bool:
    """Take every video of the part that is trained on, real or fake."""
    return entry.split in TRAINING


@dataclass(frozen=True, slots=True)
class Method:
    """One way of training.

    Attributes:
        recipe: type of its recipes.
        run: follows one.
        takes: which entries of a data set it is trained or validated with.
        takes_stills: whether it is trained on the stills of the data set's `faces.csv`, too.
        prepare: makes ahead what several commands may share, beside the prepared videos; None where
            there is nothing of the kind.
        on_gpu: whether a GPU is of use to it.
    """

    recipe: type
    run: Run
    takes: Callable[[Entry], bool] = takes_all
    takes_stills: bool = False
    prepare: Prepare | None = None
    on_gpu: bool = True


METHODS: Mapping[str, Method] = {
    DEFAULT: Method(
        StyleFlowLiveRecipe,
        styleflow_live.run,
        takes_real,
        takes_stills=True,
        prepare=styleflow_live.make_windows,
        on_gpu=False,
    ),
    "stylegru": Method(StyleGruRecipe, style_gru.run),
    "styleflow": Method(StyleFlowRecipe, styleflow_stage2.run),
    "caddm": Method(CaddmRecipe, caddm.run),
    "fakestormer": Method(FakeStormerRecipe, fakestormer.run),
}


def read_recipe(path: Path, methods: Mapping[str, Method] = METHODS) -> Any:
    """Return the recipe of a YAML file, of the type that its method has.

    Args:
        path: the file; without a key `method` it is a recipe of styleflow-live.
        methods: those that a recipe may name.

    Raises:
        RecipeInvalid: there is no such file, it is no YAML, or a key or value is wrong.
    """
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeInvalid(path, str(error)) from error
    if not isinstance(document, dict):
        raise RecipeInvalid(path, "expected keys and values, such as `method: styleflow-live`")
    name = document.pop("method", DEFAULT)
    if name not in methods:
        close = get_close_matches(str(name), methods, n=1)
        meant = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(methods)}"
        raise RecipeInvalid(path, f"method: there is no {name!r}; {meant}")
    return recipe_as(methods[name].recipe, document, path)


def method_of(recipe: object, methods: Mapping[str, Method] = METHODS) -> Method:
    """Return the method that a recipe belongs to.

    Raises:
        KeyError: the recipe is of a type that no method has.
    """
    return {method.recipe: method for method in methods.values()}[type(recipe)]


def takes_of(recipe: object) -> Callable[[Entry], bool]:
    """Return which entries of a data set a recipe is followed with.

    A teacher is asked about fake videos too, so its recipe takes all that are trained on.
    """
    if getattr(recipe, "teacher", None) is not None:
        return takes_training
    return method_of(recipe).takes


def taught_by(recipe: Any, teacher: str, path: Path) -> Any:
    """Return a recipe with a teacher.

    Args:
        recipe: any.
        teacher: a published detector that judges every frame alone.
        path: the recipe's file, for errors.

    Raises:
        RecipeInvalid: this method has no teacher, or this detector cannot teach.
    """
    if not hasattr(recipe, "teacher"):
        raise RecipeInvalid(path, "its method learns from labels alone; leave out --teacher")
    try:
        return replace(recipe, teacher=teacher)
    except ValueError as error:
        raise RecipeInvalid(path, str(error)) from error


def prepare_settings(recipe: object) -> PrepareSettings:
    """Return what a recipe wants kept of every video: its field `prepare`, or the defaults."""
    wanted = getattr(recipe, "prepare", None)
    return wanted if isinstance(wanted, PrepareSettings) else PrepareSettings()


def versioned(recipe: Recipe, version: str | None) -> Recipe:
    """Return a recipe whose checkpoint calls itself so, if its method lets it and it is said."""
    if version is None or not hasattr(recipe, "version"):
        return recipe
    named: Recipe = replace(recipe, version=version)  # type: ignore[type-var]
    return named


def held_out(recipe: object) -> tuple[str, ...]:
    """Return the groups that a recipe never trains on: its field `held_out`, or none."""
    return tuple(getattr(recipe, "held_out", ()))
