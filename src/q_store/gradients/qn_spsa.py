"""Quantum natural SPSA: the metric, too, by simultaneous perturbation, averaged over the steps.

Gacon, Zoufal, Carleo and Woerner, Quantum 5, 567 (2021). With the fidelity O(t, t') = |<psi(t')|psi(t)>|^2, which is
1 - (t'-t)^T F (t'-t) / 4 + ..., and two random directions D1, D2,

    dO = O(t, t + e D1 + e D2) - O(t, t + e D1) - O(t, t - e D1 + e D2) + O(t, t - e D1)
    F_k = -dO / e^2 (D1 D2^T + D2 D1^T) / 2,    E[F_k] = F + O(e^2)
    F~_k = (k F~_(k-1) + F_k) / (k + 1),  F~_0 = 1;    (sqrt(F~ F~) + beta 1) g_nat = g.

A fidelity is the probability of 0...0 after U(t')^-1 U(t) on |0...0>: four circuits a row and pair.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from q_store.circuits.circuit import Circuit
from q_store.circuits.encoders import lower
from q_store.circuits.inverse import inverse
from q_store.circuits.observables import Marginal, Observables
from q_store.circuits.structure import Structure
from q_store.errors import ConfigError
from q_store.gradients.estimator import GradientEstimate, GradientEstimator, Memory, Problem, Reals, answered
from q_store.gradients.metric import MetricEstimate, first_rows
from q_store.gradients.natural import preconditioned, regularized
from q_store.gradients.spsa import SPSA, circuit_directions
from q_store.jobs import Array, Job, Steps

METRIC = 14
SIGNS = np.array([1.0, -1.0, -1.0, 1.0])
_FIRST = np.array([1.0, 1.0, -1.0, -1.0])
_SECOND = np.array([1.0, 0.0, 1.0, 0.0])


class QNSPSA:
    """SPSA with its own estimate of the metric: six circuits a row for gradient and metric, whatever P is.

    Args:
        estimator: of the gradient.
        perturbation: e, in the unit of the parameters.
        pairs: of directions for the metric of a step.
        rows: the metric is the average over so many rows of the batch, the first; None for all.
        regularization: beta, 0 or more.

    It remembers the running average, which a checkpoint keeps; `restore({})` forgets it.

    Raises:
        ConfigError: for a value out of range.
    """

    def __init__(
        self,
        estimator: GradientEstimator | None = None,
        *,
        perturbation: float = 0.15,
        pairs: int = 1,
        rows: int | None = 4,
        regularization: float = 0.01,
    ) -> None:
        if not perturbation > 0 or pairs < 1 or (rows is not None and rows < 1) or regularization < 0:
            msg = (
                f"expected a perturbation above 0, 1 pair and 1 row or more and a regularization of 0 or more, got "
                f"{perturbation}, {pairs}, {rows} and {regularization}"
            )
            raise ConfigError(msg)
        self.estimator = estimator or SPSA(perturbation)
        self.perturbation = perturbation
        self.pairs = pairs
        self.rows = rows
        self.regularization = regularization
        self._average: Reals | None = None
        self._number = 0

    def estimate(self, problem: Problem) -> Steps[GradientEstimate]:
        """The plan: the metric of this step, then the gradient. The average changes when both are there."""
        metric = yield from self.sample(problem)
        found = yield from self.estimator.estimate(problem)
        number = self._number + 1
        before = np.eye(len(metric.matrix)) if self._average is None else self._average
        average = (number * before + metric.matrix) / (number + 1)
        out = preconditioned(found, metric, regularized(magnitude(average), self.regularization))
        self._average, self._number = average, number
        return out

    def sample(self, problem: Problem) -> Steps[MetricEstimate]:
        """The metric F_k of this step alone, symmetric and in general not positive.

        Raises:
            CircuitError: for a circuit that cannot be inverted.
        """
        used = first_rows(problem, self.rows)
        circuit, data = overlap(used.circuit, used.data)
        size = used.circuit.n_params
        both = circuit_directions([used.seed, METRIC], 2 * self.pairs, used.circuit)
        first, second = both.reshape(2, self.pairs, size)
        moves = _FIRST[:, None] * first[:, None] + _SECOND[:, None] * second[:, None]
        there = (used.params + self.perturbation * moves).reshape(4 * self.pairs, size)
        params = np.concatenate([np.broadcast_to(used.params, there.shape), there], axis=1)
        zeros = Observables.of(Marginal(tuple(range(circuit.n_qubits))))
        job = Job(circuit, data, params, zeros, shots=used.shots, seed=used.seed * 65_537 + METRIC, reuse=False)
        (outcome,) = yield [job]
        fidelities = answered(outcome)[:, 0].astype(float).reshape(-1, self.pairs, 4)
        curvature = -(fidelities.mean(axis=0) @ SIGNS) / self.perturbation**2
        product = np.einsum("k,ki,kj->ij", curvature, first, second) / self.pairs
        return MetricEstimate((product + product.T) / 2, outcome.rows, outcome.shots_paid)

    def arrays(self) -> dict[str, Array]:
        """See `Memory`."""
        inner = self.estimator.arrays() if isinstance(self.estimator, Memory) else {}
        if self._average is None:
            return inner
        return {**inner, "qn_spsa.average": self._average.copy(), "qn_spsa.number": np.array(self._number)}

    def restore(self, arrays: dict[str, Array]) -> None:
        """See `Memory`."""
        average = arrays.get("qn_spsa.average")
        self._average = None if average is None else np.array(average, dtype=float)
        self._number = int(arrays.get("qn_spsa.number", 0))
        if isinstance(self.estimator, Memory):
            self.estimator.restore(arrays)


def overlap(circuit: Circuit, data: Array | None) -> tuple[Circuit, Array | None]:
    """U(t')^-1 U(t) over the parameters (t, t'), and the data for it: amplitudes are written as gates.

    |<psi(t')|psi(t)>|^2 is the probability that it leaves |0...0> as it is.
    """
    if circuit.prepare is not None and data is not None:
        circuit, data = lower(circuit, data)
    return _joined(Structure(circuit)), data


@lru_cache(maxsize=16)
def _joined(structure: Structure) -> Circuit:
    circuit = structure.circuit
    return circuit + inverse(circuit).shifted(params=circuit.n_params)


def magnitude(matrix: Reals) -> Reals:
    """sqrt(M M) of a symmetric matrix: its eigenvalues without their signs."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.abs(values)) @ vectors.T)
