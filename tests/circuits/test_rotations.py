from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits

from q_store.backends.local import reference
from q_store.circuits import Angle, Circuit, Pauli, cnot, op, ry, theta
from q_store.circuits.gates import pauli_matrix
from q_store.circuits.rotations import Frame, Rotation, live, lower, measured_frame, push
from q_store.circuits.templates import hardware_efficient

EXAMPLES = settings(max_examples=60)
constant = circuits(max_qubits=4, max_ops=16, n_params=0, n_features=0)


def dense(pauli, n):
    return pauli.sign * pauli_matrix(pauli.letters(range(n)))


def run(rotations, psi, n):
    for rotation in rotations:
        half = rotation.angle.value() / 2
        psi = math.cos(half) * psi - 1j * math.sin(half) * (dense(rotation.pauli, n) @ psi)
    return psi


def zero(n):
    return np.eye(2**n, dtype=complex)[0]


def value(psi, matrix):
    return float((psi.conj() @ matrix @ psi).real)


@EXAMPLES
@given(constant)
def test_rotations_give_the_state_with_its_phase(circuit):
    psi = run(lower(circuit), zero(circuit.n_qubits), circuit.n_qubits)
    np.testing.assert_allclose(psi, reference.state(circuit, None, []), atol=1e-9)


@EXAMPLES
@given(constant, st.data())
def test_pushed_cliffords_end_in_the_frame(circuit, draw):
    n = circuit.n_qubits
    kept, frame = push(lower(circuit), n)
    assert all(r.quarter_turns is None and r.pauli.sign == 1 for r in kept)
    final, middle = reference.state(circuit, None, []), run(kept, zero(n), n)
    string = Pauli.of(draw.draw(st.text("IXYZ", min_size=n, max_size=n)), range(n))
    image = frame.image(string)
    np.testing.assert_allclose(value(final, dense(string, n)), value(middle, dense(image, n)), atol=1e-9)
    # what is left out cannot be seen by the string
    fewer = live(kept, [image])
    np.testing.assert_allclose(
        value(final, dense(string, n)), value(run(fewer, zero(n), n), dense(image, n)), atol=1e-9
    )


@EXAMPLES
@given(constant)
def test_measured_bits_are_diagonal_strings(circuit):
    assert_measured(circuit)


@pytest.mark.parametrize("names", [["h"], ["h", "x"], ["v"], ["vi"], ["s", "h"], ["si", "h"], ["h", "z", "h"]])
def test_the_bit_of_a_turned_basis_has_its_sign(names):
    # a state with <X>, <Y> and <Z> apart from 0, so that a wrong sign shows
    state = [op("ry", 0, angles=[0.7]), op("rz", 0, angles=[0.4])]
    assert_measured(Circuit.build(1, [*state, *(op(name, 0) for name in names)]))


def assert_measured(circuit):
    n = circuit.n_qubits
    kept, frame = push(lower(circuit), n)
    basis, bits = measured_frame(frame)
    assert len(basis) <= n
    assert not any(string.x for string in bits)
    states = np.arange(2**n)
    outcome = np.zeros(2**n, dtype=int)
    for q, string in enumerate(bits):
        outcome |= ((np.bitwise_count(states & string.z) & 1) ^ (string.sign < 0)).astype(int) << q
    found = np.zeros(2**n)
    np.add.at(found, outcome, np.abs(run(kept + basis, zero(n), n)) ** 2)
    np.testing.assert_allclose(found, np.abs(reference.state(circuit, None, [])) ** 2, atol=1e-9)


@EXAMPLES
@given(circuits(max_ops=10))
def test_pushing_keeps_the_symbols(circuit):
    kept, _ = push(lower(circuit), circuit.n_qubits)
    symbols = {monomial for o in circuit.ops for a in o.angles for monomial, _ in a.terms if monomial != (-1, -1)}
    assert {m for r in kept for m, _ in r.angle.terms if m != (-1, -1)} <= symbols


def test_an_ansatz_becomes_its_rotations():
    circuit = hardware_efficient(6, 4, entanglement="ring")
    kept, frame = push(lower(circuit), 6)
    assert [r.angle.params for r in kept] == [(i,) for i in range(30)]  # the CNOT are gone, in masks and signs
    assert frame != Frame.identity(6)


def test_a_last_rz_is_not_live_for_z():
    circuit = Circuit.build(2, [ry(theta(0), 0), cnot(0, 1), op("rz", 0, angles=[theta(1)])])
    kept, frame = push(lower(circuit), 2)
    assert [r.angle for r in live(kept, [frame.image(Pauli(0, 1))])] == [theta(0)]
    assert len(live(kept, [frame.image(Pauli.of("XX", (0, 1)))])) == 2


def test_quarter_turns_are_constant_only():
    z = Pauli(0, 1)
    assert Rotation(z, Angle.of(5 * math.pi / 2)).quarter_turns == 1
    assert Rotation(z, Angle.of(-math.pi / 2)).quarter_turns == 3
    assert Rotation(z, Angle.of(0.3)).quarter_turns is None
    assert Rotation(z, theta(0) * math.pi).quarter_turns is None
