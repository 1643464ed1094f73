"""A run cut into windows, one behind the other: steps, stages of a recipe, and what is between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from q_store.ledger.parts import AFTER, BEFORE, Told

EPOCHS, FINISH, STEPPING = "epochs", "finish", "training"
"""Stages whose steps have names of their own: those of a training, and of a recipe that is all steps."""


class Window(NamedTuple):
    """A step, several quick ones, or what is between them; `stage` of a recipe, empty for other trainings."""

    name: str
    begin: float
    end: float
    steps: int = 0
    stage: str = ""


def windows_of(told: Sequence[Told]) -> list[Window]:
    """The windows, processes apart."""
    cuts = _Cuts()
    for each in told:
        cuts.take(each)
    cuts.cut(AFTER)
    return cuts.windows


class _Cuts:
    """Takes in events in order, and cuts where something ends."""

    def __init__(self) -> None:
        self.windows: list[Window] = []
        self._begin: float | None = None
        self._last = 0.0
        self._recipe, self._stage = "", EPOCHS
        self._numbers: dict[str, int] = {}
        """Last step of each stage."""

    def cut(self, name: str, steps: int = 0) -> None:
        """What was since the last cut is so many steps, or of a stage, or else of this name."""
        if self._begin is not None and (steps or self._last > self._begin):
            own = name if steps else self._recipe or name
            self.windows.append(Window(own, self._begin, self._last, steps, self._recipe))
        self._begin = self._last

    def take(self, each: Told) -> None:
        if self._begin is None or each.kind == "ProcessStarted":
            self.cut(AFTER)
            self._recipe = ""
            self._begin = self._last = each.time
        self._last = max(each.time, self._last)
        match each.kind:
            case "RunStarted":
                self.cut(BEFORE)
                self._stage = EPOCHS
                self._numbers = {EPOCHS: int(each.values.get("first_step", 0))}
            case "RecipeStarted":
                self.cut(BEFORE)
                self._numbers = {}
            case "StageStarted":
                self._enter(str(each.values["stage"]))
            case "StepDone":
                self._step(int(each.values["step"]))
            case "RunFinished" if self._recipe:
                self.cut(AFTER)
                self._recipe = ""

    def _enter(self, stage: str) -> None:
        if stage not in {EPOCHS, FINISH}:
            self.cut(BEFORE)
            self._recipe = stage
        elif stage == FINISH:
            self._numbers[FINISH] = 0
        self._stage = stage

    def _step(self, step: int) -> None:
        name = f"{step}" if self._stage in {EPOCHS, STEPPING} else f"{self._stage} {step}"
        self.cut(name, max(1, step - self._numbers.get(self._stage, 0)))
        self._numbers[self._stage] = step
