"""Qiskit in and out: every gate of both sides, symbols, refusals."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits, rows
from tests.circuits.unitaries import assert_equal_circuits, assert_same, unitary

from q_store.circuits import Circuit, cnot, op, prepare, rotation, rx, ry, theta, x
from q_store.circuits.interop import from_qiskit, to_qiskit
from q_store.circuits.interop.elementary import expand
from q_store.errors import CapabilityError, CircuitError, GateError, ShapeError

qiskit = pytest.importorskip("qiskit")
from qiskit import QuantumCircuit  # noqa: E402 - after the check that it is there
from qiskit import circuit as qiskit_circuit  # noqa: E402
from qiskit.circuit import library as lib  # noqa: E402
from qiskit.circuit.library import get_standard_gate_name_mapping  # noqa: E402
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector, random_clifford, random_unitary  # noqa: E402

STANDARD = get_standard_gate_name_mapping()
AnnotatedOperation, ControlModifier = qiskit_circuit.AnnotatedOperation, qiskit_circuit.ControlModifier
InverseModifier, PowerModifier = qiskit_circuit.InverseModifier, qiskit_circuit.PowerModifier
Parameter, ParameterVector = qiskit_circuit.Parameter, qiskit_circuit.ParameterVector
UNITARY = sorted(name for name in STANDARD if name not in {"delay", "measure", "reset"})
A, B = Parameter("a"), Parameter("b")
ELEMENTARY = {("rx", 0), ("ry", 0), ("rz", 0), ("h", 0), ("s", 0), ("si", 0), ("x", 1)}


def one(draw, circuit):
    data, params = draw(rows(circuit, 1, 1))
    return (None if data is None else data[0]), params[0]


def bound(qc):
    """Numbers for the parameters in Qiskit's order, and the circuit with them."""
    values = 0.3 + 0.2 * np.arange(qc.num_parameters)
    return values, qc.assign_parameters(values)


@settings(max_examples=40)
@given(st.data())
def test_bound_circuits_have_the_unitary_that_qiskit_computes(data):
    circuit = data.draw(circuits())
    features, params = one(data.draw, circuit)
    out = to_qiskit(circuit, params, features)
    assert_same(Operator(out).data, unitary(circuit, features, params))


@settings(max_examples=40)
@given(st.data())
def test_symbols_survive_the_round_trip(data):
    circuit = data.draw(circuits(max_qubits=3))
    theta_, x_ = ParameterVector("theta", circuit.n_params), ParameterVector("x", circuit.n_features)
    back = from_qiskit(to_qiskit(circuit), features=x_, parameters=theta_)
    assert (back.circuit.n_params, back.circuit.n_features) == (circuit.n_params, circuit.n_features)
    assert back.parameters == tuple(f"theta[{i}]" for i in range(circuit.n_params))
    features, params = one(data.draw, circuit)
    assert_equal_circuits(back.circuit, circuit, features, params)


@settings(max_examples=15)
@given(st.data())
def test_data_can_be_bound_while_parameters_stay(data):
    circuit = data.draw(circuits(max_qubits=3, prepared=True))
    features, params = one(data.draw, circuit)
    out = to_qiskit(circuit, data=features)
    back = from_qiskit(out, parameters=ParameterVector("theta", circuit.n_params)).circuit
    bare = Circuit(circuit.n_qubits, circuit.n_params, circuit.n_features, circuit.ops)
    state = Statevector(out.assign_parameters({p: params[p.index] for p in out.parameters})).data
    assert_same(state, _state(bare, features, params))
    assert_same(_state(back, None, params), _state(bare, features, params))


def _state(circuit, data, params):
    from q_store.backends.local.reference import state

    return state(circuit, data, params)


@settings(max_examples=60)
@given(st.data())
def test_every_operation_has_an_elementary_form(data):
    circuit = data.draw(circuits(max_ops=3))
    ops = expand(circuit.ops, lambda o: (o.gate, len(o.controls)) in ELEMENTARY)
    assert {(o.gate, len(o.controls)) for o in ops} <= ELEMENTARY
    features, params = one(data.draw, circuit)
    elementary = Circuit(circuit.n_qubits, circuit.n_params, circuit.n_features, tuple(ops))
    assert_equal_circuits(elementary, circuit, features, params)


def test_a_rotation_with_m_controls_costs_two_to_the_m_cnot():
    for m in range(1, 5):
        controlled = op("rx", m, angles=[theta(0)], controls=range(m))
        assert sum(o.gate == "x" for o in expand([controlled], lambda _: False)) == 2**m


def checked(gate, n_spare=1):
    """Import the gate between entangling layers on shuffled qubits and hold it against Qiskit."""
    n = gate.num_qubits + n_spare
    rng = np.random.default_rng(7)
    qc = QuantumCircuit(n)
    qc.append(gate, [int(q) for q in rng.permutation(n)[: gate.num_qubits]])
    values, numbers = bound(qc)
    back = from_qiskit(qc).circuit
    assert_same(unitary(back, None, values), Operator(numbers).data)


@pytest.mark.parametrize("name", UNITARY)
def test_every_standard_gate_comes_in(name):
    checked(STANDARD[name])


@pytest.mark.parametrize("name", [n for n in UNITARY if not STANDARD[n].params and STANDARD[n].num_qubits < 4])
def test_every_standard_gate_comes_in_with_controls(name):
    checked(STANDARD[name].control(1, ctrl_state=0, annotated=False))
    checked(AnnotatedOperation(STANDARD[name], ControlModifier(2, 1)), n_spare=0)


@pytest.mark.parametrize(
    "gate",
    [
        lib.UnitaryGate(random_unitary(2, seed=1)),
        lib.UnitaryGate(random_unitary(4, seed=1)),
        lib.UnitaryGate(random_unitary(8, seed=1)),
        lib.UnitaryGate(random_unitary(2, seed=1)).control(1, annotated=False),
        lib.PauliGate("XYZ"),
        lib.DiagonalGate([1, 1j, -1, 1]),
        lib.PermutationGate([2, 0, 1]),
        lib.QFTGate(3),
        random_clifford(3, seed=1),
        lib.MCPhaseGate(0.3, 3),
        lib.MCXGate(4, ctrl_state=5),
        lib.UCRYGate([0.1, 0.2, 0.3, 0.4]),
        lib.RVGate(0.1, 0.2, 0.3),
        AnnotatedOperation(lib.TGate(), [InverseModifier(), ControlModifier(2, 1)]),
        AnnotatedOperation(lib.RXGate(0.3), InverseModifier()),
        # Qiskit's synthesis would take the gate's own qubits for fresh ancillas
        AnnotatedOperation(lib.CCZGate(), [ControlModifier(2), PowerModifier(1)]),
    ],
    ids=lambda gate: gate.name,
)
def test_other_gates_come_in_by_their_definition(gate):
    checked(gate)


def test_an_evolution_under_commuting_strings_becomes_one_exponential():
    qc = QuantumCircuit(3)
    qc.append(lib.PauliEvolutionGate(SparsePauliOp(["XXI", "YYI"], [0.3, 0.2]), A), [2, 0, 1])
    back = from_qiskit(qc).circuit
    assert back.counts == {"pauliexp": 1}
    product = QuantumCircuit(3)
    product.append(lib.RYYGate(2 * 0.2 * 0.7), [0, 1])
    product.append(lib.RXXGate(2 * 0.3 * 0.7), [0, 1])
    assert_same(unitary(back, None, [0.7]), Operator(product).data)


@pytest.mark.parametrize("name", ["h", "u", "p", "id", "reset", "annotated", "PauliEvolution"])
def test_a_custom_gate_may_bear_any_name(name):
    inner = QuantumCircuit(1, global_phase=0.4)
    inner.rx(0.3, 0)
    gate = inner.to_gate()
    gate.name = name
    checked(gate)
    checked(AnnotatedOperation(gate, ControlModifier(1)))


def test_initialise_and_state_preparation_come_in():
    amplitudes = np.array([1, 2j, -3, 4]) / np.sqrt(30)
    for gate in (lib.StatePreparation(amplitudes), lib.Initialize(amplitudes)):
        qc = QuantumCircuit(2)
        qc.append(gate, [0, 1])
        assert_same(_state(from_qiskit(qc).circuit, None, []), amplitudes)


def test_a_so4_pair_costs_two_cnot_also_in_qiskit():
    pair = Circuit.build(2, [rotation("YX", theta(0), 0, 1), rotation("XY", theta(1), 0, 1)])
    assert to_qiskit(pair).count_ops()["cx"] == 2


def test_features_are_named_by_name_parameter_or_vector():
    w, d = ParameterVector("w", 2), ParameterVector("d", 3)
    qc = QuantumCircuit(1)
    qc.rx(2 * w[1] * d[2] - d[0] / 4 + 0.5, 0)
    for features in ("d", d, ["d"], [d], list(d), [e.name for e in d]):
        got = from_qiskit(qc, features=features)
        assert got.circuit.ops == (rx(2 * theta(1) * x(2) - x(0) / 4 + 0.5, 0),)
        assert (got.parameters, got.features) == (("w[0]", "w[1]"), ("d[0]", "d[1]", "d[2]"))
    swapped = from_qiskit(qc, features=d, parameters=[w[1], w[0]])
    assert swapped.parameters == ("w[1]", "w[0]")


def test_parameters_come_in_the_order_of_qiskit():
    qc = QuantumCircuit(2)
    qc.ry(B, 0)
    qc.ry(A, 1)
    got = from_qiskit(qc)
    assert got.parameters == ("a", "b") == tuple(p.name for p in qc.parameters)
    assert got.circuit.ops == (ry(theta(1), 0), ry(theta(0), 1))


@pytest.mark.parametrize("expression", [A.sin(), A * A, 1 / A, A.abs(), A * B, (A + B) * (A - B), A**2, A.exp() + B])
def test_nonlinear_angles_are_refused(expression):
    qc = QuantumCircuit(1)
    qc.rx(expression, 0)
    with pytest.raises(CircuitError, match=r"linear in 1, theta, x and theta\*x, got .*a.*features="):
        from_qiskit(qc)


def test_barriers_and_final_measurements_are_left_out():
    qc = QuantumCircuit(2, 2)
    qc.h(0)
    qc.barrier()
    qc.cx(0, 1)
    qc.measure([0, 1], [1, 0])
    assert from_qiskit(qc).circuit.ops == (op("h", 0), cnot(0, 1))


def _reuse(qc):
    qc.measure(0, 0)
    qc.x(0)


def _reset(qc):
    qc.x(0)
    qc.reset(0)


def _branch(qc):
    qc.measure(0, 0)
    with qc.if_test((qc.clbits[0], 1)):
        qc.x(1)


def _evolve(qc):
    qc.append(lib.PauliEvolutionGate(SparsePauliOp(["XX", "IY"]), 0.3), [0, 1])


def _opaque(qc):
    qc.append(qiskit.circuit.Gate("mystery", 2, []), [0, 1])


@pytest.mark.parametrize(
    ("add", "reason"),
    [
        (_reuse, r"'x': a qubit is used after its measurement; measure at the end"),
        (_reset, r"'reset': a qubit is reset after other gates; use a fresh qubit"),
        (_branch, r"'if_else'.*controlled gates"),
        (_evolve, r"'PauliEvolution': its terms do not commute.*decompose\(\)"),
        (_opaque, r"'mystery': it is opaque.*UnitaryGate"),
    ],
)
def test_what_is_not_a_unitary_is_refused_by_name(add, reason):
    qc = QuantumCircuit(2, 1)
    add(qc)
    with pytest.raises(GateError, match=reason):
        from_qiskit(qc)


def test_a_symbolic_preparation_is_refused():
    circuit = Circuit.build(2, [prepare(2)])
    with pytest.raises(GateError, match=r"'prepare'.*data=.*encoders\.lower"):
        to_qiskit(circuit)
    with pytest.raises(GateError, match=r"unit norm.*norm 2"):
        to_qiskit(circuit, data=[1, 1, 1, 1])


def test_wrong_rows_and_names_are_refused():
    circuit = Circuit.build(1, [rx(theta(0) * x(0), 0)])
    for bad in ([0.1, 0.2], [[0.1]], [np.nan]):
        with pytest.raises(ShapeError, match="expected params as 1 finite numbers"):
            to_qiskit(circuit, params=bad)
    with pytest.raises(CircuitError, match=r"got 'thet'; did you mean 'theta\[0\]'|got 'thet'"):
        from_qiskit(to_qiskit(circuit), features="thet")
    with pytest.raises(CircuitError, match="without qubits"):
        from_qiskit(QuantumCircuit())


@pytest.mark.parametrize(("call", "extra"), [(to_qiskit, "qiskit"), (from_qiskit, "qiskit")])
def test_a_missing_extra_names_the_command(monkeypatch, call, extra):
    monkeypatch.setitem(__import__("sys").modules, "qiskit", None)
    with pytest.raises(CapabilityError, match=rf"pip install 'q-store\[{extra}\]'"):
        call(Circuit.build(1, [op("h", 0)]))


def test_the_example_trains_a_qiskit_circuit(capsys):
    example = Path(__file__).resolve().parents[2] / "examples" / "from_qiskit.py"
    assert len(example.read_text(encoding="utf-8").splitlines()) < 60
    runpy.run_path(str(example), run_name="__main__")
    printed = capsys.readouterr().out
    assert float(re.search(r"accuracy ([\d.]+)%", printed)[1]) > 95
    assert "2 free parameters" in printed
