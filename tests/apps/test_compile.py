"""`q-store compile`: the table, the JSON, and that the input it prints is the circuit of the file."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from q_store.apps import compilation
from q_store.backends.local import reference
from q_store.circuits.circuit import Circuit, op
from q_store.circuits.interop import from_qasm, to_qasm
from q_store.circuits.native import Family

pytest.importorskip("qiskit")
BELL = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[3];
creg c[3];
h q[0];
cx q[0],q[1];
rz(0.3) q[1];
ccx q[0],q[1],q[2];
u3(0.1,0.2,0.3) q[2];
measure q -> c;
"""
THREE = """OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
ry(0.7) q[1];
cx q[1], q[0];
rz(pi/5) q[0];
"""
TARGETS = {"ionq-aria": {"gpi", "gpi2", "ms"}, "ionq-forte": {"gpi", "gpi2", "zz"}}
TURN = 2 * math.pi


@pytest.fixture
def file(tmp_path):
    def write(text, name="circuit.qasm"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def matrix(gate):
    """Over (targets[0], targets[1]), the first the most significant; written from IonQ's description of its gates."""
    if gate["gate"] in {"gpi", "gpi2"}:
        e = np.exp(1j * TURN * gate["phase"])
        pulse = np.array([[0, e.conjugate()], [e, 0]])
        return pulse if gate["gate"] == "gpi" else (np.eye(2) - 1j * pulse) / math.sqrt(2)
    c, s = math.cos(math.pi * gate["angle"]), math.sin(math.pi * gate["angle"])
    if gate["gate"] == "zz":
        return np.diag([c - 1j * s, c + 1j * s, c + 1j * s, c - 1j * s])
    a, b = (np.array([[0, np.exp(-1j * TURN * p)], [np.exp(1j * TURN * p), 0]]) for p in gate["phases"])
    return c * np.eye(4) - 1j * s * np.kron(a, b)


def unitary(sent):
    """Of an input object; qubit 0 is the least significant bit."""
    n = sent["qubits"]
    total = np.eye(2**n, dtype=complex)
    for gate in sent["circuit"]:
        targets = gate.get("targets") or [gate["target"]]
        wires = targets + [q for q in range(n) if q not in targets]
        wide = np.kron(matrix(gate), np.eye(2 ** (n - len(targets))))
        order = [sum((state >> q & 1) << (n - 1 - k) for k, q in enumerate(wires)) for state in range(2**n)]
        total = wide[np.ix_(order, order)] @ total
    return total


def expected(text):
    circuit = from_qasm(text).circuit
    columns = [
        reference.state(Circuit(circuit.n_qubits, 0, 0, (*flips(k, circuit.n_qubits), *circuit.ops)), None, np.zeros(0))
        for k in range(2**circuit.n_qubits)
    ]
    return np.array(columns).T


def flips(state, n):
    return [op("x", q) for q in range(n) if state >> q & 1]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("text", [BELL, THREE], ids=["qasm2", "qasm3"])
def test_the_input_is_the_circuit_of_the_file(q_store, file, text, target):
    answer = q_store("compile", file(text), "--target", target, "--json")
    assert answer.code == 0, answer.err
    found = answer.json
    assert set(found) == {"before", "after", "infidelity", "method", "input"}
    sent = found["input"]
    assert sent["gateset"] == "native"
    assert {gate["gate"] for gate in sent["circuit"]} <= TARGETS[target]
    right = expected(text)
    assert abs(abs(np.trace(unitary(sent).conj().T @ right)) / len(right) - 1) < 1e-12
    assert found["infidelity"] < 1e-9
    wide = sum("targets" in gate for gate in sent["circuit"])
    assert (found["after"]["one_qubit"], found["after"]["two_qubit"]) == (len(sent["circuit"]) - wide, wide)


def test_counts_before_are_those_of_the_file(q_store, file):
    before = q_store("compile", file(BELL), "--target", "ionq-forte", "--json").json["before"]
    assert before["two_qubit"] == 2
    assert before["depth"] == 7  # the u3 is three rotations


def test_measured_keeps_the_probabilities_with_fewer_gates(q_store, file):
    words = ("compile", file(BELL), "--target", "ionq-aria", "--json")
    whole, measured = q_store(*words).json, q_store(*words, "--measured").json
    assert measured["after"]["one_qubit"] < whole["after"]["one_qubit"]
    assert measured["infidelity"] < 1e-9
    got, right = np.abs(unitary(measured["input"])) ** 2, np.abs(expected(BELL)) ** 2
    np.testing.assert_allclose(got, right, atol=1e-10)


def test_the_table_says_the_same(q_store, file):
    answer = q_store("compile", file(THREE), "--target", "ionq-forte")
    assert answer.err == ""
    assert "native gates of ionq-forte" in answer.out
    assert "infidelity" in answer.out


@pytest.mark.parametrize("measured", [False, True])
@pytest.mark.parametrize("n", [2, 9])
def test_a_wrong_gate_is_seen(n, measured):
    circuit = Circuit.build(n, [op("ry", q, angles=[0.3 + q]) for q in range(n)] + [op("x", 1, controls=(0,))])
    found = compilation.compiled(circuit, compilation.MACHINES["ionq-aria"], measured=measured)
    assert found["infidelity"] < 1e-9
    written = compilation.reread(found["input"])
    wrong = Circuit(n, 0, 0, (*written.ops, op("gpi2", 0, angles=[0.1])))
    infidelity, _ = compilation.difference(circuit, wrong, measured=measured)
    assert infidelity > 0.01


def test_large_circuits_are_compiled_and_say_that_nothing_was_checked(q_store, file):
    text = to_qasm(Circuit.build(17, [op("h", q) for q in range(17)]))
    found = q_store("compile", file(text), "--target", "ionq-forte", "--json").json
    assert found["infidelity"] is None
    assert "17 qubits, more than 16" in found["method"]


def refused(answer, *parts):
    assert answer.code == 2, answer
    assert answer.err.startswith("q-store: error: ")
    assert answer.err.count("\n") == 1, answer.err
    assert answer.out == ""
    for part in parts:
        assert part in answer.err, answer.err


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ("circuit.qasm", "expected 'OPENQASM 2.0;'")),
        ("hello", ("expected 'OPENQASM 2.0;'",)),
        (BELL.replace("h q[0];", "h q[0]"), ("line 6", "correct the file")),
        (BELL.replace("rz(0.3) q[1]", "warp q[1]"), ("line 7", "warp")),
        (BELL.replace("rz(0.3) q[1]", "reset q[1]"), ("reset",)),
        (BELL.replace("q[1],q[2];", "q[1],q[1];"), ("line 8",)),
        ('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\n', ("empty circuit", "add a gate")),
        (THREE.replace("qubit[2] q;", "input float a;\nqubit[2] q;\nrx(a) q[0];"), ("inputs a", "to_native")),
        (THREE.replace("ry(0.7) q[1];\ncx q[1], q[0];\nrz(pi/5) q[0];", "x q[0];\nx q[0];"), ("identity",)),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(q_store, file, text, parts):
    refused(q_store("compile", file(text), "--target", "ionq-aria"), *parts)
    refused(q_store("compile", file(text), "--target", "ionq-aria", "--json"), *parts)


def test_wrong_commands_are_refused(q_store, file, tmp_path):
    refused(q_store("compile", tmp_path / "no.qasm", "--target", "ionq-aria"), "no.qasm", "check the path")
    refused(q_store("compile", tmp_path, "--target", "ionq-aria"), "check the path")
    refused(q_store("compile", file(BELL), "--target", "ionq-fort"), "did you mean 'ionq-forte'?")
    refused(q_store("compile", file(BELL)), "--target", "q-store compile --help")
    binary = file("", "binary.qasm")
    binary.write_bytes(b"\xff\xfe\x00")
    refused(q_store("compile", binary, "--target", "ionq-aria"), "UTF-8")
    wide = to_qasm(Circuit.build(26, [op("h", q) for q in range(26)]))
    refused(q_store("compile", file(wide), "--target", "ionq-aria"), "25 qubits of qpu.aria-1, got 26")


def test_every_machine_has_a_family_and_a_size():
    assert {m.family for m in compilation.MACHINES.values()} == set(Family)
    assert json.dumps([m.qubits for m in compilation.MACHINES.values()]) == "[25, 36]"
