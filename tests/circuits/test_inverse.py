"""U^-1 U is the identity, phase included, for every gate."""

from __future__ import annotations

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from q_store.backends.local import reference
from q_store.circuits import Circuit, prepare, ry, theta
from q_store.circuits.circuit import op
from q_store.circuits.inverse import inverse, inverted
from q_store.errors import CircuitError


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_circuit_and_its_inverse_do_nothing(data):
    circuit = data.draw(strategies.circuits(max_qubits=3))
    features, params = data.draw(strategies.rows(circuit, n_data=1, n_params=1))
    row = None if features is None else features[0]
    psi = reference.state(circuit + inverse(circuit), row, params[0])
    np.testing.assert_allclose(psi, np.eye(2**circuit.n_qubits)[0], atol=1e-10)


@pytest.mark.parametrize("name", ["s", "si", "t", "ti", "v", "vi", "x", "y", "z", "h"])
def test_fixed_gates(name):
    both = reference.matrix(inverted(op(name, 0)), []) @ reference.matrix(op(name, 0), [])
    np.testing.assert_allclose(both, np.eye(2), atol=1e-12)


def test_a_loaded_state_has_no_inverse():
    with pytest.raises(CircuitError, match=r"encoders\.lower"):
        inverse(Circuit(1, 1, 2, (prepare(1), ry(theta(0), 0))))
    with pytest.raises(CircuitError, match="no unitary"):
        inverted(prepare(1))
