"""How many circuits a recipe has bought so far, from what the pool tells: between two looks there may be hours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Bought:
    """Counts by job, whichever member answered it; of a resumed recipe it counts again what an earlier process bought.

    Without a pool the recipe's own totals are all there is.
    """

    def __init__(self) -> None:
        self._told = self._done = 0
        self._open: dict[int, tuple[int, int]] = {}
        """Jobs on their way: circuits, and how many of them are there."""

    @property
    def circuits(self) -> int:
        """So far."""
        return max(self._told, self._done + sum(there for _, there in self._open.values()))

    def take(self, kind: str, values: Mapping[str, Any]) -> None:
        """Take in an event by its name, of this recipe and its pool alone."""
        match kind:
            case "RecipeStarted":
                self._told = self._done = 0
                self._open.clear()
            case "CircuitsKnown":
                self._open[values["job"]] = values["circuits"], values["circuits"] - values["lacking"]
            case "JobEnded" if values["job"] in self._open:
                whole, there = self._open[values["job"]]
                self._open[values["job"]] = whole, min(whole, there + int(values.get("answered") or 0))
            case "CircuitsDone":
                whole, there = self._open.pop(values["job"], (0, 0))
                self._done += there

    def told(self, circuits: int) -> None:
        """Take in a total of the recipe."""
        self._told = max(self._told, circuits)
