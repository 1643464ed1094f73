"""L-BFGS as a generator against SciPy called the usual way."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize
from scipy.optimize import rosen, rosen_der

from q_store.training.finish import lbfgs, minimise

START = np.array([-1.2, 1.0, 0.5])


def rosenbrock(point):
    return float(rosen(point)), rosen_der(point)


def test_the_same_points_as_scipy():
    asked = []

    def function(point):
        asked.append(point.copy())
        return rosenbrock(point)

    found = minimise(function, START, 200)
    mine, asked = asked, []
    direct = scipy_minimize(
        function,
        START,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 200, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-12},
    )
    np.testing.assert_array_equal(mine, asked)
    np.testing.assert_allclose(found.vector, np.ones(3), atol=1e-6)
    assert found.iterations == direct.nit
    assert found.value == min(rosen(point) for point in asked)


def test_the_best_point_is_kept_although_the_search_ends_elsewhere():
    values = []

    def function(point):
        # from the sixth call on the value is off, and no line search succeeds
        values.append(float(rosen(point)) + 100 * (len(values) > 5))
        return values[-1], rosen_der(point)

    found = minimise(function, START, 50)
    assert values[-1] > min(values)
    assert found.value == min(values)
    assert found.value == rosen(found.vector)


def test_iterations_are_a_limit():
    assert minimise(rosenbrock, START, 3).iterations == 3


def test_closing_ends_the_thread():
    before = threading.active_count()
    search = lbfgs(START, 10)
    next(search)
    assert threading.active_count() == before + 1
    search.close()
    assert threading.active_count() == before


def test_errors_of_the_function_reach_the_caller_and_end_the_thread():
    before = threading.active_count()

    def function(_point):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        minimise(function, START, 10)
    assert threading.active_count() == before


def test_errors_of_scipy_reach_the_caller():
    with pytest.raises(ValueError, match="one dimension"):
        minimise(rosenbrock, np.zeros((2, 2)), 10)
