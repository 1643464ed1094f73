"""The recipes by name."""

from __future__ import annotations

from q_store.errors import ConfigError, suggestion
from q_store.training.recipes import auto
from q_store.training.recipes.calibrate import Calibrate
from q_store.training.recipes.exact import Exact
from q_store.training.recipes.refine import Refine
from q_store.training.recipes.regress import Regress
from q_store.training.recipes.spsa import Spsa
from q_store.training.recipes.task import Recipe
from q_store.training.recipes.v34 import V34

AUTO = auto.NAME
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (Exact(), Calibrate(), Regress(), Spsa(), Refine(base=Calibrate()), V34())
}


def named(name: str) -> Recipe:
    """The recipe of this name, with its own options. Raises ConfigError."""
    if name not in RECIPES:
        msg = f"expected a known recipe, got {name!r}{suggestion(name, [*RECIPES, AUTO])}"
        raise ConfigError(msg)
    return RECIPES[name]
