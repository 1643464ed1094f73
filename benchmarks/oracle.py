"""A slow, dense NumPy oracle in double precision, and the comparison that every engine must pass before it is timed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from workloads import SHOTS, Case, Op, operations, signs

CHUNK = 16
"""Rows simulated at a time: keeps [CHUNK, 4096] complex numbers in the cache."""
MAX_SHIFTED = 24
"""W3 compares this many of the 2 P shifted circuits, spread evenly: the oracle simulates each on its own."""
TOLERANCE = {"W1": 2e-5, "W2": 2e-5, "W4": 5e-5}
"""Largest absolute difference that single precision may cause (times 1 + the largest magnitude)."""


WORST_SIGMA = 6.0
SPREAD = 0.2
"""W3: each sampled average against its standard error; their mean square is 1 if exactly SHOTS were drawn."""


class MismatchError(AssertionError):
    """An engine computes other numbers than the oracle; it must not be timed."""


def expected(case: Case, theta: np.ndarray) -> np.ndarray:
    """What the workload should give at theta[P], flattened; for W3 the exact <Z_q>[B, S, n] of the compared shifts."""
    if case.workload == "W1":
        return _by_chunks(partial(_values_at, case.n, theta), case.inputs)
    if case.workload == "W2":
        return _loss_and_gradient(case, theta)
    if case.workload == "W3":
        return _shifted(case, theta)
    return _by_chunks(lambda x: _fisher(x, case.n, theta), case.inputs)


def compare(case: Case, result: np.ndarray, reference: np.ndarray) -> float:
    """The error of an engine's flat result (in sigma for W3); raises MismatchError beyond the tolerance."""
    if case.workload == "W3":
        return _compare_samples(case, result, reference)
    flat = np.asarray(result, dtype=float).reshape(-1)
    if flat.size != reference.size:
        raise MismatchError(f"{case.label}: expected {reference.size} numbers, got {flat.size}")
    error = float(np.max(np.abs(flat - reference.reshape(-1))))
    limit = TOLERANCE[case.workload] * (1.0 + float(np.max(np.abs(reference))))
    if not error <= limit:
        raise MismatchError(f"{case.label}: differs from the oracle by {error:.3g}, allowed {limit:.3g}")
    return error


def _compare_samples(case: Case, result: np.ndarray, reference: np.ndarray) -> float:
    """Each estimate must be a whole number of shots and scatter around the exact value as SHOTS shots do."""
    estimates = np.asarray(result, dtype=float).reshape(case.batch, 2 * case.n_params, case.n)
    ones = (1.0 - estimates) * SHOTS / 2.0
    if not np.allclose(ones, np.round(ones), atol=1e-2):
        raise MismatchError(f"{case.label}: estimates are not averages of {SHOTS} shots")
    chosen = estimates[:, shift_indices(case)]
    sigma = np.sqrt(np.maximum(1.0 - reference**2, 1e-6) / SHOTS)
    deviation = (chosen - reference) / sigma
    worst, spread = float(np.max(np.abs(deviation))), float(np.mean(deviation**2))
    if not (worst < WORST_SIGMA and abs(spread - 1.0) < SPREAD):
        found = f"worst deviation {worst:.2f} sigma (< {WORST_SIGMA}), mean square {spread:.3f} (1 +- {SPREAD})"
        raise MismatchError(f"{case.label}: {found}")
    return worst


def shift_indices(case: Case) -> np.ndarray:
    """Which of the 2 P shifted circuits W3 compares: index 2 k is theta_k + pi/2, 2 k + 1 is theta_k - pi/2."""
    total = 2 * case.n_params
    return np.unique(np.linspace(0, total - 1, min(MAX_SHIFTED, total)).round().astype(int))


def apply(state: np.ndarray, op: Op, theta: np.ndarray, *, inverse: bool = False) -> np.ndarray:
    """The state [R, 2^n] after one gate (or its inverse)."""
    name, first, second = op
    if name == "cnot":
        index = np.arange(state.shape[1])
        return np.asarray(state[:, index ^ (((index >> first) & 1) << second)])
    half = (-0.5 if inverse else 0.5) * theta[second]
    if name == "rz":
        bit = (np.arange(state.shape[1]) >> first) & 1
        return state * np.exp(1j * half * (2 * bit - 1))
    pairs = state.reshape(len(state), -1, 2, 2**first)
    low, high = pairs[:, :, 0], pairs[:, :, 1]
    cosine, sine = np.cos(half), np.sin(half)
    return np.stack([cosine * low - sine * high, sine * low + cosine * high], axis=2).reshape(state.shape)


def generator(state: np.ndarray, op: Op) -> np.ndarray:
    """-i P / 2 of a rotation applied to the state: d/dtheta exp(-i theta P / 2) = (-i P / 2) exp(-i theta P / 2)."""
    name, qubit, _ = op
    if name == "rz":
        bit = (np.arange(state.shape[1]) >> qubit) & 1
        return -0.5j * state * (1 - 2 * bit)
    pairs = state.reshape(len(state), -1, 2, 2**qubit)
    return 0.5 * np.stack([-pairs[:, :, 1], pairs[:, :, 0]], axis=2).reshape(state.shape)


def _run(inputs: np.ndarray, n: int, theta: np.ndarray) -> np.ndarray:
    state = inputs.astype(complex)
    for op in operations(n):
        state = apply(state, op, theta)
    return state


def _values_at(n: int, theta: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    return _values(_run(inputs, n, theta))


def _values(state: np.ndarray) -> np.ndarray:
    return np.asarray((np.abs(state) ** 2) @ signs(int(state.shape[1]).bit_length() - 1))


def _by_chunks(function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    return np.concatenate([function(rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)])


def _loss_and_gradient(case: Case, theta: np.ndarray) -> np.ndarray:
    """[1 + P]: the loss, then its gradient by the adjoint sweep."""
    states = _by_chunks(lambda x: _run(x, case.n, theta), case.inputs)
    loss, cotangents = case.loss(_values(states))
    gradient = np.zeros(case.n_params)
    for start in range(0, case.batch, CHUNK):
        rows = slice(start, start + CHUNK)
        gradient += _adjoint(states[rows], cotangents[rows] @ signs(case.n).T, case.n, theta)
    return np.concatenate([[loss], gradient])


def _adjoint(state: np.ndarray, diagonal: np.ndarray, n: int, theta: np.ndarray) -> np.ndarray:
    """d/dtheta of sum_r <psi_r| diag(diagonal_r) |psi_r>, from the final states [R, 2^n]."""
    gradient = np.zeros(len(theta))
    costate = diagonal * state
    for op in reversed(operations(n)):
        if op[0] != "cnot":
            gradient[op[2]] = 2.0 * np.vdot(costate, generator(state, op)).real
        state, costate = apply(state, op, theta, inverse=True), apply(costate, op, theta, inverse=True)
    return gradient


def _shifted(case: Case, theta: np.ndarray) -> np.ndarray:
    values = []
    for index in shift_indices(case):
        shifted = theta.copy()
        shifted[index // 2] += np.pi / 2 if index % 2 == 0 else -np.pi / 2
        values.append(_by_chunks(partial(_values_at, case.n, shifted), case.inputs))
    return np.stack(values, axis=1)


def _fisher(inputs: np.ndarray, n: int, theta: np.ndarray) -> np.ndarray:
    """[R, P, P] from the P derivative states, each propagated on its own."""
    rows = len(inputs)
    state = inputs.astype(complex)
    derivatives = np.zeros((len(theta), rows, state.shape[1]), dtype=complex)
    reached: list[int] = []
    for op in operations(n):
        state = apply(state, op, theta)
        for k in reached:
            derivatives[k] = apply(derivatives[k], op, theta)
        if op[0] != "cnot":
            derivatives[op[2]] = generator(state, op)
            reached.append(op[2])
    gram = np.einsum("irx,jrx->rij", derivatives.conj(), derivatives)
    overlap = np.einsum("irx,rx->ri", derivatives.conj(), state)
    return np.asarray(4.0 * (gram - overlap[:, :, None] * overlap[:, None, :].conj()).real)
