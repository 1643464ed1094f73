"""Keeps the accounts of a recipe: every job that goes to the pool passes here, and is counted by its purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from q_store.circuits.shifts import shift_rules
from q_store.gradients.estimator import answered
from q_store.jobs import Job, Outcome, Output, Steps, T
from q_store.training.objective import Objective
from q_store.training.recipes.task import (
    LOCAL,
    POOL,
    TEST,
    TRAINING,
    VALIDATION,
    Array,
    Point,
    Reals,
    Spent,
    Task,
    reached,
)
from q_store.training.rows import Rows

SEEDS = {TRAINING: 31, VALIDATION: 32, TEST: 33}


class Book:
    """Of one run of a recipe.

    Attributes:
        spent: so far. curve: looks so far.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.spent = Spent()
        self.curve: list[Point] = []

    @property
    def reached(self) -> int | None:
        """See `task.reached`."""
        return reached(self.curve, self.task.accuracy)

    def note(self, accuracy: float, bought: int | None = None) -> None:
        """A look at the model as it is now: on so many bought rows, or on held-out ones."""
        point = Point(self.spent.training, self.spent.shots, self.spent.cost, accuracy, bought)
        self.curve.append(point)
        self.task.watch(point)

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
