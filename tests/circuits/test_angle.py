from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import MAX_FEATURES, MAX_PARAMS, angles, numbers

from q_store.circuits import Angle, theta, x
from q_store.errors import CircuitError

points = st.lists(numbers, min_size=MAX_PARAMS, max_size=MAX_PARAMS)
features = st.lists(numbers, min_size=MAX_FEATURES, max_size=MAX_FEATURES)


def at(angle, parameters, data):
    return angle.value(dict(enumerate(parameters)), dict(enumerate(data)))


@given(angles(), angles(), numbers, points, features)
def test_arithmetic_is_that_of_the_values(a, b, c, p, f):
    here = [at(angle, p, f) for angle in (a, b)]
    assert at(a + b, p, f) == pytest.approx(sum(here), abs=1e-9)
    assert at(a - b, p, f) == pytest.approx(here[0] - here[1], abs=1e-9)
    assert at(c - a, p, f) == pytest.approx(c - here[0], abs=1e-9)
    assert at(c * a, p, f) == pytest.approx(c * here[0], abs=1e-9)
    assert at(a / 4, p, f) == pytest.approx(here[0] / 4, abs=1e-9)
    assert a - a == Angle()


@given(angles(), angles())
def test_equal_angles_are_equal_objects(a, b):
    assert a + b == b + a
    assert hash(a + b) == hash(b + a)
    assert list(a.terms) == sorted(a.terms)
    assert all(c for _, c in a.terms)


@given(angles(), points, features)
def test_renamed_angles_read_other_indices(a, p, f):
    moved = a.rename({i: i + 2 for i in range(MAX_PARAMS)}, {j: j + 1 for j in range(MAX_FEATURES)})
    assert at(moved, [9.0, 9.0, *p], [9.0, *f]) == pytest.approx(at(a, p, f))
    assert moved.params == tuple(i + 2 for i in a.params)
    assert moved.features == tuple(j + 1 for j in a.features)


def test_a_product_of_a_parameter_and_a_feature_is_one_monomial():
    assert (theta(1) * x(2)).terms == (((1, 2), 1.0),)
    assert ((theta(0) + 1) * (x(0) - 2)).value({0: 3.0}, {0: 5.0}) == 12


@pytest.mark.parametrize(("a", "b"), [(theta(0), theta(1)), (x(0), x(0)), (theta(0) * x(0), x(1))])
def test_higher_powers_are_refused(a, b):
    with pytest.raises(CircuitError, match="higher power; add a feature column"):
        a * b


def test_parts_are_seen():
    angle = 2 + theta(3) * x(1) + x(4)
    assert (angle.constant, angle.is_constant, angle.uses_data) == (2, False, True)
    assert (angle.params, angle.features) == ((3,), (1, 4))
    assert Angle.of(0) == Angle()
    assert Angle().is_constant
    assert not (theta(0) + 1).uses_data


def test_numpy_numbers_are_welcome():
    assert np.float64(2) * theta(np.int64(1)) == 2 * theta(1)
    assert type((theta(0) * np.float32(0.5)).terms[0][1]) is float


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_angles_are_finite(bad):
    with pytest.raises(CircuitError, match="finite angle"):
        theta(0) * bad


@pytest.mark.parametrize("make", [theta, x])
def test_indices_are_not_negative(make):
    with pytest.raises(CircuitError, match="0 or more, got -1"):
        make(-1)


def test_an_angle_reads_well():
    assert str(0.5 - theta(0) + 2 * theta(1) * x(3) + x(0)) == "0.5 + x[0] + -1*theta[0] + 2*theta[1]*x[3]"
    assert str(Angle()) == "0"
