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
from q_store.circuits.shifts import ShiftRules
from q_store.gradients.contraction import bases, contracted, measured
from q_store.gradients.estimator import GradientEstimate, Problem, Reals
from q_store.jobs import Array, Job, Output, Steps

MAX_ROWS = 1 << 18


def estimate_from(rules: ShiftRules, problem: Problem) -> Steps[GradientEstimate]:
    """The plan for these rules.

    With shots the estimate has a variance: shifted values are independent of each other, values of one measurement are
    correlated as they are (see `contraction`), and the noise of the cotangents is left out.
    """
    asked = measured(problem)
    params = np.asarray(problem.params, dtype=float).reshape(1, -1)
    (first,) = yield [_job(problem, problem.circuit, params, 0)]
    values, shots = asked.values(first), first.shots_paid
    cotangents = problem.pullback(values)
    moved = rules.rows(params)
    each = _allotted(problem, asked.noise(first, cotangents, problem.shots))
    slopes, spread = np.empty((2, len(values), rules.size))
    for part in _parts(rules.size, len(values)):
        (outcome,) = yield [_job(problem, rules.circuit, moved[part], 1 + part.start, each)]
        shots += outcome.shots_paid
        slopes[:, part] = contracted(asked.values(outcome).reshape(len(values), -1, asked.size), cotangents)
        spread[:, part] = asked.noise(outcome, cotangents, None if each is None else each[:, None])
    gradient = rules.gradient(slopes, problem.data).sum(axis=0)
    variance = None if problem.shots is None else rules.squares(spread, problem.data).sum(axis=0)
    return GradientEstimate(gradient, values, variance, len(values) * (1 + rules.size) * bases(problem), shots)


def _job(problem: Problem, circuit: Circuit, params: Reals, number: int, each: Array | None = None) -> Job:
    """One job of the plan; each has samples of its own, and every row `each` shots, where they are given."""
    return Job(
        circuit,
        problem.data,
        params,
        measured(problem).observables,
        Output.EXPECTATION,
        shots=problem.shots if each is None else alike(np.repeat(each, len(params))),
        seed=problem.seed * 65_537 + number,
    )


def _allotted(problem: Problem, found: Reals | float) -> Array | None:
    """Shots of every row, [R]; None for exact values. `found` is the noise of the rows with `problem.shots` each."""
    if problem.shots is None:
        return None
    if problem.spread is None or isinstance(found, float):
        return np.full(problem.rows, problem.shots)
    return problem.spread(found[:, 0] * problem.shots)


def alike(shots: Array) -> int | Array:
    """One number where all are the same."""
    return int(shots[0]) if (shots == shots[0]).all() else shots


def _parts(size: int, rows: int) -> Iterator[slice]:
    step = max(1, MAX_ROWS // rows)
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))
