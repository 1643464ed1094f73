from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from q_store.backends.local import reference
from q_store.circuits import Circuit, cnot, encoders, prepare, ry, theta, x
from q_store.circuits.templates import hardware_efficient
from q_store.errors import CircuitError, DataError, ShapeError
from q_store.jobs import Job, Output

# many exact zeros and equal values, so that branches are empty and singular values coincide
values = st.one_of(st.sampled_from([0.0, -0.0, 1.0, -1.0]), st.floats(-2, 2).map(lambda v: round(v, 4)))


@st.composite
def amplitudes(draw, max_qubits=5):
    n = draw(st.integers(1, max_qubits))
    number = draw(st.integers(1, 2**n))
    rows = draw(hnp.arrays(float, (draw(st.integers(1, 4)), number), elements=values))
    rows[~rows.any(axis=1), draw(st.integers(0, number - 1))] = -1.0
    return n, rows


def states(circuit, data, params=()):
    return reference.states(Job(circuit, data, np.array(params, dtype=float), output=Output.STATE))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def padded(rows, n):
    return np.pad(unit(rows), ((0, 0), (0, 2**n - rows.shape[1])))


@settings(max_examples=60)
@given(amplitudes())
def test_gates_prepare_the_amplitudes_with_their_signs(drawn):
    n, rows = drawn
    circuit, data = encoders.lower(encoders.amplitude(n, rows.shape[1]), rows)
    assert circuit.prepare is None
    np.testing.assert_allclose(states(circuit, data), padded(rows, n), atol=1e-12)


@pytest.mark.parametrize(("n", "cnots"), [(1, 0), (2, 2), (3, 6), (5, 30), (6, 62)])
def test_the_exact_preparation_costs_2_to_the_n_minus_2_cnots(n, cnots):
    circuit, data = encoders.lower(encoders.amplitude(n), np.ones((1, 2**n)))
    assert circuit.counts == {"ry": 2**n - 1} | ({"cx": cnots} if cnots else {})
    assert data.shape == (1, 2**n - 1)


def test_padding_costs_nothing():
    circuit, _ = encoders.lower(encoders.amplitude(6, 17), np.ones((1, 17)))
    assert circuit.counts["cx"] == 30  # 5 qubits hold 17 amplitudes


@pytest.mark.parametrize(("n", "cnots"), [(2, 1), (3, 3), (5, 7), (6, 9)])
def test_the_matrix_product_state_costs_2_n_minus_3_cnots(n, cnots):
    circuit, _ = encoders.lower(encoders.amplitude(n), np.ones((1, 2**n)), "mps")
    assert circuit.counts["cx"] == cnots
    assert set(circuit.counts) == {"ry", "cx"}


@settings(max_examples=60)
@given(amplitudes())
def test_the_fidelity_is_that_of_the_state(drawn):
    n, rows = drawn
    source = encoders.amplitude(n, rows.shape[1])
    circuit, data = encoders.lower(source, rows, "mps")
    psi = states(circuit, data)
    np.testing.assert_allclose(np.linalg.norm(psi, axis=1), 1, atol=1e-12)
    overlap = np.sum(psi.real * padded(rows, n), axis=1)
    np.testing.assert_allclose(overlap**2, encoders.fidelity(source, rows), atol=1e-10)
    assert (overlap > 0).all()  # the sign too
    if n < 4:
        np.testing.assert_allclose(psi, padded(rows, n), atol=1e-7)  # every real state of 3 qubits has bond 2


def test_a_state_of_bond_2_is_exact():
    rng = np.random.default_rng(0)
    total = rng.normal(size=(4, 1, 2))
    for tensor in rng.normal(size=(6, 4, 2, 2, 2)):
        total = np.einsum("bka,basc->bksc", total, tensor).reshape(4, -1, 2)
    rows = unit(total[:, :, 0])
    circuit, data = encoders.lower(encoders.amplitude(6), rows, method="mps")
    np.testing.assert_allclose(encoders.fidelity(encoders.amplitude(6), rows), 1, atol=1e-12)
    np.testing.assert_allclose(states(circuit, data), rows, atol=1e-9)


def test_what_is_lost_is_the_third_schmidt_vector():
    # three products of the two halves, which are orthogonal
    rows = np.zeros((1, 16))
    rows[0, [0b0000, 0b0101, 0b1111]] = [0.8, 0.1, np.sqrt(1 - 0.65)]
    np.testing.assert_allclose(encoders.fidelity(encoders.amplitude(4), rows), [0.99], atol=1e-12)


def test_minus_zero_is_zero():
    rows = np.array([[1.0, 0.0, 0.0, 0.0], [1.0, -0.0, -0.0, -0.0]])
    _, data = encoders.lower(encoders.amplitude(2), rows)
    np.testing.assert_array_equal(data[0], data[1])


def test_exact_fidelity_is_one():
    np.testing.assert_array_equal(encoders.fidelity(encoders.amplitude(2), np.ones((3, 4)), "exact"), np.ones(3))
    np.testing.assert_array_equal(encoders.fidelity(encoders.angle(2), np.ones((3, 2))), np.ones(3))


def test_other_features_are_kept_and_renumbered():
    # column 0 and 5 are features, 1..4 amplitudes, and amplitude column 2 is used in an angle too
    ops = (prepare(2, 1, 4), ry(theta(0) * x(0) + x(5), 0), cnot(0, 1), ry(x(2), 1))
    circuit = Circuit(2, 1, 6, ops)
    data = np.random.default_rng(3).normal(size=(3, 6))
    data[:, 1:5] = unit(data[:, 1:5])
    lowered, renumbered = encoders.lower(circuit, data)
    assert (lowered.n_params, lowered.n_features) == (1, 3 + 3)
    np.testing.assert_array_equal(renumbered[:, 3:], data[:, [0, 2, 5]])
    np.testing.assert_allclose(states(lowered, renumbered, [0.7]), states(circuit, data, [0.7]), atol=1e-12)


def test_a_circuit_without_preparation_stays():
    circuit = encoders.angle(2)
    lowered, data = encoders.lower(circuit, [[1.0, 2.0]])
    assert lowered is circuit
    np.testing.assert_array_equal(data, [[1, 2]])


def test_an_ansatz_behind_the_preparation_stays():
    ansatz = hardware_efficient(3, 1)
    lowered, _ = encoders.lower(encoders.amplitude(3) + ansatz, np.eye(8))
    assert lowered.ops[-len(ansatz.ops) :] == ansatz.ops


def test_rows_do_not_depend_on_each_other_or_on_their_size():
    rows = np.random.default_rng(1).normal(size=(5, 8))
    for method in encoders.METHODS:
        circuit, together = encoders.lower(encoders.amplitude(3), rows, method)
        for r in range(5):
            # angles of an MPS are not unique, states are
            _, alone = encoders.lower(encoders.amplitude(3), 1e-200 * rows[r : r + 1], method)
            np.testing.assert_allclose(states(circuit, alone), states(circuit, together[r : r + 1]), atol=1e-9)


@pytest.mark.parametrize("method", encoders.METHODS)
def test_ten_thousand_rows_take_about_a_second(method):
    rows = np.random.default_rng(0).normal(size=(10_000, 64))
    start = time.perf_counter()
    encoders.lower(encoders.amplitude(6), rows, method)
    assert time.perf_counter() - start < 5  # .05 and .3 s on a quiet machine


def test_angles_are_features_on_their_qubits():
    circuit = encoders.angle(2, ("ry", "rz"), scale=0.5)
    assert [(o.gate, o.qubits, o.angles) for o in circuit.ops] == [
        ("ry", (0,), (0.5 * x(0),)),
        ("ry", (1,), (0.5 * x(1),)),
        ("rz", (0,), (0.5 * x(2),)),
        ("rz", (1,), (0.5 * x(3),)),
    ]
    assert circuit.n_features == 4
    np.testing.assert_allclose(states(encoders.angle(1), [[np.pi / 2]]), [[np.sqrt(0.5)] * 2])


@pytest.mark.parametrize("method", encoders.METHODS)
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0, 0, 0, 0], r"got a zero vector in row 2 \(1 such\)"),
        ([0, np.nan, 0, 1], "got nan in row 2, column 1"),
        ([1, 0, 0, -np.inf], "got -inf in row 2, column 3"),
    ],
)
def test_rows_that_cannot_be_encoded_are_named(method, row, message):
    data = np.ones((4, 4))
    data[2] = row
    with pytest.raises(DataError, match=message):
        encoders.lower(encoders.amplitude(2), data, method)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: encoders.lower(encoders.amplitude(2), np.ones((1, 3))), ShapeError, r"shape \[B, 4\], got \[1, 3\]"),
        (lambda: encoders.lower(encoders.amplitude(2), np.ones(4)), ShapeError, r"got \[4\]"),
        (lambda: encoders.lower(encoders.amplitude(2), np.ones((1, 4)), "mpo"), CircuitError, "did you mean 'mps'"),
        (lambda: encoders.lower(encoders.amplitude(2), np.ones((1, 4)), "mps", 4), CircuitError, "expected bond=2"),
        (lambda: encoders.amplitude(2, 5), CircuitError, r"1\.\.4 amplitude columns"),
        (lambda: encoders.angle(2, "rw"), CircuitError, "expected rotation to be one of rx, ry, rz, got 'rw'"),
    ],
)
def test_bad_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
