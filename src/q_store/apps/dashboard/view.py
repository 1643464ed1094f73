"""What the page shows of a run, from its events one by one; its size does not grow with them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from q_store.apps.dashboard.crew import Crew
from q_store.apps.dashboard.curve import Curve
from q_store.apps.dashboard.recipe import Recipe
from q_store.apps.dashboard.spend import Spend
from q_store.apps.dashboard.split import Split
from q_store.apps.history import EPOCHS, FINISH, Entry
from q_store.events.wording import decision, plain

RECENT = 30.0
"""Seconds over which the pace is taken."""
KEPT = 200
"""Decisions that are shown."""


class View:
    """What is known after the events so far.

    Attributes:
        steps: x is the number of the step; evaluations of the finish are counted on. epochs: x is the last step.
        crew: the backends. recipe: the one that runs, if there is one.
        number: of the last event. time: of it, seconds since 1970.
    """

    def __init__(self) -> None:
        self.steps = Curve(
            {
                "loss": "mean", "gradient_norm": "mean", "gradient_error": "mean", "learning_rate": "last",
                "depth": "last", "shots": "last",
            }
        )  # fmt: skip
        self.epochs = Curve(
            {
                "train_loss": "mean", "validation_loss": "mean", "train_accuracy": "mean",
                "validation_accuracy": "mean", "trained_accuracy": "mean",
            }
        )  # fmt: skip
        self.crew, self._split, self._spend, self.recipe = Crew(), Split(), Spend(), Recipe()
        self.number, self.time = 0, 0.0
        self.status, self.reason = "", ""
        self._plan: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._epoch: dict[str, Any] = {}
        self._stage, self._step, self._x, self._offset = EPOCHS, 0, 0, 0
        self._own: dict[str, int] = {}
        """Where the steps of each stage of a recipe begin."""
        self._pace: deque[tuple[float, int]] = deque(maxlen=512)
        self._decisions: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._decided = 0
        self._takers: dict[str, Callable[[Entry], None]] = {
            "RunStarted": self._run_started,
            "RecipeStarted": self._recipe_started,
            "StageStarted": self._stage_started,
            "StepDone": self._step_done,
            "EpochDone": self._epoch_done,
            "RunFinished": self._run_finished,
            "ProcessStarted": self._process_started,
            "ProcessEnded": self._process_ended,
            "RunHeld": self._held,
            "RunReleased": self._released,
            "RunStopped": self._stopped,
            "PoolPaused": self._starved,
            "PoolResumed": self._fed,
        }

    def take(self, entry: Entry) -> None:
        """Take in the next event."""
        self.number, self.time = entry.number, entry.time
        taker = self._takers.get(entry.kind)
        if taker is not None:
            taker(entry)
        self.crew.take(entry)
        self._split.take(entry)
        self._spend.take(entry)
        self.recipe.take(entry)
        text = decision(entry.kind, entry.values)
        if text:
            self._decided += 1
            self._decisions.append({"number": entry.number, "time": entry.time, "text": text})

    @property
    def last(self) -> Mapping[str, Any]:
        """The last step; empty before it."""
        return self._last

    def sections(self) -> dict[str, Any]:
        """Everything but the curves, as JSON."""
        return {
            "progress": {**self._progress(), "status": self.status, "reason": self.reason},
            "recipe": self.recipe.section(),
            **self.crew.sections(),
            "spend": self._spend.section(),
            "split": self._split.section(),
            "decisions": {"all": self._decided, "last": list(self._decisions)},
        }

    def _progress(self) -> dict[str, Any]:
        recipe = self.recipe.started
        plan, spent = recipe or self._plan, self.recipe if recipe else None
        return {
            "step": self._step,
            "stage": self._stage,
            "steps": self._plan.get("steps"),
            "epochs": self._plan.get("epochs"),
            "rows": plan.get("rows"),
            "validation_rows": plan.get("validation_rows"),
            "parameters": plan and plan["circuit_parameters"] + plan["readout_parameters"],
            "epoch": self._last.get("epoch") or self._epoch.get("epoch"),
            "circuits": spent.circuits if spent else self._last.get("circuits"),
            "shots": spent.shots if spent else self._last.get("shots"),
            "pace": self._rate(),
            "time": self.time,
            **{name: self._epoch.get(name) for name in ("seconds", *self.epochs.names)},
        }

    def _rate(self) -> float | None:
        """Steps a second."""
        if len(self._pace) < 2:
            return None
        (began, first), (ended, last) = self._pace[0], self._pace[-1]
        return (last - first) / (ended - began) if ended > began else None

    def _run_started(self, entry: Entry) -> None:
        self._plan = dict(entry.values)
        first = int(entry.values.get("first_step", 0))
        if first < self._plan["steps"]:  # else all of them are done, and perhaps the finish, which begins by itself
            self._drop_after(first)
        self._stage, self._step, self._x, self._offset = EPOCHS, first, first, 0
        self._pace.clear()
        self.status = "running"

    def _recipe_started(self, _entry: Entry) -> None:
        if self._own:  # all of its own steps come again, those of a training on this machine do not
            self._drop_after(min(self._own.values()))
        self._own.clear()
        self._step = self._x = self._offset = 0
        self.status = "running"

    def _stage_started(self, entry: Entry) -> None:
        self._stage = str(entry.values["stage"])
        if self._stage == FINISH:
            self._drop_after(self._x)
            self._step, self._offset = 0, self._x
        self._pace.clear()

    def _drop_after(self, x: int) -> None:
        for curve in (self.steps, self.epochs):
            curve.drop_after(x)

    def _begin_of(self, stage: str) -> int:
        """Behind which x the steps of a stage lie; those of a recipe lie behind all that is there."""
        if stage in {EPOCHS, FINISH}:
            return self._offset
        behind = max(self._x, int(self.steps.rows[-1][0] or 0)) if self.steps.rows else self._x
        return self._own.setdefault(stage, behind)

    def _step_done(self, entry: Entry) -> None:
        values = entry.values
        self._last = dict(values)
        self._step = int(values["step"])
        self._x = self._begin_of(self._stage) + self._step
        while self._pace and entry.time - self._pace[0][0] > RECENT:
            self._pace.popleft()
        self._pace.append((entry.time, self._x))
        names = ("loss", "gradient_norm", "gradient_error", "learning_rate", "depth", "shots_each")
        if self._stage == FINISH:  # which has none
            values = {**values, "learning_rate": None}
        self.steps.add(self._x, [values.get(name) for name in names])

    def _epoch_done(self, entry: Entry) -> None:
        self._epoch = dict(entry.values)
        x = max(self._x, 1)
        if self.epochs.rows and (self.epochs.rows[-1][0] or 0) >= x:  # a training that tells no steps
            x = int(self.epochs.rows[-1][0] or 0) + 1
        self.epochs.add(x, [entry.values.get(name) for name in self.epochs.names])

    def _process_started(self, _entry: Entry) -> None:
        self.status, self.reason = "running", ""

    def _process_ended(self, entry: Entry) -> None:
        self.status, self.reason = str(entry.values["status"]), str(entry.values.get("reason", ""))

    def _run_finished(self, entry: Entry) -> None:
        self._last = {**self._last, **{name: entry.values[name] for name in ("circuits", "shots")}}
        self._epoch = {**self._epoch, "seconds": entry.values["seconds"]}
        self.status = "measuring"

    def _held(self, _entry: Entry) -> None:
        self.status = "held"
        self._pace.clear()

    def _starved(self, entry: Entry) -> None:
        self.status, self.reason = "paused", plain(entry.values["reason"])
        self._pace.clear()

    def _fed(self, _entry: Entry) -> None:
        self.status, self.reason = "running", ""

    def _released(self, _entry: Entry) -> None:
        self.status = "running"

    def _stopped(self, _entry: Entry) -> None:
        self.status = "stopping"
