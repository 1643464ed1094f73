from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.circuits.unitaries import assert_same, unitary

from q_store.backends.ionq.wire.limits import MAX_BYTES, MAX_CIRCUITS, MAX_GATES
from q_store.backends.ionq.wire.parse import read_job
from q_store.backends.ionq.wire.payload import JobSettings, body
from q_store.backends.ionq.wire.refusal import WireError
from q_store.backends.ionq.wire.template import Template
from q_store.backends.local.reference import state
from q_store.circuits import Circuit, cnot, op, pauliexp, rotation, rx, ry, theta

X = {"gate": "x", "targets": [0]}
INPUT = {"gateset": "qis", "qubits": 3, "circuit": [X]}


def job(**changes):
    """A request that is fine but for the changes; None takes a field away."""
    whole = {"type": "ionq.circuit.v1", "backend": "simulator", "input": INPUT} | changes
    return json.dumps({key: value for key, value in whole.items() if value is not None}).encode()


def gates(*items, **changes):
    return read_job(job(input=INPUT | {"circuit": list(items)} | changes))


def assert_means(item, ops, gateset="qis", n_qubits=3):
    """One gate of the wire is these operations."""
    [group] = gates(item, gateset=gateset, qubits=n_qubits).groups
    expected = Circuit.build(n_qubits, ops)
    assert_same(unitary(group.circuit, None, group.angles[0]), unitary(expected, None, []))


def refused(body):
    with pytest.raises(WireError) as caught:
        read_job(body)
    error = caught.value
    reply = error.body()
    assert reply["statusCode"] == error.status in {400, 413}
    assert reply["error"] == {400: "Bad Request", 413: "Payload Too Large"}[error.status]
    assert reply["message"] == str(error)
    assert "expected" in reply["message"]
    assert reply.get("validation", {}).get("keys", []) == error.keys
    return error


# ------------------------------------------------------------------------------------ what the four clients write


def test_a_batch_as_qiskit_ionq_sends_it():
    received = read_job(
        b'{"type":"ionq.multi-circuit.v1","backend":"simulator","shots":100,"name":"2 circuits","input":{'
        b'"gateset":"qis","qubits":2,"circuits":[{"name":"circuit-61","circuit":[{"gate":"x","targets":[0]}]},{"name":"circuit-64",'
        b'"circuit":[{"gate":"h","targets":[0]},{"gate":"x","targets":[1],"controls":[0]}]}]},"metadata":{"shots":"100",'
        b'"sampler_seed":"None","qiskit_header":"H4sI","user_agent":"qiskit-ionq/1.1.1"},"noise":{"model":"ideal",'
        b'"seed":null},"settings":{},"dry_run":false,"extra":{"unknown":1}}'
    )
    assert (received.type, received.size, received.n_qubits) == ("ionq.multi-circuit.v1", 2, [2, 2])
    assert received.names == ["circuit-61", "circuit-64"]
    assert (received.noise_model, received.noise_seed, received.debiasing) == ("ideal", None, None)
    assert received.metadata == {
        "shots": "100",
        "sampler_seed": "None",
        "qiskit_header": "H4sI",
        "user_agent": "qiskit-ionq/1.1.1",
    }
    assert [group.numbers.tolist() for group in received.groups] == [[0], [1]]
    np.testing.assert_array_equal(received.gate_counts, [[1, 1], [0, 1]])
    np.testing.assert_allclose(np.abs(state(received.groups[1].circuit, None, [])) ** 2, [0.5, 0, 0, 0.5])


def test_a_circuit_as_cirq_ionq_sends_it():
    received = read_job(
        b'{"backend":"simulator","type":"ionq.circuit.v1","lang":"json","input":{"gateset":"qis","qubits":3,"circuit":['
        b'{"gate":"rx","targets":[0],"rotation":0.5},{"gate":"cnot","control":0,"target":2}]},"name":"c1","metadata":{'
        b'"measurement0":"m\\u001f0,1,2","shots":"20"},"shots":"20"}'
    )
    assert (received.shots, received.name, received.metadata["measurement0"]) == (20, "c1", "m\x1f0,1,2")
    [group] = received.groups
    assert group.circuit.n_qubits == 3
    probabilities = np.abs(state(group.circuit, None, group.angles[0])) ** 2
    np.testing.assert_allclose(probabilities[[0, 5]], [math.cos(0.25) ** 2, math.sin(0.25) ** 2])


def test_a_circuit_as_pennylane_ionq_sends_it():
    received = read_job(
        b'{"type": "ionq.circuit.v1", "input": {"qubits": 3, "gateset": "qis", "circuit": [{"gate": "x", "target": 0}, '
        b'{"gate": "cnot", "control": 0, "target": 1}, {"gate": "ry", "target": 2, "rotation": 0.3}]}, '
        b'"backend": "simulator", "shots": 50}'
    )
    assert received.shots == 50
    assert (received.name, received.metadata, received.session_id, received.dry_run) == (None, None, None, False)
    [group] = received.groups
    assert np.argmax(np.abs(state(group.circuit, None, group.angles[0]))) == 0b011


def test_a_native_circuit_as_ionq_core_sends_it():
    received = read_job(
        b'{"backend":"qpu.forte-1","type":"ionq.circuit.v1","input":{"gateset":"native","qubits":2,"circuit":[{"gate":'
        b'"gpi2","target":0,"phase":0.25},{"gate":"zz","targets":[0.0,1.0],"angle":0.25},{"gate":"nop","target":1}]},'
        b'"settings":{"error_mitigation":{"debiasing":true},"compilation":{"opt":0,"precision":"1E-3"}},"shots":500,'
        b'"dry_run":true,"session_id":"a-session"}'
    )
    assert (received.backend, received.gateset, received.debiasing) == ("qpu.forte-1", "native", True)
    assert (received.dry_run, received.session_id) == (True, "a-session")
    assert received.settings["compilation"] == {"opt": 0, "precision": "1E-3"}
    [group] = received.groups
    assert [o.gate for o in group.circuit.ops] == ["gpi2", "nzz"]
    np.testing.assert_array_equal(received.gate_counts, [[1], [1]])


def test_a_program_in_openqasm_as_qiskit_ionq_sends_it():
    pytest.importorskip("qiskit_qasm3_import")
    text = """OPENQASM 3.0;
        include "stdgates.inc";
        bit[2] c; qubit[2] q;
        ry(0.5) q[0]; cx q[0], q[1]; p(0.25) q[1];
        c[0] = measure q[0]; c[1] = measure q[1];"""
    settings = {"compilation": {"service_version": "v0.4"}}
    received = read_job(job(type="ionq.qasm3.v1", input={"data": text, "qubits": 2}, settings=settings))
    [group] = received.groups
    probabilities = np.abs(state(group.circuit, None, group.angles[0])) ** 2
    np.testing.assert_allclose(probabilities, [math.cos(0.25) ** 2, 0, 0, math.sin(0.25) ** 2], atol=1e-12)
    assert group.angles.shape == (1, sum(len(o.angles) for o in group.circuit.ops))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("OPENQASM 3.0; qubit[2] q; bit c; c = measure q[0]; reset q[0];", "UnsupportedGate"),
        ("OPENQASM 3.0; qubit[2 q;", "UnsupportedGate"),
        ("hello", "UnsupportedGate"),
        ('OPENQASM 3.0; include "stdgates.inc";\ninput float a;\nqubit q; rx(a) q;', "InvalidInput"),
        ("OPENQASM 3.0; qubit[20] q; qubit[20] r;", "NotEnoughQubits"),
        ("OPENQASM 3.0; qubit[99999999999999999999] q;", "NotEnoughQubits"),
    ],
)
def test_openqasm_that_cannot_run_is_refused(text, code):
    pytest.importorskip("qiskit_qasm3_import")
    error = refused(job(type="ionq.qasm3.v1", input={"data": text}))
    assert (error.status, error.keys, error.code) == (400, ["input.data"], code)


# ------------------------------------------------------------------------------------------------- shapes of gates


@pytest.mark.parametrize(
    ("item", "ops"),
    [
        ({"gate": "h", "target": 1}, [op("h", 1)]),
        ({"gate": "h", "targets": [1], "target": 1}, [op("h", 1)]),
        ({"gate": "not", "target": 2}, [op("x", 2)]),
        ({"gate": "cnot", "control": 2, "target": 0}, [cnot(2, 0)]),
        ({"gate": "cnot", "controls": [2], "targets": [0]}, [cnot(2, 0)]),
        ({"gate": "x", "target": 0, "controls": [1, 2]}, [op("x", 0, controls=[1, 2])]),
        ({"gate": "x", "target": 0, "controls": []}, [op("x", 0)]),
        ({"gate": "x", "target": 0, "control": None}, [op("x", 0)]),
        ({"gate": "si", "targets": [0], "control": 1}, [op("si", 0, controls=[1])]),
        ({"gate": "v", "targets": [0]}, [rx(math.pi / 2, 0)]),
        ({"gate": "vi", "targets": [0]}, [rx(-math.pi / 2, 0)]),
        ({"gate": "ti", "target": 1, "control": 0}, [op("p", 1, angles=[-math.pi / 4], controls=[0])]),
        ({"gate": "z", "targets": [0], "controls": [1], "rotation": 0.3}, [op("p", 0, angles=[0.3], controls=[1])]),
        ({"gate": "rz", "targets": [0], "controls": [1], "rotation": 2}, [op("rz", 0, angles=[2], controls=[1])]),
        ({"gate": "zz", "targets": [0, 2], "rotation": 0.3}, [rotation("ZZ", 0.3, 0, 2)]),
        ({"gate": "swap", "targets": [0, 2]}, [op("swap", 0, 2)]),
        (
            {"gate": "pauliexp", "targets": [0, 1, 2], "terms": ["ZYX"], "coefficients": [-0.5], "time": 0.7},
            [pauliexp([("XYZ", 1)], -0.35, 0, 1, 2)],
        ),
        (
            {"gate": "pauliexp", "targets": [2, 0], "terms": ["XX", "YY"], "coefficients": [-1, 0.5], "time": 1},
            [pauliexp([("XX", -1.0), ("YY", 0.5)], 1, 2, 0)],
        ),
        (
            {
                "gate": "pauliexp",
                "targets": [0],
                "terms": ["Z", "Z"],
                "coefficients": [1, 2],
                "time": 0.2,
                "control": 1,
            },
            [op("rz", 0, angles=[1.2], controls=[1])],
        ),
    ],
)
def test_every_shape_of_a_qis_gate(item, ops):
    assert_means(item, ops)


@pytest.mark.parametrize(
    ("item", "ops"),
    [
        ({"gate": "gpi", "target": 1, "phase": 0.1}, [op("gpi", 1, angles=[0.1])]),
        ({"gate": "gpi2", "targets": [1], "phase": -1}, [op("gpi2", 1, angles=[0])]),
        ({"gate": "ms", "targets": [1, 0], "phases": [0.1, 0.2]}, [op("ms", 1, 0, angles=[0.1, 0.2, 0.25])]),
        (
            {"gate": "ms", "targets": [0, 1], "phases": [0.1, 0.2], "angle": -0.5},
            [op("ms", 0, 1, angles=[0.1, 0.2, -0.5])],
        ),
        ({"gate": "zz", "targets": [0, 1], "angle": 0.1}, [op("nzz", 0, 1, angles=[0.1])]),
        ({"gate": "zz", "targets": [0, 1], "phase": 0.1}, [op("nzz", 0, 1, angles=[0.1])]),
        ({"gate": "zz", "targets": [0, 1], "rotation": 0.1}, [op("nzz", 0, 1, angles=[0.1])]),
        ({"gate": "nop", "targets": [0, 1]}, []),
    ],
)
def test_every_shape_of_a_native_gate(item, ops):
    assert_means(item, ops, "native")


PAULIEXP = {"gate": "pauliexp", "targets": [0, 1], "terms": ["XX", "YY"], "coefficients": [1, 0.5], "time": 1}


@pytest.mark.parametrize(
    ("item", "changes"),
    [
        ({"gate": "x", "target": 0}, {"target": 1}),
        ({"gate": "x", "targets": [0]}, {"targets": [1]}),
        ({"gate": "x", "target": 0, "control": 1}, {"control": 2}),
        ({"gate": "x", "target": 0, "controls": [1]}, {"controls": [2]}),
        ({"gate": "x", "target": 0, "controls": [1]}, {"controls": [1, 2]}),
        ({"gate": "x", "target": 0}, {"gate": "y"}),
        ({"gate": "z", "target": 0}, {"rotation": 0.5}),
        (PAULIEXP, {"terms": ["XX", "ZZ"]}),
        (PAULIEXP, {"coefficients": [1, -0.5]}),
        (PAULIEXP, {"coefficients": [-1, -0.5]}),
    ],
)
def test_a_gate_is_not_taken_for_one_that_was_read_before(item, changes):
    [alone] = gates(item | changes).groups
    [after] = gates(item, item | changes).groups
    first = len(after.angles[0]) - len(alone.angles[0])
    second = Circuit(3, alone.circuit.n_params, 0, (replace(after.circuit.ops[1], angles=alone.circuit.ops[0].angles),))
    assert_same(unitary(second, None, after.angles[0, first:]), unitary(alone.circuit, None, alone.angles[0]))


def test_a_circuit_may_have_its_own_gateset_and_qubits():
    circuits = [
        {"circuit": [X]},
        {"circuit": [{"gate": "gpi", "target": 1, "phase": 0}], "gateset": "native", "qubits": None},
        {"circuit": [{"gate": "zz", "targets": [0, 1], "rotation": 0.1}], "qubits": 4},
    ]
    given = {"gateset": "qis", "qubits": 3, "circuits": circuits}
    received = read_job(job(type="ionq.multi-circuit.v1", input=given))
    assert received.n_qubits == [3, 3, 4]
    assert [group.circuit.ops[0].gate for group in received.groups] == ["x", "gpi", "zz"]


def test_circuits_of_one_structure_are_one_group_with_their_places():
    one, other = [X, {"gate": "ry", "target": 1, "rotation": 0.5}], [{"gate": "h", "target": 0}]
    again = [{"gate": "not", "target": 0}, {"gate": "ry", "targets": [1], "rotation": 2}]
    circuits = [{"circuit": c} for c in (one, other, again)]
    received = read_job(job(type="ionq.multi-circuit.v1", input={"qubits": 2, "circuits": circuits}))
    first, second = received.groups
    np.testing.assert_array_equal(first.numbers, [0, 2])
    np.testing.assert_array_equal(first.angles, [[0.5], [2.0]])
    np.testing.assert_array_equal(second.numbers, [1])
    assert second.angles.shape == (1, 0)
    np.testing.assert_array_equal(received.gate_counts, [[2, 1, 2], [0, 0, 0]])


def test_signs_of_exponentials_do_not_part_a_group():
    circuit = Circuit.build(2, [rotation("XY", theta(0), 0, 1), pauliexp([("XX", 0.5), ("ZZ", 1)], theta(1), 0, 1)])
    angles = [[0.5, 1.0], [-0.5, 1.0], [0.5, -1.0], [-0.25, -2.0]]
    received = read_job(body(Template.of(circuit).write(angles), 2, JobSettings("simulator"), "n", {}))
    [group] = received.groups
    for theirs, ours in zip(group.angles, angles, strict=True):
        assert_same(unitary(group.circuit, None, theirs), unitary(circuit, None, ours))


def test_a_gate_that_occurs_again_has_an_angle_of_its_own():
    turn = {"gate": "rx", "target": 0, "rotation": 0.25}
    [group] = gates(turn, turn | {"rotation": 0.5}, turn | {"rotation": 1}).groups
    np.testing.assert_array_equal(group.angles, [[0.25, 0.5, 1]])
    assert_same(unitary(group.circuit, None, group.angles[0]), unitary(Circuit.build(3, [rx(1.75, 0)]), None, []))


def test_shots_are_100_if_nothing_is_said_and_numbers_may_be_text():
    assert [read_job(job(shots=shots)).shots for shots in (None, 1, 1e6, "007")] == [100, 1, 1_000_000, 7]


def test_a_small_input_is_kept_and_a_large_one_is_not():
    assert gates(X).input == INPUT
    assert gates(*[X] * 5_000).input is None


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"type": None}, "type"),
        ({"type": "quantum-function"}, "type"),
        ({"type": 3}, "type"),
        ({"backend": None}, "backend"),
        ({"backend": ""}, "backend"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"shots": 0}, "shots"),
        ({"shots": 1_000_001}, "shots"),
        ({"shots": "many"}, "shots"),
        ({"shots": "9" * 5_000}, "shots"),
        ({"shots": 1.5}, "shots"),
        ({"shots": True}, "shots"),
        ({"noise": "aria-1"}, "noise"),
        ({"noise": {"model": 1}}, "noise.model"),
        ({"noise": {"model": "aria-1", "seed": 2**31}}, "noise.seed"),
        ({"settings": [1]}, "settings"),
        ({"settings": {"error_mitigation": {"debiasing": "yes"}}}, "settings.error_mitigation.debiasing"),
        ({"metadata": "text"}, "metadata"),
        ({"name": 5}, "name"),
        ({"session_id": 5}, "session_id"),
        ({"dry_run": "no"}, "dry_run"),
    ],
)
def test_a_field_that_is_not_usable_is_named(changes, key):
    error = refused(job(**changes))
    assert (error.status, error.keys[0]) == (400, key)


@pytest.mark.parametrize(
    ("changes", "keys", "code"),
    [
        ({"circuits": []}, ["input.circuit", "input.circuits"], None),
        ({"circuit": []}, ["input.circuit"], "InvalidInput"),
        ({"circuit": "x"}, ["input.circuit"], "InvalidInput"),
        ({"gateset": "clifford"}, ["input.gateset"], None),
        ({"qubits": 0}, ["input.qubits"], "InvalidInput"),
        ({"qubits": 1.5}, ["input.qubits"], "InvalidInput"),
        ({"qubits": "3"}, ["input.qubits"], "InvalidInput"),
        ({"qubits": 30}, ["input.qubits"], "NotEnoughQubits"),
        ({"qubits": 10**400}, ["input.qubits"], "NotEnoughQubits"),
        ({"circuit": [X, {"gate": "x", "targets": [3]}]}, ["input.circuit"], "InvalidInput"),
    ],
)
def test_an_input_that_is_not_usable_is_named(changes, keys, code):
    error = refused(job(input=INPUT | changes))
    assert (error.status, error.keys, error.code) == (400, keys, code)


GATE = "input.circuit[1]"


@pytest.mark.parametrize(
    ("item", "key", "code"),
    [
        ("x", GATE, "InvalidInput"),
        (None, GATE, "InvalidInput"),
        ({}, GATE, "InvalidInput"),
        ({"gate": ["x"], "target": 0}, GATE, "InvalidInput"),
        ({"gate": "id", "target": 0}, f"{GATE}.gate", "UnsupportedGate"),
        ({"gate": "gpi", "target": 0, "phase": 0.1}, f"{GATE}.gate", "UnsupportedGate"),
        ({"gate": "x"}, GATE, "InvalidInput"),
        ({"gate": "x", "targets": [0, 1]}, GATE, "InvalidInput"),
        ({"gate": "x", "targets": ["0"]}, f"{GATE}.targets", "InvalidInput"),
        ({"gate": "x", "targets": "0"}, f"{GATE}.targets", "InvalidInput"),
        ({"gate": "x", "targets": [[0]]}, f"{GATE}.targets", "InvalidInput"),
        ({"gate": "x", "targets": [0], "target": 1}, f"{GATE}.targets", "InvalidInput"),
        ({"gate": "x", "target": -1}, f"{GATE}.target", "InvalidInput"),
        ({"gate": "x", "target": 0.5}, f"{GATE}.target", "InvalidInput"),
        ({"gate": "x", "target": 10**30}, f"{GATE}.target", "NotEnoughQubits"),
        ({"gate": "x", "target": 0, "control": 0}, GATE, "InvalidInput"),
        ({"gate": "x", "target": 8, "controls": list(range(8))}, f"{GATE}.controls", "TooManyControls"),
        ({"gate": "swap", "targets": [0, 1], "control": 2}, f"{GATE}.controls", "UnsupportedGate"),
        ({"gate": "cnot", "target": 0}, f"{GATE}.control", "InvalidInput"),
        ({"gate": "rx", "target": 0}, f"{GATE}.rotation", "InvalidInput"),
        ({"gate": "rx", "target": 0, "rotation": "1"}, f"{GATE}.rotation", "InvalidInput"),
        ({"gate": "rx", "target": 0, "rotation": None}, f"{GATE}.rotation", "InvalidInput"),
        ({"gate": "rx", "target": 0, "rotation": 10**400}, f"{GATE}.rotation", "InvalidInput"),
        (
            {"gate": "pauliexp", "targets": [0], "terms": ["X"], "coefficients": [1], "time": -1},
            f"{GATE}.time",
            "InvalidInput",
        ),
        ({"gate": "pauliexp", "targets": [0], "terms": ["XX"], "coefficients": [1], "time": 1}, f"{GATE}.terms", None),
        ({"gate": "pauliexp", "targets": [0], "terms": ["X"], "coefficients": [], "time": 1}, f"{GATE}.coef", None),
        ({"gate": "pauliexp", "targets": [0], "terms": ["X"], "coefficients": ["a"], "time": 1}, f"{GATE}.coef", None),
        ({"gate": "pauliexp", "target": 0, "terms": ["X"], "coefficients": [1e300], "time": 1e300}, GATE, None),
        (
            {"gate": "pauliexp", "target": 0, "terms": ["X", "I"], "coefficients": [1e308, 10**400], "time": 1},
            GATE,
            None,
        ),
        (
            {"gate": "pauliexp", "targets": [0], "terms": ["X", "Z"], "coefficients": [1, 1], "time": 1},
            GATE,
            "InvalidInput",
        ),
    ],
)
def test_a_gate_that_is_not_usable_is_named(item, key, code):
    error = refused(job(input=INPUT | {"circuit": [X, item]}))
    assert error.keys[0].startswith(key)
    assert error.code == (code or "InvalidInput")


@pytest.mark.parametrize(
    ("item", "key"),
    [
        ({"gate": "h", "target": 0}, f"{GATE}.gate"),
        ({"gate": "gpi", "target": 0}, f"{GATE}.phase"),
        ({"gate": "gpi", "target": 0, "control": 1, "phase": 0}, f"{GATE}.controls"),
        ({"gate": "ms", "targets": [0, 1], "phases": [0]}, f"{GATE}.phases"),
        ({"gate": "ms", "targets": [0, 1], "phase": 0}, f"{GATE}.phases"),
        ({"gate": "zz", "targets": [0, 1]}, f"{GATE}.angle"),
    ],
)
def test_a_native_gate_that_is_not_usable_is_named(item, key):
    circuit = [{"gate": "gpi2", "target": 0, "phase": 0}, item]
    assert refused(job(input=INPUT | {"gateset": "native", "circuit": circuit})).keys == [key]


def test_the_place_in_a_batch_is_named():
    circuits = [{"circuit": [X]}, {"circuit": [X, {"gate": "rx", "target": 0}]}]
    error = refused(job(type="ionq.multi-circuit.v1", input={"circuits": circuits}))
    assert error.keys == ["input.circuits[1].circuit[1].rotation"]
    assert str(error).startswith("input.circuits[1].circuit[1].rotation: expected a number, got None")


@pytest.mark.parametrize("text", [b"", b"{", b"null", b"[]", b"NaN", b"\xff", b"[" * 100_000, b"1" * 5_000])
def test_a_body_that_is_no_object_is_refused(text):
    assert refused(text).status == 400


def test_constants_that_json_does_not_have_are_refused():
    text = job().replace(b'{"gate": "x", "targets": [0]}', b'{"gate": "rx", "target": 0, "rotation": NaN}')
    assert "NaN" in str(refused(text))
    text = job().replace(b'{"gate": "x", "targets": [0]}', b'{"gate": "rx", "target": 0, "rotation": 1e999}')
    assert refused(text).keys == ["input.circuit[0].rotation"]


def multi(circuit, n):
    text = b",".join([b'{"circuit":%s}' % json.dumps(circuit, separators=(",", ":")).encode()] * n)
    return b'{"type":"ionq.multi-circuit.v1","backend":"simulator","input":{"circuits":[%s]}}' % text


def test_the_limits_are_enforced_where_they_are():
    assert read_job(multi([X], MAX_CIRCUITS)).size == MAX_CIRCUITS
    error = refused(multi([X], MAX_CIRCUITS + 1))
    assert (error.status, error.keys) == (400, ["input.circuits"])
    small = {"gate": "h", "target": 0}
    assert read_job(multi([small] * 50, MAX_GATES // 50)).size == MAX_GATES // 50
    error = refused(multi([small] * 50, MAX_GATES // 50 + 1))
    assert (error.status, error.code, error.keys) == (
        400,
        "TooManyGates",
        [f"input.circuits[{MAX_GATES // 50}].circuit"],
    )
    full = job() + b" " * (MAX_BYTES - len(job()))
    assert read_job(full).size == 1
    assert refused(full + b" ").status == 413


# ------------------------------------------------------------------------------------------------------------ fuzz

scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 40), st.integers(), st.floats(), st.text(max_size=4))
values = st.recursive(scalars, lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(st.text(max_size=3), v)))
names = st.sampled_from(["x", "rx", "z", "zz", "cnot", "swap", "pauliexp", "gpi", "ms", "nop", "not", "id"])
wires = st.one_of(st.integers(0, 3), st.lists(st.integers(0, 3), max_size=3), values)
some_gates = st.fixed_dictionaries(
    {"gate": st.one_of(names, values)},
    optional={
        **dict.fromkeys(("target", "targets", "control", "controls"), wires),
        **{key: st.one_of(st.floats(-1, 1), values) for key in ("rotation", "phase", "angle", "time")},
        "phases": st.one_of(st.lists(st.floats(-1, 1), max_size=3), values),
        "terms": st.one_of(st.lists(st.text("XYZI", max_size=2), max_size=2), values),
        "coefficients": st.one_of(st.lists(st.floats(-1, 1), max_size=2), values),
    },
)
some_circuits = st.fixed_dictionaries(
    {"circuit": st.one_of(st.lists(st.one_of(some_gates, values), max_size=3), values)},
    optional={
        "qubits": st.one_of(st.integers(1, 5), values),
        "gateset": st.one_of(st.sampled_from(["qis", "native"]), values),
        "name": values,
        "circuits": values,
    },
)
some_inputs = st.one_of(
    some_circuits,
    st.fixed_dictionaries({"circuits": st.one_of(st.lists(some_circuits, max_size=3), values)}),
    st.fixed_dictionaries({"data": values}),
    values,
)
some_jobs = st.fixed_dictionaries(
    {
        "type": st.one_of(st.sampled_from(["ionq.circuit.v1", "ionq.multi-circuit.v1", "ionq.qasm3.v1"]), values),
        "backend": st.one_of(st.just("simulator"), values),
        "input": some_inputs,
    },
    optional=dict.fromkeys(("shots", "noise", "settings", "metadata", "name", "session_id", "dry_run"), values),
)


def assert_read_or_refused(text):
    try:
        received = read_job(text)
    except WireError:
        refused(text)
        return
    numbers = np.concatenate([group.numbers for group in received.groups])
    assert sorted(numbers.tolist()) == list(range(received.size))
    for group in received.groups:
        assert np.isfinite(group.angles).all()
        assert group.angles.shape == (len(group.numbers), group.circuit.n_params)
        assert {received.n_qubits[k] for k in group.numbers} == {group.circuit.n_qubits}


@settings(max_examples=120)
@given(some_jobs)
def test_only_refusals_leave_the_reader(request):
    assert_read_or_refused(json.dumps(request).encode())


@given(st.binary(max_size=60))
def test_only_refusals_leave_the_reader_of_bytes(text):
    assert_read_or_refused(text)


@given(st.data())
def test_only_refusals_leave_the_reader_of_damaged_bodies(data):
    circuit = Circuit.build(2, [ry(theta(0), 0), cnot(0, 1), rotation("XY", theta(1), 0, 1)])
    texts = Template.of(circuit).write([[0.1, 0.2], [0.3, -0.4]])
    text = bytearray(body(texts, 2, JobSettings("simulator", shots=10), "n", {"a": "b"}, names=["p", "q"]))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=2))
    assert_read_or_refused(bytes(text))
