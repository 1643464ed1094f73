"""SPSA and random shifts: their means are the gradient, their variances those of repeated estimates."""

from __future__ import annotations

import numpy as np
import pytest

from q_store.backends.local import LocalBackend
from q_store.circuits import Circuit, Marginal, Observables, PauliSum, cnot, op, ry, rz, theta, x, z
from q_store.errors import ConfigError
from q_store.gradients import SPSA, Adjoint, ParameterShift, Problem, RandomShift
from q_store.jobs import drive

CIRCUIT = Circuit.build(
    2,
    [
        ry(theta(0) * x(0) + theta(1), 0),
        op("rx", 1, angles=[theta(2)], controls=[0]),
        cnot(0, 1),
        rz(theta(3) + x(1), 0),
        ry(theta(4) * 0.5, 0),
        ry(theta(1), 1),
    ],
)
MEASURED = Observables.of(z(0), PauliSum.of((0.7, "XX", (0, 1)), (-0.4, "Z", (1,))), Marginal((1, 0)))
DATA = np.array([[0.3, -0.8], [1.1, 0.4], [-0.5, 0.9]])
PARAMS = np.array([0.4, -0.7, 1.1, 0.2, -0.3])
TARGETS = np.array([0.2, -0.1, 0.6])


def pullback(values, targets=TARGETS):
    """Cotangents of a loss that is linear in each row's values: no bias from their noise."""
    return np.outer(targets, np.linspace(-1, 1.5, values.shape[1]))


def some(index):
    return lambda values: pullback(values, TARGETS[index])


def problem(shots=None, seed=0, data=DATA):
    return Problem(CIRCUIT, MEASURED, PARAMS, data, pullback, shots, seed, some)


@pytest.fixture(scope="module")
def backend():
    return LocalBackend(threads=1, precision="float64")


@pytest.fixture(scope="module")
def exact(backend):
    return drive(Adjoint().estimate(problem()), backend).gradient


def repeated(estimator, backend, shots, number=400):
    found = [drive(estimator.estimate(problem(shots, seed)), backend) for seed in range(number)]
    return np.array([each.gradient for each in found]), np.array([each.variance for each in found]), found


CASES = {
    "spsa": (SPSA(0.02), None),
    "spsa, pairs": (SPSA(0.02, pairs=3), None),
    "spsa, shots": (SPSA(0.1), 100),
    "spsa, shots and pairs": (SPSA(0.1, pairs=4), 100),
    "random shift": (RandomShift(), None),
    "random shift, shots": (RandomShift(2), 50),
    "random shift, all": (RandomShift(9), 50),
}


@pytest.mark.parametrize("case", CASES)
def test_the_mean_is_the_gradient_and_the_variance_that_of_repeats(case, backend, exact):
    estimator, shots = CASES[case]
    gradients, variances, _ = repeated(estimator, backend, shots)
    claimed = variances.mean(axis=0)
    bias = 0.02 if isinstance(estimator, SPSA) and shots else 2e-3
    errors = np.sqrt(claimed / len(gradients))
    assert (np.abs(gradients.mean(axis=0) - exact) < 4 * errors + bias).all()
    if isinstance(estimator, SPSA) and estimator.pairs == 1:  # of a single pair only the sum is known
        assert claimed.sum() == pytest.approx(gradients.var(axis=0).sum(), rel=0.15)
    else:
        np.testing.assert_allclose(claimed, gradients.var(axis=0), rtol=0.3)


def test_the_error_of_spsa_is_of_second_order(backend, exact):
    """Over all directions at once, so that there is no chance in it."""
    signs = np.array(np.meshgrid(*[[-1, 1]] * 5)).reshape(5, -1).T

    def bias(c):
        total = np.zeros(5)
        for delta in signs:
            up, down = (
                sum(
                    row @ np.linspace(-1, 1.5, MEASURED.size) * target
                    for row, target in zip(values_at(backend, PARAMS + s * c * delta), TARGETS, strict=True)
                )
                for s in (1, -1)
            )
            total += delta * (up - down) / (2 * c) / len(signs)
        return np.abs(total - exact).max()

    assert bias(0.05) < 2e-3
    assert bias(0.1) / bias(0.05) == pytest.approx(4, rel=0.05)


def values_at(backend, params):
    return drive(Adjoint().estimate(Problem(CIRCUIT, MEASURED, params, DATA, pullback)), backend).values


def test_spsa_is_its_formula(backend):
    found = drive(SPSA(0.3).estimate(problem(seed=5)), backend)
    signs = np.sign(found.gradient) * np.sign(found.gradient[0])
    up, down = values_at(backend, PARAMS + 0.3 * signs), values_at(backend, PARAMS - 0.3 * signs)
    slope = (pullback(up) * (up - down)).sum() / 0.6
    np.testing.assert_allclose(found.gradient, signs * slope, atol=1e-10)
    np.testing.assert_allclose(found.values, (up + down) / 2, atol=1e-10)


def test_the_pullback_is_called_once_at_the_average_of_all_sides(oracle):
    calls = []

    def noted(values):
        calls.append(values)
        return np.ones_like(values)

    data = DATA[:2]
    found = drive(SPSA(0.3, pairs=3).estimate(Problem(CIRCUIT, MEASURED, PARAMS, data, noted, seed=1)), oracle)
    (job,) = oracle.jobs
    assert job.rows == found.circuits == 2 * 3 * 2
    assert not job.reuse
    assert len(calls) == 1
    assert calls[0].shape == (2, MEASURED.size)
    np.testing.assert_allclose(job.params[::2] + job.params[1::2], np.broadcast_to(2 * PARAMS, (3, 5)))


def test_circuits_and_shots_of_spsa_are_those_that_ran(backend):
    found = drive(SPSA(pairs=2).estimate(problem(30)), backend)
    assert found.circuits == 2 * 2 * 3 * 2  # two bases
    assert found.shots == found.circuits * 30


def test_some_rows_of_the_batch(oracle):
    """Each row is one of the batch with its own target, and all have their turn."""
    seen, noted = set(), []

    def rows(index):
        noted.append(index.tolist())
        return some(index)

    for seed in range(20):
        whole = Problem(CIRCUIT, MEASURED, PARAMS, DATA, pullback, None, seed, rows)
        found = drive(SPSA(rows=2).estimate(whole), oracle)
        assert found.circuits == 4
        np.testing.assert_array_equal(oracle.jobs[-1].data, DATA[noted[-1]])
        seen.update(noted[-1])
    assert seen == {0, 1, 2}
    drive(SPSA(rows=5).estimate(problem()), oracle)  # more than there are: all
    assert len(oracle.jobs[-1].data) == 3


def test_rows_need_a_pullback_that_knows_them(oracle):
    with pytest.raises(ConfigError, match="give `some`"):
        drive(SPSA(rows=1).estimate(Problem(CIRCUIT, MEASURED, PARAMS, DATA, pullback)), oracle)


def test_common_samples_cancel_noise(backend):
    """Along one direction: what is left of the spread of the slope when it is estimated again and again."""

    def spread(common):
        found = along_one_direction(SPSA(0.05, common=common), backend, 200)
        return np.var([each.gradient[0] for each in found])

    assert spread(common=True) < 0.6 * spread(common=False)


def along_one_direction(estimator, backend, shots):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("q_store.gradients.spsa.directions", lambda _, number, size: np.ones((number, size)))
        return [drive(estimator.estimate(problem(shots, seed)), backend) for seed in range(400)]


def test_random_shift_runs_the_drawn_parameters_alone(oracle):
    plain = Circuit.build(2, [ry(theta(0), 0), rz(theta(1), 0), ry(theta(2), 1), cnot(0, 1), ry(theta(3), 1)])
    given = Problem(plain, [z(0), z(1)], np.ones(4), None, np.ones_like, seed=3)
    found = drive(RandomShift(2).estimate(given), oracle)
    assert found.circuits == sum(job.rows for job in oracle.jobs) == 1 + 2 * 2
    assert np.count_nonzero(found.gradient) == 2
    whole = drive(ParameterShift().estimate(given), oracle).gradient
    drawn = np.flatnonzero(found.gradient)
    np.testing.assert_allclose(found.gradient[drawn], 2 * whole[drawn], atol=1e-12)


@pytest.mark.parametrize(("pairs", "shots"), [(1, None), (1, 40), (3, 40)])
def test_spsa_leaves_parameters_alone_that_nothing_uses(backend, pairs, shots):
    """Layers that are left out are such: what the others get, and how sure, is as if these were not there."""
    wide = Circuit(1, 5, 0, (ry(theta(3), 0), rz(theta(0), 0), ry(theta(4), 0)))
    narrow = Circuit(1, 3, 0, (ry(theta(1), 0), rz(theta(0), 0), ry(theta(2), 0)))
    found = [
        drive(SPSA(pairs=pairs).estimate(Problem(c, [z(0)], np.ones(c.n_params), None, np.ones_like, shots)), backend)
        for c in (wide, narrow)
    ]
    assert (found[0].gradient[[1, 2]] == 0).all()
    assert (found[0].variance[[1, 2]] == 0).all()
    assert (found[0].gradient[[0, 3, 4]] != 0).all()
    if pairs == 1 and shots is None:
        slope = found[0].gradient[0] ** 2
        np.testing.assert_allclose(found[0].variance[[0, 3, 4]], 2 / 3 * slope)


def test_random_shift_passes_over_parameters_that_nothing_uses(oracle):
    circuit = Circuit(1, 5, 0, (ry(theta(3), 0),))
    found = drive(RandomShift().estimate(Problem(circuit, [z(0)], np.ones(5), None, np.ones_like)), oracle)
    np.testing.assert_allclose(found.gradient, [0, 0, 0, -np.sin(1), 0])


def test_random_shift_of_a_circuit_without_parameters(oracle):
    circuit = Circuit.build(1, [ry(0.3, 0)])
    found = drive(RandomShift().estimate(Problem(circuit, [z(0)], np.zeros(0), None, np.ones_like)), oracle)
    assert found.gradient.shape == (0,)
    assert found.circuits == 1


@pytest.mark.parametrize("estimator", [SPSA(pairs=2), RandomShift(2)], ids=["spsa", "random shift"])
def test_the_seed_decides(estimator, backend):
    first, again, other = (drive(estimator.estimate(problem(50, seed)), backend).gradient for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_share_of_shots_in_a_random_shift(backend):
    whole = drive(ParameterShift().estimate(problem(60)), backend)
    shares = [drive(RandomShift(2).estimate(problem(60, seed)), backend).shot_noise for seed in range(300)]
    assert np.mean(shares) == pytest.approx(5 / 2 * whole.variance.sum(), rel=0.2)
    every = drive(RandomShift(5).estimate(problem(60)), backend)
    assert every.shot_noise == pytest.approx(every.variance.sum())
    assert drive(RandomShift(2).estimate(problem()), backend).shot_noise == 0


@pytest.mark.parametrize("pairs", [1, 3])
def test_the_share_of_shots_in_spsa(backend, pairs):
    """Along one direction it is all there is."""
    found = along_one_direction(SPSA(0.1, pairs), backend, 60)
    spread = np.var([each.gradient for each in found], axis=0).sum()
    assert np.mean([each.shot_noise for each in found]) == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: SPSA(0.0), "perturbation above 0"),
        (lambda: SPSA(pairs=0), "1 pair"),
        (lambda: SPSA(rows=0), "1 row"),
        (lambda: RandomShift(0), "1 parameter"),
    ],
)
def test_what_cannot_be(build, match):
    with pytest.raises(ConfigError, match=match):
        build()
