"""The objective: circuit, observables, readout and loss as one function of one flat float64 vector.

vector = [theta (P) | readout weights]
loss(vector) = mean over rows of loss(readout(values(theta, x)), target) + penalty/2 |weights|^2
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit
from q_store.circuits.observables import Observable, Observables, collect
from q_store.errors import ConfigError, ShapeError
from q_store.gradients.estimator import GradientEstimator, Problem, Spread, answered
from q_store.jobs import Job, Output, Pullback, Steps
from q_store.training.loss import Loss
from q_store.training.readout import Readout

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]
_NONE = np.zeros((0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The objective and its gradient at one vector.

    Attributes:
        loss: with the penalty. gradient: [P + weights]. outputs: [R, C]. All of the rows that the estimator uses.
        accuracy: of the outputs, None where the loss knows none.
        variance: [P], squared standard errors of the circuit part of the gradient; None where it is exact.
        circuits, shots: what it cost.
        shot_noise: sum of the variances of the entries, as far as shots cause them; None where nothing is known.
        metric_cached: see `GradientEstimate`.
    """

    loss: float
    gradient: Reals
    outputs: Array
    variance: Reals | None
    circuits: int
    shots: int
    shot_noise: float | None = None
    accuracy: float | None = None
    metric_cached: bool | None = None


@dataclass(frozen=True)
class Objective:
    """What training minimises.

    Attributes:
        circuit: P parameters. observables: M values. readout: M values -> C outputs. loss: of the outputs.
        penalty: L2 penalty on the readout weights, 0 for none.
        circuit_scale: standard deviation of the initial circuit angles, in their own unit.

    Raises:
        ConfigError, ShapeError: when the parts do not fit together.
    """

    circuit: Circuit
    observables: Observables | Sequence[Observable]
    readout: Readout
    loss: Loss
    penalty: float = 0.0
    circuit_scale: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "observables", collect(self.observables))
        if self.measured.size != self.readout.n_values:
            msg = (
                f"expected a readout of {self.measured.size} values, as many as are measured, got one of "
                f"{self.readout.n_values}"
            )
            raise ShapeError(msg)
        if self.penalty < 0 or self.circuit_scale < 0:
            msg = f"expected a penalty and a circuit_scale of 0 or more, got {self.penalty} and {self.circuit_scale}"
            raise ConfigError(msg)
        self.measured.check(self.circuit.n_qubits)

    @property
    def measured(self) -> Observables:
        """The observables, as `Observables` whatever was passed."""
        return self.observables  # type: ignore[return-value]  # __post_init__ made it one

    @property
    def size(self) -> int:
        """Length of the vector."""
        return self.circuit.n_params + self.readout.n_weights

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all parts, hexadecimal."""
        parts = [self.circuit.digest, self.measured.digest, self.readout.identity, self.loss.identity]
        return hashlib.sha256(repr([*parts, self.penalty, self.circuit_scale]).encode()).hexdigest()

    def initial(self, seed: int) -> Reals:
        """Small random circuit angles and the readout's own start, from the seed alone."""
        rng = np.random.default_rng([seed, 0])
        theta = rng.normal(0.0, self.circuit_scale, self.circuit.n_params)
        return np.concatenate([theta, self.readout.initial(rng)])

    def evaluate(
        self,
        vector: Reals,
        data: Array | None,
        targets: Array | None,
        estimator: GradientEstimator,
        *,
        shots: int | None = None,
        seed: int = 0,
        spread: Spread | None = None,
    ) -> Steps[Evaluation]:
        """Loss and gradient for one batch: data[R, D] (None without features), targets[R] from `loss.prepare`."""
        n = self.circuit.n_params
        weights = vector[n:]
        gradient = np.empty(len(vector))
        loss = 0.0
        outputs: Array = _NONE
        accuracy: float | None = None

        def pullback(values: Array, wanted: Array | None = targets) -> Array:
            nonlocal loss, outputs, accuracy
            outputs = self.readout.outputs(values, weights)
            loss, d_outputs = self.loss.value_and_gradient(outputs, wanted)
            accuracy = self.loss.accuracy(outputs, wanted)
            cotangents, gradient[n:] = self.readout.pull_back(values, weights, d_outputs)
            return cotangents

        def some(index: npt.NDArray[np.intp]) -> Pullback:
            return partial(pullback, wanted=None if targets is None else targets[index])

        problem = Problem(self.circuit, self.measured, vector[:n], data, pullback, shots, seed, some, spread)
        estimate = yield from estimator.estimate(problem)
        gradient[:n] = estimate.gradient
        if self.penalty:
            loss += 0.5 * self.penalty * float(weights @ weights)
            gradient[n:] += self.penalty * weights
        cost = estimate.circuits, estimate.shots
        about = estimate.noise_of_shots, accuracy
        cached = estimate.metric_cached
        return Evaluation(loss, gradient, outputs, estimate.variance, *cost, *about, metric_cached=cached)

    def evaluate_all(
        self, vector: Reals, data: Array | None, targets: Array | None, estimator: GradientEstimator, chunk: int
    ) -> Steps[Evaluation]:
        """Exact loss and gradient of a whole set, `chunk` rows at a time, summed in order; `outputs` is empty."""
        rows = 1 if data is None else len(data)
        loss, gradient, circuits = 0.0, np.zeros(len(vector)), 0
        accuracy: float | None = 0.0
        for part in _chunks(rows, chunk):
            some = yield from self.evaluate(vector, _take(data, part), _take(targets, part), estimator)
            share = (part.stop - part.start) / rows
            loss += share * some.loss
            gradient += share * some.gradient
            circuits += some.circuits
            accuracy = None if accuracy is None or some.accuracy is None else accuracy + share * some.accuracy
        return Evaluation(loss, gradient, _NONE, None, circuits, 0, accuracy=accuracy)

    def loss_of(self, values: Array, weights: Reals, targets: Array | None) -> float:
        """The loss of measured values[R, M] with these weights of the readout, penalty included."""
        loss, _ = self.loss.value_and_gradient(self.readout.outputs(values, weights), targets)
        return loss + 0.5 * self.penalty * float(weights @ weights)

    def outputs(
        self, vector: Reals, data: Array | None, shots: int | None = None, seed: int = 0, chunk: int = 16384
    ) -> Steps[Array]:
        """Outputs [R, C] for prediction, `chunk` rows a job; samples depend on the seed and the chunk."""
        values = yield from self.values(vector, data, shots, seed, chunk)
        return self.readout.outputs(values, vector[self.circuit.n_params :])

    def values(
        self, vector: Reals, data: Array | None, shots: int | None = None, seed: int = 0, chunk: int = 16384
    ) -> Steps[Array]:
        """Measured values [R, M], see `outputs`."""
        params = vector[: self.circuit.n_params].reshape(1, -1)
        parts: list[Array] = []
        for number, part in enumerate(_chunks(1 if data is None else len(data), chunk)):
            job = Job(
                self.circuit,
                _take(data, part),
                params,
                self.measured,
                Output.EXPECTATION,
                shots=shots,
                seed=seed + number,
            )
            (outcome,) = yield [job]
            parts.append(answered(outcome))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _chunks(rows: int, chunk: int) -> Iterator[slice]:
    for first in range(0, rows, chunk):
        yield slice(first, min(first + chunk, rows))


def _take(array: Array | None, part: slice) -> Array | None:
    return None if array is None else array[part]
