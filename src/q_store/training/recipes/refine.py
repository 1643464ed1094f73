"""`refine`: from what another recipe found, on by SPSA or random shifts with few shots and exact refits of the readout.

The readout is not learned by steps: every `every` steps it is fitted anew, exactly and at no circuits, to the values
that the last `window` rows gave on the way. So shots can be few: errors average out in the fit. A readout that a base
recipe trained on many more rows is not thrown away: the fit is drawn to it. The model of the best look is kept, the one
that the base found included, so that a refinement which brings nothing costs circuits and no accuracy.
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
from q_store.training.finish import minimise
from q_store.training.objective import Objective
from q_store.training.optimisers import Adam
from q_store.training.recipes.book import REFINING, Book, inside
from q_store.training.recipes.regress import Regress
from q_store.training.recipes.spsa import WHERE, batch, looks, step_seed
from q_store.training.recipes.task import VALIDATION, Array, Reals, Recipe, RecipeResult, Task
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
        batch: rows a step. perturbation: c of SPSA. every: steps between refits. window: rows that a refit sees.
        rate, penalty: of the circuit, decaying; of a refit. None: small steps and a strong pull behind a base.
        looks: at the held-out rows.
    """

    base: Recipe | None = None
    method: str = "spsa"
    count: int = 3000
    shots: int | None = SHOTS
    batch: int = 10
    rate: float | None = None
    perturbation: float = 0.15
    every: int = 5
    window: int = 400
    penalty: float | None = None
    looks: int = 10
    name: str = field(default=NAME)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"expected a known method, got {self.method!r}{suggestion(self.method, METHODS)}")

    def _each(self, task: Task) -> int:
        """Most circuits of a step: two sides, or each row itself and the shifts of one parameter."""
        rules = shift_rules(task.objective.circuit)
        used = np.flatnonzero(rules.touches.any(axis=0))
        shifts = 1 if self.method == "spsa" else max((rules.only(np.array([k])).size for k in used), default=0)
        return (1 + shifts) * min(self.batch, task.train.count) * self._bases(task)

    def _bases(self, task: Task) -> int:
        """A regression measures probabilities, whatever the task measures."""
        return 1 if isinstance(self.base, Regress) else task.bases

    def begun(self, task: Task) -> int:
        """Circuits of the base."""
        return 0 if self.base is None else self.base.training(replace(task, circuits=None, accuracy=None))

    def _steps(self, task: Task) -> int:
        left = self.count if task.circuits is None else task.circuits - self.begun(task)
        return max(0, left) // self._each(task)

    def training(self, task: Task) -> int:
        """Of the base and of all steps."""
        return self.begun(task) + self._steps(task) * self._each(task)

    def validation(self, task: Task) -> int:
        """Of the base and of all looks."""
        base = 0 if self.base is None else self.base.validation(replace(task, circuits=None, accuracy=None))
        return base + min(self.looks, self._steps(task)) * task.held_out.count * self._bases(task)

    def least(self, task: Task) -> int:
        """The base, and one step."""
        return self.begun(task) + self._each(task)

    def plan(self, task: Task) -> Steps[RecipeResult]:
        """The recipe."""
        if not self._steps(task):
            raise ConfigError(
                f"expected at least {self.least(task)} circuits to refine with, got {task.circuits}; give more"
            )
        book, began = Book(task), None
        book.open(self, task.objective, self._steps(task))
        objective, vector, before = task.objective, task.objective.initial(task.seed), 0.0
        if self.base is not None:
            alone = replace(task, circuits=None, accuracy=None, test=None, tell=inside(task))
            began = yield from self.base.plan(alone)
            objective, vector, before = began.objective, began.parameters.copy(), began.validation or 0.0
            book.spent, book.curve = began.spent, list(began.curve)
        own = replace(task, objective=objective, shots=self.shots or task.shots)
        vector, best = yield from self._refined(own, book, vector, before)
        tested = yield from book.test(objective, vector)
        book.close()
        where = WHERE if began is None else f"{began.where}; then refined remotely"
        return RecipeResult(
            self.name, objective, vector, tuple(book.curve), book.reached, tested, best, book.spent,
            where, {"method": self.method, "steps": self._steps(task), "base": began.recipe if began else "none",
                    "gain": best - before},
        )  # fmt: skip

    def _refined(self, task: Task, book: Book, vector: Reals, before: float) -> Steps[tuple[Reals, float]]:
        """The vector of the best look and its accuracy; `before` is that of the vector given."""
        objective, steps, n = task.objective, self._steps(task), task.objective.circuit.n_params
        adam, rate = Adam(beta2=0.99), self.rate or (0.03 if self.base is None else 0.01)
        state, marks = adam.start(n), looks(steps, self.looks)
        penalty = (0.01 if self.base is None else 0.1) if self.penalty is None else self.penalty
        seen = _Window(objective, self.window, penalty, vector[n:].copy())
        estimator: GradientEstimator = SPSA(self.perturbation) if self.method == "spsa" else RandomShift()
        best = vector.copy(), before
        for step in range(steps):
            book.stage(REFINING)
            data, targets = task.train.take(batch(task, step, self.batch))
            problem = _problem(objective, vector, data, targets)
            asked = replace(problem, shots=task.shots, seed=step_seed(task.seed, step))
            found: GradientEstimate = yield from book.far(estimator.estimate(asked))
            seen.add(found.values, targets)
            now = rate * cosine(step / steps)
            if task.tell:
                about = _loss(objective, vector, found.values, targets), found.gradient, found.variance
                book.step(step, *about, rate=now, rows=1 if data is None else len(data), shots=task.shots)
            adam.step(vector[:n], found.gradient, np.full(n, now), state)
            if (step + 1) % self.every == 0 and seen.enough:
                vector[n:] = seen.fitted(vector[n:])
            if step + 1 in marks:
                accuracy = yield from book.accuracy(objective, vector, task.held_out, VALIDATION, step)
                book.note(accuracy)
                best = max(best, (vector.copy(), accuracy), key=lambda one: one[1])
                if book.reached is not None:
                    break
        return best


def _problem(objective: Objective, vector: Reals, data: Array | None, targets: Array | None) -> Problem:
    """The gradient of the loss by the circuit parameters, the readout as it is."""
    n = objective.circuit.n_params
    weights = vector[n:].copy()

    def pullback(values: Array) -> Array:
        _, d_outputs = objective.loss.value_and_gradient(objective.readout.outputs(values, weights), targets)
        return objective.readout.pull_back(values, weights, d_outputs)[0]

    return Problem(objective.circuit, objective.measured, vector[:n].copy(), data, pullback)


def _loss(objective: Objective, vector: Reals, values: Array, targets: Array | None) -> float:
    """Of the rows of a step, by what was measured of them."""
    outputs = objective.readout.outputs(values, vector[objective.circuit.n_params :])
    return objective.loss.value_and_gradient(outputs, targets)[0]


class _Window:
    """The last values that were measured, with their targets, and the readout that fits are drawn to."""

    def __init__(self, objective: Objective, rows: int, penalty: float, anchor: Reals) -> None:
        self._objective, self._rows, self._penalty, self._anchor = objective, rows, penalty, anchor
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

    def fitted(self, start: Reals) -> Reals:
        """Weights of the smallest mean loss + penalty/2 |weights - anchor|^2, values in units of their spread."""
        values, targets = np.concatenate(self._values), np.concatenate(self._targets)
        readout, loss = self._objective.readout, self._objective.loss
        unit = float(values.std(axis=0).mean()) + 1e-9

        def function(weights: Reals) -> tuple[float, Reals]:
            value, d_outputs = loss.value_and_gradient(readout.outputs(values, weights), targets)
            away = self._penalty * unit**2 * (weights - self._anchor)
            return value + 0.5 * float(away @ (weights - self._anchor)), readout.pull_back(values, weights, d_outputs)[
                1
            ] + away

        return minimise(function, start, 200, 1e-9).vector
