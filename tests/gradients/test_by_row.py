"""Derivatives of parameters and data, row by row, against differences of the dense oracle."""

from __future__ import annotations

import numpy as np
import pytest

from q_store.backends.local import LocalBackend, reference
from q_store.circuits import Circuit, Marginal, Observables, PauliSum, prepare, z
from q_store.circuits.sites import Sites
from q_store.errors import CapabilityError
from q_store.gradients import Adjoint, FiniteDifference, ParameterShift
from q_store.gradients.by_row import RowProblem, across, row_gradient
from q_store.jobs import Outcome, drive

MEASURED = Observables.of(z(0), PauliSum.of((0.7, "XY", (1, 2)), (-0.4, "Z", (1,))), Marginal((2, 0)))
WEIGHTS = np.random.default_rng(0).normal(size=(2, MEASURED.size))
EXACT = LocalBackend(precision="float64")


def loss(circuit, params, data):
    if circuit.prepare is not None:
        first, number = circuit.prepare.columns
        data = data.copy()
        data[:, first : first + number] /= np.linalg.norm(data[:, first : first + number], axis=1, keepdims=True)
    psi = np.array([reference.state(circuit, row, params) for row in data])
    return float((WEIGHTS * reference.expectations(psi, MEASURED, circuit.n_qubits)).sum())


def differences(function, at, step=1e-5):
    flat = at.reshape(-1)
    moves = step * np.eye(len(flat))
    slopes = [function((flat + e).reshape(at.shape)) - function((flat - e).reshape(at.shape)) for e in moves]
    return np.array(slopes).reshape(at.shape) / (2 * step)


def prepared(circuit):
    """With four amplitudes before it, in the columns after its features."""
    first = circuit.n_features
    return Circuit(circuit.n_qubits, circuit.n_params, first + 4, (prepare(circuit.n_qubits, first, 4), *circuit.ops))


def problem(circuit, seed, **more):
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(2, circuit.n_features))
    if circuit.prepare is not None:
        data[:, -4:] /= np.linalg.norm(data[:, -4:], axis=1, keepdims=True)
    return RowProblem(circuit, MEASURED, rng.uniform(-1, 1, circuit.n_params), data, WEIGHTS, **more)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "method", [Adjoint(), ParameterShift(), FiniteDifference(1e-5)], ids=lambda m: type(m).__name__
)
def test_both_derivatives_of_random_circuits(seed, method, random_circuit):
    circuit = random_circuit(seed)
    asked = problem(prepared(circuit) if seed % 2 else circuit, seed)
    found = drive(row_gradient(asked, method), EXACT)
    np.testing.assert_allclose(
        found.params, differences(lambda params: loss(asked.circuit, params, asked.data), asked.params), atol=1e-7
    )
    np.testing.assert_allclose(
        found.data, differences(lambda data: loss(asked.circuit, asked.params, data), asked.data), atol=1e-7
    )


@pytest.mark.parametrize("of_params", [False, True])
@pytest.mark.parametrize("of_data", [False, True])
def test_only_what_is_asked_for_comes_back(of_params, of_data, random_circuit):
    found = drive(
        row_gradient(problem(random_circuit(3), 3, of_params=of_params, of_data=of_data), ParameterShift()), EXACT
    )
    assert (found.params is not None, found.data is not None) == (of_params, of_data)
    assert (found.circuits > 0) == (of_params or of_data)


def test_an_answer_without_a_gradient_is_told(random_circuit):
    class Forgetful:
        capabilities = EXACT.capabilities

        def run(self, job):
            return Outcome(np.zeros((job.rows, MEASURED.size)), rows=job.rows, source="forgetful")

    with pytest.raises(CapabilityError, match="expected a gradient from 'forgetful', got none"):
        drive(row_gradient(problem(random_circuit(3), 3), Adjoint()), Forgetful())


@pytest.mark.parametrize("first", [1.0, -1.0, 0.0, 0.3])
def test_directions_across_a_vector(first):
    vector = np.array([[first, *(np.sqrt(1 - first**2) * np.array([0.6, 0.8]))]])
    found = across(vector)[0]
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(found @ vector[0], 0, atol=1e-12)


@pytest.mark.parametrize(("params", "data"), [(True, False), (False, True), (True, True), (False, False)])
def test_a_circuit_over_its_sites_is_the_same_circuit(params, data, random_circuit):
    circuit = prepared(random_circuit(5))
    asked = problem(circuit, 5)
    sites = Sites.of(circuit, params=params, data=data)
    own, moved = sites.angles(asked.params, asked.data), sites.data(asked.params, asked.data)
    for r, row in enumerate(asked.data):
        np.testing.assert_allclose(
            reference.state(sites.circuit, moved[r], own[r]), reference.state(circuit, row, asked.params), atol=1e-12
        )
    wanted = [a for op in circuit.ops for a in op.angles if (params and a.params) or (data and a.uses_data)]
    assert sites.circuit.n_params == len(wanted)
    assert Sites.of(circuit, params=params, data=data) is sites
