"""Gradient estimators against differences of the dense oracle, on random circuits of every gate."""

from __future__ import annotations

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from q_store.backends import measurement
from q_store.backends.local import LocalBackend, reference
from q_store.circuits import Circuit, Marginal, Observables, PauliSum, ry, rz, theta, x, z
from q_store.errors import CapabilityError, ConfigError, IncompleteError, RunError
from q_store.gradients import (
    QNSPSA,
    SPSA,
    Adjoint,
    FiniteDifference,
    Metric,
    NaturalGradient,
    ParameterShift,
    Problem,
    RandomShift,
)
from q_store.gradients.contraction import measured
from q_store.jobs import Job, Outcome, Status, drive

MEASURED = Observables.of(z(0), PauliSum.of((0.7, "XY", (1, 2)), (-0.4, "Z", (1,))), Marginal((2, 0)))
DATA = np.array([[0.3, -0.8], [1.1, 0.4]])


def curved(values):
    """Cotangents of sum(sin(values)), a non-linear loss."""
    return np.cos(values)


def loss(circuit, params, data=DATA):
    psi = np.array([reference.state(circuit, row, params) for row in data])
    return np.sin(reference.expectations(psi, MEASURED, circuit.n_qubits)).sum()


def differences(circuit, params, step=1e-5):
    steps = step * np.eye(len(params))
    return np.array([(loss(circuit, params + e) - loss(circuit, params - e)) / (2 * step) for e in steps])


@pytest.mark.parametrize("seed", range(12))
def test_parameter_shift_on_random_circuits(seed, random_circuit, oracle):
    circuit = random_circuit(seed)
    params = np.random.default_rng(seed).uniform(-1, 1, circuit.n_params)
    estimate = drive(ParameterShift().estimate(Problem(circuit, MEASURED, params, DATA, curved)), oracle)
    np.testing.assert_allclose(estimate.gradient, differences(circuit, params), atol=2e-8)
    np.testing.assert_allclose(np.sin(estimate.values).sum(), loss(circuit, params))
    assert estimate.variance is None


@pytest.mark.parametrize("seed", range(12, 18))
def test_adjoint_and_parameter_shift_agree_on_the_local_backend(seed, random_circuit):
    circuit = random_circuit(seed)
    params = np.random.default_rng(seed).uniform(-1, 1, circuit.n_params)
    problem = Problem(circuit, MEASURED, params, DATA, curved)
    backend = LocalBackend(threads=1, precision="float64")
    adjoint = drive(Adjoint().estimate(problem), backend)
    shifted = drive(ParameterShift().estimate(problem), backend)
    np.testing.assert_allclose(adjoint.gradient, shifted.gradient, atol=1e-9)
    np.testing.assert_allclose(adjoint.gradient, differences(circuit, params), atol=2e-8)
    np.testing.assert_allclose(adjoint.values, shifted.values, atol=1e-12)
    assert adjoint.circuits == len(DATA)


def test_finite_differences(random_circuit, oracle):
    circuit = random_circuit(3)
    params = np.array([0.2, -0.5, 0.9])
    estimate = drive(FiniteDifference().estimate(Problem(circuit, MEASURED, params, DATA, curved)), oracle)
    np.testing.assert_allclose(estimate.gradient, differences(circuit, params), atol=1e-5)
    assert estimate.circuits == len(DATA) * (1 + 2 * 3)


def test_the_rule_is_not_applied_to_the_loss(oracle):
    # <Z> = cos(theta): the loss <Z>^2 has frequency 2, on which the two-term rule would give 0 for every theta
    circuit = Circuit.build(1, [ry(theta(0), 0)])
    problem = Problem(circuit, [z(0)], np.array([0.4]), None, lambda values: 2 * values)
    estimate = drive(ParameterShift().estimate(problem), oracle)
    np.testing.assert_allclose(estimate.gradient, [-np.sin(0.8)])


def test_the_plain_case_costs_two_circuits_a_parameter_and_row(oracle):
    circuit = Circuit.build(2, [ry(theta(0), 0), rz(theta(1), 1), ry(x(0), 1)])
    data = np.zeros((5, 1))
    estimate = drive(ParameterShift().estimate(Problem(circuit, [z(0)], np.ones(2), data, np.ones_like)), oracle)
    assert estimate.circuits == sum(job.rows for job in oracle.jobs) == 5 * (1 + 2 * 2)


def test_many_rows_are_split_into_jobs_of_bounded_size(oracle, monkeypatch):
    circuit = Circuit.build(1, [ry(theta(0), 0), rz(theta(1), 0), ry(theta(2) + x(0), 0)])
    data = np.linspace(0, 1, 4)[:, None]
    problem = Problem(circuit, [z(0)], np.array([0.1, 0.2, 0.3]), data, curved)
    whole = drive(ParameterShift().estimate(problem), oracle)
    monkeypatch.setattr("q_store.gradients.shifted.MAX_ROWS", 9)
    split = drive(ParameterShift().estimate(problem), oracle)
    assert [job.rows for job in oracle.jobs] == [4, 24, 4, 8, 8, 8]
    np.testing.assert_array_equal(whole.gradient, split.gradient)


def test_shots_carry_circuits_shots_and_variance(oracle):
    # two sites of one parameter with the factors 2 and x: Var = (4 + x^2) * 2 * (1/2)^2 * v
    circuit = Circuit.build(1, [ry(theta(0) * 2, 0), ry(theta(0) * x(0), 0)])
    problem = Problem(circuit, [z(0)], np.array([0.3]), np.array([[0.5], [-2.0]]), np.ones_like, shots=100, seed=3)
    estimate = drive(ParameterShift().estimate(problem), oracle)
    assert estimate.circuits == 2 * 5
    assert estimate.shots == 1000
    assert all(job.shots == 100 for job in oracle.jobs)
    assert len({job.seed for job in oracle.jobs}) == len(oracle.jobs)
    each = 0.25 / 100
    np.testing.assert_allclose(estimate.variance, [((4 + 0.25) + (4 + 4)) * 2 * 0.25 * each])


def test_measured_groups_count_as_circuits(oracle):
    circuit = Circuit.build(1, [ry(theta(0), 0)])
    both = [z(0), PauliSum.of((1.0, "X", (0,)))]
    problem = Problem(circuit, both, np.array([0.3]), None, np.ones_like, shots=10)
    assert drive(ParameterShift().estimate(problem), oracle).circuits == 2 * 3


@pytest.mark.parametrize("observables", [[z(0)], [Marginal((0, 1))]], ids=["pauli", "marginal"])
def test_the_variance_is_that_of_repeated_sampling(observables):
    circuit = Circuit.build(2, [ry(theta(0), 0), ry(theta(1) * x(0), 1), ry(theta(0) * 0.5, 1)])
    weights = np.linspace(-1, 2, Observables.of(*observables).size)[None]
    backend = LocalBackend(threads=1, precision="float64")
    estimates = []
    for seed in range(300):
        problem = Problem(circuit, observables, np.array([0.4, 1.0]), np.array([[0.8]]), lambda _: weights, 200, seed)
        estimates.append(drive(ParameterShift().estimate(problem), backend))
    exact = drive(
        Adjoint().estimate(Problem(circuit, observables, np.array([0.4, 1.0]), np.array([[0.8]]), lambda _: weights)),
        backend,
    )
    gradients = np.array([e.gradient for e in estimates])
    claimed = np.mean([e.variance for e in estimates], axis=0)
    np.testing.assert_allclose(gradients.var(axis=0), claimed, rtol=0.35)
    assert (np.abs(gradients.mean(axis=0) - exact.gradient) < 4 * np.sqrt(claimed / 300)).all()


def test_adjoint_refuses_shots(oracle):
    problem = Problem(Circuit.build(1, [ry(theta(0), 0)]), [z(0)], np.zeros(1), None, np.ones_like, shots=5)
    with pytest.raises(ConfigError, match="parameter_shift"):
        drive(Adjoint().estimate(problem), oracle)


class Broken:
    def __init__(self, outcome):
        self.outcome = outcome

    def run(self, job):
        if job.pullback:
            job.pullback(np.zeros((1, 1)))
        return self.outcome


@pytest.mark.parametrize(
    ("outcome", "error", "match"),
    [
        (Outcome(rows=1, status={0: Status.FAILED}, error={0: "queue"}), IncompleteError, "row 0: queue"),
        (Outcome(rows=1), RunError, "got none"),
        (Outcome(np.zeros((1, 1)), rows=1), CapabilityError, "parameter_shift"),
    ],
)
def test_incomplete_outcomes_are_named(outcome, error, match):
    problem = Problem(Circuit.build(1, [ry(theta(0), 0)]), [z(0)], np.zeros(1), None, np.ones_like)
    with pytest.raises(error, match=match):
        drive(Adjoint().estimate(problem), Broken(outcome))


def test_a_difference_step_of_zero_is_refused():
    with pytest.raises(ConfigError, match="above 0"):
        FiniteDifference(0.0)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_the_noise_of_a_contraction_is_that_of_its_samples(data):
    """Against the covariance of the single-shot values in each measured basis, from the dense oracle."""
    circuit = data.draw(strategies.circuits(max_qubits=3, max_ops=5, n_params=0, n_features=0))
    observables = data.draw(strategies.observables(circuit.n_qubits))
    asked = measured(Problem(circuit, observables, np.zeros(0), None, np.ones_like, shots=50))
    assert len(asked.observables.groups()) == len(observables.groups())  # not a circuit more
    weights = np.random.default_rng(0).normal(size=(1, observables.size))
    expected = 0.0
    for setting in measurement.plan(circuit, observables).settings:
        psi = reference.state(setting.circuit, None, np.zeros(0))
        each = setting.table @ weights[0]
        expected += np.abs(psi) ** 2 @ each**2 - (np.abs(psi) ** 2 @ each) ** 2
    job = Job(circuit, None, np.zeros(0), asked.observables)
    values = drive_one(job)
    outcome = Outcome(values, np.zeros_like(values), rows=1)
    if observables.size == 1:
        return  # the backend's own
    np.testing.assert_allclose(asked.noise(outcome, weights, 50), expected / 49, atol=1e-9)
    np.testing.assert_allclose(asked.values(outcome), values[:, : observables.size])


def drive_one(job):
    return reference.expectations(reference.states(job), job.measured, job.circuit.n_qubits)


def test_values_of_too_many_strings_are_taken_as_independent():
    every = Observables.of(*(z(p, q) for p in range(17) for q in range(p)))
    circuit = Circuit.build(17, [ry(theta(0), 0)])
    asked = measured(Problem(circuit, every, np.zeros(1), None, np.ones_like, shots=50))
    assert asked.observables is every
    outcome = Outcome(np.zeros((2, every.size)), np.full((2, every.size), 0.5), rows=2)
    np.testing.assert_allclose(
        asked.noise(outcome, np.full((2, every.size), 2.0), 50), np.full((2, 1), 2.0 * every.size)
    )


EVERY = {
    "adjoint": Adjoint(),
    "parameter shift": ParameterShift(),
    "differences": FiniteDifference(),
    "spsa": SPSA(pairs=2),
    "spsa, common": SPSA(common=True),
    "random shift": RandomShift(),
    "natural": NaturalGradient(SPSA(), Metric("block")),
    "natural, full": NaturalGradient(Adjoint(), Metric("full")),
    "qn-spsa": QNSPSA(),
}


@pytest.mark.parametrize("name", EVERY)
def test_a_circuit_without_parameters_has_values_and_no_gradient(name):
    """A readout may be trained on a fixed circuit, whatever the method."""
    problem = Problem(Circuit.build(1, [ry(0.4, 0), ry(x(0), 0)]), [z(0)], np.zeros(0), DATA[:, :1], np.ones_like)
    found = drive(EVERY[name].estimate(problem), LocalBackend(threads=1, precision="float64"))
    assert found.gradient.shape == (0,)
    np.testing.assert_allclose(found.values, np.cos(0.4 + DATA[:, :1]), atol=1e-12)


ONE_SHOT = {
    "one value": [PauliSum.of((0.7, "XX", (0, 1)), (-0.4, "Z", (1,)))],
    "one marginal": [Marginal((0, 1))],
    "several": [z(0), PauliSum.of((0.7, "XX", (0, 1)), (-0.4, "Z", (1,))), Marginal((1,))],
    "many": [z(*(q for q in (0, 1) if k >> q & 1)) for k in range(1, 4)],
}


@pytest.mark.parametrize("name", ONE_SHOT)
@pytest.mark.parametrize("estimator", [ParameterShift(), SPSA(0.2)], ids=["parameter shift", "spsa"])
def test_of_a_single_shot_the_variance_is_a_bound(name, estimator, monkeypatch):
    """Nothing is known of its spread, which no NaN may come from: 0 where a row or parameter does not matter."""
    if name == "many":
        monkeypatch.setattr("q_store.gradients.contraction.MOST_STRINGS", 2)
    circuit = Circuit(2, 3, 2, (ry(theta(0), 0), ry(theta(1) * x(0), 1), ry(theta(0) * 0.5 + x(1), 1)))
    observables = Observables.of(*ONE_SHOT[name])
    weights = np.linspace(-1, 2, observables.size) * np.array([[1.0], [0.0]])
    backend, params = LocalBackend(threads=1, precision="float64"), np.array([0.4, 1.0, 0.3])
    data = np.array([[0.8, 0.1], [0.0, 0.5]])
    found = [
        drive(estimator.estimate(Problem(circuit, observables, params, data, lambda _: weights, 1, seed)), backend)
        for seed in range(200)
    ]
    spread = np.var([each.gradient for each in found], axis=0)
    claimed = np.mean([each.variance for each in found], axis=0)
    assert np.isfinite(claimed).all()
    assert 0.5 * spread.sum() < claimed.sum() < 40 * spread.sum()
    assert claimed[2] == spread[2] == 0
