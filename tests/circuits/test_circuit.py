from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import circuits, rows

from q_store.backends.local import reference
from q_store.circuits import Angle, Circuit, Op, cnot, cz, op, pauliexp, prepare, rotation, rx, ry, rz, theta, x
from q_store.errors import CircuitError, GateError, ShapeError

ANSATZ = Circuit.build(
    3, [ry(theta(0), 0), rz(theta(1) * x(0) + 0.5, 1), cnot(0, 1), cz(1, 2), op("z", 2, controls=[0, 1])]
)


def by_hand(circuit, data, params):
    """Angles of one row from the symbolic angles."""
    p = dict(enumerate(params))
    d = dict(enumerate(data)) if data is not None else {}
    return [a.value(p, d) for operation in circuit.ops for a in operation.angles]


@given(circuits(prepared=True), st.data())
def test_binding_many_rows_is_binding_each(circuit, draw):
    data, params = draw.draw(rows(circuit, 5, 5))
    bound = circuit.bind(data, params)
    one = [by_hand(circuit, None if data is None else data[r], params[r]) for r in range(5)]
    np.testing.assert_allclose(bound, np.array(one).reshape(5, -1), atol=1e-12)
    np.testing.assert_allclose(circuit.bind(data, params[0])[3], by_hand(circuit, data[3], params[0]), atol=1e-12)
    np.testing.assert_allclose(circuit.bind(data[2], params)[4], by_hand(circuit, data[2], params[4]), atol=1e-12)
    np.testing.assert_array_equal(circuit.bind(data, params), bound)  # binding leaves the table as it was


@given(circuits(), st.data())
def test_derivatives_of_the_angles_are_differences_of_them(circuit, draw):
    data, params = draw.draw(rows(circuit, 4, 4))
    table = circuit.angle_table
    jacobian = table.jacobian(data)
    for i, e in enumerate(np.eye(circuit.n_params)):
        # angles are linear in the parameters, so a difference is exact
        np.testing.assert_allclose(
            jacobian[:, :, i], circuit.bind(data, params + e) - circuit.bind(data, params), atol=1e-9
        )
    cotangents = np.random.default_rng(0).normal(size=jacobian.shape[:2])
    expected = np.einsum("ra,rap->rp", cotangents, jacobian)
    np.testing.assert_allclose(table.pull_back(cotangents, data), expected, atol=1e-9)
    np.testing.assert_allclose(
        table.pull_back(cotangents, data[:1]), np.einsum("ra,ap->rp", cotangents, jacobian[0]), atol=1e-9
    )


def test_rows_that_share_everything_are_bound_once_by_the_table():
    circuit = Circuit(1, 1, 1, (ry(theta(0), 0),))
    data = np.zeros((5, 1))
    assert circuit.angle_table.bind(np.ones((1, 1)), data).shape == (1, 1)
    assert circuit.bind(data, [1.0]).shape == (5, 1)


@pytest.mark.parametrize(
    ("data", "params"),
    [
        (None, [[0.0, 0.0]]),
        ([[1.0, 2.0]], [[0.0, 0.0]]),
        ([[1.0]], [[0.0]]),
        ([[1.0]] * 2, [[0.0, 0.0]] * 3),
    ],
)
def test_binding_refuses_other_shapes(data, params):
    with pytest.raises(ShapeError, match=r"expected params \[R, 2\] and data \[R, 1\]"):
        ANSATZ.bind(data, params)


@given(circuits(max_ops=6, prepared=True), circuits(max_ops=6, prepared=True))
def test_digests_are_equal_for_equal_circuits_only(a, b):
    assert a.digest == Circuit(a.n_qubits, a.n_params, a.n_features, a.ops).digest
    assert (a.digest == b.digest) == (a == b)


def test_the_digest_is_that_of_another_process():
    build = "Circuit.build(2, [ry(theta(0) * x(1) + 0.1, 0), cnot(0, 1), pauliexp([('XY', 0.3)], theta(1), 0, 1)])"
    code = f"from q_store.circuits import *\nprint({build}.digest)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    here = Circuit.build(2, [ry(theta(0) * x(1) + 0.1, 0), cnot(0, 1), pauliexp([("XY", 0.3)], theta(1), 0, 1)])
    assert here.digest == other


def test_the_digest_accepts_numpy_integers():
    many = [
        op("rx", np.int64(1), angles=[0.5], controls=np.array([0])),
        cnot(np.int32(0), 1),
        pauliexp([("X", 1)], 1, np.int64(0)),
    ]
    plain = [op("rx", 1, angles=[0.5], controls=[0]), cnot(0, 1), pauliexp([("X", 1)], 1, 0)]
    assert Circuit.build(2, many).digest == Circuit.build(2, plain).digest
    json.dumps([list(o.wires) for o in many])


def test_counts_name_the_controls():
    assert ANSATZ.counts == {"ry": 1, "rz": 1, "cx": 1, "cz": 1, "ccz": 1}
    assert (ANSATZ.count(), ANSATZ.count("z"), ANSATZ.two_qubit_gates) == (5, 2, 3)
    assert (ANSATZ.n_params, ANSATZ.n_features) == (2, 1)


def test_a_preparation_is_not_a_two_qubit_gate():
    circuit = Circuit.build(3, [prepare(3), cnot(0, 1)])
    assert (circuit.two_qubit_gates, circuit.n_features, circuit.depth) == (1, 8, 2)
    assert circuit.prepare == prepare(3)
    assert ANSATZ.prepare is None


def test_depth_is_the_longest_path():
    assert Circuit(3, 0, 0, ()).depth == 0
    assert Circuit.build(3, [rx(1, 0), rx(1, 1), rx(1, 2)]).depth == 1
    assert Circuit.build(3, [cnot(0, 1), cnot(1, 2), rx(1, 0)]).depth == 2
    assert Circuit.build(3, [cnot(0, 1), cnot(1, 2), cnot(0, 2)]).depth == 3


@given(circuits(max_qubits=2, max_ops=4), circuits(max_qubits=2, max_ops=4), st.data())
def test_joined_circuits_act_one_after_the_other(a, b, draw):
    n = max(a.n_qubits, b.n_qubits)
    both = a + b.shifted(a.n_params, a.n_features)
    data, params = draw.draw(rows(both, 1, 1))
    psi = reference.state(Circuit(n, a.n_params, a.n_features, a.ops), data[0, : a.n_features], params[0, : a.n_params])
    angles = iter(b.bind(data[:, a.n_features :], params[:, a.n_params :])[0])
    for operation in b.ops:
        unitary = reference.matrix(operation, [next(angles) for _ in operation.angles])
        psi = reference.apply(psi, unitary, operation.wires, n)
    np.testing.assert_allclose(reference.state(both, data[0], params[0]), psi, atol=1e-9)


def test_shifting_moves_amplitude_columns_and_nothing_else():
    circuit = Circuit.build(2, [prepare(2, 1, 3), cnot(0, 1), ry(theta(0) * x(0), 1)])
    moved = circuit.shifted(2, 5)
    assert moved.ops == (prepare(2, 6, 3), cnot(0, 1), ry(theta(2) * x(5), 1))
    assert (moved.n_params, moved.n_features) == (3, 9)


def test_rotation_picks_the_named_gate():
    assert rotation("X", 1.0, 2) == rx(1.0, 2)
    assert rotation("ZZ", 1.0, 0, 2) == op("zz", 0, 2, angles=[1.0])
    assert rotation("XYZ", theta(0), 2, 0, 1) == pauliexp([("XYZ", 0.5)], theta(0), 2, 0, 1)


def test_repeated_strings_of_a_pauliexp_are_one():
    assert pauliexp([("X", 0.25), ("X", 0.5)], 1, 0) == pauliexp([("X", 0.75)], 1, 0)


@pytest.mark.parametrize(
    ("ops", "error", "message"),
    [
        ([cnot(0, 3)], CircuitError, r"different qubits in 0\.\.2, got \(0, 3\)"),
        ([cnot(1, 1)], CircuitError, "different qubits"),
        ([rx(1, -1)], CircuitError, "different qubits"),
        ([Op("rx", (0,))], GateError, "1 qubits and 1 angles, got 1 and 0"),
        ([Op("swap", (0,))], GateError, "2 qubits and 0 angles"),
        ([Op("swop", (0,))], GateError, "did you mean 'swap'"),
        ([ry(theta(2), 0)], CircuitError, r"parameters below 2 and features below 1, got theta\[2\]"),
        ([ry(x(1), 0)], CircuitError, r"features below 1, got x\[1\]"),
        ([rx(1, 0), prepare(3, 0, 1)], CircuitError, "`prepare` as the first operation"),
        ([prepare(2, 0, 1)], CircuitError, "on all 3 qubits in order"),
        ([prepare(3)], CircuitError, "1..8 amplitude columns within 1 features"),
        ([prepare(3, 0, 9)], CircuitError, "use more qubits or fewer components"),
        ([pauliexp([("XI", 1.0), ("ZI", 1.0)], 1, 0, 1)], GateError, "commuting strings"),
        ([pauliexp([], 1, 0)], GateError, "one or more commuting strings"),
        ([pauliexp([("", 1.0)], 1)], CircuitError, "one target qubit or more"),
        ([pauliexp([("X", math.nan)], 1, 0)], GateError, "finite coefficients"),
        ([pauliexp([("XX", 1.0)], 1, 0)], CircuitError, "expected letters of IXYZ"),
    ],
)
def test_bad_circuits_are_refused(ops, error, message):
    with pytest.raises(error, match=message):
        Circuit(3, 2, 1, tuple(ops))


def test_at_most_seven_controls():
    Circuit(9, 0, 0, (op("x", 8, controls=range(7)),))
    with pytest.raises(CircuitError, match="at most 7 controls, got 8"):
        Circuit(9, 0, 0, (op("x", 8, controls=range(8)),))


def test_a_circuit_needs_a_qubit():
    with pytest.raises(CircuitError, match="1 qubit or more, got 0"):
        Circuit(0, 0, 0, ())


def test_unused_parameters_and_features_stay():
    circuit = Circuit(1, 3, 2, (ry(theta(1), 0),))
    np.testing.assert_array_equal(circuit.bind(np.ones((1, 2)), [7.0, 8.0, 9.0]), [[8.0]])
    assert circuit.angle_table.jacobian(np.ones((1, 2))).shape == (1, 1, 3)


def test_the_oracle_loads_amplitudes_and_orders_qubits():
    circuit = Circuit.build(2, [prepare(2, 0, 3), cnot(0, 1)])
    np.testing.assert_allclose(reference.state(circuit, [0.6, 0.0, 0.8], []), [0.6, 0, 0.8, 0])
    flipped = Circuit.build(2, [op("x", 0), cnot(0, 1)])
    np.testing.assert_allclose(np.abs(reference.state(flipped, None, [])), [0, 0, 0, 1])
    assert Angle.of(0).terms == ()
