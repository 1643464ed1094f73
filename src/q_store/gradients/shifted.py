"""Gradients from shifted circuits: first the values, then the cotangents, then every shifted row.

    d f_r / d theta = sum_t coefficient_t f_r(shift t), chained through the angles;    gradient = sum_r cotangent_r . d
    f_r / d theta

The plan runs R (1 + T) circuits: the values at the parameters, then all T shifts of every row in as few jobs as memory
allows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from q_store.circuits.circuit import Circuit
from q_store.circuits.observables import Marginal, Observables, collect
from q_store.circuits.shifts import ShiftRules
from q_store.gradients.estimator import GradientEstimate, Problem, Reals, answered
from q_store.jobs import Array, Job, Outcome, Output, Steps

MAX_ROWS = 1 << 18


def estimate_from(rules: ShiftRules, problem: Problem) -> Steps[GradientEstimate]:
    """The plan for these rules.

    With shots the estimate has a variance: shifted values are independent of each other; within a marginal the
        multinomial covariance
    is used; correlations between different observables of one measurement, and the noise of the cotangents, are left
    out.
    """
    measured = collect(problem.observables)
    params = np.asarray(problem.params, dtype=float).reshape(1, -1)
    (first,) = yield [_job(problem, problem.circuit, params, 0)]
    values, shots = answered(first), first.shots_paid
    cotangents = problem.pullback(values)
    moved = rules.rows(params)
    slopes, noise = np.empty((2, len(values), rules.size))
    for part in _parts(rules.size, len(values)):
        (outcome,) = yield [_job(problem, rules.circuit, moved[part], 1 + part.start)]
        shots += outcome.shots_paid
        slopes[:, part] = _weighted(answered(outcome).reshape(len(values), -1, measured.size), cotangents)
        noise[:, part] = _noise(outcome, cotangents, measured, problem.shots)
    gradient = rules.gradient(slopes, problem.data).sum(axis=0)
    variance = None if problem.shots is None else rules.squares(noise, problem.data).sum(axis=0)
    groups = 1 if problem.shots is None else len(measured.groups())
    return GradientEstimate(gradient, values, variance, len(values) * (1 + rules.size) * groups, shots)


def _job(problem: Problem, circuit: Circuit, params: Reals, number: int) -> Job:
    """One job of the plan; each has samples of its own."""
    return Job(
        circuit,
        problem.data,
        params,
        problem.observables,
        Output.EXPECTATION,
        shots=problem.shots,
        seed=problem.seed * 65_537 + number,
    )


def _parts(size: int, rows: int) -> Iterator[slice]:
    step = max(1, MAX_ROWS // rows)
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def _noise(outcome: Outcome, cotangents: Array, measured: Observables, shots: int | None) -> Reals | float:
    """Variance [R, T'] of sum_m cotangent_m value_m for the T' shifts of a job; 0 for exact values."""
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
            mean = _weighted(values[:, :, part], weights)
            total += (_weighted(values[:, :, part], weights**2) - mean**2) / shots
        else:
            total += _weighted(variances[:, :, part], weights**2)
    return total


def _weighted(values: Array, weights: Array) -> Array:
    """[R, T] from values[R, T, m] and weights[R, m]."""
    return np.asarray(np.einsum("rtm,rm->rt", values, weights))
