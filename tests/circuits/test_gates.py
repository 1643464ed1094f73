from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import EVERY, NATIVE, operations

from q_store.backends.local import reference
from q_store.circuits import Circuit, op, pauliexp, theta
from q_store.circuits.gates import GATES, PAULIEXP, gate, pauli_matrix, rotation_matrix
from q_store.circuits.rotations import lower
from q_store.errors import GateError

PI = math.pi
X, Y, Z = (pauli_matrix(letter) for letter in "XYZ")
phases = st.floats(-1, 1)


def expm(hermitian, factor):
    energies, vectors = np.linalg.eigh(hermitian)
    return (vectors * np.exp(-1j * factor * energies)) @ vectors.conj().T


def matrix(name, *angles):
    return gate(name).matrix(np.array(angles, dtype=float))


def same_up_to_phase(a, b):
    overlap = np.vdot(a, b)
    np.testing.assert_allclose(a * overlap / abs(overlap), b, atol=1e-12)


def most_significant_first(unitary):
    """IonQ's tables order the basis |t0 t1>; ours has t0 in the low bit."""
    return unitary[np.ix_([0, 2, 1, 3], [0, 2, 1, 3])]


def rotated(circuit, angles):
    n = circuit.n_qubits
    out = np.eye(2**n, dtype=complex)
    for rotation in lower(circuit):
        # the full matrix, global phases too
        total = rotation.angle.value(dict(enumerate(angles)))
        out = expm(pauli_matrix(rotation.pauli.letters(range(n))), total / 2) @ out
    return out


@pytest.mark.parametrize("controls", range(4))
@pytest.mark.parametrize("name", sorted(GATES))
def test_factors_multiply_to_the_matrix(name, controls):
    kind = gate(name)
    angles = np.random.default_rng(len(name) + controls).uniform(-4, 4, kind.n_angles)
    wires = list(range(kind.n_qubits + controls))[::-1]
    one = op(
        name, *wires[: kind.n_qubits], angles=[theta(i) for i in range(kind.n_angles)], controls=wires[kind.n_qubits :]
    )
    circuit = Circuit.build(len(wires), [one])
    expected = np.stack(
        [reference.apply(e, reference.matrix(one, angles), one.wires, len(wires)) for e in np.eye(2 ** len(wires))], 1
    )
    np.testing.assert_allclose(rotated(circuit, angles), expected, atol=1e-12)


@given(st.data())
def test_factors_of_any_operation_multiply_to_its_matrix(data):
    one = data.draw(operations(3, n_features=0))
    angles = data.draw(st.lists(st.floats(-3, 3), min_size=4, max_size=4))
    circuit = Circuit(3, 4, 0, (one,))
    unitary = reference.matrix(one, [a.value(dict(enumerate(angles))) for a in one.angles])
    expected = np.stack([reference.apply(e, unitary, one.wires, 3) for e in np.eye(8)], 1)
    np.testing.assert_allclose(rotated(circuit, angles), expected, atol=1e-9)


@pytest.mark.parametrize("name", sorted(GATES))
def test_matrices_are_unitary_and_batched(name):
    kind = gate(name)
    angles = np.random.default_rng(1).normal(size=(2, 3, kind.n_angles))
    batch = kind.matrix(angles)
    assert batch.shape == (2, 3, 2**kind.n_qubits, 2**kind.n_qubits)
    np.testing.assert_allclose(
        batch @ np.swapaxes(batch.conj(), -1, -2), np.broadcast_to(np.eye(2**kind.n_qubits), batch.shape), atol=1e-12
    )
    np.testing.assert_allclose(batch[1, 2], kind.matrix(angles[1, 2]))


def test_fixed_gates_are_the_textbook_ones():
    for name, expected in {"x": X, "y": Y, "z": Z, "h": (X + Z) / math.sqrt(2), "s": np.diag([1, 1j])}.items():
        np.testing.assert_allclose(matrix(name), expected, atol=1e-15)
    np.testing.assert_allclose(matrix("t") @ matrix("t"), matrix("s"), atol=1e-15)
    np.testing.assert_allclose(matrix("v") @ matrix("v"), X, atol=1e-15)
    for name in ("s", "t", "v"):
        np.testing.assert_allclose(matrix(name) @ matrix(name + "i"), np.eye(2), atol=1e-15)
    same_up_to_phase(matrix("v"), rotation_matrix("X", PI / 2))
    np.testing.assert_array_equal(matrix("swap") @ [0, 1, 2, 3], [0, 2, 1, 3])


@given(phases)
def test_rotations_are_exponentials(angle):
    for name, letters in {"rx": "X", "ry": "Y", "rz": "Z", "xx": "XX", "yy": "YY", "zz": "ZZ"}.items():
        np.testing.assert_allclose(matrix(name, angle), expm(pauli_matrix(letters), angle / 2), atol=1e-12)
    np.testing.assert_allclose(matrix("p", angle), np.diag([1, cmath.exp(1j * angle)]))


@given(phases, phases, st.floats(0, 0.25))
def test_native_matrices_are_those_of_the_ionq_table(f, g, a):
    c, s = math.cos(PI * a), math.sin(PI * a)

    def turn(fraction):
        return cmath.exp(2j * PI * fraction)

    np.testing.assert_allclose(matrix("gpi", f), [[0, turn(-f)], [turn(f), 0]], atol=1e-15)
    np.testing.assert_allclose(matrix("gpi", f), math.cos(2 * PI * f) * X + math.sin(2 * PI * f) * Y, atol=1e-12)
    half = np.array([[1, -1j * turn(-f)], [-1j * turn(f), 1]]) / math.sqrt(2)
    np.testing.assert_allclose(matrix("gpi2", f), half, atol=1e-15)
    np.testing.assert_allclose(matrix("gpi2", f), expm(matrix("gpi", f), PI / 4), atol=1e-12)
    table = [
        [c, 0, 0, -1j * s * turn(-f - g)],
        [0, c, -1j * s * turn(g - f), 0],
        [0, -1j * s * turn(f - g), c, 0],
        [-1j * s * turn(f + g), 0, 0, c],
    ]
    np.testing.assert_allclose(most_significant_first(matrix("ms", f, g, a)), table, atol=1e-12)
    np.testing.assert_allclose(np.diag(matrix("nzz", a)), np.exp(1j * PI * a * np.array([-1, 1, 1, -1])), atol=1e-15)


@given(phases, phases, phases)
def test_native_identities(f, g, a):
    np.testing.assert_allclose(matrix("gpi2", f) @ matrix("gpi2", f + 0.5), np.eye(2), atol=1e-12)
    same_up_to_phase(matrix("gpi2", f) @ matrix("gpi2", f), matrix("gpi", f))
    np.testing.assert_allclose(matrix("ms", f, g, -a), matrix("ms", f + 0.5, g, a), atol=1e-12)
    flips = np.kron(matrix("gpi", g), matrix("gpi", f))
    same_up_to_phase(matrix("ms", f, g, a + 0.5), flips @ matrix("ms", f, g, a))
    same_up_to_phase(matrix("nzz", a + 0.5), pauli_matrix("ZZ") @ matrix("nzz", a))
    np.testing.assert_allclose(matrix("nzz", a), matrix("zz", 2 * PI * a), atol=1e-12)
    np.testing.assert_allclose(matrix("ms", 0, 0, a), matrix("xx", 2 * PI * a), atol=1e-12)
    np.testing.assert_allclose(matrix("ms", 0.25, 0.25, a), matrix("yy", 2 * PI * a), atol=1e-12)


@given(phases, phases)
def test_a_virtual_z_moves_through_native_gates(angle, f):
    for name in ("gpi", "gpi2"):
        before = matrix(name, f) @ matrix("rz", angle)
        np.testing.assert_allclose(matrix("rz", angle) @ matrix(name, f - angle / (2 * PI)), before, atol=1e-12)


def test_the_decompositions_of_the_ionq_table():
    same_up_to_phase(matrix("gpi", 0) @ matrix("gpi2", 0.25), matrix("h"))
    q = np.eye(2)
    # control is qubit 0, the low bit
    steps = [
        np.kron(q, matrix("gpi2", 0.25)),
        matrix("ms", 0, 0, 0.25),
        np.kron(q, matrix("gpi2", 0.5)),
        np.kron(matrix("gpi2", 0.5), q),
        np.kron(q, matrix("gpi2", -0.25)),
    ]
    product = np.linalg.multi_dot(steps[::-1])
    same_up_to_phase(product, reference.matrix(op("x", 1, controls=[0]), []))


def expectation(one, value, seed):
    """A generic expectation value as a function of one angle."""
    rng = np.random.default_rng(seed)
    size = 2 ** len(one.wires)
    psi = rng.normal(size=size) + 1j * rng.normal(size=size)
    observable = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    out = reference.matrix(one, value) @ psi
    return float((out.conj() @ (observable + observable.conj().T) @ out).real)


@pytest.mark.parametrize("controls", [0, 1, 2])
@pytest.mark.parametrize("name", [n for n in EVERY if n == PAULIEXP or GATES[n].n_angles])
def test_frequencies_are_all_and_no_more(name, controls):
    if name == PAULIEXP:
        one = pauliexp([("XX", 0.5), ("ZZ", -1.0), ("II", 3.0)], theta(0), 0, 1)
        one = type(one)(one.gate, one.qubits, one.angles, tuple(range(2, 2 + controls)), one.paulis)
    else:
        n = GATES[name].n_qubits
        one = op(name, *range(n), angles=[0.1] * GATES[name].n_angles, controls=range(n, n + controls))
    unit = 2 * PI if name in NATIVE else 1.0
    for slot, frequencies in enumerate(one.frequencies):
        points = np.arange(64) * 4 * PI / 64 / unit  # harmonics of half a unit
        values = []
        for point in points:
            angles = [0.1] * len(one.angles)
            angles[slot] = point
            values.append(expectation(one, angles, 5))
        spectrum = np.abs(np.fft.rfft(values)) / 64
        found = {k / 2 for k in range(1, 33) if spectrum[k] > 1e-9}
        claimed = {round(f / unit, 9) for f in frequencies}
        assert found <= claimed
        # several strings are bounded by their sums, everything else is exact
        assert name == PAULIEXP or found == claimed


def test_unknown_gates_get_a_suggestion():
    with pytest.raises(GateError, match="did you mean 'swap'"):
        gate("swop")
