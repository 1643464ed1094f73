"""The local backend against Qiskit's state vectors and PennyLane's gradients, on random circuits that hold every gate.

Derivatives of Qiskit's values are central differences of eighth order: with angles of some pi a unit of theta (native
gates count in turns) a step of 3e-3 leaves an error of about 1e-12.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from q_store.backends.local import LocalBackend
from q_store.circuits import (
    Angle,
    Circuit,
    Marginal,
    Observables,
    PauliSum,
    cnot,
    op,
    pauliexp,
    prepare,
    rotation,
    rx,
    ry,
    rz,
    theta,
    x,
)
from q_store.circuits.gates import GATES
from q_store.circuits.interop import to_pennylane, to_qiskit
from q_store.jobs import Job, Output

pytest.importorskip("qiskit")
qml = pytest.importorskip("pennylane")
from qiskit.quantum_info import SparsePauliOp, Statevector  # noqa: E402

N, P, D = 4, 5, 3
PAIRS = np.array([[0, 1], [1, 0]])  # rows (data, parameters): as good as all four, at half the time of the peers
STEP = 3e-3
STENCIL = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
SUMS = [
    ((1.0, "Z"),),
    ((0.7, "ZZII"), (-0.4, "IXYI")),
    ((0.5, "YXZX"), (0.25, "IIII"), (-1.0, "XIIZ")),
]
OBSERVABLES = Observables.of(*(PauliSum.of(*((c, p, range(len(p))) for c, p in s)) for s in SUMS), Marginal((2, 0)))


def random_angle(rng):
    """c + a theta_i + b x_j + w theta_k x_l."""
    i, k = rng.integers(P, size=2)
    j, m = rng.integers(D, size=2)
    a, b, w = rng.uniform(-1, 1, 3)
    return Angle.of(float(rng.normal())) + theta(int(i)) * a + x(int(j)) * b + theta(int(k)) * x(int(m)) * w


@cache
def everything(seed):
    """Every gate once plain and, where it fits, once controlled, two exponentials and RZ on every qubit, shuffled."""
    rng = np.random.default_rng(seed)
    ops = [rz(random_angle(rng), q) for q in range(N)]
    for name, gate in GATES.items():
        for controls in (0, int(rng.integers(1, 3))):
            qubits = [int(q) for q in rng.permutation(N)]
            angles = [random_angle(rng) * (0.2 if gate.native else 1.0) for _ in range(gate.n_angles)]
            ops.append(op(name, *qubits[: gate.n_qubits], angles=angles, controls=qubits[gate.n_qubits :][:controls]))
    ops.append(pauliexp([("XYZ", 0.4)], random_angle(rng), 3, 0, 2))
    ops.append(pauliexp([("YX", 0.5), ("XY", -0.3)], random_angle(rng), 1, 3))
    spread = [ry(0.4 + q, q) for q in range(N)]
    return Circuit(N, P, D, (*spread, *(ops[k] for k in rng.permutation(len(ops)))))


@cache
def values_of(seed):
    """data[2, D] and params[2, P]."""
    rng = np.random.default_rng(seed + 100)
    return rng.uniform(-1, 1, (2, D)), rng.uniform(-2, 2, (2, P))


def run(seed, precision, output, **more):
    data, params = values_of(seed)
    job = Job(everything(seed), data, params, OBSERVABLES, output, PAIRS, **more)
    return LocalBackend(threads=1, precision=precision).run(job)


@cache
def template(seed, row):
    """The circuit in Qiskit with the data put in, its parameters still symbols."""
    return to_qiskit(everything(seed), data=values_of(seed)[0][row])


def qiskit_state(seed, row, params):
    symbolic = template(seed, row)
    return Statevector(symbolic.assign_parameters({p: params[p.index] for p in symbolic.parameters})).data


def qiskit_values(state):
    """The observables' values, by Qiskit."""
    vector = Statevector(state)
    # Qiskit writes the letter of the last qubit first
    sums = [SparsePauliOp([p.ljust(N, "I")[::-1] for _, p in s], [c for c, _ in s]) for s in SUMS]
    return np.concatenate([[vector.expectation_value(s).real for s in sums], vector.probabilities([2, 0])])


@cache
def qiskit_row(seed, row, k):
    """(state, values[M], d state[P, 2^n], d values[P, M])."""
    params = values_of(seed)[1][k]
    d_state, d_values = np.zeros((P, 2**N), complex), []
    for i in range(P):
        shifted = {m: [qiskit_state(seed, row, params + s * m * STEP * np.eye(P)[i]) for s in (1, -1)] for m in STENCIL}
        d_state[i] = sum(c * (shifted[m][0] - shifted[m][1]) for m, c in STENCIL.items()) / STEP
        sides = {m: [qiskit_values(s) for s in both] for m, both in shifted.items()}
        d_values.append(sum(c * (sides[m][0] - sides[m][1]) for m, c in STENCIL.items()) / STEP)
    state = qiskit_state(seed, row, params)
    return state, qiskit_values(state), d_state, np.array(d_values)


def rows(seed, part):
    return np.array([qiskit_row(seed, b, k)[part] for b, k in PAIRS.tolist()])


def assert_close(actual, expected, precision):
    """Within the tolerance of the precision, relative to the largest entry where that exceeds 1."""
    assert actual.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[precision] * scale)


both = pytest.mark.parametrize("precision", ["float32", "float64"])
seeds = pytest.mark.parametrize("seed", [0, 1])


@both
@seeds
def test_values_and_probabilities_are_those_of_qiskit(seed, precision):
    assert_close(run(seed, precision, Output.EXPECTATION).values, rows(seed, 1), precision)
    probabilities = np.abs(rows(seed, 0)) ** 2
    assert_close(run(seed, precision, Output.PROBABILITIES).values, probabilities, precision)


@both
@seeds
def test_states_are_those_of_qiskit(seed, precision):
    states, expected = run(seed, precision, Output.STATE).values, rows(seed, 0)
    phases = np.einsum("ri,ri->r", states.conj(), expected)
    np.testing.assert_allclose(np.abs(phases), 1, atol=TOLERANCE[precision])
    assert_close(states * (phases / np.abs(phases))[:, None], expected, precision)


@both
@seeds
def test_gradients_are_differences_of_qiskit(seed, precision):
    expected = rows(seed, 3)
    outcome = run(seed, precision, Output.JACOBIAN)
    assert_close(outcome.jacobian, expected.transpose(0, 2, 1), precision)
    cotangents = np.random.default_rng(seed).normal(size=(len(PAIRS), OBSERVABLES.size))
    pulled = run(seed, precision, Output.VJP, pullback=lambda _: cotangents)
    by_row = np.einsum("rm,rpm->rp", cotangents, expected)
    assert_close(pulled.gradient, by_row[np.argsort(PAIRS[:, 1])], precision)


@both
@seeds
def test_fisher_information_is_that_of_qiskits_states(seed, precision):
    expected = []
    for state, slopes in zip(rows(seed, 0), rows(seed, 2), strict=True):
        overlap = slopes.conj() @ state
        expected.append(4 * (slopes.conj() @ slopes.T - np.outer(overlap, overlap.conj())).real)
    assert_close(run(seed, precision, Output.METRIC).values, np.array(expected), precision)


@both
def test_a_prepared_state_evolves_as_in_qiskit(precision):
    circuit = everything(0)
    prepared = Circuit(N, P, D + 2**N, (prepare(N, D), *circuit.ops))
    rng = np.random.default_rng(5)
    amplitudes = rng.normal(size=(2, 2**N))
    data = np.hstack([values_of(0)[0], amplitudes / np.linalg.norm(amplitudes, axis=1, keepdims=True)])
    params = values_of(0)[1][:1]
    values = LocalBackend(threads=1, precision=precision).run(Job(prepared, data, params, OBSERVABLES)).values
    expected = [qiskit_values(Statevector(to_qiskit(prepared, params[0], row))) for row in data]
    assert_close(values, np.array(expected), precision)


def qnode(circuit, row, measured):
    """A QNode over params that measures a PennyLane operator."""
    wires = [*range(circuit.n_qubits)[::-1], "spare"]

    @qml.qnode(qml.device("default.qubit", wires=wires), diff_method="adjoint")
    def node(params):
        to_pennylane(circuit)(params, row)
        return qml.expval(measured)

    return node


def pennylane_sum(terms):
    return qml.dot([c for c, _ in terms], [qml.pauli.string_to_pauli_word(p) for _, p in terms])


@cache
def pennylane_slopes(seed):
    """d values / d theta of the Pauli sums, [R, M, P], by PennyLane's adjoint method."""
    data, params = values_of(seed)
    nodes = [[qnode(everything(seed), data[b], pennylane_sum(terms)) for terms in SUMS] for b, _ in PAIRS]
    points = [qml.numpy.array(params[k]) for _, k in PAIRS]
    return np.array([[qml.grad(node)(point) for node in row] for row, point in zip(nodes, points, strict=True)])


@both
@seeds
def test_gradients_are_those_of_pennylane(seed, precision):
    jacobian = run(seed, precision, Output.JACOBIAN).jacobian
    assert_close(jacobian[:, : len(SUMS)], pennylane_slopes(seed), precision)


@cache
def pennylane_metric(n_ops):
    """The metric of the first operations of a circuit; the cost there grows with the square of their number."""
    data, params = values_of(1)
    node = qnode(replace(everything(1), ops=everything(1).ops[:n_ops]), data[1], qml.PauliZ(0))
    return np.asarray(qml.adjoint_metric_tensor(node)(qml.numpy.array(params[0])))


@both
def test_fisher_information_is_four_times_pennylanes_metric(precision):
    circuit = replace(everything(1), ops=everything(1).ops[:24])
    data, params = values_of(1)
    job = Job(circuit, data[1:], params[0], output=Output.METRIC)
    metric = LocalBackend(threads=1, precision=precision).run(job).values[0]
    assert np.linalg.matrix_rank(metric, tol=1e-3) > 2
    assert_close(metric, 4 * pennylane_metric(24), precision)


@both
def test_fisher_information_is_four_times_the_metric_by_hadamard_tests(precision):
    layers = [rz(theta(0) + 0.3, 0), rx(theta(1), 1), rotation("ZZ", theta(2), 0, 1), cnot(1, 2), rz(theta(3), 2)]
    circuit = Circuit.build(3, [*(ry(0.5 + q, q) for q in range(3)), *layers, ry(theta(4), 1), rz(theta(5), 0)])
    values = np.linspace(-1, 1.5, 6)
    tensor = qml.metric_tensor(qnode(circuit, (), qml.PauliZ(0)), approx=None)(qml.numpy.array(values))
    job = Job(circuit, params=values, output=Output.METRIC)
    metric = LocalBackend(threads=1, precision=precision).run(job).values
    assert_close(metric[0], 4 * np.asarray(tensor), precision)
