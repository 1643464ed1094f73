from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import NATIVE, QIS, circuits, rows
from tests.circuits.unitaries import assert_same, unitary

from q_store.backends.ionq.wire.gates import expressible, is_qis
from q_store.backends.ionq.wire.parse import read_job
from q_store.backends.ionq.wire.payload import JobSettings, body
from q_store.backends.ionq.wire.template import Template
from q_store.backends.local.reference import state
from q_store.circuits import Circuit, cnot, encoders, op, pauliexp, prepare, rx, templates, theta
from q_store.circuits.native import fold
from q_store.errors import CircuitError, GateError, ShapeError


def free(circuit):
    """The circuit with theta_i as its angle i."""
    numbers = count()
    ops = [replace(o, angles=tuple(theta(next(numbers)) for _ in o.angles)) for o in circuit.ops]
    return Circuit(circuit.n_qubits, next(numbers), 0, tuple(ops))


def received(circuit, angles, gateset="qis"):
    """(circuit, angles) of each row after a trip through the wire, in order."""
    texts = Template.of(circuit, native=gateset == "native").write(angles)
    job = read_job(body(texts, circuit.n_qubits, JobSettings("simulator", gateset=gateset), "a name", {}))
    assert job.size == len(angles)
    rows = {int(k): (g.circuit, row) for g in job.groups for k, row in zip(g.numbers, g.angles, strict=True)}
    return [rows[k] for k in range(job.size)]


def written(circuit, *rows_of_angles, native=False):
    return [json.loads(text) for text in Template.of(circuit, native=native).write(np.array(rows_of_angles))]


@settings(max_examples=80)
@given(st.data())
def test_circuits_of_every_gate_keep_their_unitary_on_the_wire(data):
    circuit = data.draw(circuits())
    x, params = data.draw(rows(circuit))
    ours = expressible(circuit)
    if not ours.ops:
        return
    angles = ours.bind(x, params)
    for k, (theirs, row) in enumerate(received(ours, angles)):
        assert theirs.n_qubits == circuit.n_qubits
        assert_same(unitary(theirs, None, row), unitary(circuit, None if x is None else x[k], params[k]), 1e-8)


@settings(max_examples=40)
@given(st.data())
def test_native_circuits_keep_their_unitary_on_the_wire(data):
    circuit = data.draw(circuits(gates=NATIVE, max_controls=0).filter(lambda c: c.ops))
    x, params = data.draw(rows(circuit))
    angles = fold(circuit, circuit.bind(x, params)).angles
    for (theirs, row), sent in zip(received(circuit, angles, "native"), angles, strict=True):
        assert_same(unitary(theirs, None, row), unitary(free(circuit), None, sent), 1e-8)


@settings(max_examples=80)
@given(st.data())
def test_expressible_circuits_have_only_gates_of_the_wire_and_the_same_symbols(data):
    circuit = data.draw(circuits(max_qubits=5))
    ours = expressible(circuit)
    assert all(is_qis(o) for o in ours.ops)
    assert all(len(o.wires) == 1 or len(o.qubits) == 1 or not o.controls for o in ours.ops)
    assert (ours.n_qubits, ours.n_params, ours.n_features) == (circuit.n_qubits, circuit.n_params, circuit.n_features)
    x, params = data.draw(rows(circuit))
    first = None if x is None else x[0]
    assert_same(unitary(ours, first, params[0]), unitary(circuit, first, params[0]))


def test_gates_of_the_wire_stay_as_they_are():
    circuit = templates.hardware_efficient(4, 2, ("ry", "rz"), "ring")
    assert expressible(circuit).ops == circuit.ops
    block = Circuit.build(2, templates.so4_block(0, 1))
    assert expressible(block).ops == block.ops, "an exponential of two letters is one gate"


def test_a_phase_under_controls_is_sent_as_rotations_only():
    circuit = Circuit.build(3, [op("p", 2, angles=[theta(0)], controls=[0, 1])])
    ours = expressible(circuit)
    assert [(o.gate, o.qubits, o.controls) for o in ours.ops] == [
        ("rz", (2,), (0, 1)),
        ("rz", (1,), (0,)),
        ("rz", (0,), ()),
    ]
    assert_same(unitary(ours, None, [0.7]), unitary(circuit, None, [0.7]))


def test_seven_controls_are_one_gate():
    circuit = Circuit.build(8, [op("rx", 7, angles=[theta(0)], controls=range(7))])
    assert expressible(circuit).ops == circuit.ops


def test_a_preparation_is_refused_with_the_remedy():
    with pytest.raises(GateError, match=r"encoders\.lower"):
        expressible(Circuit(1, 0, 2, (prepare(1),)))


def test_the_text_of_each_kind_of_gate():
    ops = [
        rx(theta(0), 1),
        cnot(0, 2),
        op("x", 2, controls=[0, 1]),
        op("ry", 0, angles=[theta(1)], controls=[2]),
        op("swap", 0, 2),
        op("zz", 1, 0, angles=[theta(2)]),
        pauliexp([("XYZ", 0.5)], theta(3), 2, 0, 1),
        pauliexp([("XX", 0.5), ("ZZ", -0.25)], theta(3), 0, 1),
    ]
    [gates] = written(Circuit.build(3, ops), [0.5, -1.25, 2.0, -3.0, -3.0])
    assert gates == [
        {"gate": "rx", "targets": [1], "rotation": 0.5},
        {"gate": "cnot", "control": 0, "target": 2},
        {"gate": "x", "targets": [2], "controls": [0, 1]},
        {"gate": "ry", "targets": [0], "controls": [2], "rotation": -1.25},
        {"gate": "swap", "targets": [0, 2]},
        {"gate": "zz", "targets": [1, 0], "rotation": 2},
        {"gate": "pauliexp", "targets": [2, 0, 1], "terms": ["ZYX"], "coefficients": [-1], "time": 1.5},
        {"gate": "pauliexp", "targets": [0, 1], "terms": ["XX", "ZZ"], "coefficients": [-0.5, 0.25], "time": 3},
    ]


def test_the_text_of_native_gates():
    ops = [
        op("gpi", 1, angles=[theta(0)]),
        op("gpi2", 0, angles=[theta(1)]),
        op("ms", 1, 0, angles=[theta(2), theta(3), theta(4)]),
        op("nzz", 0, 1, angles=[theta(5)]),
    ]
    [gates] = written(Circuit.build(2, ops), [0.125, -0.25, 1.75, 0.5, 0.25, -0.125], native=True)
    assert gates == [
        {"gate": "gpi", "target": 1, "phase": 0.125},
        {"gate": "gpi2", "target": 0, "phase": -0.25},
        {"gate": "ms", "targets": [1, 0], "phases": [-0.25, 0.5], "angle": 0.25},
        {"gate": "zz", "targets": [0, 1], "angle": -0.125},
    ]


ROTATION = Circuit.build(1, [rx(theta(0), 0)])
CONTROLLED = Circuit.build(2, [op("rx", 0, angles=[theta(0)], controls=[1])])
EXPONENTIAL = Circuit.build(2, [pauliexp([("XY", 2.0)], theta(0), 0, 1)])


@pytest.mark.parametrize(
    ("circuit", "period"), [(ROTATION, 2 * math.pi), (CONTROLLED, 4 * math.pi), (EXPONENTIAL, math.pi / 2)]
)
@given(angle=st.floats(-50, 50), turns=st.integers(-3, 3))
def test_angles_that_mean_the_same_have_the_same_text(circuit, period, angle, turns):
    template = Template.of(circuit)
    one, other = template.numbers([[angle], [angle + turns * period]])
    # rounding may part two neighbours, by one unit of the last decimal
    np.testing.assert_allclose(np.exp(2j * np.pi * one / period), np.exp(2j * np.pi * other / period), atol=1e-8)
    assert np.abs(one[-1]) <= max(period, math.pi) / 2 + 1e-10


@pytest.mark.parametrize("angle", [0.0, -0.0, 1e-14, -1e-14, 2 * math.pi, -2 * math.pi, -4 * math.pi])
def test_there_is_one_zero(angle):
    assert Template.of(ROTATION).write([[angle]]) == [b'[{"gate":"rx","targets":[0],"rotation":0}]']


@pytest.mark.parametrize("angle", [math.pi, -math.pi, 3 * math.pi, -math.pi + 1e-12, math.pi + 1e-12])
def test_there_is_one_half_turn(angle):
    assert Template.of(ROTATION).write([[angle]]) == [b'[{"gate":"rx","targets":[0],"rotation":3.1415926536}]']


def test_a_whole_turn_under_a_control_is_not_left_out():
    [[gate]] = written(CONTROLLED, [2 * math.pi])
    assert gate["rotation"] == pytest.approx(2 * math.pi, abs=1e-9)


def test_rounding_changes_no_probability_by_1e_9():
    circuit = encoders.amplitude(6) + templates.hardware_efficient(6, 4, ("ry",), "ring")
    rng = np.random.default_rng(5)
    lowered, data = encoders.lower(circuit, rng.normal(size=(3, 64)))
    params = rng.uniform(-9, 9, (3, lowered.n_params))
    trips = received(lowered, lowered.bind(data, params))
    for k, (theirs, row) in enumerate(trips):
        exact = np.abs(state(lowered, data[k], params[k])) ** 2
        np.testing.assert_allclose(np.abs(state(theirs, None, row)) ** 2, exact, atol=1e-9)


@settings(max_examples=40)
@given(st.data())
def test_the_estimate_is_never_exceeded(data):
    circuit = expressible(data.draw(circuits(gates=(*QIS, "pauliexp"))))
    if not circuit.ops:
        return
    template = Template.of(circuit)
    n = sum(len(o.angles) for o in circuit.ops)
    scale = data.draw(st.sampled_from([1e-12, 1e-5, 1.0, 1e3, 1e12]))
    angles = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=(4, n)) * scale
    assert max(map(len, template.write(angles))) <= template.bytes_estimate
    assert template.gates == len(circuit.ops)


def test_a_full_job_of_rotations_fits_into_ten_megabytes():
    circuit = Circuit.build(29, [rx(theta(k), k % 29) for k in range(30)])
    angles = -np.random.default_rng(1).uniform(1, 3, (5000, 30))
    texts = Template.of(circuit).write(angles)
    text = body(texts, 29, JobSettings("simulator"), "full", {}, names=[f"c{k}" for k in range(5000)])
    assert 5000 * Template.of(circuit).gates == 150_000
    assert len(text) < 10_000_000


def test_templates_are_kept_by_structure():
    again = Circuit(ROTATION.n_qubits, ROTATION.n_params, 0, ROTATION.ops)
    assert Template.of(again) is Template.of(ROTATION)
    assert Template.of(CONTROLLED) is not Template.of(ROTATION)


@pytest.mark.parametrize("angles", [np.zeros((2, 3)), np.zeros(1), [[math.nan]], [[math.inf]]])
def test_angles_that_do_not_fit_are_refused(angles):
    with pytest.raises(ShapeError, match=r"expected finite angles of shape \[S, 1\], got"):
        Template.of(ROTATION).write(angles)


def test_an_empty_circuit_is_refused():
    with pytest.raises(CircuitError, match="one gate or more"):
        Template.of(Circuit(2, 0, 0, ()))


@pytest.mark.parametrize(
    ("circuit", "native", "remedy"),
    [
        (ROTATION, True, "to_native"),
        (Circuit.build(1, [op("gpi", 0, angles=[0.1])]), False, "expressible"),
        (Circuit.build(3, [op("swap", 0, 1, controls=[2])]), False, "expressible"),
        (Circuit.build(2, [op("gpi", 0, angles=[0.1], controls=[1])]), True, "to_native"),
    ],
)
def test_gates_of_another_set_are_refused_with_the_remedy(circuit, native, remedy):
    with pytest.raises(GateError, match=remedy):
        Template.of(circuit, native=native)


@pytest.mark.parametrize("angle", [-0.01, 0.2501, 0.75])
def test_an_ms_angle_that_the_service_refuses_is_named(angle):
    circuit = Circuit.build(2, [op("ms", 0, 1, angles=[0.0, 0.0, theta(0)])])
    with pytest.raises(GateError, match=r"0\.\.0\.25 turns for ms, got .* in circuit 1"):
        Template.of(circuit, native=True).write([[0, 0, 0.25], [0, 0, angle]])


def test_an_ms_angle_off_by_rounding_is_not_refused():
    circuit = Circuit.build(2, [op("ms", 0, 1, angles=[0.0, 0.0, theta(0)])])
    [low, high] = written(circuit, [0, 0, -1e-13], [0, 0, 0.25 + 1e-13], native=True)
    assert (low[0]["angle"], high[0]["angle"]) == (0, 0.25)
