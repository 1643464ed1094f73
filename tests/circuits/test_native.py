from __future__ import annotations

import json
import math
import re
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import NATIVE, circuits, rows
from tests.circuits.unitaries import unitary

from q_store.backends.local.reference import state
from q_store.circuits import Circuit, cnot, cz, encoders, op, pauliexp, prepare, rotation, rx, ry, rz, theta, x
from q_store.circuits.gates import GATES
from q_store.circuits.native import Counts, Family, counts, to_native
from q_store.circuits.native.path import Stop, pulses_between, shortest_path
from q_store.circuits.native.sphere import X_AXIS, Y_AXIS, Z_AXIS, negated
from q_store.circuits.serialise import circuit_from_json
from q_store.circuits.templates import reuploading
from q_store.errors import GateError
from q_store.models import zoo

GOLDEN = json.loads((Path(__file__).parent / "native_peers.json").read_text())
EXAMPLES = settings(max_examples=60)
families = pytest.mark.parametrize("family", Family, ids=lambda family: family.value)
ALLOWED = {Family.MS: {"gpi", "gpi2", "ms"}, Family.ZZ: {"gpi", "gpi2", "nzz"}}


def infidelity(actual, expected):
    return 1 - (abs(np.vdot(actual, expected)) / len(expected)) ** 2


def costs(*ops, n=None, family=Family.ZZ, measured=False):
    n = n or 1 + max(q for each in ops for q in each.wires)
    return counts(to_native(Circuit.build(n, ops), family, measured=measured))


# ---------------------------------------------------------------------------------------------------------- correctness


@families
@EXAMPLES
@given(drawn=st.data())
def test_the_unitary_is_kept_for_all_parameters_and_data(family, drawn):
    circuit = drawn.draw(circuits(max_qubits=4, max_ops=10))
    data, params = drawn.draw(rows(circuit, 2, 2))
    native = to_native(circuit, family)
    assert (native.n_qubits, native.n_params, native.n_features) == (
        circuit.n_qubits,
        circuit.n_params,
        circuit.n_features,
    )
    assert {each.gate for each in native.ops} <= ALLOWED[family]
    assert not any(each.controls for each in native.ops)
    for row in range(2):
        x_row = None if data is None else data[row]
        assert infidelity(unitary(native, x_row, params[row]), unitary(circuit, x_row, params[row])) < 1e-12


@families
@EXAMPLES
@given(drawn=st.data())
def test_numbers_are_rewritten_harder_and_keep_the_unitary(family, drawn):
    circuit = drawn.draw(circuits(max_qubits=5, max_ops=8, n_params=0, n_features=0, max_controls=4))
    native = to_native(circuit, family)
    assert infidelity(unitary(native, None, []), unitary(circuit, None, [])) < 1e-12
    for each in native.ops:
        *phases, angle = [angle.constant for angle in each.angles] + [0.0] * (each.gate in {"gpi", "gpi2"})
        assert all(-0.5 <= phase <= 0.5 for phase in phases)
        assert (0 if each.gate == "ms" else -0.25) <= angle <= 0.25


@families
@pytest.mark.parametrize("noise", [1e-15, 1e-12, 1e-10, 1e-9, 1e-7, 1e-5])
def test_angles_close_to_special_ones_do_no_harm(family, noise):
    rng = np.random.default_rng(4)
    names = ["rx", "ry", "rz", "xx", "zz", "p"]
    for _ in range(10):
        ops = []
        for name in rng.choice(names, 12):
            first, second, third = map(int, rng.permutation(3))
            angle = float(rng.integers(-4, 5)) * math.pi / 4 + noise * float(rng.normal())
            qubits = (first, second)[: GATES[name].n_qubits]
            ops.append(op(str(name), *qubits, angles=[angle], controls=[third][: int(rng.integers(2))]))
        circuit = Circuit(3, 0, 0, tuple(ops))
        assert infidelity(unitary(to_native(circuit, family), None, []), unitary(circuit, None, [])) < 1e-13


@families
@EXAMPLES
@given(drawn=st.data())
def test_before_a_measurement_the_probabilities_are_kept(family, drawn):
    circuit = drawn.draw(circuits(max_qubits=4, max_ops=8))
    data, params = drawn.draw(rows(circuit, 1, 1))
    native = to_native(circuit, family, measured=True)
    expected = np.abs(state(circuit, data, params)) ** 2
    np.testing.assert_allclose(np.abs(state(native, data, params)) ** 2, expected, atol=1e-11)
    exact = counts(to_native(circuit, family))
    assert counts(native).two_qubit <= exact.two_qubit
    assert sum(counts(native)) <= sum(exact)


@families
def test_a_native_circuit_does_not_grow(family):
    circuit = Circuit.build(2, [op("gpi2", 0, angles=[0.1]), op("gpi", 1, angles=[theta(0)])])
    assert counts(to_native(circuit, family)) == (2, 0)


def test_a_preparation_is_refused():
    with pytest.raises(GateError, match=r"expected gates, got 'prepare'.*encoders\.lower"):
        to_native(Circuit(2, 0, 4, (prepare(2),)), Family.MS)


@families
def test_the_empty_circuit_stays_empty(family):
    assert to_native(Circuit(3, 2, 1, ()), family) == Circuit(3, 2, 1, ())


# ----------------------------------------------------------------------------------------------------------- entanglers

HALF_TURNS = {"x", "y", "z", "h", "gpi"}
ROTATIONS = {"rx", "ry", "rz", "gpi2"}


def expected_entanglers(name, controls, spare):
    """The table of `native.turns`, and for two targets one conjugation on each side."""
    if name == "swap":
        return 3 if not controls else 2 + expected_entanglers("x", controls + 1, spare)
    rotations = [0, 1, 4, 8, 14, 20][controls]
    if GATES[name].n_qubits == 2:
        return 2 + rotations if controls else 1
    if name in ROTATIONS:
        return rotations
    if name in HALF_TURNS and spare:
        return [0, 1, 5, 13, 20][controls]
    return [0, 1, 5, 13, 27, 47][controls]


@pytest.mark.parametrize(("name", "n"), [*product(sorted(GATES), [5, 6])])
def test_entanglers_of_every_gate_with_controls(name, n):
    size = GATES[name].n_qubits
    for controls in range(n - size + 1):
        angles = [0.3, 0.2, 0.17][: GATES[name].n_angles]
        gate = op(name, *range(size), angles=angles, controls=range(size, size + controls))
        expected = expected_entanglers(name, controls, spare=controls + size < n)
        assert costs(gate, n=n).two_qubit == expected, (name, controls)


@pytest.mark.parametrize(("letters", "expected"), [("XY", 1), ("XIZ", 1), ("XYZ", 3), ("ZXYX", 5)])
def test_entanglers_of_pauli_strings(letters, expected):
    assert costs(pauliexp([(letters, 0.4)], theta(0), *range(len(letters)))).two_qubit == expected


@families
def test_partial_entanglers_are_used_as_they_are(family):
    ops = [rotation("XX", theta(0), 0, 1), rotation("YY", theta(1), 1, 2), rotation("ZZ", x(0), 2, 3)]
    native = to_native(Circuit.build(4, ops), family)
    pairs = [each for each in native.ops if len(each.qubits) == 2]
    assert [sorted(each.qubits) for each in pairs] == [[0, 1], [1, 2], [2, 3]]
    turn = 2 * math.pi
    symbols = [theta(0) / turn, theta(1) / turn, x(0) / turn]
    assert all(each.angles[-1] in (s, -s) for each, s in zip(pairs, symbols, strict=True))


@families
@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        ([cnot(0, 1), cnot(0, 1)], 0),
        ([cnot(0, 1), rz(theta(0), 0), cnot(0, 1)], 0),
        ([cnot(0, 1), rz(theta(0), 1), cnot(0, 1)], 1),
        ([cnot(0, 1), rz(0.3, 1), cnot(0, 1)], 1),
        ([cnot(0, 1), cnot(1, 0), cnot(0, 1), op("swap", 0, 1)], 0),
        ([cnot(0, 1), cnot(1, 0)], 2),
        ([rotation("XX", theta(0), 0, 1), rotation("ZZ", theta(1), 0, 1), rotation("XX", theta(2), 1, 0)], 2),
        ([cz(0, 1), cz(1, 2), cz(0, 1)], 1),
        ([rotation("XX", math.pi, 0, 1)], 0),
        ([rotation("XX", 0.2, 0, 1), rotation("YY", 0.3, 0, 1), rotation("ZZ", 0.4, 0, 1)] * 2, 3),
        ([cnot(0, 1), rz(theta(0), 1), op("x", 1), rx(theta(1), 1), rz(theta(2), 0), cnot(0, 1)], 1),
        ([cnot(0, 1), rz(theta(0), 1), cnot(1, 2), cnot(0, 1)], 3),
        ([cnot(0, 1), rotation("XX", theta(0), 0, 1), cnot(0, 1)], 0),
        ([rotation("ZX", -math.pi / 2, 0, 1), ry(theta(0), 1), rotation("ZX", math.pi / 2, 0, 1)], 1),
        ([cnot(0, 1), cnot(1, 2), rz(theta(0), 2), cnot(1, 2), cnot(0, 1)], 3),
        ([op("x", 2, controls=[0, 1]), op("x", 2, controls=[0, 1])], 0),
    ],
)
def test_entanglers_merge_and_vanish(family, ops, expected):
    circuit = Circuit.build(1 + max(q for each in ops for q in each.wires), ops)
    native = to_native(circuit, family)
    assert counts(native).two_qubit == expected
    params = [0.3, 0.7, 1.1][: circuit.n_params]
    assert infidelity(unitary(native, None, params), unitary(circuit, None, params)) < 1e-13


@families
@settings(max_examples=30)
@given(circuit=circuits(max_qubits=2, max_ops=12, n_params=0, n_features=0))
def test_numbers_on_two_qubits_need_three_entanglers_at_most(family, circuit):
    assert counts(to_native(circuit, family)).two_qubit <= 3


@families
@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        ([op("swap", 0, 1), op("h", 1), op("swap", 0, 1), op("x", 2, controls=[1, 0]), cnot(0, 1)], 5),
        ([op("p", 1, angles=[1.5], controls=[0]), op("x", 2, controls=[0, 1]), rotation("ZZ", 1.0, 0, 1)], 5),
        ([rotation("ZZ", 1.0, 0, 1), op("x", 2, controls=[0, 1]), op("swap", 0, 2)], 6),
    ],
)
def test_merging_past_others_is_not_always_best(family, ops, expected):
    """It may take one turn out of a swap, which then is no shorter."""
    assert costs(*ops, family=family).two_qubit == expected


def test_axes_at_right_angles_save_pulses():
    rng = np.random.default_rng(2)
    axes = [op(name, q, angles=[float(rng.normal())]) for _ in range(4) for q in (0, 1) for name in ("rz", "rx")]
    layers = [[rotation("ZZ", 0.3 + k, 0, 1), *axes[4 * k : 4 * k + 4]] for k in range(3)]
    # on either qubit two pulses to the first axis, one to the second, one to the third, three for an exact end
    assert costs(*axes[12:], *layers[0], *layers[1], *layers[2]) == (14, 3)


def test_gates_that_a_measurement_cannot_see_are_left_out():
    ops = [op("h", 0), op("h", 1), rotation("ZZ", theta(0), 0, 1), cz(0, 1)]
    assert costs(*ops, measured=True) == (2, 0)
    assert costs(*ops, op("h", 0), measured=True).two_qubit == 1


def test_gates_that_zeros_cannot_feel_are_left_out():
    assert costs(cnot(0, 1), cz(1, 2), op("x", 3, controls=[1]), measured=True) == (0, 0)
    assert costs(rz(theta(0), 0), op("h", 1), rotation("ZZ", theta(1), 0, 1), op("h", 1), measured=True) == (2, 0)
    assert costs(op("h", 0), cnot(0, 1), measured=True).two_qubit == 1


# --------------------------------------------------------------------------------------------------------------- pulses


@families
@pytest.mark.parametrize(
    ("ops", "exact", "measured"),
    [
        ([op("x", 0)], 1, 1),
        ([op("y", 0)], 1, 1),
        ([op("v", 0)], 1, 1),
        ([ry(math.pi / 2, 0)], 1, 1),
        ([op("z", 0)], 2, 0),
        ([rz(theta(0), 0)], 2, 0),
        ([op("h", 0)], 2, 1),
        ([rx(0.3, 0)], 3, 2),
        ([op("gpi", 0, angles=[theta(0)])], 1, 1),
        ([op("gpi2", 0, angles=[theta(0)])], 1, 1),
        ([rx(theta(0), 0)], 3, 2),
        ([rz(0.1, 0), ry(0.2, 0), rz(0.3, 0)], 3, 2),
        ([rz(theta(0), 0), ry(theta(1), 0), rz(theta(2), 0)], 3, 2),
        ([rz(theta(0), 0), op("x", 0)], 1, 1),
        ([op("h", 0), op("h", 0)], 0, 0),
        ([op("h", 0), rz(theta(0), 0), op("h", 0)], 3, 2),
    ],
)
def test_pulses_on_one_qubit(family, ops, exact, measured):
    assert costs(*ops, family=family) == (exact, 0)
    assert costs(*ops, family=family, measured=True) == (measured, 0)


@pytest.mark.parametrize(
    ("family", "gate", "pulses"),
    [
        (Family.ZZ, rotation("ZZ", theta(0), 0, 1), 0),
        (Family.MS, rotation("XX", theta(0), 0, 1), 0),
        (Family.MS, rotation("YY", theta(0), 0, 1), 0),
        (Family.MS, pauliexp([("XY", 0.5)], theta(0), 0, 1), 0),
        (Family.MS, rotation("ZZ", theta(0), 0, 1), 4),
        (Family.ZZ, rotation("XX", theta(0), 0, 1), 4),
        (Family.MS, cnot(0, 1), 4),
    ],
)
def test_pulses_around_one_entangler(family, gate, pulses):
    assert costs(gate, family=family) == (pulses, 1)


@families
def test_layers_cost_two_pulses_a_qubit_and_one_entangler_a_pair(family):
    circuit = reuploading(6, 4, 24)  # RY and RZ on every qubit and a ring of RZZ, four times, then RY
    assert counts(to_native(circuit, family, measured=True)) == (60, 24)
    assert counts(to_native(circuit, family)) == (66, 24)


AXES = [X_AXIS, Y_AXIS, Z_AXIS]
EVERY_WAY = [*AXES, *map(negated, AXES)]


def length(start, path, end):
    way = [start, *path, end]
    return sum(pulses_between(a, b) for a, b in pairwise(way))


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from(AXES), st.booleans()), max_size=5).map(lambda s: [Stop(*a) for a in s]),
    st.sampled_from(EVERY_WAY),
)
def test_the_path_is_as_short_as_any_along_the_axes(stops, end):
    path = shortest_path(Z_AXIS, stops, end)
    assert all(stop.admits(z) for stop, z in zip(stops, path, strict=True))
    ways = product(*([z for z in EVERY_WAY if stop.admits(z)] for stop in stops))
    assert length(Z_AXIS, path, end) <= min(length(Z_AXIS, way, end) for way in ways)


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_before_an_ms_gate_one_pulse_a_qubit_is_enough(seed, number):
    axes = np.random.default_rng(seed).normal(size=(number + 1, 3))
    *stops, end = [tuple(axis / np.linalg.norm(axis)) for axis in axes]
    path = shortest_path(Z_AXIS, [Stop(axis, across=True) for axis in stops], end)
    assert length(Z_AXIS, path, end) <= number + 2


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_one_way_serves_ms_gates_of_two_axes(seed):
    """n1 × n2 is at right angles to both, so there is nothing to pay between them."""
    axes = np.random.default_rng(seed).normal(size=(3, 3))
    first, second, end = (tuple(axis / np.linalg.norm(axis)) for axis in axes)
    path = shortest_path(Z_AXIS, [Stop(first, across=True), Stop(second, across=True)] * 4, end)
    assert length(Z_AXIS, path, end) <= 4


# ---------------------------------------------------------------------------------------------------------------- peers


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["kind"])
def test_never_more_than_the_peers(case):
    """Counts of qiskit-ionq and cirq-ionq, written by benchmarks/compilation.py --golden."""
    circuit = circuit_from_json(case["circuit"])
    for family in Family:
        native = to_native(circuit, family)
        assert infidelity(unitary(native, None, []), unitary(circuit, None, [])) < 1e-12
        found = counts(native)
        for peer in ("qiskit-ionq", "cirq-ionq"):
            assert found.two_qubit <= case[peer][family.value]["two"]
        assert found.one_qubit <= case["qiskit-ionq"][family.value]["optimised_one"]


def test_half_the_entanglers_on_partial_rotations():
    cases = [case for case in GOLDEN if case["kind"] == "rotations"]
    for family in Family:
        ours = sum(counts(to_native(circuit_from_json(case["circuit"]), family)).two_qubit for case in cases)
        for peer in ("qiskit-ionq", "cirq-ionq"):
            assert ours <= sum(case[peer][family.value]["two"] for case in cases) / 2


def test_the_documented_counts_of_the_zoo():
    said = (Path(__file__).parents[2] / "docs" / "ionq-native.md").read_text(encoding="utf-8")
    rows_said = re.findall(r"^\| `(\w+)` \| (.*?) \| (\d+) \| (\d+) \|$", said, re.MULTILINE)
    found = []
    for name in ("compact", "lean"):
        circuit = zoo.definition(name).circuit
        if circuit.prepare:
            circuit, _ = encoders.lower(circuit, np.eye(1, circuit.n_features))
        found.append((name, "as written", counts(circuit)))
        for family, measured in product(Family, (False, True)):
            how = f"{family.value.upper()}, {'measured' if measured else 'exact unitary'}"
            found.append((name, how, counts(to_native(circuit, family, measured=measured))))
    assert [(name, how, (int(one), int(two))) for name, how, one, two in rows_said] == found


def test_counts_leave_the_preparation_out():
    circuit = Circuit(2, 0, 4, (prepare(2), op("h", 0), cnot(0, 1), op("x", 1)))
    assert counts(circuit) == Counts(one_qubit=2, two_qubit=1)
    assert set(NATIVE) == ALLOWED[Family.MS] | ALLOWED[Family.ZZ]
