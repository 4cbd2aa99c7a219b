"""Recipes: everything that decides what a training run does, frozen and typed.

A recipe is read from a YAML file in `configs/train/`; a key that does not exist is an error that
names it. Together with the data and the machine's arithmetic it decides every weight. Which
recipes there are, and how each is followed, stands in `methods.py`.
"""

from __future__ import annotations

from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Protocol, Self, TypeVar, runtime_checkable

from pydantic import TypeAdapter, ValidationError

from styleflow.errors import RecipeInvalid
from styleflow.training.loop import LoopSettings

Recipe = TypeVar("Recipe")
"""Any frozen, typed recipe."""


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
