"""From events to points of curves: the names of the curves, and where on them each value lies."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from q_store.events import (
    EpochDone,
    Event,
    JobEnded,
    Looked,
    RecipeStarted,
    RunFinished,
    RunMeasured,
    RunStarted,
    StageStarted,
    StepDone,
)
from q_store.events.wording import decision

EPOCHS, FINISH = "epochs", "finish"
TOTALS = ("circuits", "shots")
"""Running totals of steps and epochs, curves of their own."""
_PLACES = frozenset({"step", "epoch", "stage", "seconds", *TOTALS})


@dataclass(frozen=True, slots=True)
class Point:
    """What is to be written of an event.

    Attributes:
        step: where: of `step/`, `total/` and `final/` the number of the step, those of later stages counted on; of
            `epoch/` the epoch, the finish as one more; of `look/` circuits bought until then.
        values: by the name of their curve. text: of a decision, empty for none.
        again: that what lies at this step and behind it comes again.
    """

    step: int
    values: Mapping[str, float] = field(default_factory=dict)
    text: str = ""
    again: bool = False


class Series:
    """Takes events in order; knows where the run stands."""

    def __init__(self) -> None:
        self._x = self._top = self._offset = self._epoch = 0
        self._stage = EPOCHS
        self._own: dict[str, int] = {}
        """Where the steps of each stage of a recipe begin."""
        self._costs: dict[str, float] = {}
        self._paid = 0
        self._takers: dict[type, Callable[[Any], Point | None]] = {
            RunStarted: self._run_started,
            RecipeStarted: self._recipe_started,
            StageStarted: self._stage_started,
            StepDone: self._step_done,
            EpochDone: self._epoch_done,
            Looked: self._looked,
            JobEnded: self._job_ended,
            RunFinished: lambda event: Point(self._x, _totals(event)),
            RunMeasured: lambda event: Point(self._x, _named("final", event.figures)),
        }

    def take(self, event: Event) -> Point | None:
        """What is to be written of the event; None for nothing."""
        taker = self._takers.get(type(event))
        point = None if taker is None else taker(event)
        text = decision(type(event).__name__, _fields(event))
        return replace(point or Point(self._x), text=text) if text else point

    def _run_started(self, event: RunStarted) -> Point | None:
        self._stage, self._x, self._offset = EPOCHS, event.first_step, 0
        self._epoch = event.first_step * event.epochs // max(1, event.steps)
        return self._again() if event.first_step < event.steps else None

    def _recipe_started(self, _event: RecipeStarted) -> Point | None:
        if self._own or not self._top:  # all of its own steps come again, those of a training on this machine do not
            self._x = min(self._own.values(), default=0)
            point = self._again()
        else:
            point = None
        self._own.clear()
        self._x = self._offset = self._epoch = 0
        return point

    def _stage_started(self, event: StageStarted) -> Point | None:
        self._stage = event.stage
        if event.stage != FINISH:
            return None
        self._offset = self._x
        return self._again() if self._top > self._x else None  # which always begins anew

    def _again(self) -> Point:
        self._top = self._x
        return Point(self._x + 1, again=True)

    def _step_done(self, event: StepDone) -> Point:
        begin = self._offset
        if self._stage not in {EPOCHS, FINISH}:  # of a recipe: counted on when it comes back
            begin = self._own.setdefault(self._stage, self._top)
        self._x = begin + event.step
        self._top = max(self._top, self._x)
        values = {name: value for name, value in _fields(event).items() if name not in _PLACES}
        return Point(self._x, {**_named("step", values), **_totals(event)})

    def _epoch_done(self, event: EpochDone) -> Point:
        self._epoch = event.epoch if event.epoch > self._epoch else self._epoch + 1
        values = {name: value for name, value in _fields(event).items() if name not in _PLACES}
        return Point(self._epoch, _named("epoch", values))

    @staticmethod
    def _looked(event: Looked) -> Point:
        return Point(event.circuits, {f"look/{event.on}_accuracy": event.accuracy, "look/cost": event.cost})

    def _job_ended(self, event: JobEnded) -> Point | None:
        if not (event.cost or event.shots_paid):
            return None
        self._paid += event.shots_paid
        values = {"total/shots_paid": float(self._paid)}
        if event.cost:
            self._costs[event.currency] = math.fsum((self._costs.get(event.currency, 0.0), event.cost))
            values[f"total/cost_{event.currency}"] = self._costs[event.currency]
        return Point(self._x, values)


def _fields(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in type(event).__dataclass_fields__}


def _named(group: str, values: Mapping[str, Any]) -> dict[str, float]:
    return {
        f"{group}/{name}": float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _totals(event: Any) -> dict[str, float]:
    return _named("total", {name: getattr(event, name) for name in TOTALS})
