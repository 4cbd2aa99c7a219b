"""Every training method by name: the type of its recipe, and what follows it.

A recipe's file says its method first: `method: styleflow-live`. The table below is the only place
that knows all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

import yaml

from styleflow.data.index import Entry, Refusal
from styleflow.data.prepared import MakeFinder, PrepareSettings, prepare_entries
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
from styleflow.training.styleflow_live.autoencoder import DECODER, ENCODER
from styleflow.training.styleflow_live.recipe import StyleFlowLiveRecipe

Run = Callable[[Any, Sequence[Any], Sequence[Any], Path, Tell, str], Path]
"""Trains by a recipe on videos as its `Read` made them, validates on others, keeps everything in a
folder from which an interrupted run goes on, and returns the checkpoint that it wrote there. Last
comes the device that computes: cpu, cuda or cuda:N."""


class ReadVideo(Protocol):
    """One video of a data set as a method reads it."""

    @property
    def entry(self) -> Entry:
        """Its label, group, kind and pair."""
        ...


Read = Callable[
    [Any, Sequence[Entry], Path, MakeFinder, int, Callable[[int, int], None] | None],
    tuple[Sequence[ReadVideo], Sequence[Refusal]],
]
"""Reads videos by a recipe, each once, into a folder that keeps them: with what finds faces, so
many processes, and whoever is told how many are done, and of how many. Returns what was read, and
why other videos were not."""

DEFAULT = "styleflow-live"


def read_prepared(
    recipe: Any,
    entries: Sequence[Entry],
    work: Path,
    make_finder: MakeFinder,
    processes: int,
    observe: Callable[[int, int], None] | None,
) -> tuple[Sequence[ReadVideo], Sequence[Refusal]]:
    """Return videos prepared as a recipe wants them; see `Read` and `prepare_entries`."""
    settings, store = prepare_settings(recipe), work / "videos"
    made = prepare_entries(entries, settings, store, make_finder, processes, observe)
    return made.videos, made.refusals


@dataclass(frozen=True, slots=True)
class Method:
    """One way of training.

    Attributes:
        recipe: type of its recipes.
        run: follows one.
        read: reads them.
        on_gpu: whether a GPU is of use to it.
    """

    recipe: type
    run: Run
    read: Read = read_prepared
    on_gpu: bool = True


METHODS: Mapping[str, Method] = {
    DEFAULT: Method(
        StyleFlowLiveRecipe, styleflow_live.run, read=styleflow_live.read, on_gpu=False
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


def with_autoencoder(recipe: Any, folder: Path, path: Path) -> Any:
    """Return a recipe with an auto-encoder, whose round trips it learns from.

    Args:
        recipe: any.
        folder: has the auto-encoder's weights.
        path: the recipe's file, for errors.

    Raises:
        RecipeInvalid: this method has no use for one, or the folder has none.
    """
    if not hasattr(recipe, "autoencoder"):
        raise RecipeInvalid(path, "its method makes no round trips; leave out --autoencoder")
    for name in (ENCODER, DECODER):
        if not (folder / name).is_file():
            raise RecipeInvalid(path, f"--autoencoder: there is no {folder / name}")
    return replace(recipe, autoencoder=folder)


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
