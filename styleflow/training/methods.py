"""Every training method by name: the type of its recipe, and what follows it.

A recipe's file says its method first: `method: styleflow-live`. The table below is the only place
that knows all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from styleflow.data.prepared import PrepareSettings
from styleflow.data.prepared_video import Video
from styleflow.errors import RecipeInvalid
from styleflow.training.caddm import train as caddm
from styleflow.training.caddm.recipe import CaddmRecipe
from styleflow.training.fakestormer import train as fakestormer
from styleflow.training.fakestormer.train import FakeStormerRecipe
from styleflow.training.recipe import StyleFlowLiveRecipe, recipe_as
from styleflow.training.styleflow import stage1 as style_gru
from styleflow.training.styleflow import stage2 as styleflow_stage2
from styleflow.training.styleflow.stage1 import StyleGruRecipe
from styleflow.training.styleflow.stage2 import StyleFlowRecipe

Tell = Callable[[str], None]
"""Told in a few words what is being done."""

Run = Callable[[Any, Sequence[Video], Sequence[Video], Path, Tell, str], Path]
"""Trains by a recipe on videos, validates on others, keeps everything in a folder from which an
interrupted run goes on, and returns the checkpoint that it wrote there. Last comes the device that
computes: cpu, cuda or cuda:N."""

DEFAULT = "styleflow-live"


@dataclass(frozen=True, slots=True)
class Method:
    """One way of training.

    Attributes:
        recipe: type of its recipes.
        run: follows one; None where training begins from a folder of clips and stills instead of
            prepared videos (`pipeline.Workshop`).
    """

    recipe: type
    run: Run | None


METHODS: Mapping[str, Method] = {
    DEFAULT: Method(StyleFlowLiveRecipe, None),
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


def prepare_settings(recipe: object) -> PrepareSettings:
    """Return what a recipe wants kept of every video: its field `prepare`, or the defaults."""
    wanted = getattr(recipe, "prepare", None)
    return wanted if isinstance(wanted, PrepareSettings) else PrepareSettings()


def held_out(recipe: object) -> tuple[str, ...]:
    """Return the groups that a recipe never trains on: its field `held_out`, or none."""
    return tuple(getattr(recipe, "held_out", ()))
