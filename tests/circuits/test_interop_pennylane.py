"""PennyLane in and out: every gate of both sides, the order of bits, symbols, refusals."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits, rows
from tests.circuits.unitaries import assert_equal_circuits, assert_same, unitary

from q_store.backends.local.reference import state
from q_store.circuits import Circuit, cnot, op, prepare, rotation, rx, ry, theta, x
from q_store.circuits.interop import feature_symbols, from_pennylane, parameter_symbols, to_pennylane
from q_store.errors import CapabilityError, CircuitError, GateError

qml = pytest.importorskip("pennylane")

FIXED = "PauliX PauliY PauliZ Hadamard S T SX Identity CNOT CZ CY CH SWAP ISWAP SISWAP ECR CSWAP Toffoli CCZ"
TURNING = (
    "RX RY RZ PhaseShift U1 CRX CRY CRZ ControlledPhaseShift CPhaseShift00 CPhaseShift01 CPhaseShift10 IsingXX IsingYY "
    "IsingZZ IsingXY PSWAP SingleExcitation SingleExcitationPlus SingleExcitationMinus FermionicSWAP DoubleExcitation "
    "OrbitalRotation"
)
# fermionic gates of four wires: with one of them controlled as well they fill the machine
LARGE = {"DoubleExcitation", "OrbitalRotation"}


def one(draw, circuit):
    data, params = draw(rows(circuit, 1, 1))
    return (() if data is None else data[0]), params[0]


def matrix_of(function, n_qubits):
    """The unitary of a quantum function, in our order of bits."""
    return qml.matrix(function, wire_order=range(n_qubits)[::-1])()


@settings(max_examples=30)
@given(st.data())
def test_functions_have_the_unitary_that_pennylane_computes(data):
    circuit = data.draw(circuits(max_qubits=3))
    features, params = one(data.draw, circuit)

    def function():
        qml.GlobalPhase(0.0, wires=0)  # an empty circuit has no matrix there
        to_pennylane(circuit)(params, features)

    expected = unitary(circuit, features if circuit.n_features else None, params)
    assert_same(matrix_of(function, circuit.n_qubits), expected)


@settings(max_examples=30)
@given(st.data())
def test_symbols_survive_the_round_trip(data):
    circuit = data.draw(circuits(max_qubits=3))
    symbols = parameter_symbols(circuit.n_params), feature_symbols(circuit.n_features)
    back = from_pennylane(to_pennylane(circuit), *symbols, wires=range(circuit.n_qubits)).circuit
    assert (back.n_params, back.n_features) == (circuit.n_params, circuit.n_features)
    features, params = one(data.draw, circuit)
    assert_equal_circuits(back, circuit, features if circuit.n_features else None, params)


@settings(max_examples=10)
@given(st.data())
def test_states_and_preparations_on_default_qubit(data):
    circuit = data.draw(circuits(max_qubits=3, prepared=True))
    features, params = one(data.draw, circuit)

    @qml.qnode(qml.device("default.qubit", wires=range(circuit.n_qubits)[::-1]))
    def node(p, d):
        to_pennylane(circuit)(p, d)
        return qml.state()

    expected = state(circuit, features if circuit.n_features else None, params)
    assert_same(np.asarray(node(params, features)), expected)
    back = from_pennylane(node, params, features, wires=range(circuit.n_qubits)).circuit
    assert_same(state(back, None, []), expected)


def operations():
    angles = iter(np.linspace(0.3, 1.9, 40))
    for name in FIXED.split():
        yield getattr(qml, name)(wires=[2, 0, 1][: getattr(qml, name).num_wires])
    for name in TURNING.split():
        yield getattr(qml, name)(next(angles), wires=[2, 0, 1, 3][: getattr(qml, name).num_wires])
    rot = qml.matrix(qml.Rot(0.1, 0.2, 0.3, 0)) * np.exp(0.3j)
    yield qml.U2(0.1, 0.2, 1)
    yield qml.U3(0.1, 0.2, 0.4, 1)
    yield qml.Rot(0.1, 0.2, 0.4, 1)
    yield qml.CRot(0.1, 0.2, 0.3, [2, 0])
    yield qml.MultiControlledX([2, 0, 1, 3], control_values=[1, 0, 1])
    yield qml.MultiRZ(0.4, [2, 0, 1])
    yield qml.PauliRot(0.4, "XYZ", [2, 0, 1])
    yield qml.QFT([0, 2, 1])
    yield qml.QubitUnitary(rot, [1])
    yield qml.QubitUnitary(qml.matrix(qml.IsingXY(0.3, [0, 1])), [2, 0])
    yield qml.QubitUnitary(qml.matrix(qml.QFT([0, 1, 2])), [2, 0, 1])
    yield qml.DiagonalQubitUnitary(np.exp(1j * np.arange(4)), [2, 0])
    yield qml.Permute([1, 2, 0], [0, 1, 2])
    yield qml.StronglyEntanglingLayers(np.arange(18.0).reshape(2, 3, 3), [0, 1, 2])
    yield qml.evolve(qml.PauliX(0) @ qml.PauliY(1), 0.3)
    yield qml.prod(qml.RX(0.1, 0), qml.RY(0.2, 0))
    yield qml.pow(qml.RX(0.3, 1), 2)


def held_against_pennylane(operation):
    n = max(operation.wires) + 1

    def function():
        qml.apply(operation)

    back = from_pennylane(function).circuit
    expected = qml.matrix(operation, wire_order=range(n)[::-1])
    assert_same(unitary(Circuit(n, 0, 0, back.ops), None, []), expected)


@pytest.mark.parametrize("operation", list(operations()), ids=lambda o: o.name)
def test_standard_operations_come_in(operation):
    held_against_pennylane(operation)


@pytest.mark.parametrize("operation", [o for o in operations() if o.name not in LARGE], ids=lambda o: o.name)
def test_standard_operations_come_in_adjoint_and_controlled(operation):
    held_against_pennylane(qml.adjoint(operation))
    held_against_pennylane(qml.ctrl(operation, [4], control_values=[0]))


def test_a_controlled_global_phase_is_a_phase_gate():
    held_against_pennylane(qml.ctrl(qml.GlobalPhase(0.3), [0, 1]))


def test_wire_q_is_qubit_q_and_the_order_of_bits_is_reversed():
    def function():
        qml.RX(0.4, wires=0)
        qml.CNOT(wires=[0, 1])

    got = from_pennylane(function).circuit
    assert got.ops == (rx(0.4, 0), cnot(0, 1))
    assert abs(state(got, None, [])[3]) == pytest.approx(np.sin(0.2))
    back = from_pennylane(lambda: qml.PauliX("b"), wires=["a", "b"]).circuit
    assert (back.n_qubits, back.ops) == (2, (op("x", 1),))
    assert abs(state(back, None, [])[2]) == 1


def test_a_qnode_over_symbols_becomes_a_symbolic_circuit():
    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(weights, features, scale=1.0):
        for wire in range(2):
            qml.RY(scale * weights[wire, 0] * features[wire] + weights[wire, 1], wires=wire)
        qml.CRZ(weights[0, 0] / 2, wires=[0, 1])
        return qml.expval(qml.PauliZ(0))

    got = from_pennylane(node, parameter_symbols(3, 2), feature_symbols(2), scale=2.0)
    expected = [ry(2 * theta(0) * x(0) + theta(1), 0), ry(2 * theta(2) * x(1) + theta(3), 1)]
    assert got.circuit.ops == (*expected, op("rz", 1, angles=[theta(0) / 2], controls=[0]))
    assert (got.circuit.n_params, got.circuit.n_features) == (6, 2)  # two parameters that no gate uses


def test_the_trainable_numbers_of_a_tape_become_parameters():
    tape = qml.tape.QuantumScript([qml.RX(0.3, 0), qml.RY(0.4, 0), qml.RZ(0.5, 0)], [qml.expval(qml.PauliZ(0))])
    assert from_pennylane(tape).circuit.n_params == 0
    tape.trainable_params = [0, 2]
    got = from_pennylane(tape, trainable=True)
    assert got.circuit.ops == (rx(theta(0), 0), ry(0.4, 0), op("rz", 0, angles=[theta(1)]))
    assert got.values.tolist() == [0.3, 0.5]
    assert got.parameters == ("theta[0]", "theta[1]")


def test_pennylane_differentiates_the_function():
    circuit = Circuit.build(2, [rx(theta(0) * x(0), 0), rotation("ZY", theta(1), 0, 1), cnot(0, 1)])

    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(p, d):
        to_pennylane(circuit)(p, d)
        return qml.expval(qml.PauliZ(1))

    p, d = qml.numpy.array([0.3, 0.8], requires_grad=True), [0.7]
    slope = [(node(p + e, d) - node(p - e, d)) / 2e-5 for e in 1e-5 * np.eye(2)]
    np.testing.assert_allclose(qml.grad(node)(p, d), slope, atol=1e-8)


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (lambda _: qml.RX(np.sin(_[0]), 0), CircuitError, "linear in 1, theta.*sin"),
        (lambda _: qml.RX(_[0] ** 2, 0), CircuitError, "linear in 1, theta"),
        (lambda _: qml.RX(_[0] * _[1], 0), CircuitError, "higher power"),
        (lambda _: qml.RX(np.array([0.1, 0.2]), 0), CircuitError, r"one number for an angle, got shape \[2\]"),
        (lambda _: qml.AmplitudeDamping(0.1, 0), GateError, "'AmplitudeDamping'.*leave out"),
        (lambda _: (qml.Hadamard(0), qml.measure(0)), GateError, "leave out measurements"),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(function, kind, message):
    with pytest.raises(kind, match=message):
        from_pennylane(function, parameter_symbols(2))


def test_wires_must_cover_the_circuit():
    with pytest.raises(CircuitError, match=r"list every wire.*\['b'\]"):
        from_pennylane(lambda: qml.PauliX("b"), wires=["a"])


def test_columns_beyond_the_preparation_are_zero():
    circuit = Circuit.build(2, [prepare(2, 0, 3)])
    row = np.array([0.6, 0.0, -0.8])
    back = from_pennylane(to_pennylane(circuit), (), row).circuit
    assert_same(state(back, None, []), [0.6, 0, -0.8, 0])


@pytest.mark.parametrize("call", [to_pennylane, from_pennylane])
def test_a_missing_extra_names_the_command(monkeypatch, call):
    monkeypatch.setitem(sys.modules, "pennylane", None)
    with pytest.raises(CapabilityError, match=r"pip install 'q-store\[pennylane\]'"):
        call(Circuit.build(1, [op("h", 0)]))
