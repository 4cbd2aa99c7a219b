"""A recipe's file names its method, and the method decides what the file may say."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass

from styleflow.data.prepared import PrepareSettings
from styleflow.errors import RecipeInvalid
from styleflow.training.methods import (
    METHODS,
    Method,
    held_out,
    method_of,
    prepare_settings,
    read_recipe,
    versioned,
)
from styleflow.training.styleflow_live.recipe import StyleFlowLiveRecipe

RECIPES = Path(__file__).parents[4] / "configs" / "train"


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class _OtherRecipe:
    depth: int = 3
    held_out: tuple[str, ...] = ()
    prepare: PrepareSettings = field(default_factory=PrepareSettings)


def _run(recipe, training, validation, work, tell, device):
    return work / "other.safetensors"


TABLE = {**METHODS, "other": Method(_OtherRecipe, _run)}


def _written(folder, text):
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_the_method_decides_the_type(tmp_path):
    recipe = read_recipe(_written(tmp_path, "method: other\ndepth: 5\nprepare: {frames: 9}"), TABLE)
    assert isinstance(recipe, _OtherRecipe)
    assert recipe.depth == 5
    assert method_of(recipe, TABLE).run is _run
    assert prepare_settings(recipe) == PrepareSettings(frames=9)


def test_without_a_method_it_is_the_defaults(tmp_path):
    recipe = read_recipe(_written(tmp_path, "seed: 4"))
    assert isinstance(recipe, StyleFlowLiveRecipe)
    assert method_of(recipe) is METHODS["styleflow-live"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("method: othr", "did you mean 'other'"),
        ("method: 7", "known: styleflow-live, .*other"),
        ("[1, 2]", "expected keys and values"),
        ("method: other\nseed: 3", "seed"),
        ("a: [", "recipe"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, said):
    with pytest.raises(RecipeInvalid, match=said):
        read_recipe(_written(tmp_path, text), TABLE)


def test_a_checkpoint_is_called_what_the_command_says(tmp_path):
    recipe = read_recipe(_written(tmp_path, "version: mine"))
    assert versioned(recipe, None).version == "mine"
    assert versioned(recipe, "yours").version == "yours"
    assert versioned(_OtherRecipe(), "yours") == _OtherRecipe()


def test_recipes_may_hold_nobody_out():
    @dataclass
    class Plain:
        seed: int = 0

    assert held_out(Plain()) == ()
    assert held_out(_OtherRecipe(held_out=("anna",))) == ("anna",)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_can_be_read(path):
    recipe = read_recipe(path)
    assert method_of(recipe) in METHODS.values()
