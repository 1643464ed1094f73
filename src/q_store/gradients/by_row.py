"""Derivatives with regard to parameters AND data, as plans without I/O.

For values f_r[M] of rows r and cotangents c[R, M] the plan returns

    d/dtheta = sum_r c_r . d f_r / d theta  [P],    d/dx_r = c_r . d f_r / d x_r  [R, D].

Angles. Every row has derivatives with regard to its own angles (`circuits.sites`), which are then chained to both. So
one adjoint sweep, or the shifts of each angle once, give the two. Simultaneous perturbation (SPSA) moves all angles of
a row, with signs of its own, which costs no circuit more than common ones and averages over the rows.

Amplitudes. A value is a quadratic form f(a) = a' A a of the amplitudes a, |a| = 1, so along a unit vector t across a

    2 t' A a = f((a + t) / sqrt 2) - f((a - t) / sqrt 2):

two circuits a direction, exact, on any backend. What is returned is the gradient within the sphere: whoever scales
rows to unit norm needs no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from q_store.circuits.circuit import Circuit
from q_store.circuits.observables import Observables
from q_store.circuits.shifts import shift_rules
from q_store.circuits.sites import Sites
from q_store.errors import CapabilityError
from q_store.gradients.adjoint import Adjoint
from q_store.gradients.estimator import Reals, answered
from q_store.gradients.finite_difference import FiniteDifference
from q_store.gradients.parameter_shift import ParameterShift
from q_store.gradients.spsa import SPSA, directions
from q_store.jobs import Array, Job, Outcome, Output, Steps

MAX_NUMBERS = 1 << 22
"""Parameters and data of a job, in all; bounds the memory."""
ANGLES, AMPLITUDES = 21, 22
"""Streams of random signs."""
Method = Adjoint | ParameterShift | FiniteDifference | SPSA


@dataclass(frozen=True, slots=True, eq=False)
class RowProblem:
    """Derivatives that are wanted.

    Attributes:
        circuit: P parameters, D features. observables: M values a row.
        params: [P]. data: [R, D], amplitude columns with unit norm; [R, 0] for a circuit without features.
        cotangents: [R, M].
        of_params, of_data: which derivatives.
        shots: shots a circuit, None for exact values. seed: of samples and signs.
    """

    circuit: Circuit
    observables: Observables
    params: Reals
    data: Array
    cotangents: Array
    of_params: bool = True
    of_data: bool = True
    shots: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class RowGradient:
    """What was found, and what it cost.

    Attributes:
        params: [P], None unless asked for. data: [R, D], the same.
        circuits, shots: that were run and paid.
    """

    params: Reals | None
    data: Reals | None
    circuits: int
    shots: int


Found = tuple[Reals | None, Reals | None]
"""What a part adds to d/dtheta [P] and to d/dx [R, D]."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Jobs of one kind, and what their outcomes mean."""

    jobs: list[Job]
    read: Callable[[list[Outcome]], Found]


def row_gradient(problem: RowProblem, method: Method) -> Steps[RowGradient]:
    """The plan: all circuits in one list of jobs, so that none waits for another.

    Raises:
        CapabilityError: when the backend returns no gradient for `Adjoint`. CircuitError: for `ParameterShift` where a
            gate has no rule.
    """
    parts = list(_parts(problem, method))
    outcomes = (yield [job for part in parts for job in part.jobs]) if parts else []
    d_params, d_data = np.zeros(problem.circuit.n_params), np.zeros(problem.data.shape)
    start = 0
    for part in parts:
        end = start + len(part.jobs)
        of_params, of_data = part.read(outcomes[start:end])
        d_params += 0.0 if of_params is None else of_params
        d_data += 0.0 if of_data is None else of_data
        start = end
    groups = 1 if problem.shots is None else len(problem.observables.groups())
    return RowGradient(
        d_params if problem.of_params else None,
        d_data if problem.of_data else None,
        groups * sum(outcome.rows for outcome in outcomes),
        sum(outcome.shots_paid for outcome in outcomes),
    )


def _parts(problem: RowProblem, method: Method) -> Iterator[_Part]:
    circuit = problem.circuit
    of_angles = problem.of_data and circuit.angle_table.uses_data
    if isinstance(method, Adjoint) and not of_angles:
        if problem.of_params and circuit.n_params:
            yield _shared(problem)
    else:
        sites = Sites.of(circuit, params=problem.of_params, data=of_angles)
        if sites.circuit.n_params:
            yield _angles(problem, sites, method)
    if problem.of_data and circuit.prepare is not None and circuit.prepare.columns[1] > 1:
        yield _amplitudes(problem, method)


def _shared(problem: RowProblem) -> _Part:
    """Only parameters, which all rows share: one sweep that need not tell rows apart."""
    job = _job(problem, 0, problem.circuit, problem.data, problem.params[None])
    sweep = replace(job, output=Output.VJP, pullback=lambda _: problem.cotangents)
    return _Part([sweep], lambda outcomes: (_swept(outcomes[0])[0], None))


def _angles(problem: RowProblem, sites: Sites, method: Method) -> _Part:
    """Every row by its own angles."""
    own = sites.angles(problem.params, problem.data)
    data = sites.data(problem.params, problem.data)
    jobs: list[Job] = []
    if isinstance(method, Adjoint):
        pairs = np.stack([np.arange(len(own))] * 2, axis=1)
        job = _job(problem, 0, sites.circuit, data, own)
        jobs.append(replace(job, pairs=pairs, output=Output.VJP, pullback=lambda _: problem.cotangents))
        weights, each = np.zeros((1, 0, 0)), 0
    else:
        shifts, weights = _moves(sites.circuit, method, len(own), problem.seed)
        each = shifts.shape[1]
        for rows in _chunks(len(own), each * sites.circuit.n_params):
            params = own[rows, None] + (shifts if len(shifts) == 1 else shifts[rows])
            flat = params.reshape(-1, sites.circuit.n_params)
            pairs = np.stack([np.arange(len(params)).repeat(each), np.arange(len(flat))], axis=1)
            jobs.append(replace(_job(problem, rows.start, sites.circuit, data[rows], flat), pairs=pairs))

    def read(outcomes: list[Outcome]) -> Found:
        slopes = _swept(outcomes[0]) if not each else _sum(_weighted(problem, outcomes, each), weights)
        d_params = sites.moved.pull_back(slopes, problem.data).sum(axis=0)
        return d_params, slopes @ sites.moved.data_slopes(problem.params)

    return _Part(jobs, read)


def _sum(values: Reals, weights: Reals) -> Reals:
    """[R, S] from values[R, T] and weights[R or 1, T, S]."""
    if len(weights) == 1:
        return np.asarray(values @ weights[0])
    return np.asarray(np.einsum("rt,rts->rs", values, weights))


def _moves(circuit: Circuit, method: Method, rows: int, seed: int) -> tuple[Reals, Reals]:
    """Shifts [R or 1, T, S] of the angles, and weights of the values there in d/d angle, the same shape."""
    size = circuit.n_params
    if isinstance(method, SPSA):
        signs = directions([seed, ANGLES], rows * method.pairs, size).reshape(rows, method.pairs, size)
        both = np.stack([signs, -signs], axis=2).reshape(rows, 2 * method.pairs, size)
        return method.perturbation * both, both / (2 * method.perturbation * method.pairs)
    if isinstance(method, FiniteDifference):
        both = np.repeat(np.eye(size), 2, axis=0) * np.tile([1.0, -1.0], size)[:, None]
        return method.step * both[None], both[None] / (2 * method.step)
    rules = shift_rules(circuit)
    shifts, weights = np.zeros((2, 1, rules.size, size))
    at = np.arange(rules.size)
    shifts[0, at, rules.site], weights[0, at, rules.site] = rules.shift, rules.coefficient
    return shifts, weights


def _amplitudes(problem: RowProblem, method: Method) -> _Part:
    """The amplitudes of every row, within the unit sphere."""
    sites = Sites.of(problem.circuit, params=False, data=False)
    first, number = sites.columns
    amplitudes = np.asarray(problem.data[:, first : first + number], dtype=float)
    tangents, scale = across(amplitudes), 1.0
    if isinstance(method, SPSA):
        signs = directions([problem.seed, AMPLITUDES], len(amplitudes) * method.pairs, number - 1)
        signs = signs.reshape(len(amplitudes), method.pairs, number - 1)
        tangents = np.einsum("rpk,rkj->rpj", signs, tangents) / np.sqrt(number - 1)
        scale = (number - 1) / method.pairs
    moved = np.stack([tangents, -tangents], axis=2).reshape(len(amplitudes), -1, number)
    moved = (amplitudes[:, None] + moved) / np.sqrt(2)
    plain = not problem.circuit.angle_table.uses_data  # else angles might read columns that move here
    circuit, params = (problem.circuit, problem.params) if plain else (sites.circuit, np.zeros(0))
    data, at = (problem.data, first) if plain else (sites.data(problem.params, problem.data), 0)
    each, jobs = moved.shape[1], []
    for rows in _chunks(len(moved), each * data.shape[1]):
        part = np.repeat(np.asarray(data[rows], dtype=float), each, axis=0)
        part[:, at : at + number] = moved[rows].reshape(-1, number)
        jobs.append(_job(problem, len(moved) + rows.start, circuit, part, params[None]))

    def read(outcomes: list[Outcome]) -> Found:
        values = _weighted(problem, outcomes, each).reshape(len(moved), -1, 2)
        d_data = np.zeros(problem.data.shape)
        slopes = scale * (values[:, :, 0] - values[:, :, 1])
        d_data[:, first : first + number] = np.einsum("rk,rkj->rj", slopes, tangents)
        return None, d_data

    return _Part(jobs, read)


def across(vectors: Reals) -> Reals:
    """Orthonormal vectors [R, N - 1, N] across unit vectors [R, N]: a reflection that takes the first axis to each."""
    mirror = vectors.copy()
    mirror[:, 0] += np.where(vectors[:, 0] < 0, -1.0, 1.0)
    weights = 2 * mirror / np.sum(mirror**2, axis=1, keepdims=True)
    whole = np.eye(vectors.shape[1]) - weights[:, :, None] * mirror[:, None, :]
    return np.asarray(whole[:, 1:])


def _weighted(problem: RowProblem, outcomes: list[Outcome], each: int) -> Reals:
    """sum_m cotangent_m value_m of the `each` circuits of every row, [R, each]."""
    values = [answered(outcome).reshape(-1, each, problem.observables.size) for outcome in outcomes]
    return np.asarray(np.einsum("rtm,rm->rt", np.concatenate(values), problem.cotangents, dtype=float))


def _job(problem: RowProblem, number: int, circuit: Circuit, data: Array, params: Array) -> Job:
    """Job `number` of the plan; each has samples of its own."""
    seed = problem.seed * 65_537 + 1 + number
    exact = problem.shots is None
    return Job(circuit, data, params, problem.observables, shots=problem.shots, seed=seed, reuse=exact)


def _chunks(rows: int, numbers: int) -> Iterator[slice]:
    step = max(1, MAX_NUMBERS // max(1, numbers))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _swept(outcome: Outcome) -> Reals:
    if outcome.gradient is None:
        raise CapabilityError(
            f"expected a gradient from {outcome.source!r}, got none; choose gradient='parameter_shift' or an exact "
            "backend"
        )
    return outcome.gradient
