"""Recipes: ways to a trained model that differ in what they buy; generators without I/O.

`RECIPES` are they by name; `drive_sites` runs one against an exact simulation here and a pool.
"""

from q_store.training.recipes.auto import Choice, choose, chosen
from q_store.training.recipes.calibrate import Calibrate
from q_store.training.recipes.drive import Sites, drive_sites, drive_sites_async
from q_store.training.recipes.exact import Exact
from q_store.training.recipes.expected import Expectation, expected
from q_store.training.recipes.refine import Refine
from q_store.training.recipes.regress import Regress
from q_store.training.recipes.spsa import Spsa
from q_store.training.recipes.table import AUTO, RECIPES, named
from q_store.training.recipes.task import Point, Recipe, RecipeResult, Spent, Task, reached
from q_store.training.recipes.v34 import V34

__all__ = [
    "AUTO",
    "RECIPES",
    "V34",
    "Calibrate",
    "Choice",
    "Exact",
    "Expectation",
    "Point",
    "Recipe",
    "RecipeResult",
    "Refine",
    "Regress",
    "Sites",
    "Spent",
    "Spsa",
    "Task",
    "choose",
    "chosen",
    "drive_sites",
    "drive_sites_async",
    "expected",
    "named",
    "reached",
]
