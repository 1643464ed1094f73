"""Right answers to jobs, slowly: values, derivatives and Fisher information from the dense oracle.

Tests compare backends with these; nothing that trains uses them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.local import reference
from q_store.circuits.circuit import PREPARE, Circuit, Op
from q_store.jobs import Job

Array = npt.NDArray[Any]
_STEP = 5e-3
_STENCIL = ((1, 4 / 5), (2, -1 / 5), (3, 4 / 105), (4, -1 / 280))


def slopes(job: Job) -> tuple[Array, Array]:
    """States [R, 2^n] and their derivatives [R, P, 2^n], complex.

    By the product rule over the oracle's gate matrices, which are differenced to eighth order in their own angles; the
    angles are linear in the parameters, so their differences are exact. Right to about 1e-12.
    """
    pairs = job.row_pairs().tolist()
    rows = [_row_slopes(job.circuit, None if job.data is None else job.data[b], job.params[k]) for b, k in pairs]
    return np.array([psi for psi, _ in rows]), np.array([d for _, d in rows])


def _row_slopes(circuit: Circuit, data: Array | None, params: Array) -> tuple[Array, Array]:
    n, n_params = circuit.n_qubits, circuit.n_params
    row = None if data is None else np.asarray(data, dtype=float)[None]
    angles = circuit.bind(row, params)[0]
    chain = np.array([circuit.bind(row, params + e)[0] - angles for e in np.eye(n_params)]).reshape(n_params, -1)
    head = Circuit(n, n_params, circuit.n_features, circuit.ops[:1] if circuit.prepare else ())
    psi, d = reference.state(head, data, params), np.zeros((n_params, 2**n), dtype=complex)
    used = 0
    for gate in circuit.ops:
        if gate.gate == PREPARE:
            continue
        own = angles[used : used + len(gate.angles)]
        unitary = reference.matrix(gate, own)
        d = np.array([reference.apply(v, unitary, gate.wires, n) for v in d]).reshape(n_params, 2**n)
        for e, slope in zip(np.eye(len(own)), chain[:, used : used + len(own)].T, strict=True):
            if slope.any():
                moved = _difference(partial(_moved, gate, own, e))
                d += np.outer(slope, reference.apply(psi, moved, gate.wires, n))
        psi = reference.apply(psi, unitary, gate.wires, n)
        used += len(own)
    return psi, d


def _moved(gate: Op, angles: Array, direction: Array, step: float) -> Array:
    return reference.matrix(gate, angles + step * direction)


def _difference(function: Callable[[float], Array]) -> Array:
    """The derivative at 0 by central differences of eighth order."""
    parts = [c * (function(m * _STEP) - function(-m * _STEP)) for m, c in _STENCIL]
    return np.asarray(sum(parts[1:], parts[0]) / _STEP)


def true_values(job: Job) -> Array:
    """Values [R, M]."""
    return reference.expectations(reference.states(job), job.measured, job.circuit.n_qubits)


def true_jacobian(job: Job) -> Array:
    """d value / d theta, [R, M, P]: 2 Re <psi| O |d psi>, which is (<O>(psi + d) - <O>(psi - d)) / 2."""
    psi, d = slopes(job)
    n, m = job.circuit.n_qubits, job.measured
    parts = [
        (reference.expectations(psi + d[:, i], m, n) - reference.expectations(psi - d[:, i], m, n)) / 2
        for i in range(d.shape[1])
    ]
    return np.stack(parts, axis=2) if parts else np.zeros((job.rows, m.size, 0))


def true_gradient(job: Job, cotangents: Array) -> Array:
    """The gradient [K, P] for cotangents [R, M]."""
    out = np.zeros(job.params.shape)
    np.add.at(out, job.row_pairs()[:, 1], np.einsum("rm,rmp->rp", cotangents, true_jacobian(job)))
    return out


def true_metric(job: Job) -> Array:
    """The Fisher information [R, P, P]."""
    psi, d = slopes(job)
    overlap = np.einsum("rpi,ri->rp", d.conj(), psi)
    gram = np.einsum("rpi,rqi->rpq", d.conj(), d) - overlap[:, :, None] * overlap.conj()[:, None, :]
    return np.asarray(4 * gram.real)


def close(actual: Array, expected: Array, tolerance: float) -> bool:
    """Same shape, and within the tolerance relative to the largest entry where that exceeds 1."""
    if actual.shape != expected.shape:
        return False
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return bool(np.abs(actual - expected).max(initial=0) <= tolerance * scale)
