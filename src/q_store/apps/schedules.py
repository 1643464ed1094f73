"""The options of `q-store train` for adaptive training: which there are, and what they ask of each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from q_store.errors import ConfigError, suggestion

KNOWN = {
    "shot_schedule": ("constant", "phase", "variance"),
    "depth_schedule": ("fixed", "linear", "exponential", "step", "grow"),
}
COUNTS = {"min_shots": (1, 1_000_000), "max_shots": (1, 1_000_000), "min_depth": (0, 10_000), "max_depth": (1, 10_000)}
OPTIONS = (*KNOWN, *COUNTS, "prune", "optimise")
"""Names, as in `TrainingSettings`."""


def check(options: Mapping[str, Any]) -> None:
    """Raise ConfigError for a schedule that is not known, or a fidelity out of range."""
    given = [name for name in OPTIONS if options.get(name) is not None]
    for name, known in KNOWN.items():
        if name in given and options[name] not in known:
            option = name.replace("_", "-")
            raise ConfigError(f"expected a known --{option}, got {options[name]!r}{suggestion(options[name], known)}")
    if "prune" in given and not 0 < options["prune"] <= 1:
        raise ConfigError(f"expected --prune as a fidelity above 0 and at most 1, got {options['prune']:g}; try 0.99")


def chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were given, for `TrainingSettings`."""
    return {name: options[name] for name in OPTIONS if options.get(name) is not None}
