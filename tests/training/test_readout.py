"""Readouts and their refit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from q_store.errors import ConfigError, DataError, ShapeError
from q_store.training import CrossEntropy, IdentityReadout, LinearReadout, SquaredError, refit

RNG = np.random.default_rng(3)
VALUES = RNG.normal(size=(7, 3))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("zero_last", [False, True])
def test_linear_readouts_and_their_gradients(bias, zero_last):
    readout = LinearReadout(3, 4, bias, zero_last)
    columns = 4 - zero_last
    assert readout.n_weights == (3 + bias) * columns
    weights = RNG.normal(size=readout.n_weights)
    w = weights[: 3 * columns].reshape(3, columns)
    plain = VALUES @ w + (weights[3 * columns :] if bias else 0)
    if zero_last:
        plain = np.concatenate([plain, np.zeros((7, 1))], axis=1)
    np.testing.assert_allclose(readout.outputs(VALUES, weights), plain, atol=1e-14)

    d_outputs = RNG.normal(size=(7, 4))
    d_values, d_weights = readout.pull_back(VALUES, weights, d_outputs)

    def dot(values, at):
        return float((readout.outputs(values, at) * d_outputs).sum())

    h = 1e-6
    by_weight = [(dot(VALUES, weights + e) - dot(VALUES, weights - e)) / (2 * h) for e in h * np.eye(len(weights))]
    np.testing.assert_allclose(d_weights, by_weight, atol=1e-7)
    np.testing.assert_allclose(d_values, d_outputs[:, :columns] @ w.T, atol=1e-14)


def test_float32_stays_float32():
    readout = LinearReadout(3, 2)
    values = VALUES.astype(np.float32)
    weights = RNG.normal(size=readout.n_weights)
    outputs = readout.outputs(values, weights)
    d_values, d_weights = readout.pull_back(values, weights, outputs)
    assert {outputs.dtype, d_values.dtype, d_weights.dtype} == {np.dtype(np.float32)}


def test_the_identity():
    readout = IdentityReadout(3)
    assert readout.outputs(VALUES, np.zeros(0)) is VALUES
    cotangents, d_weights = readout.pull_back(VALUES, np.zeros(0), VALUES)
    assert cotangents is VALUES
    assert readout.n_weights == len(d_weights) == len(readout.initial(RNG)) == 0


def test_bad_sizes():
    with pytest.raises(ConfigError, match="2 outputs or more"):
        LinearReadout(3, 1, zero_last=True)
    with pytest.raises(ShapeError, match="expected 8 readout weights"):
        LinearReadout(3, 2).outputs(VALUES, np.zeros(7))


def test_the_refit_is_softmax_regression():
    labels = RNG.integers(0, 3, 60)
    values = RNG.normal(size=(60, 2)) + labels[:, None]
    readout = LinearReadout(2, 3, bias=True, zero_last=True)
    found = refit(readout, values, labels, penalty=0.01)

    def loss(flat):
        table = flat.reshape(3, 2)
        logits = np.column_stack([values @ table[:2] + table[2], np.zeros(60)])
        return -log_softmax(logits, axis=1)[np.arange(60), labels].mean() + 0.005 * flat @ flat

    independent = minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(found.vector, independent.x, atol=1e-5)
    assert found.value == pytest.approx(independent.fun, abs=1e-10)
    other = refit(readout, values, labels, penalty=0.01, start=RNG.normal(size=6))
    np.testing.assert_allclose(found.vector, other.vector, atol=1e-4)


def test_the_refit_of_squared_errors_is_least_squares():
    targets = RNG.normal(size=(7, 2))
    found = refit(LinearReadout(3, 2, bias=False), VALUES, targets, loss=SquaredError())
    np.testing.assert_allclose(found.vector.reshape(3, 2), np.linalg.lstsq(VALUES, targets, rcond=None)[0], atol=1e-5)


def test_refits_check_their_values():
    with pytest.raises(ShapeError, match=r"\[R, 3\]"):
        refit(LinearReadout(3, 2), VALUES[:, :2], np.zeros(7))
    with pytest.raises(DataError, match="finite"):
        refit(LinearReadout(3, 2), np.full((7, 3), np.nan), np.zeros(7), loss=CrossEntropy())
