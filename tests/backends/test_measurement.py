"""Estimates from counts: unbiased, with variances that are those of the estimates, in as few settings as promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits, observables, rows

from q_store.backends.answers import true_values
from q_store.backends.local import LocalBackend, reference
from q_store.backends.measurement import estimate, plan
from q_store.circuits import Circuit, Marginal, Observables, PauliSum, cnot, op, rx, ry, rz, theta, z
from q_store.jobs import Job, Output

CIRCUIT = Circuit.build(3, [op("h", 0), cnot(0, 1), ry(theta(0), 1), rz(theta(1), 0), rx(theta(0), 2), cnot(1, 2)])
PARAMS = np.array([[0.7, -1.1]])
MIXED = Observables.of(
    PauliSum.of((0.8, "XX", (0, 1)), (-0.6, "ZZ", (0, 1)), (0.5, "YZ", (0, 2)), (0.3, "I", (0,))),
    z(2),
    Marginal((1, 0)),
    PauliSum.of((-2.0, "I", (1,))),
    PauliSum.of((1.0, "Y", (1,))),
    PauliSum.of((0.7, "XI", (0, 1)), (0.7, "XX", (0, 1))),
)


@st.composite
def problems(draw):
    """A circuit, its data and parameters, and observables."""
    circuit = draw(circuits(max_qubits=3, max_ops=6, prepared=True))
    data, params = draw(rows(circuit, 1, 1))
    return Job(circuit, data, params, draw(observables(circuit.n_qubits)))


@settings(max_examples=50)
@given(job=problems())
def test_a_plan_with_exact_frequencies_adds_up_to_the_values(job):
    found = plan(job.circuit, job.measured)
    values = found.constant.copy()
    for setting in found.settings:
        state = reference.state(setting.circuit, None if job.data is None else job.data[0], job.params[0])
        values += np.abs(state) ** 2 @ setting.table
    np.testing.assert_allclose(values, true_values(job)[0], atol=1e-10)


X, Y, Z = (PauliSum.of((1.0, letter, (0,))) for letter in "XYZ")


@pytest.mark.parametrize(
    ("items", "number"),
    [
        ((*Observables.local_z(3).items, Marginal((0, 1, 2))), 1),
        ((X, PauliSum.of((1.0, "XX", (0, 1)), (0.5, "Z", (2,)))), 1),
        ((PauliSum.of((1.0, "XX", (0, 1)), (1.0, "YY", (0, 1))),), 2),
        ((PauliSum.of((1.0, "X", (0,)), (1.0, "Z", (0,))),), 2),
        ((X, Y), 2),
        ((X, Y, Z), 3),
        ((X, Y, Z, Marginal((2, 1))), 3),
        (MIXED.items, 3),
    ],
)
def test_what_does_not_commute_gets_settings_of_its_own(items, number):
    measured = Observables.of(*items)
    assert len(plan(CIRCUIT, measured).settings) == number
    outcome = LocalBackend(threads=1).run(Job(CIRCUIT, None, PARAMS, measured, shots=50))
    assert outcome.shots_paid == 50 * number


def test_constant_terms_cost_no_variance():
    measured = Observables.of(PauliSum.of((-2.0, "I", (1,))), PauliSum.of((3.0, "I", (0,)), (1.0, "Z", (0,))))
    found = plan(CIRCUIT, measured)
    assert found.constant.tolist() == [-2, 3]
    outcome = LocalBackend(threads=1).run(Job(CIRCUIT, None, PARAMS, measured, shots=40))
    assert outcome.values[0, 0] == -2
    assert outcome.variances[0, 0] == 0
    assert outcome.variances[0, 1] > 0


@pytest.mark.parametrize("shots", [2, 10, 200])
def test_estimates_are_unbiased_and_their_variances_are_those_of_repeats(shots):
    repeats = 3000
    job = Job(CIRCUIT, None, np.repeat(PARAMS, repeats, axis=0), MIXED, shots=shots, seed=shots)
    outcome = LocalBackend(threads=1, precision="float64").run(job)
    exact = true_values(Job(CIRCUIT, None, PARAMS, MIXED))[0]
    empirical = outcome.values.var(axis=0, ddof=1)
    error = np.sqrt(empirical / repeats)
    assert (np.abs(outcome.values.mean(axis=0) - exact) <= 5 * error + 1e-12).all()
    # the error of an empirical variance from its fourth moment, that of the mean reported one from its scatter
    fourth = ((outcome.values - outcome.values.mean(axis=0)) ** 4).mean(axis=0)
    scatter = np.sqrt((fourth - empirical**2) / repeats + outcome.variances.var(axis=0) / repeats)
    assert (np.abs(outcome.variances.mean(axis=0) - empirical) <= 5 * scatter + 1e-12).all()
    assert (empirical[[0, 1, -1]] > 0).all()


def test_terms_of_one_setting_share_their_shots():
    """<X0> + <X0 X1> from the same counts: the variance has their covariance, not the sum of two variances."""
    job = Job(CIRCUIT, None, PARAMS, MIXED, shots=100_000)
    variance = LocalBackend(threads=1).run(job).variances[0, -1]
    state = reference.states(job)
    dense = [0.7, 0.7] @ np.array(
        [
            reference.expectations(state, Observables.of(PauliSum.of((1.0, letters, (0, 1)))), 3)[0, 0]
            for letters in ("XI", "XX")
        ]
    )
    # (0.7 X0 + 0.7 X0 X1)^2 = 0.98 + 0.98 X1
    square = 0.98 + 0.98 * reference.expectations(state, Observables.of(PauliSum.of((1.0, "X", (1,)))), 3)[0, 0]
    assert variance == pytest.approx((square - dense**2) / 100_000, rel=0.02)


def test_settings_of_a_job_draw_independently():
    """X and Z of |0> turned halfway: the same probabilities in both settings, but not the same counts.

    Nor does a setting repeat another one of the next seed.
    """
    circuit = Circuit.build(1, [ry(theta(0), 0)])
    params = np.full((2000, 1), np.pi / 4)
    backend = LocalBackend(threads=1)
    found = [backend.run(Job(circuit, None, params, [Z, X], shots=20, seed=seed)).values for seed in (4, 5)]
    columns = np.concatenate(found, axis=1)
    correlation = np.corrcoef(columns.T) - np.eye(4)
    assert np.abs(correlation).max() < 5 / np.sqrt(len(params))


def test_one_shot_has_an_unknown_variance():
    outcome = LocalBackend(threads=1).run(Job(CIRCUIT, None, PARAMS, [z(0)], shots=1))
    assert abs(outcome.values[0, 0]) == 1
    assert outcome.variances[0, 0] == np.inf


def test_the_variance_of_an_estimate_by_hand():
    """Counts 3 and 1 of values +1 and -1: mean 1/2, (1 - 1/4) / (4 - 1)."""
    mean, variance = estimate(np.array([[3, 1], [4, 0]]), np.array([4, 4]), np.array([[1.0], [-1.0]]))
    np.testing.assert_allclose(mean, [[0.5], [1.0]])
    np.testing.assert_allclose(variance, [[0.25], [0.0]])


def test_shots_of_a_row_set_its_error():
    shots = np.array([100, 10_000])
    job = Job(CIRCUIT, None, np.repeat(PARAMS, 2, axis=0), [z(1)], shots=shots)
    variances = LocalBackend(threads=1).run(job).variances[:, 0]
    assert variances[0] / variances[1] == pytest.approx(100, rel=0.3)


def test_plans_are_made_once():
    backend = LocalBackend(threads=1)
    for seed in range(3):
        backend.run(Job(CIRCUIT, None, PARAMS, MIXED, Output.EXPECTATION, shots=5, seed=seed))
    assert len(backend._plans) == 1
