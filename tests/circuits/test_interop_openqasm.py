"""OpenQASM 2 and 3: the text, what Qiskit makes of it, the way back, and text that is not OpenQASM."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits, rows
from tests.circuits.unitaries import assert_equal_circuits, assert_same, unitary

from q_store.backends.local.reference import state
from q_store.circuits import Circuit, cnot, op, prepare, rotation, rx, rz, theta, x
from q_store.circuits.interop import from_qasm, to_qasm
from q_store.errors import CapabilityError, CircuitError, ConfigError, GateError

pytest.importorskip("qiskit_qasm3_import")
from qiskit import qasm2, qasm3
from qiskit.quantum_info import Operator

# the header that the OpenQASM 2 paper prints, arXiv:1707.03429
PAPER = "u3 u2 u1 cx id x y z h s sdg t tdg rx ry rz cz cy ch ccx crz cu1 cu3"
STDGATES = "p x y z h s sdg t tdg sx rx ry rz cx cy cz cp crx cry crz ch swap ccx cswap cu u1 u2 u3"
GOOD = """OPENQASM 3.0;
include "stdgates.inc";
input float a;
qubit[2] q;
rx(a) q[0];
cx q[0], q[1];
"""


def one(draw, circuit):
    data, params = draw(rows(circuit, 1, 1))
    return (None if data is None else data[0]), params[0]


def names(text):
    """Gate names of a program."""
    return set(re.findall(r"^(\w+)(?:\(.*\))? q\[", text, re.MULTILINE)) - {"qreg"}


@settings(max_examples=40)
@given(st.data())
def test_version_2_reads_as_the_same_unitary_with_the_gates_of_the_paper(data):
    circuit = data.draw(circuits())
    features, params = one(data.draw, circuit)
    text = to_qasm(circuit, 2, params, features)
    assert names(text) <= set(PAPER.split())
    assert_same(Operator(qasm2.loads(text)).data, unitary(circuit, features, params))


@settings(max_examples=20)
@given(st.data())
def test_version_3_reads_as_the_same_unitary_with_the_standard_gates(data):
    circuit = data.draw(circuits(max_qubits=3, max_ops=6))
    features, params = one(data.draw, circuit)
    text = to_qasm(circuit, params=params, data=features)
    assert names(text) <= set(STDGATES.split())
    assert_same(Operator(qasm3.loads(text)).data, unitary(circuit, features, params))


@settings(max_examples=20)
@given(st.data())
def test_symbols_survive_the_round_trip(data):
    circuit = data.draw(circuits(max_qubits=3, max_ops=6))
    back = from_qasm(to_qasm(circuit), features="x" if circuit.n_features else ())
    assert (back.circuit.n_params, back.circuit.n_features) == (circuit.n_params, circuit.n_features)
    features, params = one(data.draw, circuit)
    assert_equal_circuits(back.circuit, circuit, features, params)


def test_inputs_keep_their_order_beyond_nine():
    circuit = Circuit.build(1, [rx(theta(i) * (i + 1), 0) for i in range(12)])
    back = from_qasm(to_qasm(circuit))
    assert back.parameters[2] == "theta_2"
    assert back.circuit == circuit


def test_text_of_a_small_circuit():
    circuit = Circuit.build(2, [rz(0.5 * theta(0) * x(0) - theta(1) + 1e-7, 0), cnot(0, 1), op("v", 1)])
    assert to_qasm(circuit).splitlines() == [
        "OPENQASM 3.0;",
        'include "stdgates.inc";',
        "input float theta_0;",
        "input float theta_1;",
        "input float x_0;",
        "qubit[2] q;",
        "rz(1.0e-07 + 0.5*theta_0*x_0 - theta_1) q[0];",
        "cx q[0], q[1];",
        "sx q[1];",
    ]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("first", ["XX", "XY", "XZ", "YX", "YY", "YZ", "ZX", "ZY", "ZZ"])
@pytest.mark.parametrize("second", ["XX", "XY", "XZ", "YX", "YY", "YZ", "ZX", "ZY", "ZZ"])
def test_pairs_of_rotations_share_their_two_cnot(version, first, second):
    # the second one with its qubits in the other order, and gates on a third qubit between them
    ops = [rotation(first, theta(0), 2, 0), op("h", 1), rotation(second[::-1], theta(1), 0, 2)]
    circuit = Circuit.build(3, ops)
    params = [0.7, -1.1]
    text = to_qasm(circuit, version, params)
    differ = first[0] != second[0] and first[1] != second[1]
    assert text.count("cx ") == (2 if differ else 4)
    assert_same(Operator((qasm2 if version == 2 else qasm3).loads(text)).data, unitary(circuit, None, params))


def test_what_stands_between_two_rotations_keeps_them_apart():
    ops = [rotation("YX", theta(0), 0, 1), op("t", 0), rotation("XY", theta(1), 0, 1)]
    assert to_qasm(Circuit.build(2, ops), 2, [0.3, 0.4]).count("cx ") == 4


def test_a_preparation_becomes_gates_for_a_row():
    circuit = Circuit.build(2, [prepare(2, 1), rx(theta(0) * x(0), 1)])
    row = np.array([0.4, 0.5, -0.5, 0.5, 0.5])
    for version in (2, 3):
        back = from_qasm(to_qasm(circuit, version, [0.3], row)).circuit
        assert_same(state(back, None, []), state(circuit, row, [0.3]))
    symbolic = from_qasm(to_qasm(circuit, 3, data=row)).circuit
    assert_same(state(symbolic, None, [0.3]), state(circuit, row, [0.3]))
    with pytest.raises(GateError, match=r"'prepare'.*data=.*encoders\.lower"):
        to_qasm(circuit)


def test_version_2_needs_numbers():
    with pytest.raises(CircuitError, match=r"numbers for all angles in OpenQASM 2.*version=3"):
        to_qasm(Circuit.build(1, [rx(theta(0), 0)]), 2)
    with pytest.raises(ConfigError, match="version 2 or 3, got 4"):
        to_qasm(Circuit.build(1, [op("h", 0)]), 4)


def test_programs_of_others_come_in():
    text = """// a comment with OPENQASM 2.0; in it
OPENQASM 3;
include "stdgates.inc";
/* input float no; */
input angle[32] b;
input float a;
qubit[2] q; bit[2] c;
gate mine(t) p, r { ry(2*t) p; ctrl @ rx(t) p, r; }
mine(a/2 + b) q[1], q[0];
barrier q;
c = measure q;
"""
    text = text.replace("ctrl @ rx(t)", "crx(t)")
    got = from_qasm(text, features=["b"])
    assert (got.parameters, got.features) == (("a",), ("b",))
    mine = [op("ry", 1, angles=[theta(0) + 2 * x(0)]), op("rx", 0, angles=[theta(0) / 2 + x(0)], controls=[1])]
    assert got.circuit.ops == tuple(mine)
    old = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; rzz(pi/4) q[0],q[1]; u2(0,pi) q[0]; measure q->c;'
    expected = Circuit.build(2, [op("zz", 0, 1, angles=[np.pi / 4]), op("h", 0)])
    assert_same(unitary(from_qasm(old).circuit, None, []), unitary(expected, None, []))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected 'OPENQASM 2.0;' or 'OPENQASM 3.0;', got ''"),
        ("hello", "line 1: .*got 'hello'"),
        ("OPENQASM 4.0;", r"line 1: .*got 'OPENQASM 4\.0;'"),
        (GOOD.replace("cx q[0]", "cx q[7]"), r"line 6: .*'cx q\[7\], q\[1\];': index out of range"),
        (GOOD.replace("cx", "foo"), "line 6: .*gate 'foo' is not defined"),
        (GOOD.replace(";\nqubit", "\nqubit"), r"line 4: .*unexpected 'qubit'"),
        (GOOD + "cx q[0], q[1], q[0];", "line 7: .*does not match the gate"),
        (GOOD + "rx q[0];", "line 7: .*missing 1 required"),
        (GOOD + "rx(sin(a)) q[0];", "line 7: .*FunctionCall"),
        (GOOD[:-9], "line 6: "),
        (GOOD.replace("qubit[2] q;", "@@@;"), "line 4: "),
        (GOOD + "rx(a*a) q[0];", "linear in 1, theta, x"),
        ('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\nfoo q[0];', r"line 4: .*got 'foo q\[0\];': 'foo' is not"),
        ("OPENQASM 2.0;\nqreg q[1]\nU(0,0,0) q[0];", "line 3: .*needed ';'"),
        ('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\nx q[4];', "line 4: .*index 4 is out-of-range"),
    ],
)
def test_malformed_text_is_refused_with_its_line(text, message):
    with pytest.raises(CircuitError, match=message):
        from_qasm(text)


@pytest.mark.parametrize("version", [2, 3])
def test_a_program_opens_no_files(version, tmp_path):
    secret = tmp_path / "secret.inc"
    secret.write_text("hidden words", encoding="utf-8")
    with pytest.raises(CircuitError) as refused:
        from_qasm(f'OPENQASM {version}.0;\ninclude "{secret}";\nqreg q[1];\n')
    assert "hidden" not in str(refused.value)


def test_a_byte_order_mark_is_no_part_of_a_program():
    assert from_qasm("\ufeffOPENQASM 3.0; qubit q; U(0.1, 0, 0) q;").circuit.n_qubits == 1


@pytest.mark.parametrize("tail", ["bit c; c = measure q[0]; x q[0];", "reset q[0];"])
def test_what_is_not_a_unitary_is_refused_by_name(tail):
    with pytest.raises(GateError, match=r"'(x|reset)'"):
        from_qasm(GOOD + tail)


def test_writing_needs_no_extra_and_reading_names_it(monkeypatch):
    for module in [m for m in sys.modules if m.partition(".")[0] in {"qiskit", "qiskit_qasm3_import"}]:
        monkeypatch.setitem(sys.modules, module, None)
    assert to_qasm(Circuit.build(1, [op("h", 0)])).endswith("h q[0];\n")
    with pytest.raises(CapabilityError, match=r"'qiskit'.*pip install 'q-store\[qiskit\]'"):
        from_qasm(GOOD)


def test_inputs_are_found_wherever_they_stand_in_a_line():
    text = 'OPENQASM 3.0; include "stdgates.inc"; input float a; input angle[32] b; qubit[1] q; rx(a) q[0]; rz(b) q[0];'
    assert from_qasm(text).parameters == from_qasm(text.replace("; ", ";\n")).parameters == ("a", "b")
