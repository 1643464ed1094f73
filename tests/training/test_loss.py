"""Every loss against finite differences and against a formula written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.errors import ConfigError, DataError, ShapeError
from q_store.training import CrossEntropy, Energy, FunctionLoss, SquaredError


def differences(loss, outputs, targets, step=1e-6):
    gradient = np.empty_like(outputs)
    for place in np.ndindex(outputs.shape):
        high, low = outputs.copy(), outputs.copy()
        high[place] += step
        low[place] -= step
        gradient[place] = (loss.value_and_gradient(high, targets)[0] - loss.value_and_gradient(low, targets)[0]) / (
            2 * step
        )
    return gradient


OUTPUTS = np.random.default_rng(0).normal(size=(6, 4))
LABELS = np.array([0, 3, 1, 1, 2, 0])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_is_the_formula(smoothing, order):
    wanted = (1 - smoothing) * np.eye(4)[LABELS] + smoothing / 4
    log_p = OUTPUTS - np.log(np.exp(OUTPUTS).sum(axis=1, keepdims=True))
    value, gradient = CrossEntropy(smoothing).value_and_gradient(np.asarray(OUTPUTS, order=order), LABELS)
    assert value == pytest.approx(-(wanted * log_p).sum(axis=1).mean(), rel=1e-12)
    np.testing.assert_allclose(gradient, (np.exp(log_p) - wanted) / 6, atol=1e-15)


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (CrossEntropy(), LABELS),
        (CrossEntropy(0.1), LABELS),
        (SquaredError(), np.ones((6, 4))),
        (Energy(), None),
        (Energy((1.0, -2.0, 0.5, 0.0)), None),
    ],
)
def test_gradients_are_those_of_differences(loss, targets):
    _, gradient = loss.value_and_gradient(OUTPUTS.copy(), targets)
    np.testing.assert_allclose(gradient, differences(loss, OUTPUTS, targets), atol=1e-8)


def test_cross_entropy_is_stable_and_keeps_float32():
    outputs = np.array([[1e4, 0.0], [-1e4, 0.0]], dtype=np.float32)
    value, gradient = CrossEntropy().value_and_gradient(outputs, np.array([0, 0]))
    assert value == pytest.approx(5e3)
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, [[0, 0], [-0.5, 0.5]])


def test_the_outputs_are_left_alone():
    for loss, targets in ((CrossEntropy(), LABELS), (SquaredError(), np.ones((6, 4)))):
        outputs = np.asfortranarray(OUTPUTS)
        loss.value_and_gradient(outputs, targets)
        np.testing.assert_array_equal(outputs, OUTPUTS)


def test_accuracy():
    assert CrossEntropy().accuracy(np.array([[1.0, 2], [3, 0]]), np.array([1, 1])) == 0.5
    assert SquaredError().accuracy(OUTPUTS, None) is None


@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 50))
def test_functions_of_the_outputs_match_the_loss_they_spell(rows, columns, seed):
    rng = np.random.default_rng(seed)
    outputs, targets = rng.normal(size=(2, rows, columns))
    value, gradient = SquaredError().value_and_gradient(outputs, targets)
    by_row = FunctionLoss(lambda o, t: ((o - t) ** 2).sum(axis=1)).value_and_gradient(outputs, targets)
    whole = FunctionLoss(lambda o, t: ((o - t) ** 2).sum() / len(o)).value_and_gradient(outputs, targets)
    for found in (by_row, whole):
        assert found[0] == pytest.approx(value)
        np.testing.assert_allclose(found[1], gradient, atol=1e-8)


def test_a_function_by_rows_is_called_twice_an_output():
    calls = []
    FunctionLoss(lambda o, _: calls.append(1) or o.sum(axis=1)).value_and_gradient(np.zeros((7, 3)), None)
    assert len(calls) == 1 + 2 * 3


def test_a_function_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"shape \[7\] or one number, got \[7, 3\]"):
        FunctionLoss(lambda o, _: o).value_and_gradient(np.zeros((7, 3)), None)


def test_prepared_targets():
    assert CrossEntropy().prepare([0, 1, 2.0], 3, 3).tolist() == [0, 1, 2]
    assert SquaredError().prepare([0.5, 1], 2, 1).tolist() == [[0.5], [1.0]]
    assert Energy().prepare(None, 1, 2) is None
    assert FunctionLoss(max).prepare(None, 3, 1) is None
    assert FunctionLoss(max).prepare([[1, 2]], 1, 1).shape == (1, 2)


@pytest.mark.parametrize(
    ("loss", "targets", "error", "match"),
    [
        (CrossEntropy(), None, DataError, "got none"),
        (CrossEntropy(), [0, 1], ShapeError, r"shape \[3\], got \[2\]"),
        (CrossEntropy(), [0, 1, 2], DataError, r"0\.\.1, got 0\.\.2"),
        (CrossEntropy(), [0, -1, 1], DataError, "got -1"),
        (CrossEntropy(), [0, 0.5, 1], DataError, "whole numbers"),
        (CrossEntropy(), [0, np.nan, 1], DataError, "whole numbers"),
        (CrossEntropy(), ["a", "b", "a"], DataError, "number the classes"),
        (SquaredError(), None, DataError, "got none"),
        (SquaredError(), np.zeros((3, 1)), ShapeError, r"\[3, 2\]"),
        (SquaredError(), np.full((3, 2), np.inf), DataError, "finite"),
        (Energy(), [1, 2, 3], DataError, "no targets"),
        (Energy((1.0,)), None, ShapeError, "2 weights"),
        (FunctionLoss(max), [1, 2], ShapeError, "one entry"),
    ],
)
def test_targets_that_do_not_fit(loss, targets, error, match):
    with pytest.raises(error, match=match):
        loss.prepare(targets, 3, 2)


def test_smoothing_out_of_range():
    with pytest.raises(ConfigError, match="smoothing"):
        CrossEntropy(1.0)


def test_identities_tell_losses_apart():
    losses = [
        CrossEntropy(),
        CrossEntropy(0.1),
        SquaredError(),
        Energy(),
        Energy((1.0,)),
        FunctionLoss(max),
        FunctionLoss(min),
    ]
    assert len({loss.identity for loss in losses}) == len(losses)
