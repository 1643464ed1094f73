"""The classical control: gradients against finite differences, known optima, its budget, what it refuses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

from q_store.errors import ConfigError, DataError, ShapeError
from q_store.models import fashion_mnist, network
from q_store.models.control import LOOK, PATIENCE, Control, _Watch, fit_control, network_shapes
from q_store.models.features import Standardised
from q_store.models.metrics import accuracy
from q_store.models.network import CrossEntropy, Shape, logits

SHAPES = [Shape(4, 0, 3), Shape(3, 5, 4), Shape(1, 1, 2), Shape(0, 0, 3)]


def rows_of(shape, count=50, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, shape.inputs + 2)), generator.integers(0, shape.classes, count)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_agrees_with_finite_differences(shape, monkeypatch):
    monkeypatch.setattr(network, "ROWS", 13)
    x, y = rows_of(shape)
    loss = CrossEntropy(shape, x, y, np.float64)
    theta = np.random.default_rng(1).normal(size=shape.parameters)
    steps = 1e-6 * np.eye(shape.parameters)
    expected = [(loss(theta + step)[0] - loss(theta - step)[0]) / 2e-6 for step in steps]
    np.testing.assert_allclose(loss(theta)[1], expected, atol=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_loss_is_the_mean_negative_log_probability(shape):
    x, y = rows_of(shape)
    theta = 30 * np.random.default_rng(2).normal(size=shape.parameters)
    scores = logits(shape, theta, x[:, : shape.inputs])
    expected = np.mean([np.logaddexp.reduce(row) - row[label] for row, label in zip(scores, y, strict=True)])
    assert CrossEntropy(shape, x, y, np.float64)(theta)[0] == pytest.approx(expected, rel=1e-12)
    assert CrossEntropy(shape, x, y)(theta)[0] == pytest.approx(expected, rel=1e-5)


def test_huge_logits_do_not_overflow():
    shape = Shape(1, 0, 3)
    loss, gradient = CrossEntropy(shape, np.ones((4, 1)), np.array([0, 1, 2, 2]))(1e4 * np.arange(4.0))
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()


def test_threads_do_not_change_a_bit(monkeypatch):
    monkeypatch.setattr(network, "ROWS", 7)
    shape = Shape(3, 5, 4)
    loss, theta = CrossEntropy(shape, *rows_of(shape)), shape.start(0)
    with ThreadPoolExecutor(1) as threads:
        together, alone = loss(theta, threads), loss(theta)
    assert together[0] == alone[0]
    np.testing.assert_array_equal(together[1], alone[1])


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_are_counted_as_they_are_split(shape):
    W, V = shape.split(np.arange(shape.parameters))
    assert (0 if W is None else W.size) + V.size == shape.parameters


@pytest.mark.parametrize(("width", "count", "classes"), [(32, 248, 10), (64, 998, 10), (4, 250, 3), (128, 118, 10)])
def test_network_shapes_keep_within_the_budget_and_use_it(width, count, classes):
    shapes = network_shapes(width, count, classes)
    assert shapes
    for shape in shapes:
        assert shape.parameters <= count
        assert Shape(shape.inputs + 1, shape.hidden, classes).parameters > count or shape.inputs == width


def test_no_network_fits_into_a_handful_of_parameters():
    assert network_shapes(32, 19, 10) == []


def blobs(count, seed, spread=0.3):
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 3, count)
    centres = np.array([[0, 0, 5], [4, 0, 5], [0, 4, 5]])
    return (centres[y] + spread * generator.normal(size=(count, 3))).astype(np.float32), y


def test_a_separable_set_is_learnt_without_error():
    control = fit_control(*blobs(300, 0), *blobs(100, 1), 30, 3)
    x, y = blobs(200, 2)
    assert accuracy(y, control.predict(x)) == 1
    assert control.converged
    assert control.parameters <= 30
    np.testing.assert_allclose(control.predict_proba(x).sum(axis=1), 1)


def test_logistic_regression_ends_at_the_optimum():
    x, y = blobs(600, 3, spread=2.0)
    control = fit_control(x, y, *blobs(300, 4, spread=2.0), 8, 3)
    assert control.kind == "logistic"
    assert control.parameters == 8
    loss = CrossEntropy(control.shape, x, y, np.float64)
    value, gradient = loss(control.theta)
    hessian = np.array([(loss(control.theta + e)[1] - loss(control.theta - e)[1]) / 2e-5 for e in 1e-5 * np.eye(8)])
    still_to_gain = gradient @ np.linalg.lstsq(hessian, gradient, rcond=1e-9)[0] / 2
    assert still_to_gain < 1e-3 * value


def test_the_network_wins_where_a_plane_cannot_separate():
    generator = np.random.default_rng(5)
    x = generator.uniform(-1, 1, (1200, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    control = fit_control(x[:600], y[:600], x[600:900], y[600:900], 40, 2, seed=1)
    assert control.kind == "mlp"
    assert accuracy(y[900:], control.predict(x[900:])) > 0.95


def test_a_seed_gives_the_same_control_again():
    data = (*blobs(300, 0, 2.0), *blobs(100, 1, 2.0), 30, 3)
    first, second = fit_control(*data, seed=7), fit_control(*data, seed=7)
    np.testing.assert_array_equal(first.theta, second.theta)


def test_biases_alone_give_the_largest_class():
    x, y = blobs(90, 0)
    y[:60] = 1
    control = fit_control(x, y, x, y, 2, 3)
    assert control.shape.inputs == 0
    assert (control.predict(x) == 1).all()


def test_constant_columns_do_no_harm():
    x, y = blobs(300, 0)
    x = np.hstack([x, np.full((300, 1), 7, dtype=np.float32), np.zeros((300, 1), dtype=np.float32)])
    assert accuracy(y, fit_control(x, y, x, y, 40, 3).predict(x)) == 1


def test_fashion_images_reach_what_a_small_set_allows():
    data = fashion_mnist.load_bundled()
    features = Standardised(12).fit(data.train.x)
    z = {name: features.transform(part.x) for name, part in data.parts.items()}
    control = fit_control(z["train"], data.train.y, z["validation"], data.validation.y, 120, 10)
    assert isinstance(control, Control)
    assert control.parameters <= 120
    assert accuracy(data.test.y, control.predict(z["test"])) > 0.75


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_parameters": 1}, ConfigError, "expected at least 2 classes and 2 parameters"),
        ({"n_classes": 2}, DataError, "labels from 0 to 1, got 0 to 2"),
        ({"features_val": np.ones((100, 2))}, ShapeError, "same width, got 3 and 2"),
        ({"y_val": np.zeros(99, dtype=int)}, ShapeError, "one label for each row, got 100 and 99"),
        ({"features_train": np.full((300, 3), np.inf)}, DataError, "got inf in row 0"),
        ({"features_val": np.zeros((0, 3)), "y_val": np.zeros(0, dtype=int)}, DataError, "at least one row"),
    ],
)
def test_unusable_arguments_are_refused(change, error, message):
    (x, y), (x_val, y_val) = blobs(300, 0), blobs(100, 1)
    arguments = {"features_train": x, "y_train": y, "features_val": x_val, "y_val": y_val}
    with pytest.raises(error, match=message):
        fit_control(**{**arguments, "n_parameters": 30, "n_classes": 3, **change})


def test_too_few_columns_are_refused():
    control = fit_control(*blobs(300, 0), *blobs(100, 1), 30, 3)
    with pytest.raises(ShapeError, match="feature columns, got 1"):
        control.predict(np.ones((4, 1)))


def test_a_descent_ends_when_validation_has_stopped_to_improve():
    x, y = blobs(60, 0)
    shape = Shape(3, 0, 3)
    watch = _Watch(shape, x, y)
    good, bad = fit_control(x, y, x, y, 12, 3).theta, shape.start(0)
    for step in range(1, LOOK + PATIENCE):
        watch(OptimizeResult(x=good if step == LOOK else bad, fun=1e6 / step))
    with pytest.raises(StopIteration):
        watch(OptimizeResult(x=bad, fun=1.0))
    np.testing.assert_array_equal(watch.best, good)
