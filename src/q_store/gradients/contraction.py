"""Values and cotangents brought together: what every estimator that measures expectation values needs."""

from __future__ import annotations

import numpy as np

from q_store.circuits.observables import Marginal, Observables, collect
from q_store.gradients.estimator import Problem, Reals, answered
from q_store.jobs import Array, Outcome


def bases(problem: Problem) -> int:
    """Circuits that measure one row: one for each measured basis with shots, one state where values are exact."""
    return 1 if problem.shots is None else len(collect(problem.observables).groups())


def contracted(values: Array, cotangents: Array) -> Array:
    """sum_m cotangent[r, m] value[r, t, m], [R, T], for values[R, T, M] and cotangents[R, M]."""
    return np.asarray(np.einsum("rtm,rm->rt", values, cotangents))


def noise(outcome: Outcome, cotangents: Array, measured: Observables, shots: int | Array | None) -> Reals | float:
    """Variance [R, T] of `contracted` of R T rows with `shots`, or shots[R, 1], each; 0 for exact values.

    Within a marginal the multinomial covariance is used; correlations between different observables of one measurement
    are left out.
    """
    if shots is None or outcome.variances is None:
        return 0.0
    shape = (len(cotangents), -1, measured.size)
    values, variances = answered(outcome).reshape(shape), outcome.variances.reshape(shape)
    total = np.zeros(values.shape[:2])
    start = 0
    for item in measured.items:
        part = slice(start, start + (2 ** len(item.qubits) if isinstance(item, Marginal) else 1))
        weights, start = cotangents[:, part], part.stop
        if isinstance(item, Marginal):
            mean = contracted(values[:, :, part], weights)
            total += (contracted(values[:, :, part], weights**2) - mean**2) / shots
        else:
            total += contracted(variances[:, :, part], weights**2)
    return total
