from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.backends.local import reference
from q_store.circuits import Circuit, Marginal, Observables, PauliSum, cnot, op, pauliexp, prepare, ry, theta, x, z
from q_store.circuits.gates import GATES
from q_store.circuits.serialise import circuit_from_json, circuit_to_json, observables_from_json, observables_to_json
from q_store.errors import CircuitError, GateError

RICH = Circuit.build(
    3,
    [
        prepare(3, first=1, number=6),
        ry(theta(0) * x(0) + theta(1) / 3 + 0.1, 0),
        cnot(0, 2),
        op("z", 1, controls=[0, 2]),
        op("ms", 0, 2, angles=[0.125, theta(2), 0.25]),
        pauliexp([("XX", 0.3), ("YY", -1.7)], theta(3) * 2.5, 2, 1),
    ],
)

numbers = st.floats(-1e3, 1e3, allow_nan=False).filter(bool)
angles = st.builds(
    lambda c, a, i, b, j, w: c + a * theta(i) + b * x(j) + w * theta(i) * x(j),
    numbers, numbers, st.integers(0, 5), numbers, st.integers(0, 3), numbers,
)  # fmt: skip


@st.composite
def circuits(draw):
    ops = []
    for name in draw(st.lists(st.sampled_from(sorted(GATES)), max_size=8)):
        gate = GATES[name]
        qubits = draw(st.permutations(range(4)))
        ops.append(
            op(
                name,
                *qubits[: gate.n_qubits],
                angles=[draw(angles) for _ in range(gate.n_angles)],
                controls=qubits[gate.n_qubits : gate.n_qubits + draw(st.integers(0, 2))],
            )
        )
    return Circuit.build(4, ops)


def round_trip(circuit):
    return circuit_from_json(json.loads(json.dumps(circuit_to_json(circuit))))


@given(circuits())
def test_a_circuit_comes_back_equal_through_text(circuit):
    assert round_trip(circuit) == circuit
    assert round_trip(circuit).digest == circuit.digest


def test_every_kind_of_operation_comes_back_and_acts_the_same():
    again = round_trip(RICH)
    assert again == RICH
    row = np.array([0.3, *np.full(6, 6**-0.5)])
    params = np.array([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(reference.state(again, row, params), reference.state(RICH, row, params))


def test_the_written_form_is_fixed():
    circuit = Circuit.build(2, [ry(theta(0) + 0.5 * x(1), 1), cnot(1, 0)])
    assert circuit_to_json(circuit) == {
        "n_qubits": 2,
        "n_params": 1,
        "n_features": 2,
        "ops": [
            {"gate": "ry", "qubits": [1], "angles": [[[-1, 1, 0.5], [0, -1, 1.0]]]},
            {"gate": "x", "qubits": [0], "controls": [1]},
        ],
    }


def test_observables_come_back_in_order():
    items = Observables.of(z(1), PauliSum.of((0.5, "XY", (2, 0)), (-1 / 3, "Z", (1,)), (2.0, "", ())), Marginal((3, 1)))
    again = observables_from_json(json.loads(json.dumps(observables_to_json(items))))
    assert again == items
    assert again.digest == items.digest


def damaged(change):
    value = copy.deepcopy(circuit_to_json(RICH))
    change(value)
    return value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.pop("ops"), "keys"),
        (lambda v: v.update(extra=1), "extra"),
        (lambda v: v.update(n_qubits="3"), "whole number"),
        (lambda v: v.update(n_qubits=True), "whole number"),
        (lambda v: v.update(ops=7), "expected a circuit"),
        (lambda v: v["ops"][1].pop("qubits"), "operation 1"),
        (lambda v: v["ops"][1].update(angles=[[[0, 0]]]), "operation 1"),
        (lambda v: v["ops"][1].update(angles=[[[0, 0, "a lot"]]]), "operation 1"),
        (lambda v: v["ops"][1].update(angles=[[[0, 0, float("nan")]]]), "finite"),
        (lambda v: v["ops"][2].update(gate=5), "operation 2"),
        (lambda v: v["ops"][2].update(qubits=[0.5]), "operation 2"),
        (lambda v: v["ops"][2].update(qubits=[9]), "different qubits"),
        (lambda v: v["ops"][1].update(angles=[[[9, -1, 1.0]]]), "parameters below"),
    ],
)
def test_a_damaged_circuit_is_refused_with_the_place(change, words):
    with pytest.raises(CircuitError, match=words):
        circuit_from_json(damaged(change))


def test_an_unknown_gate_is_named():
    with pytest.raises(GateError, match="cnott"):
        circuit_from_json(damaged(lambda v: v["ops"][2].update(gate="cnott")))


@pytest.mark.parametrize("value", [None, [], "circuit", 3])
def test_what_is_no_dict_is_refused(value):
    with pytest.raises(CircuitError, match="expected a circuit"):
        circuit_from_json(value)


@pytest.mark.parametrize("value", [7, [{}], [3], [{"sum": [[1.0, "Q", [0]]]}], [{"marginal": ["0"]}], [{"sum": [1]}]])
def test_damaged_observables_are_refused(value):
    with pytest.raises(CircuitError, match="expected"):
        observables_from_json(value)
