"""QN-SPSA: the mean of its metrics is the metric, and what it remembers is what it says."""

from __future__ import annotations

import numpy as np
import pytest

from q_store.backends.local import LocalBackend, reference
from q_store.circuits import Circuit, encoders, op, ry, rz, templates, theta, x, z
from q_store.errors import CircuitError, ConfigError
from q_store.gradients import QNSPSA, SPSA, Adjoint, Memory, Metric, Problem
from q_store.gradients.qn_spsa import magnitude, overlap
from q_store.jobs import Job, Output, drive

CIRCUIT = Circuit.build(
    2, [ry(x(0) + theta(0), 0), rz(theta(1), 0), op("rx", 1, angles=[theta(2) * 0.7], controls=[0]), ry(theta(3), 1)]
)
DATA = np.array([[0.4], [-1.1]])
PARAMS = np.array([0.5, -0.3, 0.9, 0.2])


@pytest.fixture(scope="module")
def backend():
    return LocalBackend(threads=1, precision="float64")


def problem(circuit=CIRCUIT, params=PARAMS, data=DATA, shots=None, seed=0):
    return Problem(circuit, [z(0), z(1)], params, data, np.ones_like, shots, seed)


@pytest.mark.parametrize("circuit", ["angles", "amplitudes"])
def test_the_probability_of_zero_is_the_fidelity(circuit, backend):
    rng = np.random.default_rng(0)
    whole = CIRCUIT if circuit == "angles" else encoders.amplitude(2) + templates.hardware_efficient(2, 1, ("ry", "rz"))
    data = DATA if circuit == "angles" else rng.normal(size=(2, 4))
    if circuit == "amplitudes":
        data = data / np.linalg.norm(data, axis=1, keepdims=True)
    here, there = rng.uniform(-2, 2, (2, whole.n_params))
    joined, rows = overlap(whole, data)
    found = backend.run(Job(joined, rows, np.concatenate([here, there]), output=Output.PROBABILITIES)).values[:, 0]
    fidelity = [abs(np.vdot(reference.state(whole, r, there), reference.state(whole, r, here))) ** 2 for r in data]
    np.testing.assert_allclose(found, fidelity, atol=1e-12)


@pytest.mark.parametrize(("shots", "perturbation"), [(None, 0.03), (2000, 0.2)])
def test_the_mean_is_the_exact_metric(shots, perturbation, backend):
    exact = drive(Metric("full", None).measure(problem()), backend).matrix
    estimator = QNSPSA(perturbation=perturbation, pairs=5, rows=None)
    found = np.array([drive(estimator.sample(problem(shots=shots, seed=s)), backend).matrix for s in range(500)])
    errors = found.std(axis=0) / np.sqrt(len(found))
    bias = 0.1 if shots else 5e-3  # of order e^2
    assert (np.abs(found.mean(axis=0) - exact) < 4 * errors + bias).all()
    assert np.abs(exact).max() > 0.9
    np.testing.assert_array_equal(found, found.transpose(0, 2, 1))


def test_six_circuits_a_row(backend):
    found = drive(QNSPSA(rows=None).estimate(problem(shots=10)), backend)
    assert found.circuits == 2 * (2 + 4)
    assert found.shots == 120
    assert drive(QNSPSA(rows=1, pairs=2).estimate(problem(shots=10)), backend).circuits == 2 * 2 + 8


def test_the_metric_is_averaged_over_the_steps(backend):
    estimator = QNSPSA(Adjoint(), regularization=0.05, rows=None)
    gradient = drive(Adjoint().estimate(problem()), backend).gradient
    average = np.eye(4)
    for step in range(3):
        found = drive(estimator.estimate(problem(seed=step)), backend)
        sample = drive(QNSPSA(rows=None).sample(problem(seed=step)), backend).matrix
        average = ((step + 1) * average + sample) / (step + 2)
        expected = np.linalg.solve(magnitude(average) + 0.05 * np.eye(4), gradient)
        np.testing.assert_allclose(found.gradient, expected, atol=1e-12)


def test_the_magnitude_is_the_root_of_the_square():
    matrix = np.array([[1.0, 2.0], [2.0, -0.5]])
    root = magnitude(matrix)
    np.testing.assert_allclose(root @ root, matrix @ matrix)
    assert (np.linalg.eigvalsh(root) > 0).all()


def test_what_it_remembers_can_be_kept_and_forgotten(backend):
    estimator = QNSPSA()
    assert isinstance(estimator, Memory)
    assert estimator.arrays() == {}
    first = drive(estimator.estimate(problem(seed=0)), backend).gradient
    kept = estimator.arrays()
    second = drive(estimator.estimate(problem(seed=1)), backend).gradient
    other = QNSPSA()
    other.restore(kept)
    np.testing.assert_array_equal(drive(other.estimate(problem(seed=1)), backend).gradient, second)
    estimator.restore({})
    np.testing.assert_array_equal(drive(estimator.estimate(problem(seed=0)), backend).gradient, first)


def test_the_inner_estimator_is_remembered_too(backend):
    inner = QNSPSA(SPSA(0.1))
    drive(QNSPSA(inner).estimate(problem()), backend)
    assert inner.arrays()


def test_a_step_that_breaks_off_changes_nothing(backend):
    estimator = QNSPSA()
    plan = estimator.estimate(problem())
    plan.send([backend.run(job) for job in next(plan)])  # the metric is there, the gradient is asked for
    plan.close()
    assert estimator.arrays() == {}


@pytest.mark.parametrize("options", [{"perturbation": 0}, {"pairs": 0}, {"rows": 0}, {"regularization": -1}])
def test_options_out_of_range(options):
    with pytest.raises(ConfigError, match="perturbation above 0"):
        QNSPSA(**options)


def test_amplitudes_without_data_are_refused():
    with pytest.raises(CircuitError, match="lower"):
        overlap(encoders.amplitude(1), None)
