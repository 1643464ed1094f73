"""`refine`: from what another recipe found, on by SPSA or random shifts with few shots and exact refits of the readout.

The readout is not learned by steps: every `every` steps it is fitted anew (`training.refit`, a regression at no
circuits) to the values that the last `window` rows gave on the way. So shots can be few: errors average out in the fit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from q_store.circuits.shifts import shift_rules
from q_store.errors import ConfigError, suggestion
from q_store.gradients.estimator import GradientEstimate, GradientEstimator, Problem
from q_store.gradients.random_shift import RandomShift
from q_store.gradients.spsa import SPSA
from q_store.jobs import Steps
from q_store.training.objective import Objective
from q_store.training.optimisers import Adam
from q_store.training.readout import LinearReadout
from q_store.training.recipes.book import Book
from q_store.training.recipes.regress import regression
from q_store.training.recipes.spsa import WHERE, batch, looks, step_seed
from q_store.training.recipes.task import VALIDATION, Array, Reals, Recipe, RecipeResult, Task
from q_store.training.refit import refit
from q_store.training.schedules import cosine

NAME = "refine"
METHODS = ("spsa", "random_shift")
SHOTS = 100


@dataclass(frozen=True)
class Refine:
    """See the module.

    Attributes:
        base: the recipe that begins; None: from the start of the objective.
        method: `spsa` or `random_shift`.
        count: circuits of the refinement, where the task does not say; `task.circuits` are those of both.
        shots: a circuit of the refinement; None: those of the task.
        batch: rows a step. rate: of the circuit, decaying. perturbation: c of SPSA.
        every: steps between refits. window: rows that a refit sees. penalty: of a refit.
        looks: at the held-out rows.
    """

    base: Recipe | None = None
    method: str = "spsa"
    count: int = 3000
    shots: int | None = SHOTS
    batch: int = 10
    rate: float = 0.03
    perturbation: float = 0.15
    every: int = 5
    window: int = 400
    penalty: float = 1e-2
    looks: int = 10
    name: str = field(default=NAME)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"expected a known method, got {self.method!r}{suggestion(self.method, METHODS)}")

    def _each(self, task: Task) -> int:
        """Most circuits of a step: two sides, or each row itself and the shifts of one parameter."""
        shifts = 1 if self.method == "spsa" else int(shift_rules(task.objective.circuit).touches.sum(axis=0).max())
        return (1 + shifts) * min(self.batch, task.train.count) * task.bases

    def _begun(self, task: Task) -> int:
        return 0 if self.base is None else self.base.training(replace(task, circuits=None, accuracy=None))

    def _steps(self, task: Task) -> int:
        left = self.count if task.circuits is None else task.circuits - self._begun(task)
        return max(0, left) // self._each(task)

    def training(self, task: Task) -> int:
        """Of the base and of all steps."""
        return self._begun(task) + self._steps(task) * self._each(task)

    def validation(self, task: Task) -> int:
        """Of the base and of all looks."""
        base = 0 if self.base is None else self.base.validation(replace(task, circuits=None, accuracy=None))
        return base + min(self.looks, self._steps(task)) * task.evaluation

    def least(self, task: Task) -> int:
        """The base, and one step."""
        return self._begun(task) + self._each(task)

    def plan(self, task: Task) -> Steps[RecipeResult]:
        """The recipe."""
        if not self._steps(task):
            raise ConfigError(
                f"expected at least {self.least(task)} circuits to refine with, got {task.circuits}; give more"
            )
        book, began = Book(task), None
        objective, vector = task.objective, task.objective.initial(task.seed)
        if self.base is not None:
            began = yield from self.base.plan(replace(task, circuits=None, accuracy=None, test=None))
            objective, vector = began.objective, began.parameters.copy()
            book.spent, book.curve = began.spent, list(began.curve)
        vector = yield from self._refined(
            replace(task, objective=objective, shots=self.shots or task.shots), book, vector
        )
        tested = yield from book.test(objective, vector)
        where = WHERE if began is None else f"{began.where}; then refined remotely"
        return RecipeResult(
            self.name, objective, vector, tuple(book.curve), book.reached, tested, book.curve[-1].accuracy, book.spent,
            where, {"method": self.method, "steps": self._steps(task), "base": began.recipe if began else "none"},
        )  # fmt: skip

    def _refined(self, task: Task, book: Book, vector: Reals) -> Steps[Reals]:
        objective, steps, n = task.objective, self._steps(task), task.objective.circuit.n_params
        adam, rates = Adam(beta2=0.99), np.full(n, self.rate)
        state, marks = adam.start(n), looks(steps, self.looks)
        seen = _Window(objective, self.window, self.penalty)
        estimator: GradientEstimator = SPSA(self.perturbation) if self.method == "spsa" else RandomShift()
        for step in range(steps):
            data, targets = task.train.take(batch(task, step, self.batch))
            problem = _problem(objective, vector, data, targets)
            asked = replace(problem, shots=task.shots, seed=step_seed(task.seed, step))
            found: GradientEstimate = yield from book.far(estimator.estimate(asked))
            seen.add(found.values, targets)
            adam.step(vector[:n], found.gradient, rates * cosine(step / steps), state)
            if (step + 1) % self.every == 0 and seen.enough:
                vector[n:] = seen.fitted()
            if step + 1 in marks:
                book.note((yield from book.accuracy(objective, vector, task.held_out, VALIDATION, step)))
                if book.reached is not None:
                    break
        return vector


def _problem(objective: Objective, vector: Reals, data: Array | None, targets: Array | None) -> Problem:
    """The gradient of the loss by the circuit parameters, the readout as it is."""
    n = objective.circuit.n_params
    weights = vector[n:].copy()

    def pullback(values: Array) -> Array:
        _, d_outputs = objective.loss.value_and_gradient(objective.readout.outputs(values, weights), targets)
        return objective.readout.pull_back(values, weights, d_outputs)[0]

    return Problem(objective.circuit, objective.measured, vector[:n].copy(), data, pullback)


class _Window:
    """The last values that were measured, with their targets."""

    def __init__(self, objective: Objective, rows: int, penalty: float) -> None:
        self._objective, self._rows, self._penalty = objective, rows, penalty
        self._values: deque[Array] = deque()
        self._targets: deque[Array] = deque()

    def add(self, values: Array, targets: Array | None) -> None:
        """Those of a step."""
        self._values.append(np.asarray(values, dtype=np.float64))
        self._targets.append(np.asarray(targets))
        while sum(map(len, self._targets)) - len(self._targets[0]) >= self._rows:
            self._values.popleft()
            self._targets.popleft()

    @property
    def enough(self) -> bool:
        """Whether a readout can be fitted: as many rows as the window takes, or a few for each class."""
        return sum(map(len, self._targets)) >= min(self._rows, 5 * self._objective.readout.n_outputs)

    def fitted(self) -> Reals:
        """The best readout of them."""
        values, targets = np.concatenate(self._values), np.concatenate(self._targets)
        if isinstance(self._objective.readout, LinearReadout) and self._objective.readout.bias:
            return regression(self._objective, values, targets, self._penalty)
        return refit(
            self._objective.readout, values, targets, loss=self._objective.loss, penalty=self._penalty / values.shape[1]
        ).vector
