"""Trigonometric polynomials of one parameter against the dense oracle."""

from __future__ import annotations

import numpy as np
import pytest

from q_store.backends.local import reference
from q_store.circuits import Circuit, Observables, PauliSum, cnot, op, pauliexp, ry, theta, x
from q_store.circuits.spectrum import spectrum
from q_store.errors import CircuitError

OBSERVABLES = Observables.of(PauliSum.of((0.7, "XY", (0, 1)), (-0.4, "Z", (1,)), (0.3, "ZX", (0, 1))))
START = (op("h", 0), ry(0.4, 1), cnot(0, 1))
CIRCUITS = {
    "one": [ry(theta(0), 0)],
    "factor": [ry(theta(0) * 0.5 + 0.3, 0), ry(theta(0) * 0.5, 1)],
    "twice": [ry(theta(0), 0), cnot(0, 1), op("rx", 1, angles=[-1.0 * theta(0)])],
    "controlled": [op("ry", 1, angles=[theta(0)], controls=[0])],
    "odd": [pauliexp([("XX", 0.5), ("ZZ", 0.7)], theta(0), 0, 1)],
    "turns": [op("gpi2", 0, angles=[theta(0)])],
}


def value(circuit, t):
    return reference.expectations(reference.state(circuit, None, [t])[None], OBSERVABLES, 2)[0]


@pytest.mark.parametrize("name", CIRCUITS)
def test_a_few_values_give_all_others(name):
    circuit = Circuit.build(2, [*START, *CIRCUITS[name]])
    found = spectrum(circuit, 0)
    values = np.array([value(circuit, 0.3 + t) for t in found.nodes])
    coefficients = found.coefficients(values)
    for t in np.linspace(-3, 3, 13):
        np.testing.assert_allclose(found.terms(np.array([t])) @ coefficients, [value(circuit, 0.3 + t)], atol=1e-9)


@pytest.mark.parametrize(("name", "number"), [("one", 1), ("factor", 2), ("twice", 2), ("controlled", 2), ("turns", 2)])
def test_the_number_of_values_is_that_of_the_frequencies(name, number):
    found = spectrum(Circuit.build(2, [*START, *CIRCUITS[name]]), 0)
    assert len(found.nodes) == 2 * number + 1
    assert np.linalg.cond(found.terms(found.nodes)) < 2  # as in a discrete Fourier transform


def test_a_parameter_that_nothing_uses():
    found = spectrum(Circuit(1, 2, 0, (ry(theta(1), 0),)), 0)
    assert len(found.frequencies) == 0
    assert found.nodes.tolist() == [0.0]


def test_frequencies_that_depend_on_data_are_refused():
    with pytest.raises(CircuitError, match="multiplied by feature 2"):
        spectrum(Circuit.build(1, [ry(theta(0) * x(2), 0)]), 0)
