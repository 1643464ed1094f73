from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import NATIVE, circuits, rows

from q_store.backends.local.reference import state
from q_store.circuits import Angle, Circuit, cnot, op, theta
from q_store.circuits.native import Family, fold, to_native
from q_store.circuits.templates import reuploading
from q_store.errors import GateError, ShapeError

families = pytest.mark.parametrize("family", Family, ids=lambda family: family.value)
MS = Circuit.build(2, [op("gpi2", 0, angles=[0.1]), op("ms", 0, 1, angles=[theta(0), 0.2, theta(1)])])
ZZ = Circuit.build(2, [op("gpi2", 0, angles=[0.1]), op("nzz", 0, 1, angles=[theta(0)]), op("gpi2", 0, angles=[0.3])])


def with_angles(circuit, values):
    """The circuit with these numbers for angles."""
    left = iter(values.tolist())
    ops = tuple(replace(each, angles=tuple(Angle.of(next(left)) for _ in each.angles)) for each in circuit.ops)
    return Circuit(circuit.n_qubits, 0, 0, ops)


def check(circuit, data, params):
    """Ranges, and the probabilities of every row."""
    folded = fold(circuit, circuit.bind(data, params))
    for row, values in enumerate(folded.angles):
        numbers = with_angles(circuit, values)
        for each in numbers.ops:
            angles = [angle.constant for angle in each.angles]
            interaction = angles.pop() if each.gate in {"ms", "nzz"} else 0.0
            assert (0 if each.gate == "ms" else -0.25) <= interaction <= 0.25
            assert all(-0.5 <= phase <= 0.5 for phase in angles)
        expected = np.abs(state(circuit, None if data is None else data[row], params[row])) ** 2
        flip = 0 if folded.flips is None else folded.flips[row]
        found = np.abs(state(numbers, None, [])) ** 2
        np.testing.assert_allclose(found[np.arange(len(found)) ^ flip], expected, atol=1e-10)
    return folded


@families
@settings(max_examples=60)
@given(drawn=st.data())
def test_folded_rows_measure_the_same(family, drawn):
    circuit = drawn.draw(circuits(max_qubits=3, max_ops=8, max_controls=1))
    data, params = drawn.draw(rows(circuit, 2, 2))
    check(to_native(circuit, family, measured=True), data, params)


@settings(max_examples=60)
@given(drawn=st.data())
def test_any_native_circuit_folds(drawn):
    circuit = drawn.draw(circuits(max_qubits=3, max_ops=10, gates=NATIVE, max_controls=0))
    check(circuit, *drawn.draw(rows(circuit, 2, 2)))


@families
def test_many_rows_of_a_model(family):
    rng = np.random.default_rng(3)
    circuit = to_native(reuploading(4, 3, 6), family, measured=True)
    data, params = rng.normal(size=(20, circuit.n_features)), 3 * rng.normal(size=(20, circuit.n_params))
    folded = check(circuit, data, params)
    assert (folded.flips is None) == (family is Family.ZZ)


def test_rows_in_range_stay_as_they_are():
    angles = MS.bind(None, [[0.3, 0.2], [-0.1, 0.25]])
    folded = fold(MS, angles)
    np.testing.assert_array_equal(folded.angles, angles)
    assert folded.flips is None


def test_a_negative_ms_angle_turns_a_phase():
    np.testing.assert_allclose(fold(MS, MS.bind(None, [0.3, -0.2])).angles, [[0.1, -0.2, 0.2, 0.2]], atol=1e-15)


def test_half_a_turn_of_an_ms_is_two_flips():
    folded = fold(MS, MS.bind(None, [[0.3, 0.6], [0.3, 0.1]]))
    np.testing.assert_allclose(folded.angles, [[0.1, 0.3, 0.2, 0.1]] * 2, atol=1e-15)
    assert folded.flips.tolist() == [3, 0]


def test_half_a_turn_of_a_zz_turns_later_phases():
    folded = fold(ZZ, ZZ.bind(None, [0.4]))
    np.testing.assert_allclose(np.abs(folded.angles), [[0.1, 0.1, 0.2]], atol=1e-15)
    assert folded.flips is None


def test_flips_turn_a_later_zz_around():
    quarter = [op("gpi2", q, angles=[0.1 * q]) for q in (0, 1, 2)]
    ms, zz = op("ms", 0, 1, angles=[0.1, 0.2, theta(0)]), op("nzz", 1, 2, angles=[theta(1)])
    circuit = Circuit.build(3, [*quarter, ms, *quarter, zz, *quarter])
    folded = check(circuit, None, np.array([[0.6, 0.1], [0.1, 0.1], [0.6, 0.4]]))
    assert folded.flips.tolist() == [3, 0, 3]
    np.testing.assert_allclose(folded.angles[:, 9], [-0.1, 0.1, 0.1], atol=1e-15)


def test_one_row_may_come_without_its_axis():
    assert fold(ZZ, [0.1, 0.7, 0.3]).angles.shape == (1, 3)


def test_the_input_is_not_changed():
    angles = MS.bind(None, [0.3, 0.6])
    before = angles.copy()
    fold(MS, angles)
    np.testing.assert_array_equal(angles, before)


def test_other_gates_are_refused():
    with pytest.raises(GateError, match=r"expected native gates, got operation 0 \(x\); compile .* with to_native"):
        fold(Circuit.build(2, [cnot(0, 1)]), np.zeros((1, 0)))


def test_other_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"shape \[R, 4\], got \[1, 3\]; use circuit\.bind"):
        fold(MS, np.zeros(3))
