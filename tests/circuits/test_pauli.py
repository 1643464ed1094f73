from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.circuits import Pauli
from q_store.circuits.gates import pauli_matrix
from q_store.errors import CircuitError

N = 3
strings = st.text("IXYZ", min_size=N, max_size=N)


def dense(pauli):
    # i^phase X^x Z^z qubit by qubit, independently of `letters`
    out = np.eye(1)
    for q in range(N):
        factor = np.linalg.matrix_power(pauli_matrix("X"), pauli.x >> q & 1)
        factor = factor @ np.linalg.matrix_power(pauli_matrix("Z"), pauli.z >> q & 1)
        out = np.kron(factor, out)
    return 1j**pauli.phase * out


@given(strings)
def test_letters_name_the_matrix(letters):
    pauli = Pauli.of(letters, range(N))
    np.testing.assert_allclose(dense(pauli), pauli_matrix(letters))
    assert (pauli.letters(range(N)), pauli.sign) == (letters, 1)
    assert pauli.qubits == tuple(q for q in range(N) if letters[q] != "I")


@given(strings, strings, st.integers(0, 3))
def test_products_are_those_of_the_matrices(a, b, power):
    p, q = Pauli.of(a, range(N)), Pauli.of(b, range(N))
    np.testing.assert_allclose(dense(p @ q), dense(p) @ dense(q))
    np.testing.assert_allclose(dense(p.times_i(power)), 1j**power * dense(p))
    assert p.commutes(q) == np.allclose(dense(p) @ dense(q), dense(q) @ dense(p))


@given(strings, strings)
def test_the_sign_of_a_hermitian_product(a, b):
    p, q = Pauli.of(a, range(N)), Pauli.of(b, range(N))
    product = p @ q if p.commutes(q) else (p @ q).times_i(1)
    np.testing.assert_allclose(dense(product), product.sign * pauli_matrix(product.letters(range(N))), atol=1e-15)


def test_letters_follow_their_qubits():
    assert Pauli.of("XZ", (2, 0)) == Pauli(0b100, 0b001)
    assert str(Pauli.of("XYZ", (4, 0, 2))) == "Y0 Z2 X4"
    assert str(Pauli.of("X", (0,)).times_i(2)) == "-X0"
    assert str(Pauli(0, 0)) == "I"


def test_numpy_qubits_do_not_overflow():
    assert Pauli.of("X", np.array([70])).x == 1 << 70


@pytest.mark.parametrize(("letters", "qubits"), [("XA", (0, 1)), ("X", (0, 1)), ("XX", (1, 1)), ("X", (-1,))])
def test_bad_strings_are_refused(letters, qubits):
    with pytest.raises(CircuitError, match="expected letters of IXYZ"):
        Pauli.of(letters, qubits)
