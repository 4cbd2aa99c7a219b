"""Promises of recipes."""

from pathlib import Path

import pytest

from styleflow.errors import RecipeInvalid
from styleflow.training.caddm.recipe import CaddmRecipe
from styleflow.training.methods import read_recipe
from styleflow.training.recipe import shortened
from styleflow.training.styleflow_live.recipe import StyleFlowLiveRecipe

SHIPPED = Path(__file__).parents[4] / "configs" / "train" / "styleflow-live.yaml"


def _written(folder, text):
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_an_empty_file_is_the_defaults(tmp_path):
    assert read_recipe(_written(tmp_path, "")) == StyleFlowLiveRecipe()


def test_values_are_typed(tmp_path):
    recipe = read_recipe(
        _written(tmp_path, "left_out: [a, b]\nheads: [{statistics: [eyes]}]\nflow: {steps: 7}")
    )
    assert recipe.left_out == ("a", "b")
    assert recipe.heads[0].statistics == ("eyes",)
    assert recipe.flow.steps == 7


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("colour: red", "colour"),
        ("seed: many", "seed"),
        ("flow: {steps: x}", "flow.steps"),
        ("heads: []", "heads"),
        ("prior: 1", "prior"),
        ("dimensions: {published: false}", "published"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, named):
    with pytest.raises(RecipeInvalid, match=named):
        read_recipe(_written(tmp_path, text))


def test_a_missing_file_is_our_error(tmp_path):
    with pytest.raises(RecipeInvalid):
        read_recipe(tmp_path / "none.yaml")


def test_the_shipped_recipe_can_be_read():
    recipe = read_recipe(SHIPPED)
    assert recipe.dimensions.published
    assert recipe.left_out


def test_a_trial_cuts_every_stage_and_nothing_else():
    recipe = read_recipe(SHIPPED)
    trial = shortened(recipe, 20)
    assert trial.flow.steps == 20
    assert trial.flow.learning_rate == recipe.flow.learning_rate
    assert trial.flow_batches == recipe.flow_batches
    assert shortened(recipe, 10_000) == recipe  # shorter already


@pytest.mark.parametrize(("epochs", "epoch_steps", "steps"), [(200, 0, 7), (3, 4, 7), (3, 2, 6)])
def test_a_trial_of_epochs_is_one_short_one(epochs, epoch_steps, steps):
    """CADDM counts in epochs; they are cut like any stage's steps."""
    trial = shortened(CaddmRecipe(epochs=epochs, epoch_steps=epoch_steps), 7)
    settings = trial.settings(10_000, validates=True)
    assert settings.steps == settings.validate_every == steps
