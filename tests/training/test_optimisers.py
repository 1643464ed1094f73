"""Each optimiser against steps computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from q_store.errors import ConfigError
from q_store.training.optimisers import SGD, Adam, optimiser


def test_two_steps_of_adam_by_hand():
    vector, state = np.array([1.0, -2.0]), Adam().start(2)
    rates = np.array([0.1, 0.01])
    Adam().step(vector, np.array([2.0, -4.0]), rates, state)
    # the first step is the sign of the gradient, whatever its size
    np.testing.assert_allclose(vector, [0.9, -1.99], atol=1e-9)
    once = vector.copy()
    Adam().step(vector, np.array([-1.0, 0.0]), rates, state)
    m, v = 0.9 * 0.2 + 0.1 * -1, 0.999 * 0.004 + 0.001 * 1
    first = once[0] - 0.1 * (m / (1 - 0.81)) / (math.sqrt(v / (1 - 0.999**2)) + 1e-8)
    m, v = 0.9 * -0.4, 0.999 * 0.016
    second = once[1] - 0.01 * (m / (1 - 0.81)) / (math.sqrt(v / (1 - 0.999**2)) + 1e-8)
    np.testing.assert_allclose(vector, [first, second], rtol=1e-12)
    assert state["t"] == 2


def test_momentum_by_hand():
    vector, sgd = np.array([1.0]), SGD(0.5)
    state = sgd.start(1)
    for gradient, expected in ((2.0, 1 - 0.2), (1.0, 0.8 - 0.1 * (1.0 + 0.5 * 2.0)), (0.0, 0.6 - 0.1 * 1.0)):
        sgd.step(vector, np.array([gradient]), np.array([0.1]), state)
        assert vector[0] == pytest.approx(expected)


@pytest.mark.parametrize("rule", [Adam(), SGD()])
def test_decay_is_decoupled_from_the_gradient(rule):
    vector = np.array([3.0, 3.0])
    rule.step(vector, np.zeros(2), np.array([0.1, 0.1]), rule.start(2), np.array([0.0, 0.5]))
    np.testing.assert_allclose(vector, [3.0, 3.0 * (1 - 0.05)])


def test_names():
    assert optimiser("adam", 0.8, 0.9) == Adam(0.8, 0.9)
    assert optimiser("sgd", 0.7) == SGD(0.7)
    with pytest.raises(ConfigError, match="did you mean 'adam'"):
        optimiser("adma")
