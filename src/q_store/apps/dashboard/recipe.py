"""A recipe on the page: what it is, what it does, what it has bought of what it planned, and what its looks saw."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from q_store.apps.bought import Bought
from q_store.apps.dashboard.curve import Curve
from q_store.apps.history import EPOCHS, FINISH, Entry

HELD_OUT = "held_out"
RECENT = 60.0
"""Seconds over which the pace is taken."""
CHOSEN = ("asked", "reason", "expected", "expected_with", "price", "currency")
PLANNED = ("training", "validation", "test", "steps", "accuracy")


class Recipe:
    """Takes in events.

    Attributes:
        looks: x are circuits of training; `held_out` and `bought` are accuracies of such rows, `sure` is what counts of
            the bought ones.
        started: the event that began it; empty without a recipe.
    """

    def __init__(self) -> None:
        self.looks = Curve({"held_out": "last", "bought": "last", "sure": "last"})
        self.started: Mapping[str, Any] = {}
        self.shots = 0
        """As the recipe told them."""
        self._chosen: Mapping[str, Any] = {}
        self._last: Mapping[str, Any] = {}
        self._stage, self._ended, self._inner = "", "", False
        self._bought = Bought()
        self._pace: deque[tuple[float, int]] = deque(maxlen=512)
        self._seconds, self._begun, self._seen = 0.0, -1.0, 0.0
        """Of earlier processes; when this one began, -1 while none is at work; time of the last event."""

    @property
    def circuits(self) -> int:
        """Bought so far."""
        return self._bought.circuits

    def take(self, entry: Entry) -> None:
        """Take in the next event."""
        values = entry.values
        self._bought.take(entry.kind, values)
        self._clock(entry)
        match entry.kind:
            case "RecipeChosen":
                self._chosen = values
            case "RecipeStarted":
                self.started, self._stage, self._ended, self.shots, self._last = values, "", "", 0, {}
                self.looks.drop_after(-1)
                self._pace.clear()
            case "StageStarted":
                self._inner = values["stage"] in {EPOCHS, FINISH}
                self._stage = self._stage if self._inner else str(values["stage"])
            case "Looked":
                self._told(values)
                self._look(values)
            case "RunFinished":
                self._told(values)
                self._stage, self._ended = "", str(values["reason"])
            case "StepDone" if not self._inner:
                self._told(values)
        if self.started:
            self._count(entry.time)

    def _clock(self, entry: Entry) -> None:
        """Processes that were killed count until their last event."""
        if entry.kind == "RunFinished":
            self._seen = entry.time
        if entry.kind in {"ProcessStarted", "RecipeStarted", "RunFinished"} and self._begun >= 0:
            self._seconds += self._seen - self._begun
            self._begun = -1.0
        if entry.kind == "RecipeStarted":
            self._begun = entry.time
        self._seen = entry.time

    def _told(self, values: Mapping[str, Any]) -> None:
        self._bought.told(int(values["circuits"]))
        self.shots = int(values["shots"])

    def _look(self, values: Mapping[str, Any]) -> None:
        self._last = values
        held_out = values["on"] == HELD_OUT
        share, sure = values["accuracy"], values["sure"]
        self.looks.add(values["circuits"], [share, None, None] if held_out else [None, share, sure])

    def _count(self, at: float) -> None:
        while self._pace and at - self._pace[0][0] > RECENT:
            self._pace.popleft()
        if not self._pace or self._pace[-1][1] != self.circuits:
            self._pace.append((at, self.circuits))

    def _rate(self) -> float | None:
        """Circuits a second."""
        if len(self._pace) < 2:
            return None
        (began, first), (ended, last) = self._pace[0], self._pace[-1]
        return (last - first) / (ended - began) if ended > began else None

    def section(self) -> dict[str, Any]:
        """As JSON; empty without a recipe."""
        if not self.started:
            return {}
        return {
            "name": self.started["recipe"],
            "stage": self._stage,
            "ended": self._ended,
            "seconds": self._seconds + (self._seen - self._begun if self._begun >= 0 else 0.0),
            "bought": self.circuits,
            "pace": self._rate(),
            "look": {name: self._last.get(name) for name in ("accuracy", "rows", "on", "sure")} if self._last else None,
            **{name: self._chosen.get(name) for name in CHOSEN},
            **{name: self.started.get(name) for name in PLANNED},
        }
