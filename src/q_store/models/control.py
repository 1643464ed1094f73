"""The classical control: the best plain classifier on the same features with at most as many parameters.

A quantum model's accuracy says something only beside it. Both kinds, multinomial logistic regression and a network
with one hidden tanh layer, are trained on all training rows by L-BFGS until the loss is flat; what remains to be
chosen (kind, shape, iterate) is chosen on the validation part, never on the test part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from q_store.blas import single_threaded
from q_store.errors import ConfigError, DataError, ShapeError
from q_store.models.checks import features, labels
from q_store.models.metrics import accuracy
from q_store.models.network import CrossEntropy, Shape, logits

MAX_ITERATIONS = 2000
PATIENCE = 200
"""A fit has converged for our purpose when its validation loss did not fall by the share `NOTEWORTHY` in so many
iterations."""
NOTEWORTHY = 5e-4
FLAT = 2e-5
"""Or: the training loss falls by less than this share in `WINDOW` iterations."""
WINDOW = 50
LOOK = 10
"""The validation loss is looked at every so many iterations."""
TRIAL_ROWS = 10_000
TRIAL_ITERATIONS = 150
FINALISTS = 3
FINALIST_ITERATIONS = 150
CONVERGED = 2
"""Three of the shapes tried go on with all rows, two of them until their loss is flat."""
WIDENING = (1.0, 1.25, 1.5, 1.8, 2.2)
"""Hidden layers tried, as multiples of the widest one that still takes every input."""
MEMORY = 30
WORTH_A_THREAD = 1_000_000
"""Rows times parameters from which a second thread pays."""


@dataclass(frozen=True, eq=False)
class Control:
    """A trained classical classifier of feature rows z[B, D], of which it uses the leading `shape.inputs` columns.

    `parameters` is what it was allowed to learn; `converged` is False when the fit ended at its iteration limit.
    """

    kind: str
    parameters: int
    shape: Shape
    theta: NDArray[np.float64] = field(repr=False)
    validation_accuracy: float
    iterations: int
    converged: bool

    def logits(self, z: Any) -> NDArray[Any]:
        """l[B, K] of z[B, D], the last column 0; ShapeError when there are fewer columns than inputs."""
        rows, _ = features(z, "features of the classical control")
        if rows.shape[1] < self.shape.inputs:
            raise ShapeError(
                f"expected at least {self.shape.inputs} feature columns, got {rows.shape[1]}; give the features that "
                "the control was fitted on"
            )
        return logits(self.shape, self.theta, rows[:, : self.shape.inputs].astype(np.float64))

    def predict(self, z: Any) -> NDArray[np.int64]:
        """The class of each row of z[B, D]."""
        return np.asarray(self.logits(z).argmax(axis=1))

    def predict_proba(self, z: Any) -> NDArray[np.float64]:
        """Class probabilities [B, K] of z[B, D]."""
        scores = self.logits(z)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def fit_control(  # noqa: PLR0917 - two (features, labels) pairs and two counts, in the order of every fit function
    features_train: Any,
    y_train: Any,
    features_val: Any,
    y_val: Any,
    n_parameters: int,
    n_classes: int,
    seed: int = 0,
) -> Control:
    """The better one, by validation accuracy, of a logistic regression and a one-hidden-layer network.

    Features are [B, D] with the leading components first, y labels in 0..K-1. The logistic regression takes as many
    leading columns as fit into `n_parameters`; the network's shape is chosen by short runs on a part of the rows.
    Raises ConfigError when not even the K-1 biases fit, ShapeError and DataError for unusable data.
    """
    problem = _Problem.of((features_train, y_train), (features_val, y_val), n_classes)
    if n_parameters < n_classes - 1 or n_classes < 2:
        raise ConfigError(
            f"expected at least 2 classes and {n_classes - 1} parameters (one bias for each class but the last), got "
            f"{n_classes} and {n_parameters}; leave the control out for so small a model"
        )
    with single_threaded(), _threads(problem.train[0].shape[0] * n_parameters) as threads:
        regression = Shape(min(problem.width, n_parameters // (n_classes - 1) - 1), 0, n_classes)
        shapes = network_shapes(problem.width, n_parameters, n_classes)
        fits = [
            problem.descend(regression, regression.start(seed), threads),
            *_networks(problem, shapes, seed, threads),
        ]
    return max(map(problem.control, fits), key=lambda control: control.validation_accuracy)


def network_shapes(width: int, n_parameters: int, n_classes: int) -> list[Shape]:
    """Shapes of at most `n_parameters`: the widest hidden layer with all inputs, and wider ones with fewer inputs."""
    room = n_parameters - (n_classes - 1)
    narrowest = max(1, room // (width + n_classes))
    shapes = []
    for hidden in sorted({round(narrowest * factor) for factor in WIDENING}):
        inputs = min(width, room // hidden - n_classes)
        if inputs >= 1:
            shapes.append(Shape(inputs, hidden, n_classes))
    return shapes


@dataclass(frozen=True)
class _Fit:
    """Where a descent ended: the iterate with the best validation loss."""

    shape: Shape
    theta: NDArray[np.float64]
    validation_loss: float
    iterations: int
    converged: bool


@dataclass(frozen=True)
class _Problem:
    """Standardised rows, which only condition the descent: `control` folds mean and scale into the weights."""

    train: tuple[NDArray[np.float32], NDArray[np.int64]]
    validation: tuple[NDArray[np.float32], NDArray[np.int64]]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, train: tuple[Any, Any], validation: tuple[Any, Any], n_classes: int) -> _Problem:
        z, y = _checked(*train, n_classes, "training features of the control")
        z_val, y_val = _checked(*validation, n_classes, "validation features of the control")
        if z.shape[1] != z_val.shape[1]:
            raise ShapeError(
                f"expected training and validation features of the same width, got {z.shape[1]} and {z_val.shape[1]}; "
                "transform both with the same feature map"
            )
        mean, scale = z.mean(axis=0, dtype=np.float64), z.std(axis=0, dtype=np.float64)
        scale[scale <= 1e-7 * np.abs(mean)] = 1
        scale[scale == 0] = 1
        rows, rows_val = (((part - mean) / scale).astype(np.float32) for part in (z, z_val))
        return cls((rows, y), (rows_val, y_val), mean, scale)

    @property
    def width(self) -> int:
        return int(self.train[0].shape[1])

    def descend(
        self,
        shape: Shape,
        theta: NDArray[np.float64],
        threads: ThreadPoolExecutor | None,
        *,
        rows: int | None = None,
        limit: int = MAX_ITERATIONS,
    ) -> _Fit:
        """L-BFGS from `theta` on the first `rows` training rows until flat or `limit` iterations."""
        loss = CrossEntropy(shape, self.train[0][:rows], self.train[1][:rows])
        watch = _Watch(shape, *self.validation)
        result = minimize(
            loss, theta, args=(threads,), jac=True, method="L-BFGS-B", callback=watch,
            options={"maxiter": limit, "maxfun": 4 * limit, "maxcor": MEMORY, "ftol": 1e-9, "gtol": 1e-6},
        )  # fmt: skip
        watch.look(result.x)
        return _Fit(shape, watch.best, watch.best_loss, int(result.nit), bool(result.nit < limit))

    def control(self, fit: _Fit) -> Control:
        """The classifier on features that are not standardised: W (x - m) / s = (W / s) x - W m / s."""
        theta = fit.theta.copy()
        W, V = fit.shape.split(theta)
        first = V if W is None else W
        inputs = fit.shape.inputs
        first[:, :-1] /= self.scale[:inputs]
        first[:, -1] -= first[:, :-1] @ self.mean[:inputs]
        x, y = self.validation
        score = accuracy(y, logits(fit.shape, fit.theta, x[:, :inputs]).argmax(axis=1))
        kind = "mlp" if fit.shape.hidden else "logistic"
        return Control(kind, fit.shape.parameters, fit.shape, theta, score, fit.iterations, fit.converged)


class _Watch:
    """Keeps the iterate with the best validation loss and ends a descent that has become flat."""

    def __init__(self, shape: Shape, x: NDArray[np.float32], y: NDArray[np.int64]) -> None:
        self.shape, self.x, self.y = shape, x[:, : shape.inputs], y
        self.best, self.best_loss = np.zeros(0), np.inf
        self.mark, self.marked_at = np.inf, 0
        self.losses: list[float] = []

    def __call__(self, intermediate_result: OptimizeResult) -> None:
        self.losses.append(float(intermediate_result.fun))
        count = len(self.losses)
        if count % LOOK == 0:
            self.look(intermediate_result.x)
        flat = count > WINDOW and self.losses[-1 - WINDOW] - self.losses[-1] < FLAT * self.losses[-1]
        if flat or count - self.marked_at >= PATIENCE:
            raise StopIteration

    def look(self, theta: NDArray[np.float64]) -> None:
        scores = logits(self.shape, theta, self.x)
        top = scores.max(axis=1)
        chosen = scores[np.arange(len(self.y)), self.y]
        loss = float(np.mean(np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top - chosen, dtype=np.float64))
        if loss < self.best_loss:
            self.best, self.best_loss = theta.copy(), loss
        if loss < (1 - NOTEWORTHY) * self.mark:
            self.mark, self.marked_at = loss, len(self.losses)


def _networks(problem: _Problem, shapes: list[Shape], seed: int, threads: ThreadPoolExecutor | None) -> Iterator[_Fit]:
    """Short runs on some rows for every shape, longer ones on all rows for a few, the rest of the way for two."""
    trials = [
        problem.descend(shape, shape.start(seed), threads, rows=TRIAL_ROWS, limit=TRIAL_ITERATIONS) for shape in shapes
    ]
    finalists = [
        problem.descend(fit.shape, fit.theta, threads, limit=FINALIST_ITERATIONS)
        for fit in sorted(trials, key=_validation_loss)[:FINALISTS]
    ]
    for fit in sorted(finalists, key=_validation_loss)[:CONVERGED]:
        last = problem.descend(fit.shape, fit.theta, threads)
        yield replace(min(last, fit, key=_validation_loss), iterations=last.iterations, converged=last.converged)


def _validation_loss(fit: _Fit) -> float:
    return fit.validation_loss


def _checked(z: Any, y: Any, n_classes: int, where: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    rows, _ = features(z, where)
    numbers = labels(y, where)
    if len(rows) != len(numbers):
        raise ShapeError(f"{where}: expected one label for each row, got {len(rows)} and {len(numbers)}; align them")
    if numbers.min() < 0 or numbers.max() >= n_classes:
        raise DataError(
            f"{where}: expected labels from 0 to {n_classes - 1}, got {numbers.min()} to {numbers.max()}; "
            "give the number of classes of the data set"
        )
    return rows, numbers


@contextmanager
def _threads(work: int) -> Iterator[ThreadPoolExecutor | None]:
    """One helper thread where the work is large enough and a second core is there."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2 or work < WORTH_A_THREAD:
        yield None
        return
    with ThreadPoolExecutor(1) as threads:
        yield threads
