"""What interop tests compare: whole unitaries by the dense oracle, up to a global phase."""

from __future__ import annotations

import numpy as np

from q_store.backends.local.reference import apply, matrix, state
from q_store.circuits import Circuit


def unitary(circuit, data, params):
    """[2^n, 2^n] of a circuit without a preparation."""
    angles = circuit.bind(None if data is None else np.atleast_2d(data), params)[0]
    n, used = circuit.n_qubits, 0
    columns = np.eye(2**n, dtype=complex).reshape(-1)  # a state of 2 n qubits, whose first n are acted on
    for op in circuit.ops:
        gate = matrix(op, angles[used : used + len(op.angles)])
        columns = apply(columns, gate, op.wires, 2 * n)
        used += len(op.angles)
    return columns.reshape(2**n, 2**n).T


def assert_same(actual, expected, tolerance=1e-10):
    """Arrays of the norm of a unitary or a state agree up to one phase."""
    phase = np.vdot(actual, expected)
    assert abs(abs(phase) - np.linalg.norm(expected) ** 2) < 1e-6, "not even close"
    np.testing.assert_allclose(actual * phase / abs(phase), expected, atol=tolerance)


def assert_equal_circuits(actual: Circuit, expected: Circuit, data, params):
    """The same unitary, and the same state where one begins with a preparation."""
    if actual.prepare or expected.prepare:
        assert_same(state(actual, data, params), state(expected, data, params))
    else:
        assert_same(unitary(actual, data, params), unitary(expected, data, params))
