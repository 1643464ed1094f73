"""`calibrate`: exact training on this machine, then a few remote circuits to learn how the machine distorts the values.

For the same rows the simulation gives f and the machine g. What leads from f to g is one of

    diagonal, full   affine maps, see `maps`
    angles           an error of every angle, see `angles`, then the diagonal map; those of trained angles are undone

or nothing at all, as cross-validation over the bought rows says. The readout is then fitted anew to what the machine
would give for many training rows: the exact values, mapped, with the errors that remained in the cross-validation
(shots, and what the map does not know; some of them for affine maps), so that it learns which features can be trusted.

Where an accuracy is asked for, it is looked for at bought rows that neither the training here nor the readout has seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from q_store.errors import ConfigError
from q_store.jobs import Steps
from q_store.training.objective import Objective
from q_store.training.readout import LinearReadout
from q_store.training.recipes.angles import ANGLES, Turning
from q_store.training.recipes.book import BUYING, FITTING, LOCALLY, Book, score
from q_store.training.recipes.exact import trained, validated
from q_store.training.recipes.maps import Choice, Map, chosen, fitted
from q_store.training.recipes.regress import regression
from q_store.training.recipes.task import TRAINING, VALIDATION, Array, Reals, RecipeResult, Task, in_turn
from q_store.training.rows import Rows

NAME = "calibrate"
LEAST = 4
MOST_ROWS = 20_000
"""Training rows that the readout is fitted to."""
PENALTIES = {"angles": 1e-5}
PENALTY = 1e-3
"""Of other maps."""
TRUST = {"angles": 1.0}
OTHERS = 0.3
"""Share of the errors that remained, of other maps; chosen on held-out images."""
MAPS = ("none", "diagonal", "full", ANGLES)
FIRST = 10
"""Rows of the first look, where an accuracy is asked for."""
UNSEEN = 5
"""Then at most one training row in so many is kept out of the training here, to look at."""


@dataclass(frozen=True)
class Calibrate:
    """See the module.

    Attributes:
        count: remote rows to calibrate on, where neither circuits nor an accuracy are asked for.
        most: the same, where an accuracy is.
        maps: that are compared: `none`, `diagonal`, `full`, `angles`.
    """

    count: int = 20
    most: int = 320
    maps: tuple[str, ...] = MAPS
    name: str = NAME

    def __post_init__(self) -> None:
        if not self.maps or set(self.maps) - set(MAPS):
            raise ConfigError(f"expected maps out of {', '.join(MAPS)}, got {self.maps}; leave them out for all")

    def training(self, task: Task) -> int:
        """Circuits to calibrate on."""
        own = self.count if task.accuracy is None else self.most
        return min((task.circuits or own * task.bases) // task.bases, task.train.count) * task.bases

    def validation(self, task: Task) -> int:
        """The held-out rows, once."""
        return task.evaluation

    def least(self, task: Task) -> int:
        """A line through fewer points says nothing."""
        return LEAST * task.bases

    def plan(self, task: Task) -> Steps[RecipeResult]:
        """The recipe."""
        if self.training(task) < self.least(task):
            raise ConfigError(
                f"expected at least {self.least(task)} circuits to calibrate on, got {self.training(task)}; give more"
            )
        objective, book = linear(task.objective), Book(task)
        own = replace(task, objective=objective)
        book.open(self, objective)
        book.stage(LOCALLY)
        order, unseen = kept_out(own, self.training(own) // own.bases)
        found = yield from book.near(trained(replace(own, train=_rest(own.train, order[:unseen]))))
        ideal = validated(found)
        how, matrix, vector = yield from self._calibrated(own, book, found.parameters, order, unseen)
        seen = yield from book.accuracy(objective, vector, task.held_out, VALIDATION)
        book.seen(seen)
        tested = yield from book.test(objective, vector)
        book.close(found.epochs)
        return RecipeResult(
            NAME, objective, vector, tuple(book.curve), book.reached, tested, seen, book.spent,
            "trained locally, calibrated and validated remotely",
            {"map": how, "slopes": [round(float(a), 3) for a in np.diag(matrix)], "ideal_validation": ideal},
        )  # fmt: skip

    def _calibrated(
        self, task: Task, book: Book, trained: Reals, order: Array, unseen: int
    ) -> Steps[tuple[str, Reals, Reals]]:
        """(how, matrix, vector) from circuits that are bought until the accuracy asked for is seen."""
        objective, n = task.objective, task.objective.circuit.n_params
        exact = far = np.zeros((0, objective.measured.size))
        for number, end in enumerate(self._sizes(task)):
            rows = order[len(far) : end]
            data = None if task.train.data is None else task.train.data[rows]
            book.stage(BUYING)
            ideal = yield from book.near(objective.values(trained, data))
            found, _ = yield from book.measured(objective, trained[:n], data, TRAINING, number)
            exact, far = np.concatenate([exact, ideal]), np.concatenate([far, found])
            book.stage(FITTING)
            step = _Step(task, book, trained, exact, far, order, order[unseen:][:MOST_ROWS])
            choice = yield from step.chosen(self.maps)
            matrix, vector = yield from step.vector(choice, undo=False)
            seen = min(end, unseen) if unseen else end
            targets = None if task.train.targets is None else task.train.targets[order[:seen]]
            book.note(score(objective, far[:seen], vector, targets), seen)
            if book.reached is not None:
                break
        if choice.how == ANGLES:
            matrix, vector = yield from step.vector(choice, undo=True)
        return (choice.how if choice.how != "full" else f"full, ridge {choice.ridge:g}"), matrix, vector

    def _sizes(self, task: Task) -> list[int]:
        """How many rows are measured at each look: all, or doubling where an accuracy is asked for."""
        end = self.training(task) // task.bases
        size, sizes = FIRST, []
        while task.accuracy is not None and size < end:
            sizes.append(size)
            size *= 2
        return [*sizes, end]


@dataclass(frozen=True, eq=False)
class _Step:
    """What is known after some circuits: values[N, M] of the first rows in order, simulated and measured.

    `learning` are the rows that a readout is fitted to.
    """

    task: Task
    book: Book
    trained: Reals
    exact: Reals
    far: Reals
    order: Array
    learning: Array

    def chosen(self, maps: tuple[str, ...]) -> Steps[Choice]:
        """The best map."""
        affine = tuple(name for name in maps if name != ANGLES)
        found = [chosen(self.far, self.exact, affine)] if affine else []
        if ANGLES in maps and self.task.train.data is not None:
            turning, bought = self._turning()
            found.append((yield from self.book.near(turning.best(self._theta, bought, self.far))))
        return min(found, key=lambda each: each.error)

    def vector(self, choice: Choice, *, undo: bool) -> Steps[tuple[Reals, Reals]]:
        """The matrix of the map, and parameters with a readout for it."""
        if choice.how == "none":
            return np.eye(self.far.shape[1]), self.trained
        rows, theta = self.learning, self._theta
        data = None if self.task.train.data is None else self.task.train.data[rows]
        if choice.how != ANGLES or data is None:
            mapped = fitted(self.far, self.exact, choice.how, choice.ridge)
            many = yield from self.book.near(self.task.objective.values(self.trained, data))
        else:
            turning, bought = self._turning()
            errors = yield from self.book.near(turning.learned(theta, bought, self.far, choice.ridge))
            values = yield from self.book.near(turning.values(theta, errors, bought))
            mapped = fitted(self.far, values, "diagonal", 0.0)
            theta = theta + turning.undo @ errors if undo else theta
            many = yield from self.book.near(turning.values(theta, errors, turning.data(self.task.objective, data)))
        return mapped[0], np.concatenate([theta, self._readout(np.asarray(many, dtype=np.float64), mapped, choice)])

    @property
    def _theta(self) -> Reals:
        return self.trained[: self.task.objective.circuit.n_params]

    def _turning(self) -> tuple[Turning, Reals]:
        rows = np.asarray(self.task.train.data)[self.order[: len(self.far)]]
        turning = Turning.of(self.task.objective, rows)
        return turning, turning.data(self.task.objective, rows)

    def _readout(self, exact: Reals, mapped: Map, choice: Choice) -> Reals:
        """Fitted to the mapped exact values [B, M] of the rows to learn from."""
        rng = np.random.default_rng([self.task.seed, 27])
        errors = np.sqrt(((choice.mapped - self.far) ** 2).mean(axis=0))
        values = exact @ mapped[0] + mapped[1]
        values += TRUST.get(choice.how, OTHERS) * errors * rng.normal(size=values.shape)
        targets = np.asarray(self.task.train.targets)[self.learning]
        return regression(self.task.objective, values, targets, PENALTIES.get(choice.how, PENALTY))


def kept_out(task: Task, most: int) -> tuple[Array, int]:
    """The training rows in the order in which they are bought, and how many of the first to keep out of training here.

    Of every class at most one in `UNSEEN`, at least one: a rare class would be forgotten.
    """
    order, labels = in_turn(task.train, task.seed), task.train.targets
    if task.accuracy is None or labels is None or labels.ndim != 1:
        return order, 0
    out = np.zeros(len(order), dtype=bool)
    for label in np.unique(labels):
        own = np.flatnonzero(labels[order] == label)
        out[own[: max(1, len(own) // UNSEEN) if len(own) > 1 else 0]] = True
    first = order[out][:most]
    return np.concatenate([first, order[~np.isin(order, first)]]), len(first)


def _rest(rows: Rows, left_out: Array) -> Rows:
    """All others, in their order."""
    if not len(left_out):
        return rows
    index = np.setdiff1d(np.arange(rows.count), left_out)
    return Rows(*rows.take(index), len(index))


def linear(objective: Objective) -> Objective:
    """The objective with a linear readout that has a bias, which a calibration changes."""
    given = objective.readout
    if isinstance(given, LinearReadout) and given.bias:
        return objective
    return replace(objective, readout=LinearReadout(given.n_values, given.n_outputs, zero_last=True))
