"""`regress`: one fixed random circuit, all its probabilities measured, the readout fitted to them: no gradients at all.

Every image is measured once. Two fits are compared by cross-validation over the measured images, at no circuits:

    direct    softmax regression of the labels on the measured probabilities, its penalty cross-validated;
    response  where the circuit loads amplitudes: first what the circuit does is learned from the same measurements (see
              `response`), then the regression runs on what it predicts for all training images, shot noise included.

Images are bought in batches that grow, so that an accuracy that is asked for ends the run early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.circuits.circuit import Circuit
from q_store.circuits.observables import Marginal, Observables
from q_store.errors import ConfigError
from q_store.jobs import Steps
from q_store.training.objective import Objective
from q_store.training.readout import LinearReadout
from q_store.training.recipes.book import BOUGHT, BUYING, FITTING, HELD_OUT, Book
from q_store.training.recipes.response import Response, learned
from q_store.training.recipes.task import TRAINING, VALIDATION, Array, Reals, RecipeResult, Task, in_turn
from q_store.training.refit import refit
from q_store.training.rows import Rows

NAME = "regress"
DIRECT, RESPONSE = "direct", "response"
FITS = (DIRECT, RESPONSE)
FOLDS = 5
LEAST = 20
FIRST, GROWTH = 40, 1.25
"""Images of the first look, and how many times as many each further one has."""
PENALTIES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
"""Of regression on standardised features."""
RESPONSE_PENALTY = 1e-3
MOST_ROWS, FOLD_ROWS = 10_000, 2_000
"""Training images that a response predicts, for the readout and for its cross-validation."""
MOST_QUBITS = 12
"""All probabilities of more are too many to fit with few images."""
Fit = Callable[[Array], tuple[Reals, Any]]


@dataclass(frozen=True)
class Regress:
    """See the module.

    Attributes:
        count: images, where neither circuits nor an accuracy are asked for: the most, where an accuracy is.
        fits: that are compared.
        random: circuit parameters at random, but for those that are multiplied by data; False: all as the task's
            objective starts.
        ranks: quadratic terms of a response that are compared.
        look: at what, on the way to an accuracy: `bought` rows by cross-validation, at no circuits; or `held_out` ones,
            measured anew each time.

    Raises:
        ConfigError: for fits or looks that there are not.
    """

    count: int = 200
    most: int = 1000
    fits: tuple[str, ...] = FITS
    random: bool = True
    ranks: tuple[int, ...] = (1, 2)
    look: str = BOUGHT
    name: str = NAME

    def __post_init__(self) -> None:
        if not self.fits or set(self.fits) - set(FITS):
            raise ConfigError(f"expected fits out of {', '.join(FITS)}, got {self.fits}; leave them out for both")
        if self.look not in {BOUGHT, HELD_OUT}:
            raise ConfigError(f"expected a look at {BOUGHT} or {HELD_OUT} rows, got {self.look!r}; leave it out")

    def training(self, task: Task) -> int:
        """As many images as are asked for, at most all there are."""
        asked = task.circuits or (self.count if task.accuracy is None else self.most)
        return min(asked, task.train.count)

    def validation(self, task: Task) -> int:
        """The held-out rows, once or at every look."""
        return task.held_out.count * (1 if self.look == BOUGHT else len(list(self._sizes(task))))

    def least(self, task: Task) -> int:
        """Two images of each class, and enough to cross-validate."""
        return max(LEAST, 2 * task.objective.readout.n_outputs)

    def plan(self, task: Task) -> Steps[RecipeResult]:
        """The recipe."""
        objective, theta = self._measured(task)
        book, order, sizes = Book(task), in_turn(task.train, task.seed), list(self._sizes(task))
        book.open(self, objective)
        data, values, fitted, own = order[:0], np.zeros((0, objective.measured.size)), None, None
        for number, end in enumerate(sizes):
            book.stage(BUYING)
            more = order[len(data) : end]
            found, _ = yield from book.measured(objective, theta, _taken(task.train, more), TRAINING, number)
            data, values = np.concatenate([data, more]), np.concatenate([values, found])
            book.stage(FITTING)
            fitted = fit(self, task, objective, data, values)
            if self.look == HELD_OUT:
                vector = np.concatenate([theta, fitted.weights])
                own = yield from book.accuracy(objective, vector, task.held_out, VALIDATION, number)
                book.note(own)
            else:
                book.note(fitted.accuracy, len(data))
            if book.reached is not None:
                break
        assert fitted is not None  # noqa: S101  # there is one size or more
        vector = np.concatenate([theta, fitted.weights])
        if own is None:
            own = yield from book.accuracy(objective, vector, task.held_out, VALIDATION)
            book.seen(own)
        tested = yield from book.test(objective, vector)
        book.close()
        return RecipeResult(
            NAME, objective, vector, tuple(book.curve), book.reached, tested, own, book.spent,
            "the readout trained here on features measured remotely by a fixed circuit, validated remotely"
            if fitted.how == DIRECT else
            "the readout trained here on the response of a fixed circuit, which was learned from remote measurements, "
            "validated remotely",
            {"fit": fitted.how, "cross_validated": fitted.accuracy, **fitted.notes},
        )  # fmt: skip

    def _measured(self, task: Task) -> tuple[Objective, Reals]:
        """The objective over all probabilities, and the parameters of the fixed circuit."""
        given = task.objective
        n = given.circuit.n_qubits
        if n > MOST_QUBITS:
            raise ConfigError(f"expected at most {MOST_QUBITS} qubits to regress on, got {n}; choose the recipe spsa")
        if given.loss.accuracy(np.zeros((1, given.readout.n_outputs)), np.zeros(1, dtype=np.intp)) is None:
            raise ConfigError("expected a loss of classes to regress on, got one without an accuracy; use Trainer")
        observables = Observables.of(Marginal(tuple(range(n))))
        readout = LinearReadout(2**n, given.readout.n_outputs)
        objective = replace(given, observables=observables, readout=readout)
        size = given.circuit.n_params
        start = given.initial(task.seed)[:size]
        if not self.random:
            return objective, start
        drawn = np.random.default_rng([task.seed, 22]).uniform(-np.pi, np.pi, size)
        return objective, np.where(_scales(given.circuit), start, drawn)

    def _sizes(self, task: Task) -> Iterator[int]:
        """How many images are measured at each look."""
        end, size = self.training(task), float(FIRST)
        if end < self.least(task):
            raise ConfigError(
                f"expected at least {self.least(task)} circuits and training rows to regress on, got {end}; give more"
            )
        while task.accuracy is not None and round(size) < end:
            yield max(round(size), self.least(task))
            size *= GROWTH
        yield end


def _scales(circuit: Circuit) -> NDArray[np.bool_]:
    """[P], parameters that are multiplied by data: as large as angles, they would leave nothing of it."""
    out = np.zeros(circuit.n_params, dtype=bool)
    out[[i for op in circuit.ops for angle in op.angles for (i, j), _ in angle.terms if min(i, j) >= 0]] = True
    return out


@dataclass(frozen=True, eq=False)
class Fitted:
    """A readout.

    Attributes:
        how: `direct` or `response`. weights: of the readout. loss, accuracy: cross-validated. notes: choices.
    """

    how: str
    weights: Reals
    loss: float
    accuracy: float
    notes: dict[str, Any]


def fit(recipe: Regress, task: Task, objective: Objective, index: Array, values: Array) -> Fitted:
    """The best fit, by its cross-validated loss, to values[N, K] of the training rows index[N]."""
    targets = np.asarray(task.train.targets)[index]
    options: list[tuple[str, dict[str, Any], Callable[[Array], Reals]]] = []
    if DIRECT in recipe.fits:
        options += [
            (DIRECT, {"penalty": penalty}, _direct(objective, values, targets, penalty)) for penalty in PENALTIES
        ]
    if RESPONSE in recipe.fits and objective.circuit.prepare is not None:
        options += [
            (RESPONSE, {"rank": rank}, _response(task, objective, index, values, rank)) for rank in recipe.ranks
        ]
    if not options:
        raise ConfigError("expected a circuit that loads amplitudes to learn its response, got another; fit 'direct'")
    scored = [(*_cross_validated(objective, values, targets, each), how, notes, each) for how, notes, each in options]
    loss, accuracy, how, notes, best = min(scored, key=lambda one: one[0])
    return Fitted(how, best(np.arange(len(index))), loss, accuracy, notes)


def _cross_validated(
    objective: Objective, values: Array, targets: Array, train: Callable[[Array], Reals]
) -> tuple[float, float]:
    """Loss and accuracy of rows that their own fold did not see; every fold has each class, as far as that goes."""
    outputs = np.empty((len(values), objective.readout.n_outputs))
    fold = np.empty(len(values), dtype=np.intp)
    fold[np.argsort(targets, kind="stable")] = np.arange(len(values)) % FOLDS
    for number in range(FOLDS):
        own = np.flatnonzero(fold == number)
        outputs[own] = objective.readout.outputs(values[own], train(np.flatnonzero(fold != number)))
    loss, _ = objective.loss.value_and_gradient(outputs, targets)
    return loss, float(objective.loss.accuracy(outputs, targets) or 0.0)


def _direct(objective: Objective, values: Array, targets: Array, penalty: float) -> Callable[[Array], Reals]:
    def train(rows: Array) -> Reals:
        return regression(objective, values[rows], targets[rows], penalty)

    return train


def _response(task: Task, objective: Objective, index: Array, values: Array, rank: int) -> Callable[[Array], Reals]:
    """Training on the predictions for images that were not bought, and for those bought that may be seen."""
    data = np.asarray(task.train.data)
    others = np.setdiff1d(in_turn(task.train, task.seed)[:MOST_ROWS], index, assume_unique=True)
    others = np.random.default_rng([task.seed, 24]).permutation(others)

    def train(rows: Array) -> Reals:
        response = learned(data[index[rows]], values[rows], rank, task.seed)
        seen = np.concatenate([index[rows], others if len(rows) == len(index) else others[:FOLD_ROWS]])
        features = _sampled(response, data[seen], task)
        return regression(objective, features, np.asarray(task.train.targets)[seen], RESPONSE_PENALTY, iterations=100)

    return train


def _sampled(response: Response, x: Array, task: Task) -> Reals:
    """Predicted features with the noise that so many shots have."""
    features = response.predict(x)
    if task.shots is None:
        return features
    rng = np.random.default_rng([task.seed, 23])
    return np.asarray(rng.multinomial(task.shots, features) / task.shots)


def regression(objective: Objective, values: Array, targets: Array, penalty: float, iterations: int = 200) -> Reals:
    """Weights of the best linear readout of values[N, M]; the penalty is on those of standardised values."""
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale = np.maximum(scale, max(1e-3 * float(scale.max()), 1e-12))
    found = refit(
        objective.readout, (values - mean) / scale, targets, loss=objective.loss, penalty=penalty, iterations=iterations
    ).vector
    table = found.reshape(values.shape[1] + 1, -1)
    weights = table[:-1] / scale[:, None]
    return np.concatenate([weights, (table[-1] - mean @ weights)[None]]).reshape(-1)


def _taken(rows: Rows, index: Array) -> Array | None:
    return None if rows.data is None else rows.data[index]
