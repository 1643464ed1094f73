"""Rotosolve: parameters one at a time, each to the minimum of the loss along it, without a gradient.

Every measured value is a trigonometric polynomial in one parameter, found from 2 F + 1 values (see
`q_store.circuits.spectrum`). The loss of a model is none; but it is a function of the values, so it can be computed at
any angle from the polynomials, and minimised there without another circuit. For an energy and F = 1 this is the rule of
Ostaszewski, Grant and Benedetti, Quantum 5, 391 (2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit
from q_store.circuits.spectrum import Spectrum, spectrum
from q_store.circuits.structure import Structure
from q_store.errors import CircuitError
from q_store.gradients.estimator import answered
from q_store.jobs import Job, Output, Steps
from q_store.training.objective import Evaluation, Objective

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]
_POINTS = 24
_PRECISION = 1e-8


@dataclass(frozen=True, slots=True)
class Rotosolve:
    """Step k is for parameter k modulo their number, of those that move a value.

    Attributes:
        objective: what is minimised.
    """

    objective: Objective

    def step(
        self, vector: Reals, data: Array | None, targets: Array | None, number: int, *, shots: int | None, seed: int
    ) -> Steps[Evaluation]:
        """Move one circuit parameter of `vector`, in place, to the minimum for these rows: R (2 F + 1) circuits.

        The gradient that comes back is that of the readout at the new point; the circuit's part is 0.

        Raises:
            CircuitError: for a circuit without parameters, or with one that is multiplied by data.
        """
        circuit, measured = self.objective.circuit, self.objective.measured
        spectra = _spectra(Structure(circuit))
        if not spectra:
            msg = "expected a circuit with parameters for rotosolve, got none that any value depends on"
            raise CircuitError(msg)
        index, found = spectra[number % len(spectra)]
        params = np.repeat(vector[None, : circuit.n_params], len(found.nodes), axis=0)
        params[:, index] += found.nodes
        (outcome,) = yield [Job(circuit, data, params, measured, Output.EXPECTATION, shots=shots, seed=seed)]
        values = answered(outcome).reshape(-1, len(found.nodes), measured.size).astype(float)
        line = _Line(self.objective, vector[circuit.n_params :], targets, found, values)
        best = line.minimum()
        loss, outputs, gradient = line.at(best)
        vector[index] += best
        circuits = len(values) * len(found.nodes) * (1 if shots is None else len(measured.groups()))
        accuracy = self.objective.loss.accuracy(outputs, targets)
        return Evaluation(loss, gradient, outputs, None, circuits, outcome.shots_paid, accuracy=accuracy)


class _Line:
    """The loss along one parameter, t away from where it stands."""

    def __init__(
        self, objective: Objective, weights: Reals, targets: Array | None, found: Spectrum, values: Reals
    ) -> None:
        self.objective, self.weights, self.targets, self.spectrum = objective, weights, targets, found
        rows, nodes, size = values.shape
        self.coefficients = found.coefficients(values.transpose(1, 0, 2).reshape(nodes, rows * size))
        self.shape = rows, size

    def values(self, t: float) -> Reals:
        """[R, M], from the polynomials."""
        terms = self.spectrum.terms(np.array([t]))
        return np.asarray((terms @ self.coefficients).reshape(self.shape))

    def loss(self, t: float) -> float:
        """Without the penalty, which does not depend on t."""
        outputs = self.objective.readout.outputs(self.values(t), self.weights)
        return self.objective.loss.value_and_gradient(outputs, self.targets)[0]

    def minimum(self) -> float:
        """The t in half a period to both sides with the smallest loss: the best of a grid, then made precise."""
        from scipy.optimize import minimize_scalar

        half = self.spectrum.period / 2
        number = _POINTS * max(1, round(self.spectrum.frequencies[-1] * 2 * half / (2 * np.pi)))
        grid = np.linspace(-half, half, number + 1)
        losses = [self.loss(t) for t in grid]
        rough = grid[int(np.argmin(losses))]
        width = grid[1] - grid[0]
        options: Any = {"xatol": _PRECISION}
        fine = minimize_scalar(self.loss, bounds=(rough - width, rough + width), method="bounded", options=options)
        return float(fine.x if fine.fun <= min(losses) else rough)

    def at(self, t: float) -> tuple[float, Array, Reals]:
        """(loss with the penalty, outputs [R, C], gradient [P + weights], 0 for the circuit)."""
        objective, values = self.objective, self.values(t)
        outputs = objective.readout.outputs(values, self.weights)
        loss, d_outputs = objective.loss.value_and_gradient(outputs, self.targets)
        _, d_weights = objective.readout.pull_back(values, self.weights, d_outputs)
        loss += 0.5 * objective.penalty * float(self.weights @ self.weights)
        gradient = np.concatenate([np.zeros(objective.circuit.n_params), d_weights + objective.penalty * self.weights])
        return loss, outputs, gradient


def average_nodes(circuit: Circuit) -> float:
    """Circuits a row and basis of a step, on average over the parameters; 0 where there are none."""
    spectra = _spectra(Structure(circuit))
    return sum(len(found.nodes) for _, found in spectra) / max(len(spectra), 1)


@lru_cache(maxsize=16)
def _spectra(structure: Structure) -> tuple[tuple[int, Spectrum], ...]:
    circuit: Circuit = structure.circuit
    each = [(i, spectrum(circuit, i)) for i in range(circuit.n_params)]
    return tuple((i, found) for i, found in each if len(found.frequencies))
