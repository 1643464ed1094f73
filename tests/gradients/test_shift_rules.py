"""Shift rules against spectra of the gates' matrices and against derivatives of trigonometric polynomials."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.backends.local import reference
from q_store.circuits import Circuit, Op, cnot, pauliexp, rx, ry, rz, theta, x
from q_store.circuits.gates import GATES
from q_store.circuits.shifts import rule, shift_rules
from q_store.errors import CircuitError

TURNED = [(name, place) for name, gate in sorted(GATES.items()) for place in range(gate.n_angles)]


def spectrum(op: Op, place: int, period: float, samples: int = 64) -> set[float]:
    """Frequencies of <psi|U'OU|psi> in one angle, by FFT, for a random state and a random observable."""
    rng = np.random.default_rng(0)
    size = 2 ** len(op.wires)
    observable = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    psi = rng.normal(size=size) + 1j * rng.normal(size=size)
    angles = rng.uniform(-1, 1, len(op.angles))
    values = []
    for k in range(samples):
        angles[place] = k * period / samples
        out = reference.matrix(op, angles) @ psi
        values.append((out.conj() @ (observable + observable.conj().T) @ out).real)
    found = np.abs(np.fft.rfft(values)) / samples
    return {round(2 * np.pi * k / period, 8) for k in range(1, len(found)) if found[k] > 1e-9 * found.max()}


@pytest.mark.parametrize("controls", [0, 1, 2, 3])
@pytest.mark.parametrize(("name", "place"), TURNED)
def test_frequencies_are_those_of_the_matrix(name, place, controls):
    gate = GATES[name]
    wires = tuple(range(gate.n_qubits + controls))
    op = Op(name, wires[: gate.n_qubits], tuple(map(theta, range(gate.n_angles))), wires[gate.n_qubits :])
    period = 2.0 if gate.native else 4 * np.pi
    assert spectrum(op, place, period) == {round(f, 8) for f in op.frequencies[place]}


@pytest.mark.parametrize("controls", [0, 1, 2])
@pytest.mark.parametrize("paulis", [(("X", 0.5),), (("XX", 0.5), ("ZZ", 1.5)), (("XX", 1.0), ("YY", 2.0), ("ZZ", 0.5))])
def test_frequencies_of_exponentials_hold_those_of_the_matrix(paulis, controls):
    n = len(paulis[0][0])
    op = Op("pauliexp", tuple(range(n)), (theta(0),), tuple(range(n, n + controls)), paulis)
    assert spectrum(op, 0, 4 * np.pi) <= {round(f, 8) for f in op.frequencies[0]}


def slope(frequencies, coefficients, at):
    def f(a):
        return sum(c * np.cos(w * a) + s * np.sin(w * a) for w, (c, s) in zip(frequencies, coefficients, strict=True))

    exact = sum(
        w * (s * np.cos(w * at) - c * np.sin(w * at)) for w, (c, s) in zip(frequencies, coefficients, strict=True)
    )
    return sum(d * f(at + shift) for shift, d in rule(tuple(frequencies))), exact


@given(
    st.sets(st.integers(1, 12), min_size=1, max_size=5),
    st.sampled_from([0.5, 1.0, 2 * np.pi, 0.37]),
    st.floats(-3, 3),
    st.integers(0, 100),
)
def test_rules_differentiate_every_trigonometric_polynomial(multiples, base, at, seed):
    frequencies = [base * m for m in sorted(multiples)]
    coefficients = np.random.default_rng(seed).normal(size=(len(frequencies), 2))
    estimate, exact = slope(frequencies, coefficients, at)
    assert estimate == pytest.approx(exact, abs=1e-7 * max(frequencies))


def test_rules_for_frequencies_without_common_measure():
    estimate, exact = slope([1.0, np.sqrt(2), np.pi], np.ones((3, 2)), 0.4)
    assert estimate == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_equidistant_rules_amplify_noise_as_little_as_any_rule_can(number):
    # Bernstein: sum |d| cannot be below the largest frequency
    frequencies = tuple(float(k) for k in range(1, number + 1))
    assert sum(abs(d) for _, d in rule(frequencies)) == pytest.approx(number)
    assert len(rule(frequencies)) == 2 * number


def test_two_terms_for_one_frequency():
    np.testing.assert_allclose(rule((2.0,)), [(np.pi / 4, 1.0), (-np.pi / 4, -1.0)])


def test_frequencies_that_nearly_coincide_are_refused():
    with pytest.raises(CircuitError, match="use the adjoint gradient"):
        rule((1.0, 1.0 + 1e-9))


def test_the_plain_case_shifts_the_parameters_themselves():
    circuit = Circuit.build(2, [ry(theta(1), 0), cnot(0, 1), rz(theta(0) + x(0), 1)])
    rules = shift_rules(circuit)
    assert rules.plain
    assert rules.circuit is circuit
    assert rules.column.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(rules.shift, np.pi / 2 * np.array([1, -1, 1, -1]))
    np.testing.assert_allclose(rules.coefficient, [0.5, -0.5, 0.5, -0.5])
    np.testing.assert_allclose(
        rules.rows(np.array([[0.1, 0.2]])),
        np.array([0.1, 0.2]) + np.pi / 2 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]),
    )


@pytest.mark.parametrize(
    "circuit",
    [
        Circuit.build(1, [ry(theta(0), 0), rx(theta(0), 0)]),
        Circuit.build(1, [ry(theta(0) * 2, 0)]),
        Circuit.build(1, [ry(theta(0) * x(0), 0)]),
        Circuit.build(1, [ry(theta(0) + theta(1), 0)]),
        Circuit(1, 2, 0, (ry(theta(1), 0),)),
    ],
    ids=["twice", "factor", "data", "sum", "unused"],
)
def test_other_circuits_get_one_offset_for_each_angle(circuit):
    rules = shift_rules(circuit)
    assert not rules.plain
    assert rules.circuit.n_params == circuit.n_params + rules.n_sites
    assert rules.column.min() == circuit.n_params
    base = np.zeros((1, rules.circuit.n_params))
    base[0, : circuit.n_params] = 0.3
    data = np.full((1, circuit.n_features), 0.7) if circuit.n_features else None
    np.testing.assert_allclose(rules.circuit.bind(data, base), circuit.bind(data, base[:, : circuit.n_params]))


def test_rules_are_made_once_for_each_structure():
    def build():
        return Circuit.build(1, [ry(theta(0) * 3, 0)])

    assert shift_rules(build()) is shift_rules(build())


def test_circuits_without_parameters_have_no_shifts():
    rules = shift_rules(Circuit.build(1, [rx(x(0), 0)]))
    assert rules.size == 0
    assert rules.rows(np.zeros((1, 0))).shape == (0, 0)


def test_pauliexp_sites_use_all_their_frequencies():
    circuit = Circuit.build(2, [pauliexp([("XX", 0.5), ("ZZ", 0.5)], theta(0), 0, 1)])
    assert shift_rules(circuit).size == 4
