"""`calibrate`: exact training on this machine, then a few remote circuits to learn how the machine distorts the values.

For the same rows the simulation gives f and the machine g. The readout was trained on f, so g is mapped back to it by
ridge regression around the diagonal map that makes each feature f_m ~ a_m g_m + b_m:

    diagonal   a_m, b_m by least squares, a_m drawn to the common slope of all features by `SHRINK` rows' worth
    full       a whole matrix in place of a_m, its other part penalised: errors of angles mix features

What is used, or nothing at all, is chosen by cross-validation over the bought rows. The map is folded into the readout.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from q_store.errors import ConfigError
from q_store.jobs import Steps
from q_store.training.objective import Objective
from q_store.training.readout import LinearReadout
from q_store.training.recipes.book import Book
from q_store.training.recipes.exact import trained, validated
from q_store.training.recipes.task import TRAINING, VALIDATION, Reals, RecipeResult, Task, in_turn

NAME = "calibrate"
LEAST = 4
FOLDS = 10
SHRINK = 5.0
RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0)
Map = tuple[Reals, Reals]
"""(A[M, M], b[M]): f = g @ A + b."""


@dataclass(frozen=True)
class Calibrate:
    """See the module.

    Attributes:
        count: remote circuits to calibrate on, where the task does not say.
        maps: that are compared: `none`, `diagonal`, `full`.
    """

    count: int = 20
    maps: tuple[str, ...] = ("none", "diagonal", "full")
    name: str = NAME

    def __post_init__(self) -> None:
        if not self.maps or set(self.maps) - {"none", "diagonal", "full"}:
            raise ConfigError(f"expected maps out of none, diagonal, full, got {self.maps}; leave them out for all")

    def training(self, task: Task) -> int:
        """Circuits to calibrate on."""
        return min((task.circuits or self.count * task.bases) // task.bases, task.train.count) * task.bases

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
        rows = in_turn(task.train, task.seed)[: self.training(task) // task.bases]
        data = None if task.train.data is None else task.train.data[rows]
        exact = yield from book.near(objective.values(found.parameters, data))
        far, _ = yield from book.measured(objective, found.parameters[:n], data, TRAINING)
        how, (matrix, offset) = chosen(np.asarray(exact, dtype=np.float64), far, self.maps)
        vector = np.concatenate([found.parameters[:n], folded(objective, found.parameters[n:], matrix, offset)])
        seen = yield from book.accuracy(objective, vector, task.held_out, VALIDATION)
        book.note(seen)
        tested = yield from book.test(objective, vector)
        return RecipeResult(
            NAME, objective, vector, tuple(book.curve), book.reached, tested, seen, book.spent,
            "trained locally, calibrated and validated remotely",
            {"map": how, "slopes": [round(float(a), 3) for a in np.diag(matrix)], "ideal_validation": ideal},
        )  # fmt: skip


def linear(objective: Objective) -> Objective:
    """The objective with a readout that has a bias, into which a calibration can be folded."""
    given = objective.readout
    if isinstance(given, LinearReadout) and given.bias:
        return objective
    return replace(objective, readout=LinearReadout(given.n_values, given.n_outputs, zero_last=True))


def chosen(exact: Reals, far: Reals, maps: tuple[str, ...]) -> tuple[str, Map]:
    """The map with the smallest cross-validated squared error, in units of each feature's own spread."""
    options: list[tuple[str, float]] = [(name, 0.0) for name in maps if name != "full"]
    options += [("full", ridge) for ridge in RIDGES if "full" in maps]
    scale = np.maximum(exact.std(axis=0), 1e-6)
    folds = np.arange(len(exact)) % min(FOLDS, len(exact))
    errors = []
    for how, ridge in options:
        error = 0.0
        for fold in range(folds.max() + 1):
            seen, own = folds != fold, folds == fold
            matrix, offset = fitted(exact[seen], far[seen], how, ridge)
            error += float((((far[own] @ matrix + offset - exact[own]) / scale) ** 2).sum())
        errors.append(error)
    how, ridge = options[int(np.argmin(errors))]
    return (how if how != "full" else f"full, ridge {ridge:g}"), fitted(exact, far, how, ridge)


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


def folded(objective: Objective, weights: Reals, matrix: Reals, offset: Reals) -> Reals:
    """Weights that give of g what the old ones give of g @ A + b."""
    readout: Any = objective.readout
    w, bias = readout.matrix(weights)
    return np.concatenate([matrix @ w, (bias + offset @ w)[None]]).reshape(-1)
