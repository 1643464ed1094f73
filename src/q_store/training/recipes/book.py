"""Keeps the accounts of a recipe: every job that goes to the pool passes here, and is counted by its purpose.

It also tells what happens, see `q_store.events.recipes`.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from q_store.circuits.shifts import shift_rules
from q_store.events import Announcer, Event, Looked, RecipeStarted, RunFinished, StageStarted, StepDone
from q_store.gradients.estimator import answered
from q_store.jobs import Job, Outcome, Output, Steps, T
from q_store.training.objective import Objective
from q_store.training.plan import norm_error
from q_store.training.recipes.task import (
    LOCAL,
    POOL,
    TEST,
    TRAINING,
    VALIDATION,
    Array,
    Point,
    Reals,
    Recipe,
    Spent,
    Task,
    reached,
)
from q_store.training.rows import Rows

SEEDS = {TRAINING: 31, VALIDATION: 32, TEST: 33}
LOCALLY, STEPPING, REFINING = "local training", "training", "refining"
BUYING, FITTING, LOOKING, MEASURING = "buying", "fitting", "looking", "measuring"
"""Stages."""
HELD_OUT, BOUGHT = "held_out", "bought"
"""Rows of a look."""


class Book:
    """Of one run of a recipe.

    Attributes:
        spent: so far. curve: looks so far.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.spent = Spent()
        self.curve: list[Point] = []
        self._stage = ""
        self._began = time.perf_counter()

    @property
    def reached(self) -> int | None:
        """See `task.reached`."""
        return reached(self.curve, self.task.accuracy)

    def note(self, accuracy: float, bought: int | None = None) -> None:
        """A look at the model as it is now: on so many bought rows, or on held-out ones."""
        self.curve.append(self.seen(accuracy, bought))

    def seen(self, accuracy: float, bought: int | None = None) -> Point:
        """The same for those who watch alone: it decides nothing."""
        spent = self.spent.training, self.spent.shots, self.spent.cost
        point = Point(*spent, accuracy, bought)
        rows, where = (self.task.held_out.count, HELD_OUT) if bought is None else (bought, BOUGHT)
        self.task.tell(Looked(*spent, accuracy, rows, where, point.sure))
        return point

    def open(self, recipe: Recipe, objective: Objective, steps: int = 0) -> None:
        """Tell what is planned."""
        task, theta = self.task, objective.circuit.n_params
        rows = task.train.count, task.held_out.count
        circuits = recipe.training(task), recipe.validation(task), task.end
        sizes = theta, objective.size - theta, *rows
        self.task.tell(RecipeStarted(recipe.name, *sizes, *circuits, steps, task.shots, task.accuracy))

    def stage(self, name: str) -> None:
        """Tell that another stage begins, if it is another one."""
        if name != self._stage:
            self._stage = name
            self.task.tell(StageStarted(name))

    def step(
        self,
        step: int,
        loss: float,
        gradient: Reals,
        variance: Reals | None,
        *,
        rate: float,
        rows: int,
        shots: int | None,
    ) -> None:
        """Tell of step number `step`, from 0, on so many rows."""
        norm = math.sqrt(float(gradient @ gradient))
        epoch = 1 + step // max(1, self.task.train.count // rows)
        spent = self.spent.circuits, self.spent.shots, time.perf_counter() - self._began
        about = step + 1, epoch, loss, norm, rate, *spent
        self.task.tell(StepDone(*about, shots_each=shots, gradient_error=norm_error(gradient, variance, norm)))

    def close(self, epochs: int = 0) -> None:
        """Tell the end: of training, looks and test; so many epochs of it were local ones."""
        reason = "completed" if self.reached is None else "the accuracy asked for was seen"
        seconds = time.perf_counter() - self._began
        self.task.tell(RunFinished(epochs, reason, self.spent.circuits, self.spent.shots, seconds))

    def far(self, steps: Steps[T], purpose: str = TRAINING) -> Steps[T]:
        """A plan, its jobs run at the pool and counted."""
        return (yield from self._through(steps, POOL, purpose))

    def near(self, steps: Steps[T]) -> Steps[T]:
        """A plan, its jobs run on this machine, where they cost nothing."""
        return (yield from self._through(steps, LOCAL, TRAINING))

    def measured(
        self, objective: Objective, theta: Reals, data: Array | None, purpose: str, number: int = 0
    ) -> Steps[tuple[Array, Array | None]]:
        """Values [R, M] at the pool and their squared standard errors; `number` tells series of samples apart."""
        seed = int(np.random.SeedSequence([self.task.seed, SEEDS[purpose], number]).generate_state(1)[0])
        job = Job(
            objective.circuit,
            data,
            theta.reshape(1, -1),
            objective.measured,
            shots=self.task.shots,
            seed=seed,
            reuse=purpose == TRAINING,
        )
        (outcome,) = yield from self.far(_one(job), purpose)
        return np.asarray(answered(outcome), dtype=np.float64), outcome.variances

    def accuracy(self, objective: Objective, vector: Reals, rows: Rows, purpose: str, number: int = 0) -> Steps[float]:
        """Share of the rows that the model gets right at the pool."""
        self.stage(MEASURING if purpose == TEST else LOOKING)
        n = objective.circuit.n_params
        values, _ = yield from self.measured(objective, vector[:n], rows.data, purpose, number)
        return score(objective, values, vector, rows.targets)

    def test(self, objective: Objective, vector: Reals) -> Steps[float | None]:
        """The one look at the test rows."""
        if self.task.test is None:
            return None
        return (yield from self.accuracy(objective, vector, self.task.test, TEST))

    def _through(self, steps: Steps[T], site: str, purpose: str) -> Steps[T]:
        try:
            jobs = next(steps)
            while True:
                outcomes = yield [replace(job, site=site, tag=purpose) for job in jobs]
                if site == POOL:
                    self._count(jobs, outcomes, purpose)
                jobs = steps.send(outcomes)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        finally:
            steps.close()

    def _count(self, jobs: list[Job], outcomes: list[Outcome], purpose: str) -> None:
        own = self.spent
        self.spent = replace(
            own,
            **{purpose: getattr(own, purpose) + sum(circuits_of(job) for job in jobs)},
            shots=own.shots + sum(outcome.shots_paid for outcome in outcomes),
            cost=own.cost + sum(outcome.cost for outcome in outcomes),
        )


def inside(task: Task) -> Announcer:
    """Tells what a training or a recipe tells that is a part of another one: all but its beginning and its end."""

    def tell(event: Event) -> None:
        if not isinstance(event, RecipeStarted | RunFinished):
            task.tell(event)

    return Announcer([tell] if task.tell else ())


def score(objective: Objective, values: Array, vector: Reals, targets: Array | None) -> float:
    """Accuracy of outputs from values [R, M]."""
    outputs = objective.readout.outputs(values, vector[objective.circuit.n_params :])
    return float(objective.loss.accuracy(outputs, targets) or 0.0)


def circuits_of(job: Job) -> int:
    """Circuits that are measured for a job: rows, times the bases, times the shifts where it asks for them."""
    each = shift_rules(job.circuit).size if job.output is Output.SHIFTED else 1
    return job.rows * each * max(1, len(job.measured.groups()))


def _one(job: Job) -> Steps[list[Outcome]]:
    return (yield [job])
