from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import MAX_FEATURES, MAX_PARAMS, circuits, operations, rows

from q_store.backends.local import reference
from q_store.circuits import Circuit, cnot, cz, op, pauliexp, prepare, rx, ry, rz, theta, x
from q_store.circuits.powers import power
from q_store.circuits.simplify import commute, simplify
from q_store.circuits.templates import hardware_efficient, so4_layers
from q_store.errors import CircuitError

PI = math.pi
H, S, T = (op(name, 0) for name in "hst")
few = circuits(max_qubits=3, max_ops=14, max_controls=2)


def unitary(circuit, data, params):
    n = circuit.n_qubits
    angles = circuit.bind(data, params)[0]
    out = np.eye(2**n, dtype=complex)
    used = 0
    for operation in circuit.ops:
        matrix = reference.matrix(operation, angles[used : used + len(operation.angles)])
        out = np.stack([reference.apply(column, matrix, operation.wires, n) for column in out.T], axis=1)
        used += len(operation.angles)
    return out


def assert_same(a, b, data, params):
    """Equal unitaries up to a phase."""
    u, v = unitary(a, data, params), unitary(b, data, params)
    phase = np.vdot(u, v)
    np.testing.assert_allclose(u * (phase / abs(phase)), v, atol=1e-8)


def simple(*ops, n=3):
    return simplify(Circuit.build(n, ops)).ops


@settings(max_examples=80)
@given(few, st.data())
def test_simplified_circuits_are_the_same_for_all_parameters_and_data(circuit, draw):
    result = simplify(circuit)
    data, params = draw.draw(rows(circuit))
    for r in range(2):
        assert_same(circuit, result, data[r], params[r])
    assert len(result.ops) <= len(circuit.ops)
    assert result.two_qubit_gates <= circuit.two_qubit_gates
    assert (result.n_qubits, result.n_params, result.n_features) == (
        circuit.n_qubits,
        circuit.n_params,
        circuit.n_features,
    )
    assert simplify(result) == result


@settings(max_examples=100)
@given(st.data())
def test_what_stands_twice_merges_right(draw):
    # pairs from one family on the same qubits are rare above: draw them on purpose
    one = draw.draw(operations(2, max_controls=1))
    same = operations(2, gates=[one.gate], max_controls=1)
    circuit = Circuit(2, MAX_PARAMS, MAX_FEATURES, (one, draw.draw(same), draw.draw(same), one))
    data, params = draw.draw(rows(circuit))
    assert_same(circuit, simplify(circuit), data[0], params[0])


@given(st.data())
def test_operations_said_to_commute_do(draw):
    a, b = (draw.draw(operations(3, n_features=0, max_controls=2)) for _ in range(2))
    params = draw.draw(st.lists(st.floats(-3, 3), min_size=MAX_PARAMS, max_size=MAX_PARAMS))
    if commute(a, b):
        ab, ba = (Circuit(3, MAX_PARAMS, 0, ops) for ops in ((a, b), (b, a)))
        np.testing.assert_allclose(unitary(ab, None, params), unitary(ba, None, params), atol=1e-9)


@given(st.data())
def test_every_operation_is_written_back_as_itself(draw):
    one = draw.draw(operations(3, max_controls=2))
    exponent = power(one)
    again = exponent.write(exponent.angle)
    circuit, other = (Circuit(3, MAX_PARAMS, MAX_FEATURES, (o,)) for o in (one, again))
    data, params = draw.draw(rows(circuit))
    assert_same(circuit, other, data[0], params[0])


def test_same_axis_rotations_add():
    assert simple(ry(theta(0), 0), ry(theta(1) * x(0), 0)) == (ry(theta(0) + theta(1) * x(0), 0),)
    assert simple(op("zz", 0, 1, angles=[theta(0)]), op("zz", 1, 0, angles=[1.0])) == (
        op("zz", 0, 1, angles=[theta(0) + 1.0]),
    )
    assert simple(pauliexp([("XY", 0.5)], theta(0), 0, 1), pauliexp([("YX", 0.25)], theta(1), 1, 0)) == (
        pauliexp([("XY", 0.5)], theta(0) + 0.5 * theta(1), 0, 1),
    )


def test_rotations_merge_across_what_commutes():
    # RZ through a control, RX through a target, anything past other qubits
    assert simple(rz(theta(0), 0), cnot(0, 1), rz(theta(1), 0)) == (rz(theta(0) + theta(1), 0), cnot(0, 1))
    assert simple(rx(theta(0), 1), cnot(0, 1), rx(-theta(0), 1)) == (cnot(0, 1),)
    assert simple(cnot(0, 1), ry(theta(0), 2), cz(0, 2), cnot(0, 1)) == (ry(theta(0), 2), cz(0, 2))
    assert simple(
        op("xx", 0, 1, angles=[theta(0)]), op("zz", 0, 1, angles=[theta(1)]), op("xx", 0, 1, angles=[-theta(0)])
    ) == (op("zz", 0, 1, angles=[theta(1)]),)


def test_rotations_do_not_pass_what_does_not_commute():
    for ops in (
        (rz(theta(0), 1), cnot(0, 1), rz(theta(1), 1)),
        (ry(theta(0), 0), rz(theta(1), 0), ry(theta(2), 0)),
        (cnot(0, 1), cnot(1, 0), cnot(0, 1)),
        (rx(theta(0), 0), op("rx", 0, angles=[theta(0)], controls=[1])),
    ):
        assert simple(*ops) == ops


@pytest.mark.parametrize(
    "pair",
    [
        (cnot(0, 1), cnot(0, 1)),
        (cz(0, 1), cz(1, 0)),
        (H, H),
        (S, op("si", 0)),
        (T, op("ti", 0)),
        (op("v", 0), op("vi", 0)),
        (op("swap", 0, 1), op("swap", 1, 0)),
        (op("x", 0, controls=[1, 2]), op("x", 0, controls=[2, 1])),
        (op("p", 0, angles=[theta(0)], controls=[1]), op("p", 1, angles=[-theta(0)], controls=[0])),
        (op("gpi", 0, angles=[theta(0)]), op("gpi", 0, angles=[theta(0) + 1])),
        (op("gpi2", 0, angles=[theta(0)]), op("gpi2", 0, angles=[theta(0) + 0.5])),
        (op("ms", 0, 1, angles=[0.1, theta(0), 0.2]), op("ms", 1, 0, angles=[theta(0), 0.1, -0.2])),
        (rx(PI, 0), op("x", 0)),
        (rz(2.5, 0), rz(2 * PI - 2.5, 0)),
    ],
)
def test_inverse_pairs_vanish(pair):
    assert simple(*pair) == ()


def test_what_vanishes_uncovers_what_was_outside():
    assert simple(H, cnot(0, 1), S, op("si", 0), cnot(0, 1), H) == ()


def test_identities_vanish():
    assert (
        simple(rx(0.0, 0), ry(2 * PI, 0), op("rz", 1, angles=[4 * PI], controls=[0]), op("nzz", 0, 1, angles=[1.0]))
        == ()
    )
    assert simple(pauliexp([("II", 1.0)], theta(0), 0, 1)) == ()
    # a control makes the sign of a full turn visible
    kept = (op("rz", 1, angles=[2 * PI], controls=[0]), op("nzz", 0, 1, angles=[1.0], controls=[2]))
    assert simple(*kept) == kept


def test_fixed_gates_add_up_to_fixed_gates():
    assert simple(T, T) == (S,)
    assert simple(S, S) == (op("z", 0),)
    assert simple(S, T) == (rz(3 * PI / 4, 0),)
    assert simple(op("v", 1, controls=[0]), op("v", 1, controls=[0])) == (cnot(0, 1),)
    assert simple(op("gpi2", 0, angles=[0.125]), op("gpi2", 0, angles=[0.125])) == (op("gpi", 0, angles=[0.125]),)
    assert simple(S, rz(theta(0), 0)) == (rz(theta(0) + PI / 2, 0),)


def test_small_constant_rotations_go_only_when_asked():
    circuit = Circuit.build(1, [ry(0.001, 0), rx(theta(0), 0), ry(0.1, 0)])
    assert simplify(circuit) == circuit
    assert simplify(circuit, threshold=0.01).ops == (rx(theta(0), 0), ry(0.1, 0))
    turned = Circuit.build(2, [op("nzz", 0, 1, angles=[0.001])])
    assert simplify(turned, threshold=0.006) == turned  # .001 turns are .00628 radians
    assert simplify(turned, threshold=0.007).ops == ()


@pytest.mark.parametrize("threshold", [-1, 1, math.nan])
def test_thresholds_out_of_range_are_refused(threshold):
    with pytest.raises(CircuitError, match="threshold of 0 to less than pi/4"):
        simplify(Circuit(1, 0, 0, ()), threshold)


def test_a_preparation_stays_first():
    circuit = Circuit.build(1, [prepare(1), op("x", 0), op("x", 0)])
    assert simplify(circuit).ops == (prepare(1),)


def test_templates_are_already_simple():
    for circuit in (hardware_efficient(4, 3, ("ry", "rz")), so4_layers(4, 5)):
        assert simplify(circuit) == circuit


def test_rounding_noise_of_merged_terms_is_no_term():
    assert simple(rx(0.1 * theta(0), 0), rx(0.2 * theta(0), 0), rx(-0.3 * theta(0), 0)) == ()
