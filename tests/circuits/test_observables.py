from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import observables

from q_store.backends.local import reference
from q_store.circuits import Marginal, Observables, Pauli, PauliSum, z
from q_store.circuits.gates import pauli_matrix, rotation_matrix
from q_store.circuits.observables import MeasurementGroup, collect
from q_store.errors import CircuitError

N = 3


def random_states(seed, rows=3):
    rng = np.random.default_rng(seed)
    psi = rng.normal(size=(rows, 2**N)) + 1j * rng.normal(size=(rows, 2**N))
    return psi / np.linalg.norm(psi, axis=1, keepdims=True)


def measured(psi, group):
    """Probabilities after the turn of a group's basis to Z."""
    turned = psi
    for qubit, letter in group.basis:
        turn = rotation_matrix("Y", -math.pi / 2) if letter == "X" else rotation_matrix("X", math.pi / 2)
        turned = np.stack([reference.apply(row, turn, (qubit,), N) for row in turned])
    return np.abs(turned) ** 2


@given(observables(N, diagonal=True), st.integers(0, 99))
def test_the_table_gives_the_values_of_dense_matrices(listed, seed):
    psi = random_states(seed)
    table = listed.table(N)
    assert table.shape == (2**N, listed.size)
    np.testing.assert_allclose(np.abs(psi) ** 2 @ table, reference.expectations(psi, listed, N), atol=1e-10)


@given(observables(N), st.integers(0, 99))
def test_every_string_is_held_and_its_value_is_measured(listed, seed):
    psi = random_states(seed)
    groups = listed.groups()
    for string in listed.strings:
        holders = [group for group in groups if group.holds(string)]
        assert holders
        support = string.x | string.z
        signs = 1 - 2.0 * (np.bitwise_count(np.arange(2**N) & support) & 1)
        dense = pauli_matrix(string.letters(range(N)))
        expected = np.einsum("ri,ij,rj->r", psi.conj(), dense, psi).real
        for group in holders:
            np.testing.assert_allclose(measured(psi, group) @ signs, expected, atol=1e-10)


@given(observables(N))
def test_there_are_no_more_groups_than_strings_need(listed):
    groups = listed.groups()
    assert len(set(groups)) == len(groups)
    assert len(groups) <= len(listed.strings) + 1  # one for the computational basis
    assert listed.is_diagonal == all(not string.x for string in listed.strings)
    if listed.is_diagonal:
        assert len(groups) <= 1
    if any(isinstance(o, Marginal) or o.is_diagonal for o in listed.items):
        assert groups[0] == MeasurementGroup(())


def test_z_and_zz_need_one_basis_and_xx_another():
    listed = Observables.of(z(0), z(0, 1), PauliSum.of((1, "XX", (0, 1))), PauliSum.of((1, "X", (2,))))
    assert listed.groups() == [MeasurementGroup(()), MeasurementGroup(((0, "X"), (1, "X"), (2, "X")))]


def test_a_group_knows_what_it_holds():
    group = MeasurementGroup(((1, "X"),))
    assert group.holds(Pauli.of("ZX", (0, 1)))
    assert group.holds(Pauli.of("I", (1,)))
    assert not group.holds(Pauli.of("Z", (1,)))


def test_marginals_list_their_first_qubit_lowest():
    table = Observables.of(Marginal((2, 0))).table(3)
    # state 0b100: qubit 2 is 1, qubit 0 is 0
    np.testing.assert_array_equal(table[0b100], [0, 1, 0, 0])
    np.testing.assert_array_equal(table[0b001], [0, 0, 1, 0])
    np.testing.assert_array_equal(table.sum(axis=1), np.ones(8))


def test_sizes_and_digests():
    listed = Observables.of(z(0), Marginal((0, 1)))
    assert (listed.size, Observables.local_z(4).size, Observables.of().size) == (5, 4, 0)
    assert listed.digest == Observables.of(z(np.int64(0)), Marginal((0, 1))).digest
    assert listed.digest != Observables.of(Marginal((0, 1)), z(0)).digest
    assert Observables.of().table(2).shape == (4, 0)
    assert collect(listed) is listed
    assert collect([z(0)]) == Observables.of(z(0))


def test_values_are_those_of_the_oracle_for_a_known_state():
    bell = np.array([[1, 0, 0, 1]]) / math.sqrt(2)
    listed = Observables.of(z(0, 1), z(0), PauliSum.of((2.0, "XX", (0, 1)), (-1.0, "YY", (1, 0))))
    np.testing.assert_allclose(reference.expectations(bell, listed, 2), [[1, 0, 3]], atol=1e-12)


@pytest.mark.parametrize("bad", [z(3), Marginal((0, 0)), Marginal(()), Marginal((-1,))])
def test_qubits_out_of_range_are_refused(bad):
    with pytest.raises(CircuitError, match=r"different qubits in 0\.\.2"):
        Observables.of(bad).check(3)
    Observables.of(z(0, 2), Marginal((1,))).check(3)


def test_a_table_of_x_is_refused():
    with pytest.raises(CircuitError, match=r"got X or Y; measure them in groups\(\)"):
        Observables.of(PauliSum.of((1, "X", (0,)))).table(1)


def test_coefficients_are_finite():
    with pytest.raises(CircuitError, match="finite coefficients"):
        PauliSum.of((math.nan, "Z", (0,)))
