"""`calibrate`: exact training on this machine, then a few remote circuits to learn how the machine distorts the values.

For the same rows the simulation gives f and the machine g. The map from f to g is found by ridge regression around the
diagonal map g_m ~ a_m f_m + b_m:

    diagonal   a_m, b_m by least squares, a_m drawn to the common slope of all features by `SHRINK` rows' worth
    full       a whole matrix in place of a_m, its other part penalised: errors of angles mix features

What is used, or nothing at all, is chosen by cross-validation over the bought rows. The readout is then fitted anew to
what the machine would give for many training rows: the exact values, mapped, with some of the errors that remained in
the cross-validation (shots, and what the map does not know), so that it learns which features can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from q_store.errors import ConfigError
from q_store.jobs import Steps
from q_store.training.objective import Objective
from q_store.training.readout import LinearReadout
from q_store.training.recipes.book import Book, score
from q_store.training.recipes.exact import trained, validated
from q_store.training.recipes.regress import regression
from q_store.training.recipes.task import TRAINING, VALIDATION, Reals, RecipeResult, Task, in_turn

NAME = "calibrate"
LEAST = 4
MOST_ROWS = 10_000
"""Training rows that the readout is fitted to."""
PENALTY = 1e-3
TRUST = 0.3
"""Share of the errors that remained; chosen on held-out images."""
FOLDS = 10
FIRST = 10
"""Rows of the first look, where an accuracy is asked for."""
SHRINK = 5.0
RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0)
Map = tuple[Reals, Reals]
"""(A[M, M], b[M]): values = others @ A + b."""


@dataclass(frozen=True)
class Calibrate:
    """See the module.

    Attributes:
        count: remote rows to calibrate on, where neither circuits nor an accuracy are asked for.
        most: the same, where an accuracy is.
        maps: that are compared: `none`, `diagonal`, `full`.
    """

    count: int = 20
    most: int = 320
    maps: tuple[str, ...] = ("none", "diagonal", "full")
    name: str = NAME

    def __post_init__(self) -> None:
        if not self.maps or set(self.maps) - {"none", "diagonal", "full"}:
            raise ConfigError(f"expected maps out of none, diagonal, full, got {self.maps}; leave them out for all")

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
        found = yield from book.near(trained(own))
        ideal = validated(found)
        n = objective.circuit.n_params
        how, matrix, weights = yield from self._calibrated(own, book, found.parameters)
        vector = np.concatenate([found.parameters[:n], weights])
        seen = yield from book.accuracy(objective, vector, task.held_out, VALIDATION)
        tested = yield from book.test(objective, vector)
        return RecipeResult(
            NAME, objective, vector, tuple(book.curve), book.reached, tested, seen, book.spent,
            "trained locally, calibrated and validated remotely",
            {"map": how, "slopes": [round(float(a), 3) for a in np.diag(matrix)], "ideal_validation": ideal},
        )  # fmt: skip

    def _calibrated(self, task: Task, book: Book, trained: Reals) -> Steps[tuple[str, Reals, Reals]]:
        """(how, matrix, readout weights) from circuits that are bought until the accuracy asked for is seen."""
        objective, n, order = task.objective, task.objective.circuit.n_params, in_turn(task.train, task.seed)
        exact = far = np.zeros((0, objective.measured.size))
        first = order[:MOST_ROWS]
        own = None if task.train.data is None else task.train.data[first]
        many = np.asarray((yield from book.near(objective.values(trained, own))), dtype=np.float64)
        for number, end in enumerate(self._sizes(task)):
            rows = order[len(far) : end]
            data = None if task.train.data is None else task.train.data[rows]
            ideal = yield from book.near(objective.values(trained, data))
            found, _ = yield from book.measured(objective, trained[:n], data, TRAINING, number)
            exact, far = np.concatenate([exact, ideal]), np.concatenate([far, found])
            how, ridge, mapped = chosen(far, exact, self.maps)
            errors = np.sqrt(((mapped - far) ** 2).mean(axis=0))
            weights = trained[n:]
            if how != "none":
                weights = self._readout(task, many, fitted(far, exact, how, ridge), errors)
            targets = None if task.train.targets is None else task.train.targets[order[:end]]
            book.note(score(objective, far, np.concatenate([trained[:n], weights]), targets), len(far))
            if book.reached is not None:
                break
        return (how if how != "full" else f"full, ridge {ridge:g}"), fitted(far, exact, how, ridge)[0], weights

    def _readout(self, task: Task, exact: Reals, mapped: Map, errors: Reals) -> Reals:
        """Fitted to the mapped exact values [B, M] of the first rows in turn."""
        rng = np.random.default_rng([task.seed, 27])
        values = exact @ mapped[0] + mapped[1]
        values += TRUST * errors * rng.normal(size=values.shape)
        rows = in_turn(task.train, task.seed)[: len(exact)]
        return regression(task.objective, values, np.asarray(task.train.targets)[rows], PENALTY)

    def _sizes(self, task: Task) -> list[int]:
        """How many rows are measured at each look: all, or doubling where an accuracy is asked for."""
        end = self.training(task) // task.bases
        size, sizes = FIRST, []
        while task.accuracy is not None and size < end:
            sizes.append(size)
            size *= 2
        return [*sizes, end]


def linear(objective: Objective) -> Objective:
    """The objective with a linear readout that has a bias, which a calibration changes."""
    given = objective.readout
    if isinstance(given, LinearReadout) and given.bias:
        return objective
    return replace(objective, readout=LinearReadout(given.n_values, given.n_outputs, zero_last=True))


def chosen(exact: Reals, far: Reals, maps: tuple[str, ...]) -> tuple[str, float, Reals]:
    """The map with the smallest cross-validated squared error, in units of each feature's own spread.

    Returns:
        How, its ridge, and the values [N, M] mapped by maps that did not see them.
    """
    options: list[tuple[str, float]] = [(name, 0.0) for name in maps if name != "full"]
    options += [("full", ridge) for ridge in RIDGES if "full" in maps]
    scale = np.maximum(exact.std(axis=0), 1e-6)
    folds = np.arange(len(exact)) % min(FOLDS, len(exact))
    best: tuple[float, str, float, Reals] | None = None
    for how, ridge in options:
        mapped = np.empty_like(far)
        for fold in range(folds.max() + 1):
            seen, own = folds != fold, folds == fold
            matrix, offset = fitted(exact[seen], far[seen], how, ridge)
            mapped[own] = far[own] @ matrix + offset
        error = float((((mapped - exact) / scale) ** 2).sum())
        if best is None or error < best[0]:
            best = error, how, ridge, mapped
    assert best is not None  # noqa: S101  # there is one map or more
    return best[1:]


def fitted(exact: Reals, far: Reals, how: str, ridge: float) -> Map:
    """See the module."""
    size = exact.shape[1]
    if how == "none":
        return np.eye(size), np.zeros(size)
    mean_f, mean_g = exact.mean(axis=0), far.mean(axis=0)
    f, g = exact - mean_f, far - mean_g
    spread, both = (g**2).sum(axis=0), (f * g).sum(axis=0)
    typical = float(spread.mean()) + 1e-12
    common = float(both.sum()) / float(spread.sum() + 1e-12)
    slopes = (both + SHRINK / len(f) * typical * common) / (spread + SHRINK / len(f) * typical)
    matrix = np.diag(slopes)
    if how == "full":
        left = g.T @ g + ridge * typical * np.eye(size)
        matrix = matrix + np.linalg.solve(left, g.T @ (f - g * slopes))
    return matrix, mean_f - mean_g @ matrix
