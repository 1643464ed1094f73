"""Which options of `q-store train` go with which recipe: one that would change nothing is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from q_store.errors import ConfigError, suggestion

_BUYING = ("auto", "calibrate", "regress", "spsa", "refine", "v34")
_HERE = ("auto", "exact", "calibrate", "refine")
ACTS: dict[str, tuple[str, ...]] = {
    "circuits": _BUYING,
    "accuracy": _BUYING,
    "epochs": _HERE,
    "finish": _HERE,
    "batch_size": _HERE,
    **dict.fromkeys(
        (
            "shot_schedule",
            "min_shots",
            "max_shots",
            "depth_schedule",
            "min_depth",
            "max_depth",
            "prune",
            "optimise",
            "settings",
        ),
        (),
    ),
}
"""Recipes that an option acts on; one that is not here acts on all of them."""
RECIPES = tuple(sorted({*_BUYING, *_HERE}))


def check(recipe: str | None, options: Mapping[str, Any]) -> None:
    """Raise ConfigError for a recipe that is not known, and for an option that would change nothing with it."""
    if recipe is None:
        for name in ("circuits", "accuracy"):
            if options[name] is not None:
                raise ConfigError(
                    f"expected --{name} only with --recipe, got it without one; add --recipe auto, or leave it out"
                )
        return
    if recipe not in RECIPES:
        raise ConfigError(f"expected a known --recipe, got {recipe!r}{suggestion(recipe, RECIPES)}")
    for name, recipes in ACTS.items():
        if options.get(name) is not None and recipe not in recipes:
            option = f"--{name.replace('_', '-')}"
            where = f"a recipe that it acts on ({', '.join(recipes)})" if recipes else "no --recipe"
            raise ConfigError(f"expected {option} with {where}, got it with {recipe}; leave it out")
    accuracy = options["accuracy"]
    if accuracy is not None and not 0 < accuracy < 1:
        raise ConfigError(f"expected --accuracy as a share such as 0.7, got {accuracy:g}; 0.7 is 70 %")
